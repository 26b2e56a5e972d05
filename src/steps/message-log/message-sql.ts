import type { Direction, ErrorClass, MessageQuery } from './message-query.ts';

/**
 * The SQL of a search. Every text here is a constant of this file; what was asked for goes as bound values only. The statements have no name: PostgreSQL
 * plans each with its values, and so takes the index of what is rare (a number, a reason) and that of the time where nothing else is asked.
 */

/** An inbound message's state, as people see it. */
const IN_STATUS = `CASE WHEN m.filing_outcome IS NULL THEN 'waiting' WHEN m.filing_outcome = 'filed' THEN 'filed'
  WHEN m.filing_outcome <> 'refused' THEN 'held' WHEN m.flags @> ARRAY['discarded'] THEN 'discarded' ELSE 'refused' END`;
const IN_REASON = `CASE WHEN m.outcome <> 'accept' THEN m.outcome WHEN m.filing_outcome NOT IN ('filed', 'refused') THEN m.filing_outcome END`;

const IN_SENDER = `concat_ws(':', m.sending_application, m.sending_facility)`;

const SELECT: Readonly<Record<Direction, string>> = {
  in: `SELECT 'in' AS direction, m.id::text AS id, m.received_at AS at, m.received_at::text AS place, m.message_type AS type, m.control_id,
      ${IN_SENDER} AS partner, m.peer, ${IN_STATUS} AS status, ${IN_REASON} AS reason,
      m.mrn, m.accession, octet_length(m.raw) AS bytes, m.flags, m.repeats, m.filed_at AS ended_at, NULL AS lane, NULL AS destination,
      0 AS attempts, m.raw_dropped_at IS NOT NULL AS dropped
    FROM hl7_inbound m`,
  out: `SELECT 'out' AS direction, m.id::text AS id, m.created_at AS at, m.created_at::text AS place, m.message_type AS type, m.control_id,
      m.destination AS partner, '' AS peer, m.state AS status, m.last_error AS reason,
      nullif(m.mrn, '') AS mrn, nullif(m.accession, '') AS accession, octet_length(m.raw) AS bytes, ARRAY[]::text[] AS flags, 0 AS repeats,
      m.acked_at AS ended_at, m.lane, m.destination, m.attempts, m.raw_dropped_at IS NOT NULL AS dropped
    FROM hl7_outbound m`,
};

const TABLE: Readonly<Record<Direction, string>> = { in: 'hl7_inbound', out: 'hl7_outbound' };
const TIME: Readonly<Record<Direction, string>> = { in: 'm.received_at', out: 'm.created_at' };
/** Of what is not acknowledged, in its own small table: the time to search and sort by. */
const OPEN_TIME = 'u.created_at';
const ID_TYPE: Readonly<Record<Direction, string>> = { in: 'bigint', out: 'uuid' };

/** Written as the partial indexes are, so that these are taken. */
const STATUS: Readonly<Record<Direction, Readonly<Record<string, string>>>> = {
  in: {
    waiting: 'm.filing_outcome IS NULL',
    filed: `m.filing_outcome = 'filed'`,
    refused: `(m.filing_outcome = 'refused' AND NOT m.flags @> ARRAY['discarded'])`,
    held: `m.filing_outcome NOT IN ('filed', 'refused')`,
    discarded: `(m.filing_outcome = 'refused' AND m.flags @> ARRAY['discarded'])`,
  },
  out: {},
};

/** What has a reason, in two parts because there is a partial index of each: all others of the table are not read. */
const WITH_REASON = `(${STATUS.in['held']} OR m.filing_outcome = 'refused')`;

/** Codes of each class, as patterns of LIKE on the reason. */
const CLASS_PATTERNS: Readonly<Record<ErrorClass, Readonly<Record<Direction, readonly string[]>>>> = {
  network: { in: [], out: ['hl7.connection%'] },
  timeout: { in: [], out: ['hl7.ack-timeout%'] },
  'answered-error': { in: [], out: ['AE%', 'CE%'] },
  'answered-reject': { in: [], out: ['AR%', 'CR%'] },
  answer: { in: [], out: ['hl7.ack-unreadable%', 'hl7.ack-foreign%'] },
  message: { in: ['hl7.%'], out: ['ris.%', 'hl7.unbuildable%', 'hl7.too-large%'] },
  filing: { in: ['order.%', 'merge.%', 'fhir.%', 'filing.%', 'internal%', 'database.%'], out: [] },
};

/** The class of a reason; null for none that is known. */
export function errorClassOf(direction: Direction, reason: string | null): ErrorClass | null {
  if (reason === null) return null;
  for (const [name, patterns] of Object.entries(CLASS_PATTERNS))
    if (patterns[direction].some((pattern) => reason.startsWith(pattern.slice(0, -1))))
      return name as ErrorClass;
  return null;
}

