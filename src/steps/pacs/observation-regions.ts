import type { Observation } from '@medplum/fhirtypes';
import { jsonNumber, jsonString } from '../../dicom/json-values.ts';
import type { ImageRegion } from '../../dicom/measurement-report.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { referenceOf } from '../../dicom/write-segmentation.ts';
import { recordedRegions } from '../../governance/image-region.ts';

/** Boxes and outlines of one finding; the best come first in the record. */
export const REGIONS_MAX = 64;

/**
 * The regions of a finding as SCOORD wants them: a closed POLYLINE repeats its first point (PS3.3 C.18.6.1.2). A region on an
 * image that the study does not have is left out: a reference to nothing is worse than none.
 */
export function imageRegionsOf(observation: Observation, metadata: readonly DicomJson[]): ImageRegion[] {
  const regions = recordedRegions(observation);
  if (regions.length === 0) return [];
  const byUid = new Map(metadata.map((one) => [jsonString(one, '00080018') ?? '', one]));
  return regions.slice(0, REGIONS_MAX).flatMap(({ sopInstanceUid, frame, points }) => {
    const image = byUid.get(sopInstanceUid);
    if (!image) return [];
    const frames = jsonNumber(image, '00280008') ?? 1;
    return [
      {
        image: referenceOf(image),
        frame: frames > 1 ? frame : null,
        type: 'POLYLINE' as const,
        points: [...points, ...points.slice(0, 2)],
      },
    ];
  });
}
