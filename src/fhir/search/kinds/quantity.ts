import type { Quantity, SampledData } from '@medplum/fhirtypes';
import type { SqlParameters } from '../../sql-parameters.ts';
import { existsIn } from '../exists-in.ts';
import { cutToken, type QuantityRow } from '../index-rows.ts';
import { type CanonicalUnit, canonicalUnit } from '../parameters/canonical-unit.ts';
import { scaled } from '../parameters/decimal.ts';
import type { SearchKind } from '../search-kind.ts';
import { splitValue, unescaped } from '../split-value.ts';
import { type AskedNumber, numberRange, parseNumber } from './number.ts';
import { rowOrMark } from './present.ts';

const UCUM = 'http://unitsofmeasure.org';

/**
 * R4 search.html#quantity: `[prefix]number`, `number|system|code`, `number||code` (code or unit). UCUM units are converted: a value in `g` is
 * found by `mg`, since beside each value stands the same in base units. Others are compared as they are spelled. A number alone is compared with the value as it was
 * sent, whatever its unit. A comparator opens the range: `<5` reaches from minus infinity to 5.
 */
export const quantityKind: SearchKind = {
  modifiers: [],

  index(parameter, values, into) {
    for (const { value } of values) {
      const row = quantityRow(parameter.code, value);
      if (row) into.quantities.push(row);
    }
  },

  condition(filter, on, parameters) {
    const conditions = filter.values.map((text) =>
      quantityCondition(text, filter.parameter.code, parameters),
    );
    return existsIn('search_quantity', filter.parameter, on, parameters, conditions);
  },

  present: (parameter, on, parameters) => rowOrMark('search_quantity', parameter, on, parameters),
};

/** What `[prefix]number|system|code` asks for, by the same rules as its condition. */
export interface AskedQuantity {
  readonly literal: AskedNumber;
  /** In base units, with `base` as they stand in `canonical`; null where the unit is not converted. */
  readonly converted: AskedNumber | null;
  readonly base: string;
  /** As given; empty: any. */
  readonly unit: string;
  readonly anySystem: boolean;
}

export function askedQuantity(text: string, param: string): AskedQuantity {
  const [number = '', system = '', given = ''] = splitValue(text, '|');
  const literal = parseNumber(number, param);
  const [unit, of] = [cutToken(unescaped(given)), unescaped(system)];
  const known = unit !== '' && (of === UCUM || of === '') ? canonicalUnit(unit) : null;
  const base = known ? `${MARK}${known.code}` : '';
  return { literal, converted: known && converted(literal, known), base, unit, anySystem: of === '' };
}

/** The comparison of a row `s` of `search_quantity` with `[prefix]number[|system|code]`. */
export function quantityCondition(text: string, param: string, parameters: SqlParameters): string {
  const [number = '', system = '', given = ''] = splitValue(text, '|');
  const asked = parseNumber(number, param);
  const code = cutToken(unescaped(given));
  if (code !== '') return unitCondition(asked, unescaped(system), code, parameters);
  const parts = [literal(asked, parameters)];
  if (system !== '') parts.push(`s.system = ${parameters.add(unescaped(system), 'text')}`);
  return `(${parts.join(' AND ')})`;
}

const numeric =
  (parameters: SqlParameters) =>
  (number: string): string =>
    parameters.add(number, 'numeric');

const literal = (asked: AskedNumber, parameters: SqlParameters): string =>
  numberRange(asked, 's.lo', 's.hi', numeric(parameters));

/** Each part begins with `canonical`, the column that the index begins with. */
function unitCondition(asked: AskedNumber, system: string, code: string, parameters: SqlParameters): string {
  const any: string[] = [];
  const unit = system === UCUM || system === '' ? canonicalUnit(code) : null;
  if (unit) {
    const range = numberRange(
      converted(asked, unit),
      's.canonical_lo',
      's.canonical_hi',
      numeric(parameters),
    );
    any.push(`(s.canonical = ${parameters.add(`${MARK}${unit.code}`, 'text')} AND ${range})`);
  }
  if (!unit || system === '') {
    const parts = [`s.canonical = ${parameters.add(code, 'text')}`, literal(asked, parameters)];
    if (system !== '') parts.push(`s.system = ${parameters.add(system, 'text')}`);
    any.push(`(${parts.join(' AND ')})`);
  }
  // R4: `number||code` is met by the text of the unit too.
  if (system === '') any.push(`(s.unit = ${parameters.add(code, 'text')} AND ${literal(asked, parameters)})`);
  return `(${any.join(' OR ')})`;
}

/** Before base units in `canonical`, so that they are never taken for a code that somebody wrote. */
const MARK = '=';

function converted(asked: AskedNumber, { factor, offset }: CanonicalUnit): AskedNumber {
  const one = (value: string): string => scaled(value, factor, offset);
  const [value, lo, hi, aboutLo, aboutHi] = [
    asked.value,
    asked.lo,
    asked.hi,
    asked.aboutLo,
    asked.aboutHi,
  ].map(one) as [string, string, string, string, string];
  return { prefix: asked.prefix, value, lo, hi, aboutLo, aboutHi };
}

type Measured = Quantity & { low?: Quantity; high?: Quantity; currency?: string } & Partial<SampledData>;

/** The row of a Quantity (Age, Duration, …), Range, Money or SampledData; null when it has no number. */
export function quantityRow(param: string, value: unknown): QuantityRow | null {
  const { low, high, comparator, currency, origin, lowerLimit, upperLimit, ...plain } = (value ??
    {}) as Measured;
  const unit = low ?? high ?? origin ?? plain;
  const range = origin
    ? { lo: lowerLimit, hi: upperLimit }
    : { lo: (low ?? (high ? {} : plain)).value, hi: (high ?? (low ? {} : plain)).value };
  if (range.lo === undefined && range.hi === undefined) return null;
  const lo = comparator?.startsWith('<') ? '-Infinity' : String(range.lo ?? '-Infinity');
  const hi = comparator?.startsWith('>') ? 'Infinity' : String(range.hi ?? 'Infinity');
  const system = unit.system ?? (currency ? 'urn:iso:std:iso:4217' : '');
  const code = cutToken(unit.code ?? currency ?? '');
  const base = system === UCUM ? canonicalUnit(code) : null;
  return {
    param,
    lo,
    hi,
    system,
    code,
    unit: unit.unit ?? '',
    canonical: base ? `${MARK}${base.code}` : code,
    canonicalLo: base ? scaled(lo, base.factor, base.offset) : lo,
    canonicalHi: base ? scaled(hi, base.factor, base.offset) : hi,
  };
}