export interface BoundSql {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** One page of one direction, newest first; one row more than the limit tells whether there are more. */
export function pageSql(direction: Direction, query: MessageQuery): BoundSql {
  const { where, values, time } = conditions(direction, query);
  const place = query.after[direction];
  if (place) {
    values.push(...place);
    const [at, id] = [`$${values.length - 1}::timestamptz`, `$${values.length}::${ID_TYPE[direction]}`];
    where.push(`(${time}, ${idBeside(time)}) < (${at}, ${id})`);
  }
  values.push(query.limit + 1);
  const text = `${SELECT[direction]}${open(time)} ${whereText(where)} ORDER BY ${time} DESC, ${idBeside(time)} DESC LIMIT $${values.length}`;
  return { text, values };
}

/** Ids of what a bulk action would act on, oldest first, so that what is sent again keeps its order. */
export function selectionSql(direction: Direction, query: MessageQuery, limit: number): BoundSql {
  const { where, values, time } = conditions(direction, query);
  values.push(limit);
  const text = `SELECT m.id::text AS id, ${time} AS at FROM ${TABLE[direction]} m${open(time)} ${whereText(where)} ORDER BY ${time}, ${idBeside(time)} LIMIT $${values.length}`;
  return { text, values };
}

/** One message as lists show it. */
export const listedSql = (direction: Direction): string => `${SELECT[direction]} WHERE m.id = $1`;

/** Some of the bytes of one message: they lie uncompressed outside of the row, and no others are read from there. */
export const bytesSql = (direction: Direction): string =>
  `SELECT substring(raw FROM $2 FOR $3) AS part FROM ${TABLE[direction]} WHERE id = $1`;

/** Is this byte anywhere in one message? */
export const byteSql = (direction: Direction): string =>
  `SELECT position($2::bytea IN raw) > 0 AS found FROM ${TABLE[direction]} WHERE id = $1`;

/** All about one message but its bytes, which may be megabytes. */
export function messageSql(direction: Direction): string {
  const [select, from] = SELECT[direction].split(/\n\s+FROM /) as [string, string];
  const more =
    direction === 'in'
      ? `, m.ack, m.outcome, m.filing_outcome, m.filing_location, m.raw_dropped_at`
      : `, m.ack, m.report_id, m.report_version, m.revision, m.version_of, m.superseded_by, m.result_status, m.profile,
        m.profile_version, m.placer, m.sent_at, m.unmapped_letters, m.raw_dropped_at`;
  return `${select}${more} FROM ${from} WHERE m.id = $1`;
}

const open = (time: string) => (time === OPEN_TIME ? ' JOIN hl7_unacknowledged u ON u.id = m.id' : '');
const idBeside = (time: string) => (time === OPEN_TIME ? 'u.id' : 'm.id');

interface Conditions {
  readonly where: string[];
  readonly values: unknown[];
  /** The column of the time: `OPEN_TIME` where nothing is asked that was acknowledged. */
  readonly time: string;
}

function conditions(direction: Direction, query: MessageQuery): Conditions {
  const time = direction === 'out' && isOpenOnly(query) ? OPEN_TIME : TIME[direction];
  const where: string[] = [];
  const values: unknown[] = [];
  const add = (text: (place: string) => string, value: unknown) => {
    values.push(value);
    where.push(text(`$${values.length}`));
  };
  const equal = (column: string, value: string | null) =>
    value !== null && add((place) => `${column} = ${place}`, value);
  if (query.from) add((place) => `${time} >= ${place}`, query.from);
  if (query.to) add((place) => `${time} < ${place}`, query.to);
  equal('m.message_type', query.type);
  equal('m.control_id', query.controlId);
  equal('m.mrn', query.mrn);
  equal('m.accession', query.accession);
  if (direction === 'out') {
    equal('m.destination', query.destination);
    equal('m.lane', query.lane);
    const state = time === OPEN_TIME ? 'u.state' : 'm.state';
    if (query.status.length > 0) add((place) => `${state} = ANY(${place}::text[])`, query.status);
  } else equal(IN_SENDER, query.sender);
  if (direction === 'in' && query.status.length > 0) {
    where.push(`(${query.status.map((one) => STATUS.in[one] ?? 'false').join(' OR ')})`);
  }
  const reason = direction === 'in' ? `(${IN_REASON})` : 'm.last_error';
  if (direction === 'in' && (query.reason !== null || query.errorClass !== null)) where.push(WITH_REASON);
  if (query.reason === 'none') where.push(`${reason} IS NULL`);
  else equal(reason, query.reason);
  if (query.errorClass !== null) {
    const patterns = CLASS_PATTERNS[query.errorClass as ErrorClass][direction];
    add((place) => `${reason} LIKE ANY(${place}::text[])`, patterns);
  }
  return { where, values, time };
}

/** A reason is asked of what did not end well, whatever states are named beside. */
const isOpenOnly = ({ status, reason, errorClass }: MessageQuery) =>
  (status.length > 0 && !status.includes('acknowledged')) || reason !== null || errorClass !== null;

const whereText = (where: readonly string[]) => (where.length === 0 ? '' : `WHERE ${where.join(' AND ')}`);
