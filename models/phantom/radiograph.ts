/**
 * A chest radiograph made of numbers: the chest phantom's attenuation added up from back to front, as a 12-bit DX image,
 * MONOCHROME2, view PA, patient's left on the right of the picture. For load tests of X-ray models and of the gate; no claim
 * that it looks like a person to a trained eye or net.
 */
import { type DxAttributes, dxAttributes } from './dx-attributes.ts';
import { type PhantomIdentity, phantomIdentity } from './general-attributes.ts';
import { createRandom, normalTable, type Random } from './random.ts';
import { createThorax } from './thorax.ts';

export interface RadiographOptions {
  readonly seed: number;
  readonly rows: number;
  readonly columns: number;
  readonly emphysemaFraction: number;
  readonly identity: Partial<PhantomIdentity>;
}

export interface PhantomRadiograph {
  /** rows × columns, 0 to 4095; more attenuation is brighter. */
  readonly stored: Uint16Array;
  /** The data set without pixel data, by attribute names. */
  readonly attributes: DxAttributes;
}

const DEFAULTS: RadiographOptions = {
  seed: 1,
  rows: 1024,
  columns: 1024,
  emphysemaFraction: 0,
  identity: {},
};
/** Side of the detector: a small cassette that the phantom fits. */
const DETECTOR_MM = 350;
/** Lines through the body are added up on this grid and then enlarged: a fifth of a second instead of several. */
const RAYS = 400;
const STEPS = 96;
const DEPTH_MM = 232;
/** Thickness of water that gives the brightest value. */
const WATER_MAX_MM = 230;
const NOISE = 14;

/** The same options always give the same picture. */
export function phantomRadiograph(given: Partial<RadiographOptions> = {}): PhantomRadiograph {
  const options = { ...DEFAULTS, ...given };
  for (const name of ['rows', 'columns'] as const) {
    if (!(options[name] >= 64 && options[name] <= 4096))
      throw new RangeError(`${name} must be from 64 to 4096`);
  }
  const random = createRandom(options.seed);
  const water = project(random, options.emphysemaFraction);
  const identity = phantomIdentity(options.seed, 'radiograph', options.identity);
  return {
    stored: develop(water, options, random),
    attributes: dxAttributes(identity, options.rows, options.columns, DETECTOR_MM),
  };
}

/** Millimetres of water with the same attenuation, RAYS × RAYS, head first. */
function project(random: Random, emphysemaFraction: number): Float32Array {
  const step = DETECTOR_MM / RAYS;
  const grid = {
    rows: STEPS,
    columns: RAYS,
    x0: -((RAYS - 1) / 2) * step,
    y0: -DEPTH_MM / 2,
    columnMm: step,
    rowMm: DEPTH_MM / STEPS,
  };
  const thorax = createThorax(random, random.between(0.95, 1.02), emphysemaFraction, false);
  const hu = new Float32Array(STEPS * RAYS);
  const lung = new Uint8Array(STEPS * RAYS);
  const water = new Float32Array(RAYS * RAYS);
  for (let line = 0; line < RAYS; line += 1) {
    thorax.paint(((RAYS - 1) / 2 - line) * step, grid, hu, lung);
    for (let index = 0; index < hu.length; index += 1) {
      const place = line * RAYS + (index % RAYS);
      water[place] = (water[place] as number) + (((hu[index] as number) + 1000) / 1000) * grid.rowMm;
    }
  }
  return water;
}

/** Enlarges, adds noise, and scales as a "for presentation" image is. */
function develop(water: Float32Array, options: RadiographOptions, random: Random): Uint16Array {
  const { rows, columns } = options;
  const normal = normalTable();
  const stored = new Uint16Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const y = ((row + 0.5) * RAYS) / rows - 0.5;
    for (let column = 0; column < columns; column += 1) {
      const x = ((column + 0.5) * RAYS) / columns - 0.5;
      const noise = NOISE * (normal[random.bits() & 0xffff] as number);
      const value = 90 + (3800 * bilinear(water, x, y)) / WATER_MAX_MM + noise;
      stored[row * columns + column] = Math.max(0, Math.min(4095, Math.round(value)));
    }
  }
  return stored;
}

function bilinear(water: Float32Array, x: number, y: number): number {
  const last = RAYS - 1;
  const x0 = Math.max(0, Math.min(last - 1, Math.floor(x)));
  const y0 = Math.max(0, Math.min(last - 1, Math.floor(y)));
  const fx = Math.max(0, Math.min(1, x - x0));
  const fy = Math.max(0, Math.min(1, y - y0));
  const at = y0 * RAYS + x0;
  const upper = (water[at] as number) * (1 - fx) + (water[at + 1] as number) * fx;
  const lower = (water[at + RAYS] as number) * (1 - fx) + (water[at + RAYS + 1] as number) * fx;
  return upper * (1 - fy) + lower * fy;
}
