/** One slice of a volume and of the mask that a model made of it, both row-major. */
export interface MaskSlice {
  readonly rows: number;
  readonly columns: number;
  readonly image: Float32Array;
  /** 0: outside; 1: the region; 2: the part of the region that the finding is about. */
  readonly mask: ArrayLike<number>;
}

export interface RgbPicture {
  readonly rows: number;
  readonly columns: number;
  readonly rgb: Uint8Array;
}

/**
 * The slice in grey, windowed to the values in and around the region; the border of the region as a line, voxels of value 2
 * tinted so that the structure under them still shows.
 */
export function maskSliceToPicture(slice: MaskSlice): RgbPicture {
  const { rows, columns, image, mask } = slice;
  const window = regionWindow(slice);
  const factor = 255 / Math.max(window.max - window.min, Number.EPSILON);
  const rgb = new Uint8Array(rows * columns * 3);
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at++) {
      const grey = Math.max(0, Math.min(255, Math.round((image[at]! - window.min) * factor)));
      if (isBorder(slice, y, x)) rgb.set(BORDER, at * 3);
      else if (mask[at] === FINDING) tint(rgb, at * 3, grey);
      else rgb.fill(grey, at * 3, at * 3 + 3);
    }
  }
  return { rows, columns, rgb };
}

const FINDING = 2;
/** Sky blue and orange: apart for people who do not tell red from green, and neither is bright enough to dazzle. */
const BORDER = [90, 200, 255];
const TINT = [255, 130, 30];
const TINT_SHARE = 0.55;

function tint(rgb: Uint8Array, at: number, grey: number): void {
  for (let sample = 0; sample < 3; sample++)
    rgb[at + sample] = Math.round(grey * (1 - TINT_SHARE) + TINT[sample]! * TINT_SHARE);
}

/** A voxel of the region with a neighbour (left, right, up, down) that is none; the edge of the image counts as outside. */
function isBorder({ rows, columns, mask }: MaskSlice, y: number, x: number): boolean {
  const at = y * columns + x;
  if (!(mask[at]! > 0)) return false;
  if (y === 0 || x === 0 || y === rows - 1 || x === columns - 1) return true;
  return !(mask[at - 1]! > 0 && mask[at + 1]! > 0 && mask[at - columns]! > 0 && mask[at + columns]! > 0);
}

/** Values left out at each end: metal and air outside the body would take the contrast from the tissue. */
const WINDOW_TAIL = 0.005;

/** From the values in the box round the region, so that a lung is shown as a lung without a window in code; the whole slice where there is no region. */
function regionWindow(slice: MaskSlice): { min: number; max: number } {
  const box = regionBox(slice);
  const values = new Float32Array((box.bottom - box.top) * (box.right - box.left));
  let count = 0;
  for (let y = box.top; y < box.bottom; y++) {
    const line = slice.image.subarray(y * slice.columns + box.left, y * slice.columns + box.right);
    values.set(line, count);
    count += line.length;
  }
  values.sort();
  const tail = Math.floor(count * WINDOW_TAIL);
  return { min: values[tail] ?? 0, max: values[count - 1 - tail] ?? 0 };
}

function regionBox({ rows, columns, mask }: MaskSlice): {
  top: number;
  bottom: number;
  left: number;
  right: number;
} {
  let [top, bottom, left, right] = [rows, 0, columns, 0];
  for (let y = 0, at = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++, at++) {
      if (!(mask[at]! > 0)) continue;
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
    }
  }
  return bottom > top ? { top, bottom, left, right } : { top: 0, bottom: rows, left: 0, right: columns };
}
