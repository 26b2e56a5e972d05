import type { DicomJson } from '../../dicom/study-source.ts';
import type { GateRuleName } from '../../governance/gate-rules.ts';
import type { Fits } from '../../governance/manifest.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';

/**
 * One rule of the gate: looks at the images that would be handed to the model (a series, or one image) and says what is
 * wrong, or null. Pure. `observed` holds numbers and words of closed lists only, never text of the header: it is kept and shown.
 */
export type GateRule = (images: readonly DicomJson[], fits: Fits) => RuleVerdict | null;

export interface RuleVerdict extends GateVerdict {
  readonly rule: GateRuleName;
  readonly level: 'refuse' | 'warn';
}

export const refuse = (rule: GateRuleName, observed: string, required: string): RuleVerdict => ({
  rule,
  observed,
  required,
  level: 'refuse',
});

export const warn = (rule: GateRuleName, observed: string, required: string): RuleVerdict => ({
  rule,
  observed,
  required,
  level: 'warn',
});

/** What a manifest wants done with a study that does not say something; refused when the manifest does not say. */
export function missing(
  how: 'accept' | 'warn' | 'refuse' | undefined,
  rule: GateRuleName,
  observed: string,
  required: string,
): RuleVerdict | null {
  if (how === 'accept') return null;
  return how === 'warn' ? warn(rule, observed, required) : refuse(rule, observed, required);
}

export interface Range {
  readonly min?: number;
  readonly max?: number;
}

export const inRange = (value: number, { min = -Infinity, max = Infinity }: Range) =>
  value >= min && value <= max;

/** `1 to 3 mm`, `at least 1 mm`, `at most 3 mm` */
export function rangeText({ min, max }: Range, unit: string): string {
  const end = unit === '' ? '' : ` ${unit}`;
  if (min !== undefined && max !== undefined) return `${min} to ${max}${end}`;
  return min !== undefined ? `at least ${min}${end}` : `at most ${max}${end}`;
}

/** Three significant digits are enough for people. */
export const round = (value: number) => Number(value.toPrecision(3));
