/**
 * Anatomy of the chest phantom: which tissue lies at a place, slice by slice. Lengths are millimetres of an adult, times
 * `scale`; x to the patient's left, y to the back, z to the head, 0 in the middle of the lungs. Nothing is drawn from a
 * real person. The shapes are ellipses and capsules, chosen for what a lung measurement can fail on: a windpipe close to
 * lung, thin recesses beside the diaphragm, gas in stomach and bowel under it, a table with foam, a blanket.
 */
import type { Random } from './random.ts';
import { createTexture, type Texture } from './texture.ts';
import { type Airway, airways, eachPixelOf, type Grid, growVessels, type Tube } from './tubes.ts';

/** Hounsfield units by tissue; lung and emphysema vary around theirs. */
const HU = {
  air: -1000,
  lung: -862,
  emphysema: -998,
  fat: -95,
  muscle: 48,
  blood: 42,
  liver: 58,
  bone: 320,
  marrow: 170,
  water: 8,
  foam: -915,
  mattress: -940,
  shell: 40,
  cloth: -600,
} as const;

export interface Thorax {
  /** Writes the slice at height `z`: noise-free Hounsfield units, and 1 where a pixel's centre lies in aerated lung. */
  paint(z: number, grid: Grid, hu: Float32Array, lung: Uint8Array): void;
}

/**
 * `emphysemaShare`: share of the aerated lung, 0 to 1, that is turned into clusters of about -998 HU. `lying` false: without table,
 * mattress and blanket.
 */
export function createThorax(random: Random, scale: number, emphysemaShare: number, lying = true): Thorax {
  const body: Body = {
    scale,
    lying,
    texture: createTexture(random, 2, 2),
    clusters: createTexture(random, 2.2, 6),
    clusterFrom: 0,
    vessels: growVessels(random, scale),
    airways: airways(scale),
  };
  const whole = { ...body, clusterFrom: exceededInLung(body.clusters, emphysemaShare * BLUR_LOSS) };
  return {
    paint: (z, grid, hu, lung) => {
      paintTissue(whole, z, grid, hu, lung);
      paintTubes(whole, z, grid, hu, lung);
    },
  };
}

/** The value that the given share of the lung's texture lies above, by samples every 5 mm. */
function exceededInLung(texture: Texture, share: number): number {
  if (share <= 0) return Number.POSITIVE_INFINITY;
  const seen: number[] = [];
  for (let z = LUNG.base; z < LUNG.base + LUNG.height; z += 5) {
    const section = sectionAt(z);
    for (let y = -TRUNK.halfDepth; y < TRUNK.halfDepth; y += 5) {
      for (let x = -TRUNK.halfWidth; x < TRUNK.halfWidth; x += 5) {
        if (inside(x, y, z, 0.5, section) === LUNG_HERE) seen.push(texture.at(x, y, z));
      }
    }
  }
  seen.sort((a, b) => b - a);
  return seen[Math.floor(share * seen.length)] as number;
}

/** The rim of each cluster is lost to blur and noise: about an eighth of it, so that much more is made. */
const BLUR_LOSS = 1.13;

interface Body {
  readonly scale: number;
  readonly lying: boolean;
  readonly texture: Texture;
  readonly clusters: Texture;
  readonly clusterFrom: number;
  readonly vessels: readonly Tube[];
  readonly airways: readonly Airway[];
}

/** Half width and half depth of the trunk; its outline is a superellipse of this exponent. */
const TRUNK = { halfWidth: 165, halfDepth: 112, exponent: 2.4 };
const LUNG = { centre: 72, halfWidth: 62, halfDepth: 88, base: -120, height: 240, dome: 62 };

function paintTissue(body: Body, zMm: number, grid: Grid, hu: Float32Array, lung: Uint8Array): void {
  const z = zMm / body.scale;
  const section = sectionAt(z);
  const across = Float64Array.from({ length: grid.columns }, (_, column) => {
    const x = (grid.x0 + column * grid.columnMm) / body.scale;
    return Math.abs(x / TRUNK.halfWidth) ** TRUNK.exponent;
  });
  for (let row = 0; row < grid.rows; row += 1) {
    const y = (grid.y0 + row * grid.rowMm) / body.scale;
    const deep = Math.abs(y / TRUNK.halfDepth) ** TRUNK.exponent;
    for (let column = 0; column < grid.columns; column += 1) {
      const index = row * grid.columns + column;
      const x = (grid.x0 + column * grid.columnMm) / body.scale;
      const out = deep + (across[column] as number);
      if (out >= 1) {
        hu[index] = body.lying ? around(x, y, out) : HU.air;
        lung[index] = 0;
        continue;
      }
      const value = inside(x, y, z, out, section);
      lung[index] = value === LUNG_HERE ? 1 : 0;
      hu[index] = value === LUNG_HERE ? parenchyma(body, x, y, z) : value;
    }
  }
}

/** Returned instead of Hounsfield units where there is aerated lung. */
const LUNG_HERE = -5000;

interface Section {
  readonly centre: number;
  readonly halfWidth: number;
  readonly halfDepth: number;
}

