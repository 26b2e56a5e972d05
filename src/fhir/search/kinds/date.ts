import { Failure } from '../../../kernel/errors.ts';
import { existsIn } from '../exists-in.ts';
import { type Prefix, splitPrefix } from '../prefix.ts';
import type { SearchKind } from '../search-kind.ts';
import { unescaped } from '../split-value.ts';
import { rowOrMark } from './present.ts';

/**
 * R4 search.html#date. Every date is an interval, from its first instant (`lo`, inside) to the first instant after it (`hi`, outside):
 * `2024-03` is March 2024. A date without a zone is taken as UTC. Open ends of a Period are infinite.
 */
export const dateKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into) {
    const seen = new Set<string>();
    for (const { value } of values) {
      const interval = intervalOf(value);
      const key = `${interval?.lo} ${interval?.hi}`;
      if (interval && !seen.has(key)) into.dates.push({ param: parameter.code, ...interval });
      seen.add(key);
    }
  },

  condition(filter, on, parameters) {
    const conditions = filter.values.map((text) => {
      const { prefix, value } = splitPrefix(unescaped(text));
      const asked = instants(value);
      if (!asked) throw new Failure('fhir.invalid', `The value of ${filter.parameter.code} is not a date.`);
      return dateCondition(prefix, asked, 's.lo', 's.hi', (instant) =>
        parameters.add(instant, 'timestamptz'),
      );
    });
    return existsIn('search_date', filter.parameter, on, parameters, conditions);
  },

  present: (parameter, on, parameters) => rowOrMark('search_date', parameter, on, parameters),
};

export interface Interval {
  readonly lo: string;
  readonly hi: string;
}

/** The comparison of R4 search.html#prefix between the resource's interval (two SQL expressions) and the one asked for. */
export function dateCondition(
  prefix: Prefix,
  asked: Interval,
  lo: string,
  hi: string,
  add: (instant: string) => string,
): string {
  // What ends before the asked end begins before it too: said as well, so that the index is read between two bounds.
  const inside = (): string =>
    `(${lo} >= ${add(asked.lo)} AND ${lo} < ${add(asked.hi)} AND ${hi} <= ${add(asked.hi)})`;
  switch (prefix) {
    case 'eq':
      return inside();
    case 'ne':
      return `NOT ${inside()}`;
    case 'gt':
      return `${hi} > ${add(asked.hi)}`;
    case 'lt':
      return `${lo} < ${add(asked.lo)}`;
    case 'ge':
      return `(${hi} > ${add(asked.hi)} OR ${inside()})`;
    case 'le':
      return `(${lo} < ${add(asked.lo)} OR ${inside()})`;
    case 'sa':
      return `${lo} >= ${add(asked.hi)}`;
    case 'eb':
      return `${hi} <= ${add(asked.lo)}`;
    case 'ap':
      return `(${lo} < ${add(widened(asked).hi)} AND ${hi} > ${add(widened(asked).lo)})`;
  }
}

function intervalOf(value: unknown): Interval | null {
  if (typeof value === 'string') return instants(value);
  if (typeof value !== 'object' || value === null) return null;
  const { start, end, event, repeat } = value as DatedValue;
  if (event || repeat?.boundsPeriod) return outer([...(event ?? []), repeat?.boundsPeriod]);
  if (start === undefined && end === undefined) return null;
  return {
    lo: (start === undefined ? null : instants(start)?.lo) ?? '-infinity',
    hi: (end === undefined ? null : instants(end)?.hi) ?? 'infinity',
  };
}

/** A Period, or a Timing. */
interface DatedValue {
  readonly start?: string;
  readonly end?: string;
  readonly event?: readonly string[];
  readonly repeat?: { readonly boundsPeriod?: DatedValue };
}

