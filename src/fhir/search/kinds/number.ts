import { Failure } from '../../../kernel/errors.ts';
import type { SqlParameters } from '../../sql-parameters.ts';
import { existsIn } from '../exists-in.ts';
import { type Prefix, splitPrefix } from '../prefix.ts';
import type { SearchKind } from '../search-kind.ts';

/**
 * R4 search.html#number. Resource values are exact; a value asked for stands for the range its digits leave open: `100` is 99.5 to 100.5,
 * `100.00` is 99.995 to 100.005.
 */
export const numberKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into) {
    for (const { value } of values) {
      const range = rangeOf(value);
      if (range) into.numbers.push({ param: parameter.code, ...range });
    }
  },

  condition(filter, on, parameters) {
    const conditions = filter.values.map((text) => numberCondition(text, filter.parameter.code, parameters));
    return existsIn('search_number', filter.parameter, on, parameters, conditions);
  },
};

function rangeOf(value: unknown): { lo: string; hi: string } | null {
  if (typeof value === 'number') return { lo: String(value), hi: String(value) };
  const range = value as { low?: { value?: number }; high?: { value?: number } } | null;
  if (range?.low?.value === undefined && range?.high?.value === undefined) return null;
  return { lo: String(range.low?.value ?? '-Infinity'), hi: String(range.high?.value ?? 'Infinity') };
}

/** The comparison of `s.lo` and `s.hi` with `[prefix]number`. Throws `fhir.invalid` when it is no number. */
export function numberCondition(text: string, code: string, parameters: SqlParameters): string {
  const { prefix, value } = splitPrefix(text);
  if (!/^-?\d{1,20}(\.\d{1,15})?([eE][+-]?\d{1,2})?$/.test(value)) {
    throw new Failure('fhir.invalid', `The value of ${code} is not a number.`);
  }
  return compare(prefix, value, (number) => parameters.add(number, 'numeric'));
}

function compare(prefix: Prefix, value: string, add: (number: string) => string): string {
  const half = openDigits(value);
  // Functions, since a value that is bound must also be used.
  const inside = (): string =>
    `(s.lo >= ${add(value)} - ${add(half)} AND s.hi < ${add(value)} + ${add(half)})`;
  switch (prefix) {
    case 'eq':
      return inside();
    case 'ne':
      return `NOT ${inside()}`;
    case 'gt':
    case 'sa':
      return `${prefix === 'gt' ? 's.hi' : 's.lo'} > ${add(value)}`;
    case 'lt':
    case 'eb':
      return `${prefix === 'lt' ? 's.lo' : 's.hi'} < ${add(value)}`;
    case 'ge':
      return `s.hi >= ${add(value)}`;
    case 'le':
      return `s.lo <= ${add(value)}`;
    case 'ap':
      return `(s.hi >= ${add(value)} - abs(${add(value)}) / 10 AND s.lo <= ${add(value)} + abs(${add(value)}) / 10)`;
  }
}

/** Half of the last digit that was written: `100` → 0.5, `1.50` → 0.005, `1e2` → 50. */
function openDigits(value: string): string {
  const [mantissa = '', exponent = '0'] = value.toLowerCase().split('e');
  const places = mantissa.split('.')[1]?.length ?? 0;
  return `0.5e${Number(exponent) - places}`;
}
