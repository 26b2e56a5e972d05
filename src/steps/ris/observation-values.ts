import type { Observation, ObservationComponent, Quantity } from '@medplum/fhirtypes';
import { nameOfSystem } from '../../hl7/code-system-names.ts';
import type { Field, Repetition } from '../../hl7/codec.ts';
import { dateTimeToTimestamp } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { conceptToCwe, decimalText } from './fhir-to-datatype.ts';
import type { RisProfile } from './profile-settings.ts';
import { splitLines, textValues } from './text-values.ts';

/** OBX-2, OBX-5 and OBX-6. */
export interface ObxValue {
  readonly type: string;
  readonly value: Field;
  readonly units?: Repetition;
}

/**
 * `value[x]` of an Observation or of a component → its OBX, one for each line of a text of several lines. None where there is no value, and for sampled data, which an OBX
 * has no room for. Where it says why there is no value, that is the value: a finding must not look as if nobody had thought of it.
 */
export function observationValues(
  of: Observation | ObservationComponent,
  profile: RisProfile,
): readonly ObxValue[] {
  const { valueQuantity: quantity, valueRange: range, valueRatio: ratio, valuePeriod: period } = of;
  if (quantity?.value !== undefined) {
    const { comparator, value } = quantity;
    const text = decimalText(value);
    return [
      {
        type: comparator ? 'SN' : 'NM',
        value: comparator ? [comparator, text] : text,
        units: unitsOf(quantity),
      },
    ];
  }
  if (of.valueInteger !== undefined) return [{ type: 'NM', value: decimalText(of.valueInteger) }];
  if (of.valueString !== undefined) return textValues(splitLines(of.valueString), profile.narrative);
  if (of.valueCodeableConcept)
    return [{ type: 'CWE', value: conceptToCwe(of.valueCodeableConcept, profile) }];
  if (of.valueBoolean !== undefined)
    return [{ type: 'CWE', value: of.valueBoolean ? ['Y', 'Yes', 'HL70136'] : ['N', 'No', 'HL70136'] }];
  if (range?.low?.value !== undefined || range?.high?.value !== undefined)
    return [hasTwoUnits(range) ? { type: 'TX', value: rangeText(range) } : numericRangeValue(range)];
  if (ratio?.numerator?.value !== undefined && ratio.denominator?.value !== undefined)
    return [ratioValue(ratio)];
  if (of.valueDateTime !== undefined) return [dateOrTime(of.valueDateTime, profile)];
  if (of.valueTime !== undefined) return [{ type: 'TM', value: of.valueTime.replaceAll(':', '') }];
  if (period) return [{ type: 'TX', value: periodText(period) }];
  return of.dataAbsentReason ? [{ type: 'CWE', value: conceptToCwe(of.dataAbsentReason, profile) }] : [];
}

/** The same for people, in lines of text; '' where there is none. */
export function valueText(of: Observation | ObservationComponent): string {
  const { valueQuantity: quantity, valueRange: range, valueRatio: ratio, valueCodeableConcept: concept } = of;
  if (quantity?.value !== undefined) return quantityText(quantity);
  if (of.valueInteger !== undefined) return decimalText(of.valueInteger);
  if (of.valueString !== undefined) return of.valueString;
  if (concept) return concept.text ?? concept.coding?.[0]?.display ?? concept.coding?.[0]?.code ?? '';
  if (of.valueBoolean !== undefined) return of.valueBoolean ? 'Yes' : 'No';
  if (range?.low?.value !== undefined || range?.high?.value !== undefined) return rangeText(range);
  if (ratio?.numerator?.value !== undefined && ratio.denominator?.value !== undefined)
    return ratioText(ratio);
  if (of.valuePeriod) return periodText(of.valuePeriod);
  const absent = of.dataAbsentReason;
  return of.valueDateTime ?? of.valueTime ?? absent?.text ?? absent?.coding?.[0]?.display ?? '';
}

/** Always with its coding system: a bare unit text is read differently by each receiver. UCUM only what says that it is, or says nothing else. */
export function unitsOf({ code, unit, system }: Quantity): Repetition {
  if (code === undefined) return unit === undefined ? ['1', '', 'UCUM'] : [unit, '', 'L'];
  if (system === undefined || system === CODE_SYSTEMS.ucum) return [code, '', 'UCUM'];
  return [code, unit ?? '', nameOfSystem(system)];
}

/** `1` is UCUM for "no unit": beside a number it would be read as one more digit. */
export function unitText({ code, unit }: Quantity): string {
  const text = code ?? unit ?? '';
  return text === '' || text === '1' ? '' : ` ${text}`;
}

/** SN (chapter 2A): comparator, number, separator, number. */
function numericRange({ low, high }: NonNullable<Observation['valueRange']>): string[] {
  if (low?.value === undefined) return ['<=', decimalText(high?.value ?? 0)];
  if (high?.value === undefined) return ['>=', decimalText(low.value)];
  return ['', decimalText(low.value), '-', decimalText(high.value)];
}

const numericRangeValue = (range: NonNullable<Observation['valueRange']>): ObxValue => ({
  type: 'SN',
  value: numericRange(range),
  units: unitsOf(range.low ?? range.high ?? {}),
});

/** OBX-6 holds for both ends of a range. */
const hasTwoUnits = ({ low, high }: NonNullable<Observation['valueRange']>): boolean =>
  low?.value !== undefined && high?.value !== undefined && unitText(low) !== unitText(high);

const rangeText = (range: NonNullable<Observation['valueRange']>): string =>
  hasTwoUnits(range)
    ? `${quantityText(range.low ?? {})} - ${quantityText(range.high ?? {})}`
    : `${numericRange(range).join('')}${unitText(range.low ?? range.high ?? {})}`;

const quantityText = (quantity: Quantity): string =>
  `${quantity.comparator ?? ''}${decimalText(quantity.value ?? 0)}${unitText(quantity)}`;

type Ratio = NonNullable<Observation['valueRatio']>;

/** SN has room for one comparator, before the first number, and OBX-6 for one unit: a ratio with more is text, for without it it is another value. */
function ratioValue(ratio: Ratio): ObxValue {
  const { numerator = {}, denominator = {} } = ratio;
  const hasUnits = unitText(numerator) !== '' || unitText(denominator) !== '';
  if (hasUnits || denominator.comparator) return { type: 'TX', value: ratioText(ratio) };
  const [one, other] = [numerator, denominator].map(({ value = 0 }) => decimalText(value)) as [
    string,
    string,
  ];
  return { type: 'SN', value: [numerator.comparator ?? '', one, ':', other] };
}

function ratioText({ numerator = {}, denominator = {} }: Ratio): string {
  const [one, other] = [numerator, denominator].map(quantityText) as [string, string];
  return /\s/.test(one + other) ? `${one} : ${other}` : `${one}:${other}`;
}

const dateOrTime = (value: string, profile: RisProfile): ObxValue => ({
  type: value.includes('T') ? 'TS' : 'DT',
  value: dateTimeToTimestamp(value, profile),
});

const periodText = ({ start, end }: NonNullable<Observation['valuePeriod']>): string =>
  [start ? `from ${start}` : '', end ? `to ${end}` : ''].filter((part) => part !== '').join(' ');
