import { Failure } from '../../../kernel/errors.ts';
import type { SqlParameters } from '../../sql-parameters.ts';
import { cutToken, type IndexRows, type NumberRow } from '../index-rows.ts';
import type { CompositeElement, CompositePart, CompositeRoot } from '../parameters/composite-roots.ts';
import type { SearchedRow, SearchKind, ValueFilter } from '../search-kind.ts';
import { type SearchParameter, searchParametersOf } from '../search-parameters.ts';
import { splitValue, unescaped } from '../split-value.ts';
import { dateKind } from './date.ts';
import { numberKind, numberRange, parseNumber } from './number.ts';
import { quantityCondition, quantityKind, quantityRow } from './quantity.ts';
import { askedTargets, referenceForms, referenceKind } from './reference.ts';
import { stringKind } from './string.ts';
import { askedToken, entriesOfToken, tokenKind, tokensOf } from './token.ts';
import { uriKind } from './uri.ts';

/**
 * R4 search.html#composite: `code$value`, both met by the same element. How such an element is told from its neighbours is said in
 * `composite-roots.ts`.
 */
export const compositeKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into, base) {
    const places = new Map<CompositeRoot, number>();
    for (const { value } of values) {
      const element = value as CompositeElement;
      const place = places.get(element.root) ?? 0;
      places.set(element.root, place + 1);
      if (element.root.parts.some(isRow)) markRows(element, place, into, base);
      else addPairs(parameter, element, into, base);
    }
  },

  condition(filter, on, parameters) {
    const { parameter } = filter;
    const any = filter.values.flatMap((text) => {
      const parts = splitValue(text, '$');
      return (parameter.composite ?? []).map((root) => {
        if (parts.length !== root.parts.length || parts.includes('')) {
          throw new Failure(
            'fhir.invalid',
            `${parameter.code} wants ${root.parts.length} parts, joined by $.`,
          );
        }
        if (!root.repeats) return joined(root, parts, on, parameters);
        return root.parts.some(isRow)
          ? inOneRow(root, parts, on, parameters)
          : asPair(root, parts, on, parameters);
      });
    });
    return `(${any.join(' OR ')})`;
  },

  present(parameter, on, parameters) {
    const roots = (parameter.composite ?? []).map((root) => {
      const parts = root.parts.map((part) =>
        anyOf(on.type, part, (source) => PART_KINDS[part.kind].present(source, on, parameters)),
      );
      return `(${parts.join(' AND ')})`;
    });
    return `(${roots.join(' OR ')})`;
  },
};

/**
 * What each part asks of the resource as a whole, per element that the composite may lie in (`parameter.composite`): one list of filters per part, one of which
 * must be met. Only a part of the truth: that one element meets all of them is not said. Elements of pairs of codes are said by entries of their own
 * and give no parts.
 */
export function compositeParts(parameter: SearchParameter, text: string): ValueFilter[][][] {
  const texts = splitValue(text, '$');
  const roots = (parameter.composite ?? []).filter((root) => !root.repeats || root.parts.some(isRow));
  return roots.map((root) => {
    if (texts.length !== root.parts.length || texts.includes('')) return [];
    const parts = root.parts.map((part, at) => {
      // A number of one element stands in a row under the part's own name.
      const own = root.repeats && isRow(part) ? searchParametersOf(parameter.type).get(part.code) : undefined;
      const sources = own ? [own] : sourcesOf(parameter.type, part);
      return sources
        .filter(({ kind }) => kind === part.kind)
        .map((source) => ({ parameter: source, modifier: null, values: [texts[at] ?? ''] }));
    });
    return parts.some((sources) => sources.length === 0) ? [] : parts;
  });
}

/**
 * The entries, one of which a resource has that meets the value by an element whose parts are codes: per such element of the composite. Which systems
 * the codes are of is not said.
 */
export function compositePairs(parameter: SearchParameter, text: string, on: SearchedRow): string[][] {
  const texts = splitValue(text, '$');
  const pairs = (parameter.composite ?? []).filter((root) => root.repeats && !root.parts.some(isRow));
  return pairs.map((root) => askedPairs(root, texts, on).map(({ short }) => short));
}

/** The parameters by which each part of each element is found. */
export const compositeSources = (parameter: SearchParameter): SearchParameter[][][] =>
  (parameter.composite ?? []).map((root) => root.parts.map((part) => sourcesOf(parameter.type, part)));

const PART_KINDS: Readonly<Record<CompositePart['kind'], SearchKind>> = {
  date: dateKind,
  number: numberKind,
  quantity: quantityKind,
  reference: referenceKind,
  string: stringKind,
  token: tokenKind,
  uri: uriKind,
};

