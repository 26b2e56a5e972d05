import type { Affine } from './affine.ts';
import type { PixelImage } from './pixel-image.ts';
import type { PixelVolume, Vector, VolumeFrame } from './pixel-volume.ts';
import type { SliceGeometry } from './volume-spacing.ts';

/** Slices as they lie in memory, with what is known of their place, as a volume. */
export function stackVolume(
  dims: Pick<PixelVolume, 'slices' | 'rows' | 'columns'>,
  data: Float32Array,
  image: Pick<PixelImage, 'range' | 'source'>,
  geometry: readonly SliceGeometry[],
  toSource: Affine,
): PixelVolume {
  return { ...dims, data, range: image.range, source: image.source, toSource, frame: frameOf(geometry) };
}

/**
 * How the stored stack lies in the patient: Image Orientation and Pixel Spacing of the first slice, and the way from its position to the last
 * one's, in even steps (PS3.3 C.7.6.2.1.1). A single slice goes on along its normal by its thickness. null when something is missing.
 */
export function frameOf(slices: readonly SliceGeometry[]): VolumeFrame | null {
  const first = slices[0];
  const last = slices.at(-1);
  const [perRow, perColumn] = first?.pixelSpacing ?? [];
  if (first?.orientation?.length !== 6 || !perRow || !perColumn) return null;
  const across = first.orientation.slice(0, 3) as unknown as Vector;
  const down = first.orientation.slice(3) as unknown as Vector;
  const through =
    slices.length > 1
      ? way(first.position, last?.position, slices.length - 1)
      : normal(across, down, first.thickness);
  if (!through || Math.hypot(...through) === 0) return null;
  return { steps: [through, times(down, perRow), times(across, perColumn)] };
}

const times = ([x, y, z]: Vector, factor: number): Vector => [x * factor, y * factor, z * factor];

function way(
  from: readonly number[] | null,
  to: readonly number[] | null | undefined,
  steps: number,
): Vector | null {
  if (from?.length !== 3 || to?.length !== 3) return null;
  const along = (axis: number) => (to[axis]! - from[axis]!) / steps;
  return [along(0), along(1), along(2)];
}

function normal([a, b, c]: Vector, [d, e, f]: Vector, thickness: number | null): Vector | null {
  return thickness ? times([b * f - c * e, c * d - a * f, a * e - b * d], thickness) : null;
}
