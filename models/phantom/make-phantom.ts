/**
 * A chest CT made of numbers: `phantomSeries` gives its slices one at a time, so that memory stays small, and the truth that
 * a measurement of it should find. Nothing in it comes from a person; its names say that it is a phantom.
 *
 * What is true is decided by geometry and by the image together: a pixel is lung when its centre lies in aerated lung of the
 * model body (not a vessel, not an airway), and the share below -950 HU counts those pixels in the image as reconstructed, with
 * its blur and noise. That is what the papers' threshold is applied to; a noise-free truth would be a number nobody can measure.
 */
import { type CtAttributes, ctAttributes } from './ct-attributes.ts';
import { type PhantomIdentity, phantomIdentity } from './general-attributes.ts';
import { paintHead } from './head.ts';
import { createRandom, normalTable, type Random } from './random.ts';
import { createThorax, type Thorax } from './thorax.ts';
import type { Grid } from './tubes.ts';

export type Anatomy = 'chest' | 'head';
/** As CT images, one a slice, or as one Enhanced CT object. The slices are the same. */
export type PhantomForm = 'classic' | 'enhanced';
export type PhantomKernel = 'B30f' | 'B45f' | 'B70f';

export interface PhantomOptions {
  readonly seed: number;
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
  /** Distance of slices; also SliceThickness. */
  readonly sliceSpacingMm: number;
  /** Distance of rows and of columns. */
  readonly pixelSpacingMm: number;
  /** Share of the lung that shall come out below -950 HU, 0 to 0.8, roughly: `truth` says how much it is. */
  readonly emphysemaFraction: number;
  /** Standard deviation of the noise after reconstruction, in Hounsfield units. */
  readonly noiseHu: number;
  readonly kernel: PhantomKernel;
  readonly anatomy: Anatomy;
  /** For who writes the files. */
  readonly form: PhantomForm;
  readonly identity: Partial<PhantomIdentity>;
}

export interface PhantomSlice {
  /** 0 at the feet end. */
  readonly index: number;
  /** rows × columns Hounsfield units. A fresh array. */
  readonly hu: Int16Array;
  /** 1 where a pixel's centre lies in aerated lung. A fresh array. */
  readonly lung: Uint8Array;
  /** Stored values: Hounsfield units + 1024, for RescaleIntercept -1024. */
  readonly stored: Uint16Array;
  /** The data set without pixel data, by attribute names (dcmjs "naturalized"). */
  readonly attributes: CtAttributes;
}

export interface PhantomTruth {
  readonly lungVolumeMl: number;
  readonly laa950Percent: number;
  readonly meanLungDensityHu: number;
}

export interface PhantomSeries {
  readonly options: PhantomOptions;
  readonly identity: PhantomIdentity;
  /** From feet to head. */
  slices(): Generator<PhantomSlice>;
  /** Of the slices given out so far; whole once `slices` has ended. */
  truth(): PhantomTruth;
}

export const PHANTOM_DEFAULTS: PhantomOptions = {
  seed: 1,
  slices: 120,
  rows: 512,
  columns: 512,
  sliceSpacingMm: 2.5,
  pixelSpacingMm: 0.72,
  emphysemaFraction: 0,
  noiseHu: 20,
  kernel: 'B30f',
  anatomy: 'chest',
  form: 'classic',
  identity: {},
};

/** Studies that a chest model must refuse: another body part, and scout views that are too few. */
export const WRONG_STUDIES: Readonly<Record<'head' | 'localizer', Partial<PhantomOptions>>> = {
  head: { anatomy: 'head', slices: 32, sliceSpacingMm: 5, pixelSpacingMm: 0.45, kernel: 'B45f', noiseHu: 4 },
  localizer: {
    slices: 3,
    sliceSpacingMm: 5,
    identity: {
      imageFlavor: 'LOCALIZER',
      bodyPart: 'ABDOMEN',
      studyDescription: 'CT ABDOMEN',
      seriesDescription: 'TOPOGRAM ABDOMEN',
      seriesNumber: 1,
    },
  },
};

/** Width of the reconstruction's blur (standard deviation in mm): soft, medium, sharp. */
const BLUR_MM: Readonly<Record<PhantomKernel, number>> = { B30f: 0.55, B45f: 0.4, B70f: 0.22 };
/** Width of the model body with table at scale 1. */
const BODY_MM = 350;
const HU_MIN = -1024;
const HU_MAX = 3071;

