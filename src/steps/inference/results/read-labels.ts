import type { ModelOutput, SegmentationOutput } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { OutputTensor } from '../engines/engine.ts';

/** A grid of labels: 0 is outside, n the n-th label (from 1) of the output. */
export interface LabelGrid {
  readonly dims: readonly [number, number, number];
  /** One grid, or one per label where regions may overlap (`threshold`). */
  readonly grids: readonly Uint8Array[];
}

/**
 * Labels per voxel from a segmentation's numbers: [(1,) channels, (slices,) rows, columns], or a map of label numbers without channels. Of equal
 * channels the first wins. Throws `inference.output-invalid` when the shape is not the one that the manifest says.
 */
export function readLabels(
  output: SegmentationOutput,
  tensor: OutputTensor | undefined,
  isVolume: boolean,
): LabelGrid {
  const channels = output.decode === 'label_map' ? 1 : output.labels.length;
  const dims = gridOf(output, tensor, channels, isVolume);
  const { data } = tensor!;
  const size = dims[0] * dims[1] * dims[2];
  if (output.decode === 'label_map') return { dims, grids: [labelMap(output, data, size)] };
  if (output.decode === 'argmax') return { dims, grids: [argmax(output, data, size)] };
  return {
    dims,
    grids: output.labels.flatMap((label, i) => (label === '' ? [] : [above(output, data, i, size)])),
  };
}

/** slices, rows, columns of a picture-like output; its channels are checked. */
export function gridOf(
  { name }: Pick<ModelOutput, 'name'>,
  tensor: OutputTensor | undefined,
  channels: number,
  isVolume: boolean,
): [number, number, number] {
  const spatial = isVolume ? 3 : 2;
  const dims = tensor?.dims ?? [];
  const before = dims.slice(0, -spatial);
  const given = before.reduce((product, size) => product * size, 1);
  if (!tensor || dims.length < spatial || given !== channels || tensor.data.length === 0)
    throw new Failure(
      'inference.output-invalid',
      `The output "${name}" is not ${channels} ${channels === 1 ? 'channel' : 'channels'} of ${isVolume ? 'a volume' : 'an image'}.`,
    );
  const [slices, rows, columns] = isVolume ? dims.slice(-3) : [1, ...dims.slice(-2)];
  return [slices ?? 0, rows ?? 0, columns ?? 0];
}

const notFinite = (name: string): Failure =>
  new Failure('inference.output-invalid', `The output "${name}" holds a value that is no finite number.`);

function labelMap(
  { name, labels }: SegmentationOutput,
  data: OutputTensor['data'],
  size: number,
): Uint8Array {
  const grid = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const label = labels[data[i]!];
    if (label === undefined)
      throw new Failure(
        'inference.output-invalid',
        `The output "${name}" has a label number that the manifest does not name.`,
      );
    grid[i] = label === '' ? 0 : data[i]! + 1;
  }
  return grid;
}

function argmax({ name, labels }: SegmentationOutput, data: OutputTensor['data'], size: number): Uint8Array {
  const grid = new Uint8Array(size);
  const best = Float32Array.from(data.subarray(0, size));
  const shown = labels.map((label, i) => (label === '' ? 0 : i + 1));
  grid.fill(shown[0] ?? 0);
  for (let channel = 1; channel < labels.length; channel++) {
    const first = channel * size;
    const value = shown[channel]!;
    for (let i = 0; i < size; i++) {
      if (data[first + i]! > best[i]!) {
        best[i] = data[first + i]!;
        grid[i] = value;
      }
    }
  }
  if (!best.every(Number.isFinite)) throw notFinite(name);
  return grid;
}

/** The threshold is moved to the scale of the graph's numbers: one logarithm instead of an exponential per voxel. */
function above(
  output: SegmentationOutput,
  data: OutputTensor['data'],
  channel: number,
  size: number,
): Uint8Array {
  const threshold = output.threshold ?? 0.5;
  const cut = output.activation === 'sigmoid' ? Math.log(threshold / (1 - threshold)) : threshold;
  const grid = new Uint8Array(size);
  for (let i = 0; i < size; i++) {
    const value = data[channel * size + i]!;
    if (Number.isNaN(value)) throw notFinite(output.name);
    if (value >= cut) grid[i] = channel + 1;
  }
  return grid;
}