const isRow = ({ kind }: CompositePart): boolean => kind === 'quantity' || kind === 'number';

/** The element is the only one of the resource: what its parameters say of the resource they say of it. */
function joined(
  root: CompositeRoot,
  texts: readonly string[],
  on: SearchedRow,
  parameters: SqlParameters,
): string {
  const all = root.parts.map((part, at) =>
    anyOf(on.type, part, (source) =>
      PART_KINDS[part.kind].condition(
        { parameter: source, modifier: null, values: [texts[at] ?? ''] },
        on,
        parameters,
      ),
    ),
  );
  return `(${all.join(' AND ')})`;
}

/** By the parameters whose entries answer the part. */
function anyOf(type: string, part: CompositePart, one: (source: SearchParameter) => string): string {
  return `(${sourcesOf(type, part).map(one).join(' OR ')})`;
}

function sourcesOf(type: string, part: CompositePart): SearchParameter[] {
  const parameter = searchParametersOf(type).get(part.code);
  const codes = parameter?.answeredBy?.map(({ code }) => code) ?? [part.code];
  return codes.flatMap((code) => searchParametersOf(type).get(code) ?? []);
}

/** The entries of one part of one element: all ways to find it, and the full one. */
function partEntries(
  { kind }: CompositePart,
  values: CompositeElement['parts'][number],
  base: string,
): { short: string; full: string }[] {
  if (kind === 'reference') {
    return values.flatMap(({ value }) => referenceForms(value, base).map((at) => ({ short: at, full: at })));
  }
  return values.flatMap(tokensOf).flatMap(({ system, code }) => {
    return code ? [{ short: code, full: `${system ?? ''}|${code}` }] : [];
  });
}

/** Two entries per pair: `Group.characteristic-value#code$code` and `…@system|code$system|code`. */
function addPairs(
  parameter: SearchParameter,
  element: CompositeElement,
  into: IndexRows,
  base: string,
): void {
  const name = `${parameter.type}.${element.root.owner}`;
  const [first, second] = element.root.parts;
  if (!first || !second) return;
  for (const one of partEntries(first, element.parts[0] ?? [], base)) {
    for (const other of partEntries(second, element.parts[1] ?? [], base)) {
      into.tokens.add(cutToken(`${name}#${one.short}$${other.short}`));
      into.tokens.add(cutToken(`${name}@${one.full}$${other.full}`));
    }
  }
}

/** The pair of codes finds the rows; where a system is given, its whole entry is looked for among those of the row. */
function asPair(
  root: CompositeRoot,
  texts: readonly string[],
  on: SearchedRow,
  parameters: SqlParameters,
): string {
  const name = `${on.type}.${root.owner}`;
  const any = askedPairs(root, texts, on).map(({ short: entry, first, second }) => {
    const short = parameters.add([entry], 'text[]');
    const parts = [`${on.alias}.tokens && ${short}`];
    if (first.system !== null || second.system !== null) {
      const start = `${name}@${first.system === null ? '' : `${first.system}|${first.short}$`}`;
      const end = second.system === null ? `$${second.short}` : `$${second.system}|${second.short}`;
      const tail = parameters.add(second.system === null ? second.short : end, 'text');
      parts.push(`EXISTS (SELECT 1 FROM unnest(${on.alias}.tokens) entry
          WHERE starts_with(entry, ${parameters.add(start, 'text')}) AND right(entry, length(${tail})) = ${tail})`);
    }
    return `(${parts.join(' AND ')})`;
  });
  return any.length === 0 ? 'FALSE' : `(${any.join(' OR ')})`;
}

interface AskedPart {
  readonly short: string;
  readonly system: string | null;
}

/** The pairs that answer the value: each with the entry that its codes leave, whatever their systems. */
function askedPairs(
  root: CompositeRoot,
  texts: readonly string[],
  on: SearchedRow,
): { short: string; first: AskedPart; second: AskedPart }[] {
  const name = `${on.type}.${root.owner}`;
  const [firsts = [], seconds = []] = root.parts.map((part, at) => askedPart(part, texts[at] ?? '', on));
  return firsts.flatMap((first) =>
    seconds.map((second) => ({ short: cutToken(`${name}#${first.short}$${second.short}`), first, second })),
  );
}