/** R4 search.html#date: of a Timing only the outer limits count: its events and the period it repeats in. */
function outer(values: readonly unknown[]): Interval | null {
  const all = values.flatMap((value) => intervalOf(value) ?? []);
  const first = all.map(({ lo }) => lo).sort(byTime)[0];
  const last = all
    .map(({ hi }) => hi)
    .sort(byTime)
    .at(-1);
  return first === undefined || last === undefined ? null : { lo: first, hi: last };
}

const byTime = (a: string, b: string): number => timeOf(a) - timeOf(b);

const timeOf = (text: string): number =>
  text.endsWith('infinity') ? (text.startsWith('-') ? -8.64e15 : 8.64e15) : Date.parse(text);

const DATE_TIME =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;

/** The interval a FHIR date, dateTime or instant stands for; null when it is none (30 February, month 13). */
export function instants(text: string): Interval | null {
  return instantOf(text) ?? intervalIn(text);
}

/** An instant as JavaScript prints it, which is how most are sent: it is its own beginning. */
function instantOf(text: string): Interval | null {
  if (text.length !== PRINTED_CHARACTERS || !text.endsWith('Z')) return null;
  const lo = new Date(text);
  // 30 February is read and printed otherwise.
  if (Number.isNaN(lo.getTime()) || lo.toISOString() !== text || lo.getUTCFullYear() < 1) return null;
  return { lo: text, hi: sqlInstant(new Date(lo.getTime() + 1)) };
}

const PRINTED_CHARACTERS = '2026-03-02T06:00:00.000Z'.length;

function intervalIn(text: string): Interval | null {
  const match = DATE_TIME.exec(text);
  if (!match) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  // R4 datatypes.html#dateTime: "24:00" is not used. JavaScript would read it as the day after.
  if (hour === '24') return null;
  const whole = `${year}-${month ?? '01'}-${day ?? '01'}T${hour ?? '00'}:${minute ?? '00'}:${leapless(second)}`;
  const millis = fraction === undefined ? '' : `.${fraction.slice(1, 4).padEnd(3, '0')}`;
  const lo = new Date(`${whole}${millis}${zone ?? 'Z'}`);
  if (Number.isNaN(lo.getTime()) || Number(year) < 1) return null;
  // Date rolls 30 February over into March: such a day does not exist.
  if (day !== undefined && new Date(`${year}-${month}-${day}T00:00:00Z`).getUTCDate() !== Number(day))
    return null;
  return { lo: sqlInstant(lo), hi: sqlInstant(after(lo, match)) };
}

/** FHIR allows the 60th second; JavaScript does not. */
const leapless = (second: string | undefined): string => (second === '60' ? '59' : (second ?? '00'));

function after(lo: Date, [, , month, day, hour, , second, fraction]: RegExpExecArray): Date {
  if (fraction !== undefined)
    return new Date(lo.getTime() + (fraction.length > 3 ? 1 : 10 ** (4 - fraction.length)));
  if (second !== undefined) return new Date(lo.getTime() + 1_000);
  if (hour !== undefined) return new Date(lo.getTime() + 60_000);
  if (day !== undefined) return new Date(lo.getTime() + 86_400_000);
  const next = new Date(lo);
  if (month !== undefined) next.setUTCMonth(next.getUTCMonth() + 1);
  else next.setUTCFullYear(next.getUTCFullYear() + 1);
  return next;
}

/** PostgreSQL does not read the year 10000 as JavaScript writes it. */
function sqlInstant(instant: Date): string {
  const year = instant.getUTCFullYear();
  if (year > 9999) return 'infinity';
  return year < 1 ? '-infinity' : instant.toISOString();
}

/** `ap`: within a tenth of the distance from now, as the specification proposes, and a day at least. */
export function widened({ lo, hi }: Interval, now = Date.now()): Interval {
  const from = Date.parse(lo);
  const to = Date.parse(hi);
  if (Number.isNaN(from) || Number.isNaN(to)) return { lo, hi };
  const gap = Math.max(Math.abs(now - from) / 10, 86_400_000);
  return { lo: sqlInstant(new Date(from - gap)), hi: sqlInstant(new Date(to + gap)) };
}
