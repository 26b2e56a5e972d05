import { SqlParameters } from '../../fhir/sql-parameters.ts';
import { Failure } from '../../kernel/errors.ts';
import { interactionsOfSubtype, kindsOfType } from './audit-codes.ts';
import { type KeyKind, keyOf } from './audit-content.ts';
import type { AuditedPatient, AuditPlace } from './row-to-audit-event.ts';

/** A search of audit events: what of it the indexes answer, and what each event is asked. */
export interface AuditQuery {
  /** Conditions on rows `audit_event e`. */
  readonly conditions: readonly string[];
  readonly parameters: SqlParameters;
  /** Does the event, for this patient, meet the search? */
  readonly fits: (found: AuditedPatient) => boolean;
  readonly after: AuditPlace | null;
  readonly count: number;
  readonly oldestFirst: boolean;
  /** As understood, for the link `self`. */
  readonly used: readonly (readonly [string, string])[];
}

export const AUDIT_PAGE = 50;
export const AUDIT_PAGE_MAX = 1_000;
/** As many as other searches take. */
const PARAMETERS_MAX = 20;
const VALUE_CHARS_MAX = 512;

/** Reads a search of AuditEvent (R4 auditevent.html#search). Throws `fhir.invalid` for what it does not understand. */
export function parseAuditQuery(query: URLSearchParams, base: string): AuditQuery {
  const parameters = new SqlParameters();
  const conditions: string[] = [];
  const tests: Fits[] = [];
  const used: [string, string][] = [];
  let count = AUDIT_PAGE;
  let oldestFirst = false;
  let after: AuditPlace | null = null;
  const all = [...query].filter(([name, value]) => !OF_THE_DOOR.has(name) && value !== '');
  if (all.length > PARAMETERS_MAX) throw invalid(`A search may have ${PARAMETERS_MAX} parameters at most.`);
  for (const [name, value] of all) {
    if (value.length > VALUE_CHARS_MAX || value.includes('\0')) throw invalid('A value is too long.');
    if (name === '_cursor') after = readPlace(value);
    else if (name === '_count') count = readCount(value);
    else if (name === '_sort') oldestFirst = readSort(value);
    else {
      const filter = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
      if (!filter) throw invalid('AuditEvent has no search parameter of this name; see /metadata.');
      const { keys, rows, fits } = filter(value, base);
      if (keys) conditions.push(`e.keys && ${parameters.add(keys, 'int[]')}`);
      if (rows) conditions.push(`(${rows(parameters)})`);
      if (fits) tests.push(fits);
    }
    if (name !== '_cursor') used.push([name, value]);
  }
  const fits: Fits = (found) => tests.every((test) => test(found));
  return { conditions, parameters, fits, after, count, oldestFirst, used };
}

/** For the CapabilityStatement. */
export const AUDIT_SEARCH_PARAMETERS = [
  { name: '_id', type: 'token' },
  { name: '_lastUpdated', type: 'date' },
  { name: 'date', type: 'date' },
  { name: 'patient', type: 'reference' },
  { name: 'agent', type: 'reference' },
  { name: 'altid', type: 'token' },
  { name: 'address', type: 'string' },
  { name: 'entity', type: 'reference' },
  { name: 'type', type: 'token' },
  { name: 'subtype', type: 'token' },
  { name: 'action', type: 'token' },
  { name: 'outcome', type: 'token' },
] as const;

export const printPlace = ({ at, segment, seq, number, patient }: AuditPlace): string =>
  Buffer.from([at.toISOString(), segment, seq, number, patient].join('|')).toString('base64url');

const OF_THE_DOOR: ReadonlySet<string> = new Set(['_format', '_pretty']);
const invalid = (text: string) => new Failure('fhir.invalid', text);

type Fits = (found: AuditedPatient) => boolean;

/** What a parameter asks of rows (by keys, by SQL) and of each event. */
interface Asked {
  readonly keys?: readonly number[];
  readonly rows?: (parameters: SqlParameters) => string;
  readonly fits?: Fits;
}

type Filter = (value: string, base: string) => Asked;

const keysFor = (kind: KeyKind, values: readonly string[]) => values.map((value) => keyOf(kind, value));
const patientIn = ({ event, place }: AuditedPatient) => event.patients[place.patient - 1] ?? '';

