import { Failure, type FailureIssue } from '../../kernel/errors.ts';

export type Direction = 'in' | 'out';

/** What a search for messages asks for. Times are inclusive from, exclusive to. */
export interface MessageQuery {
  readonly direction: Direction | null;
  readonly from: Date | null;
  readonly to: Date | null;
  readonly status: readonly string[];
  readonly type: string | null;
  readonly controlId: string | null;
  readonly mrn: string | null;
  readonly accession: string | null;
  /** A code; `none` for messages without one. */
  readonly reason: string | null;
  readonly errorClass: string | null;
  /** MSH-3:MSH-4 of what came in. */
  readonly sender: string | null;
  readonly destination: string | null;
  readonly lane: string | null;
  readonly limit: number;
  readonly after: Cursor;
}

/** Where the last page ended, for each direction: time with microseconds as the database writes it, and id. */
export interface Cursor {
  readonly in?: readonly [at: string, id: string];
  readonly out?: readonly [at: string, id: string];
}

export const PAGE_MESSAGES = 50;
export const PAGE_MESSAGES_MAX = 200;
/** Longer values are none of ours; indexed columns are no longer either. */
export const VALUE_CHARS_MAX = 200;

/** States of messages, as `status` names them. Inbound ones are made of `filing_outcome`; outbound ones stand in `state`. */
export const STATUSES: Readonly<Record<Direction, readonly string[]>> = {
  in: ['waiting', 'filed', 'refused', 'held', 'discarded'],
  out: [
    'waiting',
    'acknowledged',
    'rejected',
    'given-up',
    'dead',
    'superseded',
    'stopped',
    'discarded',
    'unmade',
  ],
};

/** What goes wrong, as people sort it; `message-log.store.ts` says which codes are which. */
export const ERROR_CLASSES = [
  'network',
  'timeout',
  'answered-error',
  'answered-reject',
  'answer',
  'message',
  'filing',
] as const;
export type ErrorClass = (typeof ERROR_CLASSES)[number];

type Given = Readonly<Record<string, unknown>>;

/** Reads query parameters (or the filter of a bulk action). Throws `http.bad-request` that names every fault, without the values. */
export function readMessageQuery(given: Given, known: readonly string[] = []): MessageQuery {
  const issues: FailureIssue[] = [];
  const fault = (at: string, text: string) => void issues.push({ at, text });
  for (const name of Object.keys(given))
    if (!NAMES.includes(name) && !known.includes(name))
      fault(name, `is no parameter; known are ${NAMES.join(', ')}`);
  const text = (name: string): string | null => {
    const value = given[name];
    if (value === undefined || value === null || value === '') return null;
    if (typeof value === 'string' && value.length <= VALUE_CHARS_MAX && !value.includes('\0')) return value;
    fault(name, `must be given once, with at most ${VALUE_CHARS_MAX} characters`);
    return null;
  };
  const time = (name: string): Date | null => {
    const value = text(name);
    if (value === null) return null;
    const date = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(value) ? new Date(value) : null;
    if (date !== null && !Number.isNaN(date.getTime())) return date;
    fault(name, 'must be a date (2026-05-17) or a time with zone (2026-05-17T08:00:00Z)');
    return null;
  };
  const oneOf = <T extends string>(name: string, allowed: readonly T[]): T | null => {
    const value = text(name);
    const found = allowed.find((one) => one === value) ?? null;
    if (value !== null && found === null) fault(name, `must be one of ${allowed.join(', ')}`);
    return found;
  };
  const direction = oneOf('direction', ['in', 'out'] as const);
  const allowed = direction === null ? [...STATUSES.in, ...STATUSES.out] : STATUSES[direction];
  const status = (text('status') ?? '').split(',').filter((one) => one !== '');
  if (status.some((one) => !allowed.includes(one)))
    fault('status', `must be a list out of ${[...new Set(allowed)].join(', ')}`);
  const query: MessageQuery = {
    direction,
    from: time('from'),
    to: time('to'),
    status,
    type: text('type'),
    controlId: text('controlId'),
    mrn: text('mrn'),
    accession: text('accession'),
    reason: text('reason'),
    errorClass: oneOf('errorClass', ERROR_CLASSES),
    sender: text('sender'),
    destination: text('destination'),
    lane: text('lane'),
    limit: limitOf(given['limit'], fault),
    after: cursorOf(given['after'], fault),
  };
  if (issues.length > 0)
    throw new Failure(
      'http.bad-request',
      `The search has ${issues.length} fault(s): ${issues.map(({ at, text: what }) => `${at} ${what}`).join('; ')}.`,
      { issues },
    );
  return query;
}

const NAMES = [
  'direction',
  'from',
  'to',
  'status',
  'type',
  'controlId',
  'mrn',
  'accession',
  'reason',
  'errorClass',
  'sender',
  'destination',
  'lane',
  'limit',
  'after',
];

type Fault = (at: string, text: string) => void;

function limitOf(value: unknown, fault: Fault): number {
  if (value === undefined || value === '') return PAGE_MESSAGES;
  const limit = Number(value);
  if (Number.isInteger(limit) && limit >= 1 && limit <= PAGE_MESSAGES_MAX) return limit;
  fault('limit', `must be a whole number from 1 to ${PAGE_MESSAGES_MAX}`);
  return PAGE_MESSAGES;
}

export const cursorText = (cursor: Cursor): string =>
  Buffer.from(JSON.stringify(cursor)).toString('base64url');

const AT = /^\d{4,6}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d(:\d\d)?$/;
const ID = { in: /^\d{1,18}$/, out: /^[0-9a-f-]{36}$/ } as const;

function cursorOf(value: unknown, fault: Fault): Cursor {
  if (value === undefined || value === '') return {};
  try {
    const read = JSON.parse(Buffer.from(String(value), 'base64url').toString('utf8')) as Record<
      string,
      unknown
    >;
    const place = (direction: Direction) => {
      const given = read[direction];
      if (given === undefined) return {};
      const [at, id] = given as [unknown, unknown];
      if (typeof at !== 'string' || typeof id !== 'string' || !AT.test(at) || !ID[direction].test(id))
        throw new Error('no cursor');
      return { [direction]: [at, id] as const };
    };
    return { ...place('in'), ...place('out') };
  } catch {
    fault('after', 'must be the "next" of the page before');
    return {};
  }
}
