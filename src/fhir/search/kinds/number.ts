import { Failure } from '../../../kernel/errors.ts';
import { existsIn } from '../exists-in.ts';
import { type Prefix, splitPrefix } from '../prefix.ts';
import type { SearchKind } from '../search-kind.ts';
import { unescaped } from '../split-value.ts';
import { rowOrMark } from './present.ts';

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
    const conditions = filter.values.map((text) =>
      numberRange(parseNumber(text, filter.parameter.code), 's.lo', 's.hi', (number) =>
        parameters.add(number, 'numeric'),
      ),
    );
    return existsIn('search_number', filter.parameter, on, parameters, conditions);
  },

  present: (parameter, on, parameters) => rowOrMark('search_number', parameter, on, parameters),
};

function rangeOf(value: unknown): { lo: string; hi: string } | null {
  if (typeof value === 'number') return { lo: String(value), hi: String(value) };
  const range = value as { low?: { value?: number }; high?: { value?: number } } | null;
  if (range?.low?.value === undefined && range?.high?.value === undefined) return null;
  return { lo: String(range.low?.value ?? '-Infinity'), hi: String(range.high?.value ?? 'Infinity') };
}

/** A number as asked for: `gt5.40`. All decimal texts. */
export interface AskedNumber {
  readonly prefix: Prefix;
  readonly value: string;
  /** The range that its digits leave open. */
  readonly lo: string;
  readonly hi: string;
  /** What `ap` takes for about the same: a tenth more or less (R4 search.html#prefix). */
  readonly aboutLo: string;
  readonly aboutHi: string;
}

/** Throws `fhir.invalid` when it is no number. */
export function parseNumber(text: string, code: string): AskedNumber {
  const { prefix, value } = splitPrefix(unescaped(text));
  if (!/^-?\d{1,20}(\.\d{1,15})?([eE][+-]?\d{1,2})?$/.test(value)) {
    throw new Failure('fhir.invalid', `The value of ${code} is not a number.`);
  }
  const [mantissa = '', exponent = '0'] = value.toLowerCase().split('e');
  const places = mantissa.split('.')[1]?.length ?? 0;
  // In tenths of the last digit, so that half of it is a whole number: 5.40 is 5400 ± 5.
  const digits = BigInt(mantissa.replace('.', '')) * 10n;
  const power = Number(exponent) - places - 1;
  const size = digits < 0n ? -digits : digits;
  return {
    prefix,
    value,
    lo: `${digits - 5n}e${power}`,
    hi: `${digits + 5n}e${power}`,
    aboutLo: `${digits * 10n - size}e${power - 1}`,
    aboutHi: `${digits * 10n + size}e${power - 1}`,
  };
}

/**
 * R4 search.html#prefix between a stored range (two SQL expressions) and the one asked for. `lo <` beside `hi <` looks needless, but bounds
 * the index on both sides.
 */
export function numberRange(
  asked: AskedNumber,
  lo: string,
  hi: string,
  add: (number: string) => string,
): string {
  const inside = (): string =>
    `(${lo} >= ${add(asked.lo)} AND ${lo} < ${add(asked.hi)} AND ${hi} < ${add(asked.hi)})`;
  switch (asked.prefix) {
    case 'eq':
      return inside();
    case 'ne':
      return `NOT ${inside()}`;
    case 'gt':
      return `${hi} > ${add(asked.value)}`;
    case 'lt':
      return `${lo} < ${add(asked.value)}`;
    case 'ge':
      return `${hi} >= ${add(asked.value)}`;
    case 'le':
      return `${lo} <= ${add(asked.value)}`;
    case 'sa':
      return `${lo} > ${add(asked.value)}`;
    case 'eb':
      return `${hi} < ${add(asked.value)}`;
    case 'ap':
      return `(${hi} >= ${add(asked.aboutLo)} AND ${lo} <= ${add(asked.aboutHi)})`;
  }
}
