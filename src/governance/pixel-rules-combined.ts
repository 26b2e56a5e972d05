import type { FailureIssue } from '../kernel/errors.ts';
import type { Manifest, PixelOp } from './manifest.ts';

/**
 * Operations on pixels that are each right and do not go together, each by its place in the manifest. Such a pipeline would run and give the
 * model other numbers than it was trained with, so it is refused when the model is loaded.
 */
export function combinedPixelFaults({ pixels, inputs }: Pick<Manifest, 'pixels' | 'inputs'>): FailureIssue[] {
  const layout = inputs.find((input) => input.gives === 'image')?.layout;
  const isVolume = layout === 'DHW' || layout === 'NCDHW';
  const firstVolume = pixels.findIndex(isVolumeOp);
  const faults = pixels.flatMap((op, i) => {
    const before = pixels.slice(0, i);
    const texts = [
      ...ownFaults(op),
      ...(isVolume ? [] : imageFaults(op, layout)),
      ...(firstVolume >= 0 && i > firstVolume ? lateFaults(op) : []),
      ...orderFaults(op, before),
    ];
    return texts.map((text) => ({ at: `/pixels/${i}`, text }));
  });
  if (isVolume && pixels.some((op) => op.op === 'channels' && op.count === 3))
    faults.push({ at: '/pixels', text: `${layout} has one value per voxel: channels must give 1` });
  return faults;
}

/** Operations that look at the whole volume. */
function isVolumeOp(op: PixelOp): boolean {
  if (op.op === 'reorient') return true;
  if (op.op === 'resample_spacing') return op.mm.length === 3;
  if (op.op === 'z_score' || op.op === 'percentile_clip') return op.over === 'volume';
  if (op.op === 'crop') return op.slices !== undefined || (op.at !== 'centre' && op.at.length === 3);
  return op.op === 'pad' && op.slices !== undefined;
}

function ownFaults(op: PixelOp): string[] {
  if (op.op === 'window' && op.voi !== 'file' && op.voi.shape === 'LINEAR' && op.voi.width < 1)
    return ['a LINEAR window is at least 1 wide (PS3.3 C.11.2.1.2); LINEAR_EXACT may be narrower'];
  if (op.op === 'window' && op.to[0] === op.to[1]) return ['both ends of the window become the same number'];
  if (op.op === 'window' && op.missing !== undefined && op.voi !== 'file')
    return ['missing is for the window of the file; this one is fixed'];
  if (op.op === 'window' && op.prefer !== undefined && op.voi !== 'file')
    return ['prefer chooses between a window and a table of the file; this window is fixed'];
  if (op.op === 'scale' && Array.isArray(op.from) && op.from[0] === op.from[1]) return ['from has no width'];
  if (op.op === 'percentile_clip' && op.low >= op.high) return ['low is not below high'];
  if (op.op === 'crop' && op.at !== 'centre' && op.slices !== undefined && op.at.length !== 3)
    return ['slices are cut too: at needs slice, row and column'];
  if (op.op === 'crop' && op.at !== 'centre' && op.slices === undefined && op.at.length === 3)
    return ['at names a slice, and slices does not say how many to keep'];
  if (op.op === 'resize' && op.centres === 'align_corners') return alignedFaults(op);
  return [];
}

function alignedFaults(op: Extract<PixelOp, { op: 'resize' }>): string[] {
  return [
    ...(op.antialias ? ['align_corners does not go with antialias: no library has both'] : []),
    ...(op.method === 'bilinear' || op.method === 'bicubic'
      ? []
      : [`align_corners does not go with ${op.method}; bilinear and bicubic have it`]),
  ];
}

function imageFaults(op: PixelOp, layout: string | undefined): string[] {
  return isVolumeOp(op)
    ? [`needs a volume; ${layout ?? 'this layout'} takes one image (DHW and NCDHW take a volume)`]
    : [];
}

/** After the first operation on the volume there are no files any more, only voxels. */
function lateFaults(op: PixelOp): string[] {
  if (op.op === 'window' && op.voi === 'file')
    return ['the window of the file is that of each image: it must stand before operations on the volume'];
  if (op.op === 'invert_if_monochrome1')
    return ['MONOCHROME1 is said by each image: it must stand before operations on the volume'];
  if (op.op === 'resample_spacing' && op.mm.length === 2)
    return ['after an operation on the volume, mm needs three numbers: slice, row, column'];
  return [];
}

/** Values that have lost their meaning cannot be given one again. */
const CHANGES_VALUES: ReadonlySet<PixelOp['op']> = new Set([
  'scale',
  'to_8bit',
  'window',
  'normalise',
  'z_score',
]);

function orderFaults(op: PixelOp, before: readonly PixelOp[]): string[] {
  const changed = before.find(
    (one) => CHANGES_VALUES.has(one.op) || (one.op === 'percentile_clip' && one.to !== undefined),
  );
  if (op.op === 'window' && op.voi === 'file') {
    if (changed)
      return [`the window of the file is in modality values; ${changed.op} before it changed them`];
    if (before.some(({ op: name }) => name === 'invert_if_monochrome1'))
      return ['the window of the file is in modality values; invert_if_monochrome1 belongs after it'];
    if (!before.some(({ op: name }) => name === 'modality_values'))
      return ['the window of the file is in modality values: modality_values must stand first'];
  }
  if (op.op === 'to_8bit' && op.from === 'bits' && changed)
    return [`bits means what the stored bits can hold; ${changed.op} before it changed the values`];
  if (op.op === 'invert_if_monochrome1' && before.some(({ op: name }) => name === op.op))
    return ['is there twice'];
  const standardised = before.find(
    (one) =>
      one.op === 'z_score' ||
      one.op === 'normalise' ||
      (one.op === 'percentile_clip' && one.to === undefined),
  );
  if (op.op === 'invert_if_monochrome1' && standardised)
    return [
      `it mirrors in the range that values can have, which ${standardised.op} leaves open: put it before`,
    ];
  return [];
}

/** Slices, rows and columns that the pixels have in the end; null where the study decides. */
export function finalSize(pixels: readonly PixelOp[]): Record<'D' | 'H' | 'W', number | null> {
  let size: Record<'D' | 'H' | 'W', number | null> = { D: null, H: null, W: null };
  for (const op of pixels) {
    if (op.op === 'resize') size = { ...size, H: op.rows, W: op.columns };
    if (op.op === 'crop') size = { D: op.slices ?? size.D, H: op.rows, W: op.columns };
    // Padding says how large at least; what is cut to no more than that before, or after, is exactly so.
    if (op.op === 'pad')
      size = { D: atLeast(size.D, op.slices), H: atLeast(size.H, op.rows), W: atLeast(size.W, op.columns) };
    if (op.op === 'resample_spacing' || op.op === 'reorient') size = { D: null, H: null, W: null };
    if (op.op === 'centre_crop_square' || op.op === 'pad_square') size = squared(size, op.op);
  }
  return size;
}

const atLeast = (size: number | null, least: number | undefined): number | null =>
  size === null || least === undefined ? size : Math.max(size, least);

function squared(size: Record<'D' | 'H' | 'W', number | null>, op: 'centre_crop_square' | 'pad_square') {
  if (size.H === null || size.W === null) return { ...size, H: null, W: null };
  const side = op === 'pad_square' ? Math.max(size.H, size.W) : Math.min(size.H, size.W);
  return { ...size, H: side, W: side };
}
