import { cutToken } from './index-rows.ts';
import { type Interval, instants, widened } from './kinds/date.ts';
import { nearBelt } from './kinds/near.ts';
import { type AskedNumber, parseNumber } from './kinds/number.ts';
import { askedQuantity } from './kinds/quantity.ts';
import { folded, STRING_CHARACTERS_MAX } from './kinds/string.ts';
import { askedToken } from './kinds/token.ts';
import { pathsOf } from './kinds/token-content.ts';
import { splitPrefix } from './prefix.ts';
import type { ValueFilter } from './search-kind.ts';
import type { SearchParameter } from './search-parameters.ts';
import { splitValue, unescaped } from './split-value.ts';

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
  if (code === '_lastUpdated') return values.map((text) => dates(LAST_UPDATED, text));
  switch (parameter.kind) {
    case 'number':
      return values.map((text) => numbers(`n ${code}`, parseNumber(text, code)));
    case 'quantity':
      return values.flatMap((text) => quantities(code, text));
    case 'date':
      return values.map((text) => dates(`d ${code}`, text));
    case 'string':
      return values.map((text) => texts(`s ${code}`, text, filter.modifier));
    case 'special':
      return values.map((text) => ({ key: `lat ${code}`, ...nearBelt(text, code) }));
    case 'uri':
      return filter.modifier === 'below' ? values.flatMap((text) => under(filter, unescaped(text))) : null;
    case 'token':
    case 'reference':
      return tokens(filter);
    default:
      return null;
  }
}

/** The keys of what is no row: the time of the last change, and all entries one by one. */
export const LAST_UPDATED = 'u';
export const ENTRY = 'e';

/** `p <kind> <code>[><type>]`: at 1 lie the resources with the element (for a reference: one to the type), at 0 those without. */
export const presenceKey = ({ kind, code }: SearchParameter, targetType: string | null): string =>
  `p ${kind} ${code}${targetType ? `>${targetType}` : ''}`;

/** Do they touch? Of the same key. */
export const touches = (a: Span, b: Span): boolean => a.from <= b.to && a.to >= b.from;

export const pointAt = (key: string, point: Point): Span => ({ key, from: point, to: point });

const begins = (key: string, text: string): Span => ({ key, from: text, to: text + LAST });

/** What is not just "one of these entries": how they begin (`system|`), texts (`:text`), identifiers of a type (`:of-type`). */
function tokens({ parameter, modifier, values }: ValueFilter): readonly Span[] | null {
  const name = `${parameter.type}.${parameter.code}`;
  if (modifier === 'text') {
    const paths = pathsOf(parameter, 'text');
    return values.map((value) =>
      begins(`t ${paths.join(' ')}`, comparable(folded(unescaped(value)).slice(0, STRING_CHARACTERS_MAX))),
    );
  }
  if (modifier === 'of-type')
    return values.map((text) => {
      const value = splitValue(text, '|').map(unescaped)[2] ?? '';
      return pointAt(ENTRY, comparable(cutToken(`${name}#${value}`)));
    });
  if (modifier !== null && modifier !== 'identifier') return null;
  if (modifier === null && parameter.kind === 'reference') return null;
  return values.map((value) => {
    const { entry, whole } = askedToken(value);
    const text = comparable(cutToken(`${name}${modifier ? ':' : ''}${entry}`));
    return whole ? pointAt(ENTRY, text) : begins(ENTRY, text);
  });
}

/** `:below` of a URI: itself, and what its path goes on to. */
function under({ parameter }: ValueFilter, uri: string): readonly Span[] {
  const entry = `${parameter.type}.${parameter.code}>${uri.replace(/\/+$/, '')}`;
  return [pointAt(ENTRY, comparable(cutToken(entry))), begins(ENTRY, comparable(`${entry}/`))];
}

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
    case 'ap':
      return about(key, asked);
    default:
      return everywhere(key);
  }
}

/** What `ap` means depends on when it is asked: all that it may come to mean while these criteria are kept, which are read anew every few minutes. */
function about(key: string, asked: Interval): Span {
  const now = Date.now();
  const spans = [now, now + ABOUT_KEPT_MS].map((when) => widened(asked, when));
  return {
    key,
    from: Math.min(...spans.map(({ lo }) => timeOf(lo))),
    to: Math.max(...spans.map(({ hi }) => timeOf(hi))),
  };
}

const ABOUT_KEPT_MS = 365 * 86_400_000;

function texts(key: string, given: string, modifier: string | null): Span {
  const text = comparable(folded(unescaped(given).slice(0, STRING_CHARACTERS_MAX)));
  if (modifier === 'contains') return { key, from: '', to: LAST };
  return { key, from: text, to: modifier === 'exact' ? text : text + LAST };
}

export const everywhere = (key: string): Span => ({
  key,
  from: Number.NEGATIVE_INFINITY,
  to: Number.POSITIVE_INFINITY,
});

/** After every text that `comparable` gives. */
export const LAST = '\uffff';

/** The one character that must be free is taken for its neighbour, on both sides. */
export const comparable = (text: string): string =>
  text.includes(LAST) ? text.replaceAll(LAST, '\ufffe') : text;

export function timeOf(instant: string): number {
  if (instant === 'infinity') return Number.POSITIVE_INFINITY;
  return instant === '-infinity' ? Number.NEGATIVE_INFINITY : Date.parse(instant);
}
