import { encode } from 'fast-png';

const SIZE = 512;

/** Where the drawn region lies, in parts of the picture: centre and half axes. */
export interface Region {
  readonly x: number;
  readonly y: number;
  readonly a: number;
  readonly b: number;
}

/** A drawn chest (a phantom, no patient) with the outline of a region on it, as PNG in base64. */
export function drawKeyPicture(kind: 'chest' | 'slice', region: Region | null): string {
  const key = JSON.stringify([kind, region]);
  const picture = drawn.get(key) ?? draw(kind, region);
  drawn.set(key, picture);
  return picture;
}

/** A picture takes a third of a second to draw. */
const drawn = new Map<string, string>();

function draw(kind: 'chest' | 'slice', region: Region | null): string {
  const data = new Uint8Array(SIZE * SIZE * 3);
  for (let row = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const x = column / SIZE;
      const y = row / SIZE;
      const grey = Math.max(
        0,
        Math.min(255, (kind === 'chest' ? chestAt(x, y) : sliceAt(x, y)) + grain(column, row)),
      );
      const rim = region !== null && Math.abs(inside(x, y, region) - 1) < 0.03;
      const at = (row * SIZE + column) * 3;
      data[at] = rim ? 255 : grey;
      data[at + 1] = rim ? 184 : grey;
      data[at + 2] = rim ? 77 : grey;
    }
  }
  return Buffer.from(encode({ width: SIZE, height: SIZE, data, channels: 3 })).toString('base64');
}

/** Below 1 inside of the ellipse. */
const inside = (x: number, y: number, { x: cx, y: cy, a, b }: Region) =>
  Math.hypot((x - cx) / a, (y - cy) / b);

const soft = (distance: number, width: number) => 1 / (1 + Math.exp((distance - 1) / width));

function chestAt(x: number, y: number): number {
  const body = soft(inside(x, y, { x: 0.5, y: 0.62, a: 0.46, b: 0.62 }), 0.03);
  const right = soft(inside(x, y, { x: 0.31, y: 0.47, a: 0.155, b: 0.31 }), 0.05);
  const left = soft(inside(x, y, { x: 0.69, y: 0.45, a: 0.15, b: 0.29 }), 0.05);
  const heart = soft(inside(x, y, { x: 0.56, y: 0.63, a: 0.16, b: 0.17 }), 0.06);
  const spine = Math.exp(-(((x - 0.5) / 0.055) ** 2));
  const lung = Math.max(right, left);
  const side = Math.abs(x - 0.5);
  const ribs = Math.sin((y * 1.05 + side * side * 1.7) * 62) > 0.45 ? 1 : 0;
  const collar = Math.exp(-(((y - 0.19 - side * 0.1) / 0.016) ** 2)) * (side > 0.04 && side < 0.36 ? 1 : 0);
  const vessels =
    Math.max(0, Math.sin(x * 91 + y * 37) * Math.sin(y * 83 - x * 29)) *
    Math.exp(-(((side - 0.1) / 0.1) ** 2));
  return (
    body * (150 - lung * 108 + heart * 74 + spine * 46 + ribs * lung * 22 + collar * 40 + vessels * lung * 24)
  );
}

function sliceAt(x: number, y: number): number {
  const body = soft(inside(x, y, { x: 0.5, y: 0.5, a: 0.44, b: 0.33 }), 0.012);
  const right = soft(inside(x, y, { x: 0.3, y: 0.49, a: 0.155, b: 0.225 }), 0.02);
  const left = soft(inside(x, y, { x: 0.7, y: 0.49, a: 0.15, b: 0.22 }), 0.02);
  const heart = soft(inside(x, y, { x: 0.55, y: 0.41, a: 0.11, b: 0.12 }), 0.03);
  const spine = soft(inside(x, y, { x: 0.5, y: 0.69, a: 0.055, b: 0.06 }), 0.06);
  const lung = Math.max(right, left) * (1 - heart);
  const holes = Math.sin(x * 118) * Math.sin(y * 131) > 0.55 ? 1 : 0;
  return body * (128 - lung * 100 + spine * 95 + heart * 26) + lung * (1 - holes) * 16;
}

/** The same grain on every run. */
function grain(column: number, row: number): number {
  const n = Math.sin(column * 12.9898 + row * 78.233) * 43_758.5453;
  return (n - Math.floor(n) - 0.5) * 14;
}