/** A phantom by its recipe. The same options always give the same slices. Throws RangeError for a recipe out of bounds. */
export function phantomSeries(given: Partial<PhantomOptions> = {}): PhantomSeries {
  const options: PhantomOptions = { ...PHANTOM_DEFAULTS, ...given };
  checkOptions(options);
  const identity = phantomIdentity(options.seed, options.anatomy, options.identity);
  const count: Count = { lung: 0, low: 0, sum: 0 };
  return {
    options,
    identity,
    slices: () => {
      Object.assign(count, { lung: 0, low: 0, sum: 0 });
      return drawSlices(options, identity, count);
    },
    truth: () => truthOf(options, count),
  };
}

/** A recipe as a manifest's golden case has it: names of `PhantomOptions` but `identity`. Throws RangeError for others. */
export function phantomOfRecipe(recipe: Readonly<Record<string, number | string>>): PhantomSeries {
  const { identity: _, ...known } = PHANTOM_DEFAULTS;
  for (const [name, value] of Object.entries(recipe)) {
    const like = known[name as keyof typeof known] as number | string | undefined;
    if (typeof like !== typeof value) {
      throw new RangeError(
        `a phantom's recipe has ${Object.keys(known).join(', ')}; one of those given is not such`,
      );
    }
  }
  return phantomSeries(recipe as Partial<PhantomOptions>);
}

interface Count {
  lung: number;
  low: number;
  sum: number;
}

function truthOf(options: PhantomOptions, count: Count): PhantomTruth {
  const voxelMl = (options.pixelSpacingMm ** 2 * options.sliceSpacingMm) / 1000;
  const voxels = Math.max(1, count.lung);
  return {
    lungVolumeMl: count.lung * voxelMl,
    laa950Percent: (100 * count.low) / voxels,
    meanLungDensityHu: count.sum / voxels,
  };
}

function* drawSlices(
  options: PhantomOptions,
  identity: PhantomIdentity,
  count: Count,
): Generator<PhantomSlice> {
  const random = createRandom(options.seed);
  const fits = (0.98 * options.columns * options.pixelSpacingMm) / BODY_MM;
  const scale = Math.min(random.between(0.95, 1.02), fits);
  const thorax = createThorax(random, scale, options.emphysemaFraction);
  const grid = gridOf(options);
  const finish = createFinish(options, random);
  const exact = new Float32Array(options.rows * options.columns);
  for (let index = 0; index < options.slices; index += 1) {
    const z = (index - (options.slices - 1) / 2) * options.sliceSpacingMm;
    const lung = new Uint8Array(exact.length);
    paint(options.anatomy, thorax, z, grid, exact, lung);
    const hu = finish(exact);
    for (let pixel = 0; pixel < hu.length; pixel += 1) {
      if (lung[pixel] !== 1) continue;
      const value = hu[pixel] as number;
      count.lung += 1;
      count.sum += value;
      if (value < -950) count.low += 1;
    }
    const stored = new Uint16Array(hu.length);
    for (let pixel = 0; pixel < hu.length; pixel += 1) stored[pixel] = (hu[pixel] as number) - HU_MIN;
    yield { index, hu, lung, stored, attributes: ctAttributes(options, identity, index, z) };
  }
}

function paint(
  anatomy: Anatomy,
  thorax: Thorax,
  z: number,
  grid: Grid,
  hu: Float32Array,
  lung: Uint8Array,
): void {
  if (anatomy === 'chest') thorax.paint(z, grid, hu, lung);
  else paintHead(z, grid, hu);
}

/** The table is behind the body, so the picture's middle lies a little behind the body's. */
function gridOf(options: PhantomOptions): Grid {
  const { rows, columns, pixelSpacingMm } = options;
  return {
    rows,
    columns,
    columnMm: pixelSpacingMm,
    rowMm: pixelSpacingMm,
    x0: -((columns - 1) / 2) * pixelSpacingMm,
    y0: -((rows - 1) / 2) * pixelSpacingMm + 15,
  };
}

