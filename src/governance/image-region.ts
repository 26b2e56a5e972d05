import type { Extension, Observation } from '@medplum/fhirtypes';
import { IMAGE_REGION_EXTENSION } from '../kernel/code-systems.ts';
import type { FindingLocation } from '../kernel/handoffs.ts';

/** Hundredths of a pixel; what is finer means nothing. */
const rounded = (value: number): number => Number(value.toFixed(2));

/**
 * Where a finding lies, as an extension of its Observation (R4 has no ImagingSelection): the instance, the frame, and the outline as
 * `x,y x,y …` in the pixels of the stored frame, (0, 0) being the outer corner of the first (PS3.3 C.18.6).
 */
export function locationToExtension(location: FindingLocation): Extension {
  const [left, top, right, bottom] = location.box;
  const points = location.polygon ?? [left, top, right, top, right, bottom, left, bottom];
  const pairs = points.flatMap((x, at) =>
    at % 2 === 0 ? [`${rounded(x)},${rounded(points[at + 1] ?? 0)}`] : [],
  );
  return {
    url: IMAGE_REGION_EXTENSION,
    extension: [
      { url: 'image', valueUri: `urn:oid:${location.sopInstanceUid}` },
      { url: 'frame', valuePositiveInt: location.frame },
      { url: 'outline', valueString: pairs.join(' ') },
      ...(location.score === null ? [] : [{ url: 'score', valueDecimal: Number(location.score.toFixed(4)) }]),
    ],
  };
}

export interface RecordedRegion {
  readonly sopInstanceUid: string;
  /** From 1. */
  readonly frame: number;
  /** x, y in turn; the outline is closed without repeating its first point. */
  readonly points: readonly number[];
}

/** The regions of an Observation; one that somebody else wrote badly is left out. */
export function recordedRegions(observation: Observation): RecordedRegion[] {
  return (observation.extension ?? [])
    .filter(({ url }) => url === IMAGE_REGION_EXTENSION)
    .flatMap(({ extension = [] }) => {
      const of = (url: string) => extension.find((one) => one.url === url);
      const uid = of('image')?.valueUri?.replace(/^urn:oid:/, '') ?? '';
      const points = (of('outline')?.valueString ?? '').split(/[ ,]+/).map(Number);
      const usable =
        uid !== '' && points.length >= 6 && points.length % 2 === 0 && points.every(Number.isFinite);
      return usable ? [{ sopInstanceUid: uid, frame: of('frame')?.valuePositiveInt ?? 1, points }] : [];
    });
}
