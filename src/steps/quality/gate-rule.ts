import type { DicomJson } from '../../dicom/study-source.ts';
import type { Deviation } from '../../governance/conformance.ts';
import type { GateRuleName } from '../../governance/gate-rules.ts';
import type { Fits } from '../../governance/manifest.ts';
import type { GateVerdict } from '../../kernel/handoffs.ts';

/**
 * One rule of the gate: looks at the images that would be handed to the model (a series, or one image) and says what is
 * wrong, or null. Pure. `observed` holds numbers and words of closed lists only, never text of the header: it is kept and shown.
 */
export type GateRule = (images: readonly DicomJson[], fits: Fits, context: GateContext) => RuleVerdict | null;

/** What the record knows beside the images. */
export interface GateContext {
  /** Of the FHIR Patient: used where the images do not say. `born` as `YYYY-MM-DD`. */
  readonly patient: { readonly sex: 'F' | 'M' | 'O' | null; readonly born: string | null } | null;
  /** Codes of the manifest's `problems_not` that an active problem or a reason for the exam is, or is a kind of. */
  readonly problems: ReadonlySet<string>;
  /** How the images deviate from the imaging protocol of the site; null when they do not, or none is meant for them. */
  readonly protocolDeviation: (images: readonly DicomJson[]) => Deviation | null;
}

export const NO_CONTEXT: GateContext = {
  patient: null,
  problems: new Set(),
  protocolDeviation: () => null,
};

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

/** What the manifest wants done with a study that does not say what a rule looks at; refused when it does not say. */
export function missing(
  fits: Fits,
  rule: GateRuleName,
  observed: string,
  required: string,
): RuleVerdict | null {
  const how = fits.missing?.[rule] ?? OWN_FIELDS[rule]?.(fits) ?? 'refuse';
  if (how === 'accept') return null;
  return how === 'warn' ? warn(rule, observed, required) : refuse(rule, observed, required);
}

/** Three rules had a field of their own before there was `missing`. */
const OWN_FIELDS: Partial<Record<GateRuleName, (fits: Fits) => 'accept' | 'warn' | 'refuse' | undefined>> = {
  'body-part': (fits) => fits.body_part_missing,
  view: (fits) => fits.view_missing,
  age: (fits) => fits.age_missing,
};

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
