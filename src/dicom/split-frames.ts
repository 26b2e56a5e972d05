import { jsonItems, jsonNumber, jsonNumbers, jsonStrings } from './json-values.ts';
import type { DicomJson } from './study-source.ts';

/**
 * A multi-frame object as if each frame were an instance of its own: what the functional groups (PS3.3 C.7.6.16) say of a frame stands where a
 * single-frame object has it, the frame's own before the shared. Each carries its number, from 1, in ReferencedFrameNumber
 * (0008,1160). An object of one frame comes back as one; a cine without functional groups gives frames without a place, and an RT dose
 * frames at its grid offsets (3004,000C).
 */
export function splitFrames(instance: DicomJson): DicomJson[] {
  const perFrame = jsonItems(instance, PER_FRAME_GROUPS);
  const shared = jsonItems(instance, SHARED_GROUPS)[0];
  const frames = Math.min(jsonNumber(instance, NUMBER_OF_FRAMES) ?? 1, FRAMES_MAX);
  if (frames <= 1 && perFrame.length === 0) return [instance];
  const common: Record<string, Attribute> = { ...instance, ...hoisted(shared) };
  for (const tag of [PER_FRAME_GROUPS, SHARED_GROUPS, NUMBER_OF_FRAMES]) delete common[tag];
  const offsets = jsonNumbers(instance, GRID_FRAME_OFFSETS);
  const enhanced = shared !== undefined || perFrame.length > 0;
  return Array.from({ length: frames }, (_, index) => ({
    ...common,
    ...(enhanced ? hoisted(perFrame[index]) : placeOf(instance, offsets, index)),
    [REFERENCED_FRAME_NUMBER]: { vr: 'IS', Value: [index + 1] },
  }));
}

/** The frame that one of `splitFrames` stands for, from 1; 1 for an instance that is not split. */
export function frameNumberOf(image: DicomJson): number {
  return jsonNumber(image, REFERENCED_FRAME_NUMBER) ?? 1;
}

type Attribute = DicomJson[string];

const SHARED_GROUPS = '52009229';
const PER_FRAME_GROUPS = '52009230';
const NUMBER_OF_FRAMES = '00280008';
const REFERENCED_FRAME_NUMBER = '00081160';
const IMAGE_POSITION = '00200032';
const IMAGE_ORIENTATION = '00200037';
const FRAME_TYPE = '00089007';
const IMAGE_TYPE = '00080008';
const GRID_FRAME_OFFSETS = '3004000C';
/** As in decoding: a cine of five minutes at 30 frames a second. */
const FRAMES_MAX = 10_000;

/** Macros whose attributes have the same meaning as in a single-frame object (C.7.6.16.2, C.8.13.5, C.8.15.3). */
const MACROS = [
  '00209170', // Unassigned Shared Converted Attributes, of objects made from single-frame ones (C.7.6.16.2.25)
  '00209171', // Unassigned Per-Frame Converted Attributes
  '00209113', // Plane Position
  '00209116', // Plane Orientation
  '00289110', // Pixel Measures: spacing, thickness
  '00289145', // Pixel Value Transformation: rescale
  '00289132', // Frame VOI LUT
  '00209111', // Frame Content: stack, position in it, time
  '00209071', // Frame Anatomy
  '00189329', // CT Image Frame Type
  '00189226', // MR Image Frame Type
  '00189314', // CT Reconstruction: kernel
  '00189304', // CT Acquisition Details: tilt
  '00189325', // CT X-Ray Details
  '00189321', // CT Exposure: current, time, CTDIvol
  '00189308', // CT Table Dynamics: pitch
  '00189312', // CT Geometry
  '00189112', // MR Timing: repetition time
  '00189114', // MR Echo
  '00189115', // MR Modifier: inversion times
  '00189117', // MR Diffusion
  '00189341', // Contrast/Bolus Usage
  '00180026', // Intervention
];

function hoisted(groups: DicomJson | undefined): Record<string, Attribute> {
  const found: Record<string, Attribute> = {};
  if (groups === undefined) return found;
  for (const macro of MACROS) Object.assign(found, jsonItems(groups, macro)[0]);
  const type = found[FRAME_TYPE];
  if (type !== undefined) found[IMAGE_TYPE] = type;
  return found;
}

/** Frames of a plain multi-frame object lie along the normal at their offsets, or nowhere that is known. */
function placeOf(
  instance: DicomJson,
  offsets: readonly number[] | null,
  index: number,
): Record<string, Attribute> {
  const position = jsonNumbers(instance, IMAGE_POSITION);
  const cosines = jsonNumbers(instance, IMAGE_ORIENTATION);
  const offset = offsets?.[index];
  if (offset === undefined || position?.length !== 3 || cosines?.length !== 6) {
    return { [IMAGE_POSITION]: { vr: 'DS' } };
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = cosines;
  const normal = [b * f - c * e, c * d - a * f, a * e - b * d];
  const moved = position.map((start, axis) => start + offset * (normal[axis] ?? 0));
  return { [IMAGE_POSITION]: { vr: 'DS', Value: moved } };
}

/** ImageType value 3 (C.8.2.1.1.1) or 1 to 4 of Frame Type says LOCALIZER or SCOUT. */
export function isLocalizerImage(image: DicomJson): boolean {
  const types = jsonStrings(image, IMAGE_TYPE);
  return types.includes('LOCALIZER') || types.includes('SCOUT');
}