/** Adds white noise and blurs both together, as a reconstruction does: the noise gets the kernel's texture. */
function createFinish(options: PhantomOptions, random: Random): (exact: Float32Array) => Int16Array {
  const { rows, columns } = options;
  const weights = blurWeights(BLUR_MM[options.kernel] / options.pixelSpacingMm);
  const gain = weights.reduce((sum, weight) => sum + weight * weight, 0);
  const sd = options.noiseHu / gain;
  const normal = normalTable();
  const noisy = new Float32Array(rows * columns);
  const half = new Float32Array(rows * columns);
  return (exact) => {
    for (let pixel = 0; pixel < noisy.length; pixel += 2) {
      const bits = random.bits();
      noisy[pixel] = (exact[pixel] as number) + sd * (normal[bits & 0xffff] as number);
      if (pixel + 1 < noisy.length) {
        noisy[pixel + 1] = (exact[pixel + 1] as number) + sd * (normal[bits >>> 16] as number);
      }
    }
    blurLines(noisy, half, weights, { lines: columns, length: rows, step: columns, lineStep: 1 });
    blurLines(half, noisy, weights, { lines: rows, length: columns, step: 1, lineStep: columns });
    return toWhole(noisy);
  };
}

/** Rounded and limited to what 12 stored bits hold. Plain loops: `from` with a function is ten times slower. */
function toWhole(values: Float32Array): Int16Array {
  const out = new Int16Array(values.length);
  for (let index = 0; index < out.length; index += 1) {
    const value = Math.floor((values[index] as number) + 0.5);
    out[index] = Math.max(HU_MIN, Math.min(HU_MAX, value));
  }
  return out;
}

/** Five weights of a normal curve of `sd` pixels, averaged over each pixel's width roughly by three points. */
function blurWeights(sd: number): number[] {
  const raw = [-2, -1, 0, 1, 2].map((offset) =>
    [-1 / 3, 0, 1 / 3].reduce((sum, part) => sum + Math.exp(-(((offset + part) / sd) ** 2) / 2), 0),
  );
  const whole = raw.reduce((sum, weight) => sum + weight, 0);
  return raw.map((weight) => weight / whole);
}

/** Blurs each of `lines` lines of `length` values; `step` apart within a line, `lineStep` between lines. Edges repeat. */
function blurLines(
  from: Float32Array,
  to: Float32Array,
  weights: readonly number[],
  shape: {
    readonly lines: number;
    readonly length: number;
    readonly step: number;
    readonly lineStep: number;
  },
): void {
  const [w0, w1, w2] = weights as [number, number, number];
  const { lines, length, step, lineStep } = shape;
  for (let place = 0; place < length; place += 1) {
    const b = Math.max(0, place - 1) * step;
    const a = Math.max(0, place - 2) * step;
    const c = place * step;
    const d = Math.min(length - 1, place + 1) * step;
    const e = Math.min(length - 1, place + 2) * step;
    for (let line = 0, at = 0; line < lines; line += 1, at += lineStep) {
      to[at + c] =
        w0 * ((from[at + a] as number) + (from[at + e] as number)) +
        w1 * ((from[at + b] as number) + (from[at + d] as number)) +
        w2 * (from[at + c] as number);
    }
  }
}

function checkOptions(options: PhantomOptions): void {
  const within = (name: keyof PhantomOptions, min: number, max: number, whole = false) => {
    const value = options[name] as number;
    if (!(value >= min && value <= max) || (whole && !Number.isInteger(value))) {
      throw new RangeError(
        `${name} of a phantom must be ${whole ? 'a whole number ' : ''}from ${min} to ${max}`,
      );
    }
  };
  within('seed', 0, 2 ** 31 - 1, true);
  within('slices', 1, 2000, true);
  within('rows', 32, 2048, true);
  within('columns', 32, 2048, true);
  within('sliceSpacingMm', 0.2, 50);
  within('pixelSpacingMm', 0.2, 8);
  within('emphysemaFraction', 0, 0.8);
  within('noiseHu', 0, 200);
  if (options.anatomy !== 'chest' && options.anatomy !== 'head') {
    throw new RangeError('anatomy must be chest or head');
  }
  if (!Object.hasOwn(BLUR_MM, options.kernel))
    throw new RangeError(`kernel must be one of ${Object.keys(BLUR_MM).join(', ')}`);
}
