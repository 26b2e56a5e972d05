/** Run by a pixel worker: outputs that are pictures, brought back to the stored images. */
import type { ModelOutput } from '../../governance/manifest.ts';
import type { OutputTensor } from './engines/engine.ts';
import { type PictureResult, pictureResult, type TensorPlace } from './results/picture-results.ts';

export interface ReadResultsArgs {
  readonly outputs: readonly ModelOutput[];
  /** The outputs wanted, and those that they name (scores, classes). */
  readonly results: Readonly<Record<string, OutputTensor>>;
  readonly place: TensorPlace;
  /** Are segmentations wanted as they are kept? */
  readonly keepMasks?: boolean;
}

/** By output name. Throws `inference.output-invalid`, `inference.spacing-missing`. */
export function readResults({
  outputs,
  results,
  place,
  keepMasks = false,
}: ReadResultsArgs): Record<string, PictureResult> {
  return Object.fromEntries(
    outputs.flatMap((output) => {
      const result = pictureResult(output, results, place, keepMasks);
      return result ? [[output.name, result]] : [];
    }),
  );
}
