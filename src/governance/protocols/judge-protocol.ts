import type { DicomJson } from '../../dicom/study-source.ts';
import {
  definitionOf,
  type ParameterDefinition,
  type ParameterName,
  type TextParameter,
  VALUES,
} from './parameters.ts';
import type { ImagingProtocol, ParameterLimit } from './protocol.ts';

/** What one series says to one promise. Words of closed lists and numbers only: it is kept and shown. */
export interface ParameterResult {
  readonly parameter: ParameterName;
  readonly state: 'met' | 'deviates' | 'not-stated';
  readonly observed: string;
  readonly required: string;
}

/** Compares the images of one series with a protocol: one result per promise, in the protocol's order. Pure. */
export function judgeProtocol(
  images: readonly DicomJson[],
  protocol: Pick<ImagingProtocol, 'parameters'>,
): readonly ParameterResult[] {
  return Object.entries(protocol.parameters).map(([name, limit]) =>
    judgeParameter(name as ParameterName, limit, images),
  );
}

function judgeParameter(
  parameter: ParameterName,
  limit: ParameterLimit,
  images: readonly DicomJson[],
): ParameterResult {
  const definition = definitionOf(parameter);
  const required = requiredText(definition, limit);
  const found =
    definition.kind === 'number'
      ? numbersSay(definition, limit, images)
      : textsSay(definition, limit, images);
  if (found === null)
    return { parameter, state: 'not-stated', observed: `no ${definition.label.toLowerCase()}`, required };
  const observed = `${definition.label.toLowerCase()} ${found.observed}`;
  return { parameter, state: found.met ? 'met' : 'deviates', observed, required };
}

interface Said {
  readonly met: boolean;
  readonly observed: string;
}

function numbersSay(
  definition: Extract<ParameterDefinition, { kind: 'number' }>,
  { min = -Infinity, max = Infinity }: ParameterLimit,
  images: readonly DicomJson[],
): Said | null {
  const all = definition.observe(images);
  if (all.length === 0) return null;
  const values = definition.over === 'mean' ? [all.reduce((sum, one) => sum + one, 0) / all.length] : all;
  const worst = values.reduce((a, b) => (outside(b, min, max) > outside(a, min, max) ? b : a));
  return {
    met: outside(worst, min, max) <= SLACK * Math.abs(worst),
    observed: withUnit(round(worst), definition.unit),
  };
}

/** Scanners write 0.999999 for 1: a millionth is no deviation. */
const SLACK = 1e-6;

const outside = (value: number, min: number, max: number) => Math.max(0, min - value, value - max);

function textsSay(
  definition: Extract<ParameterDefinition, { kind: 'text' }>,
  { one_of: wanted, none_of: unwanted }: ParameterLimit,
  images: readonly DicomJson[],
): Said | null {
  const values = definition.observe(images);
  if (values.length === 0) return null;
  const has = (value: string, words: readonly string[]) =>
    value.split(VALUES).some((one) => words.some((word) => fits(definition, one, word)));
  const wrong = values.find(
    (value) =>
      (wanted !== undefined && !has(value, wanted)) || (unwanted !== undefined && has(value, unwanted)),
  );
  if (wrong === undefined) return { met: true, observed: 'as promised' };
  return { met: false, observed: isKnown(wrong) ? wrong.replaceAll(VALUES, ' ') : 'another' };
}

/** Does one value of an attribute say what a protocol names? */
export function fits({ match }: Pick<TextParameter, 'match'>, value: string, word: string): boolean {
  const [a, b] = [value.toUpperCase(), word.toUpperCase()];
  return match === 'part' ? a.includes(b) : a === b;
}

const isKnown = (value: string) => value.split(VALUES).every((one) => KNOWN.test(one));

/** Defined terms (PS3.3 C.7.3.1.1.2 and others) and kernel names in wide use, or a kernel with its number (`B70f`, with its strength `I31f\\3`). Any other text may be anything. */
const KNOWN =
  /^(HF[PS]|FF[PS]|[HF]F[DL][LR]|AP|PA|LL|RL|LATERAL|CC|MLO|L|R|B|U|FIXED|FOCUSED|RECIPROCATING|NONE|given|none|STANDARD|STND|SOFT|LUNG|BONE|BONEPLUS|DETAIL|EDGE|CHEST|ULTRA|SHARP|SMOOTH|[0-9]|[A-Z]{1,2}[a-z]?[0-9]{2,3}[a-z]?)$/;

function requiredText(definition: ParameterDefinition, limit: ParameterLimit): string {
  const label = definition.label.toLowerCase();
  if (definition.kind === 'text')
    return [
      ...(limit.one_of ? [`${label} ${limit.one_of.join(' or ')}`] : []),
      ...(limit.none_of ? [`${label} not ${limit.none_of.join(' or ')}`] : []),
    ].join(', ');
  const { min, max } = limit;
  if (min !== undefined && max !== undefined) return `${label} ${min} to ${withUnit(max, definition.unit)}`;
  return min !== undefined
    ? `${label} at least ${withUnit(min, definition.unit)}`
    : `${label} at most ${withUnit(max ?? 0, definition.unit)}`;
}

/** Far enough that what is beyond a limit does not read as the limit. */
const round = (value: number) => Number(value.toPrecision(6));
const withUnit = (value: number, unit: string) =>
  unit === '1' ? `${value}` : `${value} ${UNIT_TEXTS[unit] ?? unit}`;
/** UCUM codes that people write otherwise. */
const UNIT_TEXTS: Readonly<Record<string, string>> = { 'mA.s': 'mAs', deg: 'degrees', 'dGy.cm2': 'dGy·cm²' };
