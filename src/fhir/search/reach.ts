import { cutToken, type IndexRows } from './index-rows.ts';
import { instants } from './kinds/date.ts';
import { type AskedNumber, parseNumber } from './kinds/number.ts';
import { askedQuantity } from './kinds/quantity.ts';
import { folded, STRING_CHARACTERS_MAX } from './kinds/string.ts';
import { splitPrefix } from './prefix.ts';
import type { ValueFilter } from './search-kind.ts';
import { unescaped } from './split-value.ts';

/** A point on the line of a key: numbers and instants (ms) as numbers, texts as texts. */
export type Point = number | string;

/** Where a row of the search tables lies, or where one must touch for a condition to be met. Both ends belong to it. */
export interface Span {
  readonly key: string;
  readonly from: Point;
  readonly to: Point;
}

/**
 * What the rows of a resource must touch, at least one of these, for the filter to be met: never less than the SQL of the kind asks for, since bounds are
 * rounded alike on both sides and open ends count as closed. Null: the filter is of a kind that is not told by rows.
 */
export function reachesOf(filter: ValueFilter): readonly Span[] | null {
  const { parameter, values } = filter;
  const { code } = parameter;
  if (code === '_id') return values.map((value) => pointAt('_id', unescaped(value)));
  if (code === '_lastUpdated') return null;
  switch (parameter.kind) {
    case 'number':
      return values.map((text) => numbers(`n ${code}`, parseNumber(text, code)));
    case 'quantity':
      return values.flatMap((text) => quantities(code, text));
    case 'date':
      return values.map((text) => dates(`d ${code}`, text));
    case 'string':
      return values.map((text) => texts(`s ${code}`, text, filter.modifier));
    default:
      return null;
  }
}

/** Where the rows of a resource lie, by key. */
export function spansOf(id: string, rows: IndexRows): ReadonlyMap<string, readonly Span[]> {
  const spans = new Map<string, Span[]>();
  const add = (key: string, from: Point, to: Point) => {
    const those = spans.get(key);
    if (those) those.push({ key, from, to });
    else spans.set(key, [{ key, from, to }]);
  };
  add('_id', id, id);
  for (const { param, lo, hi } of rows.numbers) add(`n ${param}`, Number(lo), Number(hi));
  for (const { param, lo, hi } of rows.dates) add(`d ${param}`, timeOf(lo), timeOf(hi));
  for (const { param, value } of rows.strings) add(`s ${param}`, comparable(value), comparable(value));
  for (const { param, lo, hi, unit, canonical, canonicalLo, canonicalHi } of rows.quantities) {
    add(`q ${param}`, Number(lo), Number(hi));
    add(`q ${param} in ${canonical}`, Number(canonicalLo), Number(canonicalHi));
    if (unit !== '') add(`q ${param} as ${unit}`, Number(lo), Number(hi));
  }
  return spans;
}

/** Do they touch? Of the same key. */
export const touches = (a: Span, b: Span): boolean => a.from <= b.to && a.to >= b.from;

const pointAt = (key: string, point: Point): Span => ({ key, from: point, to: point });

/** What R4 search.html#prefix asks of a stored range, widened to what it must touch. */
function numbers(key: string, asked: AskedNumber): Span {
  const [value, lo, hi] = [Number(asked.value), Number(asked.lo), Number(asked.hi)];
  switch (asked.prefix) {
    case 'eq':
      return { key, from: lo, to: hi };
    case 'ap':
      return { key, from: Number(asked.aboutLo), to: Number(asked.aboutHi) };
    case 'ne':
      return everywhere(key);
    case 'gt':
    case 'ge':
    case 'sa':
      return { key, from: value, to: Number.POSITIVE_INFINITY };
    default:
      return { key, from: Number.NEGATIVE_INFINITY, to: value };
  }
}

function quantities(code: string, text: string): Span[] {
  const { literal, converted, base, unit, anySystem } = askedQuantity(text, code);
  if (unit === '') return [numbers(`q ${code}`, literal)];
  const spans: Span[] = [];
  if (converted) spans.push(numbers(`q ${code} in ${base}`, converted));
  if (!converted || anySystem) spans.push(numbers(`q ${code} in ${cutToken(unit)}`, literal));
  if (anySystem) spans.push(numbers(`q ${code} as ${unit}`, literal));
  return spans;
}

function dates(key: string, text: string): Span {
  const { prefix, value } = splitPrefix(unescaped(text));
  const asked = instants(value);
  // Refused elsewhere; here it only narrows nothing.
  if (!asked) return everywhere(key);
  const [from, to] = [timeOf(asked.lo), timeOf(asked.hi)];
  switch (prefix) {
    case 'eq':
      return { key, from, to };
    case 'gt':
    case 'sa':
      return { key, from: to, to: Number.POSITIVE_INFINITY };
    case 'ge':
      return { key, from, to: Number.POSITIVE_INFINITY };
    case 'lt':
    case 'eb':
      return { key, from: Number.NEGATIVE_INFINITY, to: from };
    case 'le':
      return { key, from: Number.NEGATIVE_INFINITY, to };
    default:
      // What `ap` means depends on when it is asked.
      return everywhere(key);
  }
}

function texts(key: string, given: string, modifier: string | null): Span {
  const text = comparable(folded(unescaped(given).slice(0, STRING_CHARACTERS_MAX)));
  if (modifier === 'contains') return { key, from: '', to: LAST };
  return { key, from: text, to: modifier === 'exact' ? text : text + LAST };
}

const everywhere = (key: string): Span => ({
  key,
  from: Number.NEGATIVE_INFINITY,
  to: Number.POSITIVE_INFINITY,
});

/** After every text that `comparable` gives. */
const LAST = '\uffff';

/** The one character that must be free is taken for its neighbour, on both sides. */
const comparable = (text: string): string => (text.includes(LAST) ? text.replaceAll(LAST, '\ufffe') : text);

function timeOf(instant: string): number {
  if (instant === 'infinity') return Number.POSITIVE_INFINITY;
  return instant === '-infinity' ? Number.NEGATIVE_INFINITY : Date.parse(instant);
}
