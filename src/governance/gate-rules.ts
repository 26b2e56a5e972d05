/**
 * Every rule of the gate by name, in the order in which they are judged: the first that fails is the main reason of a refusal.
 * A name is also a code in `terminology/CodeSystem-refusal.json`, and what `warn_only` of a manifest may hold.
 */
export const GATE_RULES = [
  'model',
  'images',
  'modality',
  'sop-class',
  'species',
  'procedure',
  'body-part',
  'laterality',
  'view',
  'age',
  'sex',
  'patient-mismatch',
  'problem',
  'localizer',
  'derived',
  'secondary',
  'burned-in',
  'lossy',
  'frames',
  'photometric',
  'samples',
  'bits',
  'signed',
  'rows-columns',
  'orientation',
  'tilt',
  'contrast',
  'kernel',
  'slices',
  'thickness',
  'spacing',
  'gaps',
  'duplicates',
  'coverage',
  'geometry',
  'attributes',
  'protocol',
  'histogram',
  'blank',
  'saturated',
  'undecodable',
  'implausible-output',
] as const;

export type GateRuleName = (typeof GATE_RULES)[number];

/** Rules without which there is nothing to compute: `warn_only` may not name them. */
export const RULES_THAT_ALWAYS_REFUSE: readonly GateRuleName[] = [
  'model',
  'images',
  'frames',
  'undecodable',
  'implausible-output',
];
