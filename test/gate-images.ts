import type { DicomJson } from '../src/dicom/study-source.ts';
import type { GateRuleName } from '../src/governance/gate-rules.ts';
import type { Fits } from '../src/governance/manifest.ts';
import { type GateContext, NO_CONTEXT } from '../src/steps/quality/gate-rule.ts';
import { RULES } from '../src/steps/quality/rules/all.ts';

export type Values = Readonly<Record<string, unknown>>;

/** Tags with their values; a list is several values, an object in it a sequence item. */
export const image = (tags: Values): DicomJson =>
  Object.fromEntries(
    Object.entries(tags).map(([tag, value]) => [
      tag,
      { vr: 'UN', Value: (Array.isArray(value) ? value : [value]).map(itemOf) },
    ]),
  );
const itemOf = (value: unknown) =>
  typeof value === 'object' && value !== null ? image(value as Values) : value;

/** Slices at these places along the body, all else alike. */
export const stack = (places: readonly number[], tags: Values = {}) =>
  places.map((z) =>
    image({
      '00200037': [1, 0, 0, 0, 1, 0],
      '00200032': [0, 0, z],
      '00280010': 512,
      '00280011': 512,
      ...tags,
    }),
  );

export const verdict = (
  rule: GateRuleName,
  images: readonly DicomJson[],
  fits: Partial<Fits>,
  context: GateContext = NO_CONTEXT,
) =>
  RULES.map((judge) => judge(images, { modality: ['CT'], ...fits }, context)).find(
    (one) => one?.rule === rule,
  ) ?? null;

export const code = (tag: string, value: string, scheme = 'SCT') => ({
  [tag]: [{ '00080100': value, '00080102': scheme }],
});
export const CT = { '00080060': 'CT' };

/** One image of a CT. */
export const one = (tags: Values) => [image({ ...CT, ...tags })];