const FILTERS: Readonly<Record<string, Filter>> = {
  _id: (value) => {
    const ids = value.split(',').flatMap((one) => readAuditId(one) ?? []);
    return {
      rows: (parameters) =>
        `(e.segment, e.seq) IN (SELECT * FROM unnest(${parameters.add(
          ids.map(({ segment }) => segment),
          'int[]',
        )}, ${parameters.add(
          ids.map(({ seq }) => seq),
          'bigint[]',
        )}))`,
      fits: ({ place }) =>
        ids.some(
          (id) =>
            id.segment === place.segment &&
            id.seq === place.seq &&
            id.number === place.number &&
            id.patient === place.patient,
        ),
    };
  },
  _lastUpdated: (value) => ({ rows: (parameters) => dateCondition(value, parameters) }),
  date: (value) => ({ rows: (parameters) => dateCondition(value, parameters) }),
  patient: (value, base) => {
    const ids = value.split(',').map((one) => relative(one, base).replace(/^Patient\//, ''));
    return { keys: keysFor('patient', ids), fits: (found) => ids.includes(patientIn(found)) };
  },
  entity: (value, base) => {
    const named = value.split(',').map((one) => relative(one, base));
    const patients = named.flatMap((one) =>
      one.startsWith('Patient/') ? [one.slice('Patient/'.length)] : [],
    );
    return {
      keys: [...keysFor('entity', named), ...keysFor('patient', patients)],
      fits: (found) => named.includes(found.event.entity ?? '') || patients.includes(patientIn(found)),
    };
  },
  agent: (value, base) => {
    const named = value.split(',').map((one) => relative(one, base));
    return {
      keys: [...keysFor('client', named), ...keysFor('person', named)],
      fits: ({ event }) => named.includes(event.client) || named.includes(event.person ?? ''),
    };
  },
  altid: (value) => {
    const named = codesIn(value);
    return { keys: keysFor('client', named), fits: ({ event }) => named.includes(event.client) };
  },
  address: (value) => ({ fits: ({ event }) => event.address?.startsWith(value) === true }),
  type: (value) => {
    const kinds = codesIn(value).flatMap(kindsOfType);
    return { keys: keysFor('kind', kinds), fits: ({ event }) => kinds.includes(event.kind) };
  },
  subtype: (value) => {
    const words = codesIn(value).flatMap(interactionsOfSubtype);
    return { keys: keysFor('interaction', words), fits: ({ event }) => words.includes(event.interaction) };
  },
  action: (value) => {
    const codes = codesIn(value);
    return { fits: ({ event }) => codes.includes(event.action) };
  },
  outcome: (value) => {
    const codes = codesIn(value);
    if (codes.some((code) => !['0', '4', '8', '12'].includes(code)))
      throw invalid('outcome is 0, 4, 8 or 12.');
    return {
      ...(codes.includes('0') ? {} : { keys: keysFor('outcome', codes) }),
      fits: ({ event }) => codes.includes(String(event.outcome)),
    };
  },
};

/** `system|code` or `code`; codes of ours are unique without their system. */
const codesIn = (value: string): string[] => value.split(',').map((one) => one.split('|').at(-1) ?? '');

const relative = (reference: string, base: string): string =>
  reference.startsWith(`${base}/`) ? reference.slice(base.length + 1) : reference;

/** `3-17-1`, or `3-17-1-2` for its second patient. */
function readAuditId(id: string): { segment: number; seq: number; number: number; patient: number } | null {
  const match = /^(\d{1,9})-(\d{1,15})-(\d{1,6})(?:-(\d{1,6}))?$/.exec(id);
  if (!match) return null;
  const [segment = 0, seq = 0, number = 0, patient = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return { segment, seq, number, patient };
}

/** R4 search.html#date. Events are instants, so `sa` is `gt` and `eb` is `lt`. */
function dateCondition(value: string, parameters: SqlParameters): string {
  const match =
    /^(eq|ne|gt|lt|ge|le|sa|eb|ap)?(\d{4}(?:-\d{2}(?:-\d{2}(?:T[0-9:.]+(?:Z|[+-]\d{2}:\d{2})?)?)?)?)$/.exec(
      value,
    );
  const range = match && rangeOf(match[2] as string);
  if (!match || !range) throw invalid('A date must read like 2026-11-22 or ge2026-11-22T08:00:00Z.');
  const [from, until] = [
    () => parameters.add(range.from, 'timestamptz'),
    () => parameters.add(range.until, 'timestamptz'),
  ];
  switch (match[1] ?? 'eq') {
    case 'gt':
    case 'sa':
      return `e.at >= ${until()}`;
    case 'ge':
      return `e.at >= ${from()}`;
    case 'lt':
    case 'eb':
      return `e.at < ${from()}`;
    case 'le':
      return `e.at < ${until()}`;
    case 'ne':
      return `e.at < ${from()} OR e.at >= ${until()}`;
    default:
      return `e.at >= ${from()} AND e.at < ${until()}`;
  }
}

/** The instants that a date of less precision means, in UTC where it names no zone. */
function rangeOf(text: string): { from: string; until: string } | null {
  const [date = '', time] = text.split('T');
  const [year, month, day] = date.split('-').map(Number) as [number, number?, number?];
  if (time === undefined) {
    const from = Date.UTC(year, (month ?? 1) - 1, day ?? 1);
    const until =
      day === undefined ? Date.UTC(month === undefined ? year + 1 : year, month ?? 0, 1) : from + 86_400_000;
    return { from: new Date(from).toISOString(), until: new Date(until).toISOString() };
  }
  // R4 datatypes.html#dateTime: "24:00" is not used. JavaScript would read it as the day after.
  if (time.startsWith('24')) return null;
  const zoned = /Z$|[+-]\d{2}:\d{2}$/.test(time) ? text : `${text}Z`;
  const from = Date.parse(zoned);
  if (Number.isNaN(from)) return null;
  const step = /\.\d/.test(time) ? 1 : /^\d{2}:\d{2}:\d{2}/.test(time) ? 1_000 : 60_000;
  return { from: new Date(from).toISOString(), until: new Date(from + step).toISOString() };
}

function readCount(value: string): number {
  if (!/^\d{1,6}$/.test(value)) throw invalid('_count must be a whole number.');
  return Math.min(Math.max(Number(value), 1), AUDIT_PAGE_MAX);
}

function readSort(value: string): boolean {
  if (value === 'date' || value === '_lastUpdated') return true;
  if (value === '-date' || value === '-_lastUpdated') return false;
  throw invalid('AuditEvents are sorted by date or -date.');
}

function readPlace(text: string): AuditPlace {
  const [at = '', ...rest] = Buffer.from(text, 'base64url').toString('utf8').split('|');
  const numbers = rest.map(Number);
  if (Number.isNaN(Date.parse(at)) || rest.length !== 4 || !numbers.every(Number.isSafeInteger))
    throw invalid('The cursor is none of this server.');
  const [segment = 0, seq = 0, number = 0, patient = 0] = numbers;
  return { at: new Date(at), segment, seq, number, patient };
}