function askedPart(part: CompositePart, text: string, on: SearchedRow): AskedPart[] {
  if (part.kind === 'reference') {
    const parameter = searchParametersOf(on.type).get(part.code);
    const targets = parameter ? askedTargets(parameter, unescaped(text), on.base, null) : [];
    return targets.map((short) => ({ short, system: null }));
  }
  const [first = '', ...rest] = splitValue(text, '|').map(unescaped);
  if (rest.length === 0) return [{ short: first, system: null }];
  const code = rest.join('|');
  if (code === '')
    throw new Failure('fhir.invalid', 'A part of a composite wants a code, not a system alone.');
  return [{ short: code, system: first }];
}

/** Puts the codes of the element, and its place among its like, into the rows of its numbers. */
function markRows(element: CompositeElement, place: number, into: IndexRows, base: string): void {
  const here = `${WHERE}${place}`;
  const marks = element.root.parts.flatMap((part, at) =>
    isRow(part)
      ? []
      : (element.parts[at] ?? []).flatMap((value) =>
          part.kind === 'token'
            ? tokensOf(value)
                .flatMap(entriesOfToken)
                .map((entry) => cutToken(`${part.code}${entry}`))
            : referenceForms(value.value, base).map((target) => cutToken(`${part.code}>${target}`)),
        ),
  );
  for (const [at, part] of element.root.parts.entries()) {
    if (!isRow(part)) continue;
    for (const { value } of element.parts[at] ?? []) {
      const row = findRow(part, value, here, into);
      if (row) row.within = [...new Set([here, ...(row.within ?? []), ...marks])];
    }
  }
}

/** First in `within`: which of the elements it is, so that two numbers of one element find each other. */
const WHERE = '=';

/** The row that the part's own parameter has left for this value and that no other element has taken; made when there is none. */
function findRow(part: CompositePart, value: unknown, here: string, into: IndexRows): NumberRow | null {
  const rows: NumberRow[] = part.kind === 'number' ? into.numbers : into.quantities;
  const wanted: NumberRow | null =
    part.kind === 'number' && typeof value === 'number'
      ? { param: part.code, lo: String(value), hi: String(value) }
      : quantityRow(part.code, value);
  if (!wanted) return null;
  const keys = Object.keys(wanted) as (keyof NumberRow)[];
  const found = rows.find(
    (row) => (row.within?.[0] ?? here) === here && keys.every((key) => row[key] === wanted[key]),
  );
  if (found) return found;
  rows.push(wanted);
  return wanted;
}

/** One row has the number and, in `within`, the codes of its element. */
function inOneRow(
  root: CompositeRoot,
  texts: readonly string[],
  on: SearchedRow,
  parameters: SqlParameters,
): string {
  const asked = root.parts.map((part, at) => ({ part, text: texts[at] ?? '' }));
  const codes = asked.filter(({ part }) => !isRow(part));
  const [first, ...others] = asked.filter(({ part }) => isRow(part));
  if (!first) throw new Error('A composite without a number is a pair.');
  const among = codes.map(({ part, text }) => {
    const { entry, whole } = askedToken(text);
    const start = cutToken(`${part.code}${entry}`);
    return whole
      ? `s.within && ${parameters.add([start], 'text[]')}`
      : `EXISTS (SELECT 1 FROM unnest(s.within) code WHERE starts_with(code, ${parameters.add(start, 'text')}))`;
  });
  // The codes alone narrow through the index of entries, where they may be found too.
  const narrow = joined(
    { ...root, parts: codes.map(({ part }) => part) },
    codes.map(({ text }) => text),
    on,
    parameters,
  );
  const type = parameters.add(on.type, 'text');
  const rest = others.map(({ part, text }) => {
    const condition = rowCondition(part, text, parameters).replaceAll(/\bs\./g, 'o.');
    return `EXISTS (SELECT 1 FROM ${TABLE[part.kind]} o WHERE o.type = ${type} AND o.id = ${on.alias}.id
      AND o.param = ${parameters.add(part.code, 'text')} AND o.within[1] = s.within[1] AND ${condition})`;
  });
  const conditions = [rowCondition(first.part, first.text, parameters), ...among, ...rest];
  return `(${narrow} AND EXISTS (SELECT 1 FROM ${TABLE[first.part.kind]} s WHERE s.type = ${type} AND s.id = ${on.alias}.id
    AND s.param = ${parameters.add(first.part.code, 'text')} AND ${conditions.join(' AND ')}))`;
}

const TABLE: Partial<Record<CompositePart['kind'], string>> = {
  number: 'search_number',
  quantity: 'search_quantity',
};

function rowCondition(part: CompositePart, text: string, parameters: SqlParameters): string {
  if (part.kind === 'quantity') return quantityCondition(text, part.code, parameters);
  return numberRange(parseNumber(text, part.code), 's.lo', 's.hi', (number) =>
    parameters.add(number, 'numeric'),
  );
}
