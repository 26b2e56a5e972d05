import { jsonItems, jsonNumbers, jsonString, jsonStrings } from '../../dicom/json-values.ts';
import { sortSlices } from '../../dicom/sort-slices.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { contrastOf } from '../contrast.ts';

/**
 * What an imaging protocol can promise, and where the images say it. `observe` gives one value per image, or one for the series; none when
 * the images do not say. A number is in the UCUM unit; a text is a code of a closed list, but the kernel, whose names are the vendor's.
 */
export type ParameterDefinition = NumberParameter | TextParameter;

interface NumberParameter {
  readonly kind: 'number';
  readonly label: string;
  /** UCUM. */
  readonly unit: string;
  /** `mean`: modulated from slice to slice, so the mean is compared; otherwise every image. */
  readonly over: 'each' | 'mean';
  readonly observe: (images: readonly DicomJson[]) => readonly number[];
}

export interface TextParameter {
  readonly kind: 'text';
  readonly label: string;
  /** `part`: a listed word anywhere in the value fits; `whole`: the value itself. */
  readonly match: 'whole' | 'part';
  readonly observe: (images: readonly DicomJson[]) => readonly string[];
}

export const PARAMETERS = {
  kvp: each('Tube voltage', 'kV', '00180060'),
  tube_current_ma: mean('Tube current', 'mA', '00181151', '00189330'),
  exposure_mas: { ...mean('Exposure', 'mA.s', '00181152'), observe: (images) => images.flatMap(exposureOf) },
  exposure_time_ms: mean('Exposure time', 'ms', '00181150', '00189328'),
  ctdi_vol_mgy: mean('CTDIvol', 'mGy', '00189345'),
  dose_area_product_dgy_cm2: mean('Dose area product', 'dGy.cm2', '0018115E'),
  exposure_index: each('Exposure index', '1', '00181411'),
  deviation_index: each('Deviation index', '1', '00181413'),
  pitch: each('Spiral pitch factor', '1', '00189311'),
  rotation_time_s: each('Rotation time', 's', '00189305'),
  slice_thickness_mm: each('Slice thickness', 'mm', '00180050'),
  slice_distance_mm: {
    ...each('Distance of slices', 'mm', ''),
    observe: (images) => maybe(sortSlices(images).spacing?.median),
  },
  coverage_mm: { ...each('Coverage', 'mm', ''), observe: coverageOf },
  slices: { ...each('Slices', '1', ''), observe: (images) => [images.length] },
  pixel_spacing_mm: { ...each('Pixel spacing', 'mm', ''), observe: (images) => images.flatMap(spacingOf) },
  reconstruction_diameter_mm: each('Reconstruction diameter', 'mm', '00181100', '00189317'),
  gantry_tilt_degrees: {
    ...each('Gantry tilt', 'deg', '00181120'),
    observe: (images) => images.flatMap((image) => numbersOf(image, '00181120').map(Math.abs)),
  },
  source_detector_mm: each('Source to detector', 'mm', '00181110'),
  field_strength_t: each('Magnetic field strength', 'T', '00180087'),
  repetition_time_ms: each('Repetition time', 'ms', '00180080'),
  echo_time_ms: each('Echo time', 'ms', '00180081', '00189082'),
  inversion_time_ms: each('Inversion time', 'ms', '00180082', '00189079'),
  flip_angle_degrees: each('Flip angle', 'deg', '00181314'),
  compression_force_n: each('Compression force', 'N', '001811A2'),
  kernel: text('Convolution kernel', '00181210', 'part'),
  patient_position: text('Patient position', '00185100'),
  view: text('View position', '00185101'),
  laterality: text('Laterality', '00200062'),
  grid: text('Grid', '00181166'),
  filter_type: text('Filter', '00181160'),
  scan_options: text('Scan options', '00180022'),
  scanning_sequence: text('Scanning sequence', '00180020'),
  contrast: {
    ...text('Contrast agent', ''),
    observe: (images) => images.map((image) => contrastOf(image) ?? 'none').filter(isNew),
  },
} as const satisfies Readonly<Record<string, ParameterDefinition>>;

export type ParameterName = keyof typeof PARAMETERS;

export const definitionOf = (name: ParameterName): ParameterDefinition => PARAMETERS[name];

/** The first of the tags that an image has: a single-frame object and an enhanced one call the same thing by two. */
function each(label: string, unit: string, ...tags: string[]): NumberParameter {
  const observe = (images: readonly DicomJson[]) =>
    images.flatMap(
      (image) => tags.map((tag) => numbersOf(image, tag)).find((found) => found.length > 0) ?? [],
    );
  return { kind: 'number', label, unit, over: 'each', observe };
}

function mean(label: string, unit: string, ...tags: string[]): NumberParameter {
  return { ...each(label, unit, ...tags), over: 'mean' };
}

function text(label: string, tag: string, match: 'whole' | 'part' = 'whole'): TextParameter {
  const observe = (images: readonly DicomJson[]) =>
    images
      .map((image) => jsonStrings(placeOf(image, tag), tag).join(VALUES))
      .filter((value) => value !== '')
      .filter(isNew);
  return { kind: 'text', label, match, observe };
}

/** Between the values of one attribute (PS3.5 6.2). */
export const VALUES = '\\';

const isNew = (value: string, at: number, all: readonly string[]) => all.indexOf(value) === at;

const maybe = (value: number | undefined): number[] => (value === undefined ? [] : [value]);

/** Every value, where a scanner writes several (both tubes): each of them is compared. */
const numbersOf = (image: DicomJson, tag: string): readonly number[] =>
  jsonNumbers(placeOf(image, tag), tag) ?? [];

/** mAs as a whole number; where that is missing or rounded to 0, the µAs (PS3.3 C.8.7.2). An enhanced CT has mAs with a fraction. */
function exposureOf(image: DicomJson): readonly number[] {
  const enhanced = numbersOf(image, '00189332');
  if (enhanced.length > 0) return enhanced;
  const [whole] = numbersOf(image, '00181152');
  const [micro] = numbersOf(image, '00181153');
  return maybe(whole !== undefined && whole > 0 ? whole : micro === undefined ? whole : micro / 1000);
}

function spacingOf(image: DicomJson): readonly number[] {
  const spacing = jsonNumbers(placeOf(image, '00280030'), '00280030') ?? jsonNumbers(image, '00181164') ?? [];
  return spacing.filter((value) => value > 0);
}

/** From the first to the last slice and one distance more, as the gate's rule `coverage` has it. */
function coverageOf(images: readonly DicomJson[]): number[] {
  const { slices, spacing } = sortSlices(images);
  const [first] = slices;
  const last = slices.at(-1);
  if (first === undefined || last === undefined || spacing === null) return [];
  return [last.location - first.location + spacing.median];
}

/** The data set or, for an enhanced object, the macro of its shared functional groups (5200,9229) that has the attribute. */
function placeOf(image: DicomJson, tag: string): DicomJson {
  if (jsonString(image, tag) !== null) return image;
  const [shared] = jsonItems(image, '52009229');
  for (const macro of Object.keys(shared ?? {})) {
    const [item] = jsonItems(shared ?? {}, macro);
    if (item !== undefined && jsonString(item, tag) !== null) return item;
  }
  return image;
}
