import type { GateRule } from '../gate-rule.ts';
import { age } from './age.ts';
import { attributes } from './attributes.ts';
import { bits } from './bits.ts';
import { bodyPart } from './body-part.ts';
import { burnedIn } from './burned-in.ts';
import { contrast } from './contrast.ts';
import { coverage } from './coverage.ts';
import { derived } from './derived.ts';
import { duplicates } from './duplicates.ts';
import { frames } from './frames.ts';
import { gaps } from './gaps.ts';
import { geometry } from './geometry.ts';
import { kernel } from './kernel.ts';
import { laterality } from './laterality.ts';
import { localizer } from './localizer.ts';
import { lossy } from './lossy.ts';
import { modality } from './modality.ts';
import { orientation } from './orientation.ts';
import { patientMismatch } from './patient-mismatch.ts';
import { photometric } from './photometric.ts';
import { problem } from './problem.ts';
import { procedure } from './procedure.ts';
import { protocol } from './protocol.ts';
import { rowsColumns } from './rows-columns.ts';
import { samples } from './samples.ts';
import { secondary } from './secondary.ts';
import { sex } from './sex.ts';
import { signed } from './signed.ts';
import { slices } from './slices.ts';
import { sopClass } from './sop-class.ts';
import { spacing } from './spacing.ts';
import { species } from './species.ts';
import { thickness } from './thickness.ts';
import { tilt } from './tilt.ts';
import { view } from './view.ts';

/** All rules that look at headers, in the order of `GATE_RULES`: the first that refuses is the main reason. */
export const RULES: readonly GateRule[] = [
  modality,
  sopClass,
  species,
  procedure,
  bodyPart,
  laterality,
  view,
  age,
  sex,
  patientMismatch,
  problem,
  localizer,
  derived,
  secondary,
  burnedIn,
  lossy,
  frames,
  photometric,
  samples,
  bits,
  signed,
  rowsColumns,
  orientation,
  tilt,
  contrast,
  kernel,
  slices,
  thickness,
  spacing,
  gaps,
  duplicates,
  coverage,
  geometry,
  attributes,
  protocol,
];