/** The lungs taper to the apex and come closer to each other. */
function sectionAt(z: number): Section {
  const t = Math.max(0, (z - LUNG.base) / LUNG.height);
  const taper = t >= 1 ? 0 : Math.sqrt(1 - t ** 4);
  return {
    centre: LUNG.centre - 26 * t ** 3,
    halfWidth: LUNG.halfWidth * taper,
    halfDepth: LUNG.halfDepth * taper,
  };
}

/** Outside the skin: clothing over the front, mattress and table (shell, foam, shell) behind. */
function around(x: number, y: number, out: number): number {
  if (y < 40 && out > 1.09 && out < 1.12) return HU.cloth;
  const table = 124 - 0.0009 * x * x;
  const below = y - table;
  const width = Math.abs(x);
  if (width < 168 && below > -7 && below < 0) return HU.mattress;
  if (width < 168 && below >= 0 && below < 36) {
    const shell = below < 2.5 || below > 33.5 || width > 165.5;
    return shell ? HU.shell : HU.foam;
  }
  return HU.air;
}

function inside(x: number, y: number, z: number, out: number, section: Section): number {
  const side = x < 0 ? -1 : 1;
  const u = (x - side * section.centre) / (section.halfWidth || 1e-6);
  const v = (y + 2) / (section.halfDepth || 1e-6);
  const radius2 = u * u + v * v;
  const middle = mediastinum(x, y, z);
  if (radius2 < 1) {
    const diaphragm = LUNG.base + LUNG.dome * (1 - radius2);
    const steepness = (2 * LUNG.dome * Math.sqrt(radius2)) / section.halfWidth;
    if (z < diaphragm) return abdomen(x, y, z, (diaphragm - z) / Math.sqrt(1 + steepness * steepness));
    return middle ?? LUNG_HERE;
  }
  if (middle !== undefined) return middle;
  if (radius2 > 1.09 && radius2 < 1.34 && out < 0.92 && rib(y, z)) return HU.bone;
  if (out > 0.97) return HU.muscle;
  return out > 0.76 ? HU.fat : HU.muscle;
}

/** Ribs slope forwards and down, one per 23 mm. */
function rib(y: number, z: number): boolean {
  const phase = (z - 0.35 * y) / 23;
  return phase - Math.floor(phase) < 0.4;
}

/** Spine, aorta, gullet, heart and what lies between the lungs; undefined where lung may be. */
function mediastinum(x: number, y: number, z: number): number | undefined {
  const spine = (x / 19) ** 2 + ((y - 72) / 16) ** 2;
  if (spine < 1) return spine > 0.8 ? HU.bone : HU.marrow;
  if (x * x + (y - 96) ** 2 < 64) return HU.water;
  if ((x - 18) ** 2 + (y - 55) ** 2 < 150) return HU.blood;
  if ((x - 4) ** 2 + (y - 44) ** 2 < 6) return HU.air;
  if ((x / 30) ** 2 + ((y - 76) / 24) ** 2 < 1) return HU.muscle;
  const heart = ((x - 24) / 58) ** 2 + ((y + 25) / 46) ** 2 + ((z + 55) / 54) ** 2;
  if (heart < 1) return HU.blood;
  // Right of the windpipe only a thin stripe parts it from the lung.
  const halfWidth = z > 30 && x < 0 ? 13 : 21;
  return Math.abs(x) < halfWidth ? HU.fat + 60 : undefined;
}

/** Liver on the right; spleen, stomach with its gas in front, and a loop of bowel on the left. `depth`: mm below the lung. */
function abdomen(x: number, y: number, z: number, depth: number): number {
  if (x < 0) return HU.liver;
  const high = z - LUNG.base;
  const stomach = ((x - 66) / 40) ** 2 + ((y + 20) / 46) ** 2 + ((high - 22) / 28) ** 2;
  if (depth > WALL_MM && stomach < 1) return y < -8 ? HU.air : HU.water;
  const bowel = ((x - 100) / 16) ** 2 + ((y - 30) / 18) ** 2 + ((high + 4) / 22) ** 2;
  return depth > WALL_MM && bowel < 1 ? HU.air + 10 : HU.muscle;
}

/** Diaphragm and the wall of stomach or bowel. */
const WALL_MM = 4.5;

/** Denser towards the back, where a lying person's blood is. */
function parenchyma(body: Body, x: number, y: number, z: number): number {
  const fine = body.texture.at(x, y, z);
  if (body.clusters.at(x, y, z) > body.clusterFrom) return HU.emphysema + 5 * fine;
  return HU.lung + 16 * fine + 0.15 * y;
}

function paintTubes(body: Body, z: number, grid: Grid, hu: Float32Array, lung: Uint8Array): void {
  for (const vessel of body.vessels) {
    eachPixelOf(vessel, 0, z, grid, (index) => {
      if (lung[index] !== 1) return;
      hu[index] = HU.blood;
      lung[index] = 0;
    });
  }
  for (const airway of body.airways) {
    eachPixelOf(airway, airway.wall, z, grid, (index) => {
      hu[index] = HU.muscle;
      lung[index] = 0;
    });
  }
  // All lumens after all walls, so that branches are open to each other.
  for (const airway of body.airways) {
    eachPixelOf(airway, 0, z, grid, (index) => {
      hu[index] = HU.air;
      lung[index] = 0;
    });
  }
}
