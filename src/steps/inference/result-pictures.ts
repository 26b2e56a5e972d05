import type { DetectionOutput, ModelOutput } from '../../governance/manifest.ts';
import type { ResultRegion, SmallTensor } from '../../kernel/handoffs.ts';
import type { PictureResult, SourceRegion } from './results/picture-results.ts';
import type { ModelTensors } from './tensor-reader.ts';

/** Per output that is a picture, what it shows. */
export type PictureResults = Readonly<Record<string, PictureResult>>;

/** Kinds that are read back to the stored images. `mask` is only drawn. */
export const isPicture = (output: ModelOutput): boolean =>
  output.kind === 'detection' || output.kind === 'segmentation' || output.kind === 'heat_map';

/** Every output of the graph that the manifest's outputs need: a detection names those of its scores and classes too. */
export function outputNames(outputs: readonly ModelOutput[]): string[] {
  const names = outputs.flatMap((output) =>
    output.kind === 'detection' ? [output.name, ...columnsOf(output)] : [output.name],
  );
  return [...new Set(names)];
}

function columnsOf({ scores, classes }: DetectionOutput): string[] {
  return [scores, classes].flatMap((where) => (where && 'output' in where ? [where.output] : []));
}

/** The numbers that go on to findings: per label the best score, or the size. */
export function pictureNumbers(results: PictureResults): Record<string, SmallTensor> {
  return Object.fromEntries(
    Object.entries(results).flatMap(([name, { numbers }]) => (numbers ? [[name, numbers]] : [])),
  );
}

/** The regions with the instance and frame that they lie in. `sopInstanceUids`: of the files, in the order in which they were read. */
export function pictureRegions(
  results: PictureResults,
  frames: ModelTensors['frames'],
  sopInstanceUids: readonly string[],
): Record<string, readonly ResultRegion[]> {
  const located = ({ label, slice, box, polygon, score, size }: SourceRegion): ResultRegion => ({
    label,
    size,
    location: {
      sopInstanceUid: sopInstanceUids[frames[slice]?.file ?? 0] ?? '',
      frame: frames[slice]?.frame ?? 1,
      box: rounded(box) as unknown as ResultRegion['location']['box'],
      polygon: polygon && rounded(polygon),
      score,
    },
  });
  return Object.fromEntries(
    Object.entries(results).map(([name, { regions }]) => [name, regions.map(located)]),
  );
}

/** Hundredths of a pixel: more digits than that no model means. */
const rounded = (values: readonly number[]): number[] => values.map((value) => Math.round(value * 100) / 100);
