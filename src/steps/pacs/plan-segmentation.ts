import type { Observation } from '@medplum/fhirtypes';
import { jsonNumber } from '../../dicom/json-values.ts';
import type { MeasurementGroup } from '../../dicom/measurement-report.ts';
import type { InstanceReference, ResultContext } from '../../dicom/result-object.ts';
import { splitFrames } from '../../dicom/split-frames.ts';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import {
  SEGMENTATION,
  type Segment,
  type Segmentation,
  segmentNumbers,
} from '../../dicom/write-segmentation.ts';
import type { AnalysisEvidence, KeptMask } from '../../governance/analysis-evidence.ts';
import { keyOf } from './observation-to-group.ts';
import type { ResultRecord } from './read-result-record.ts';
import { codesOfLabel } from './segment-codes.ts';
import { segmentationWords } from './superseded.ts';

export interface SegmentationPlan {
  /** `masks` deflated, as they are kept. */
  readonly object: Segmentation;
  readonly reference: InstanceReference;
  /** The segment that shows a finding; null for one that the masks do not show. */
  segmentOf(observation: Observation): MeasurementGroup['segment'];
}

/**
 * All kept masks that are not empty, as one object: they lie on the same stored pixels, each label is a segment, and labels that overlap may. Null
 * when there is none. `images`: metadata of the instances, in the order of the evidence. `uidOf`: the UID of an object that says this.
 */
export function planSegmentation(
  record: ResultRecord,
  context: ResultContext,
  images: readonly DicomJson[],
  uidOf: (says: readonly string[]) => string = (says) => stableUid(...says),
): SegmentationPlan | null {
  const { key, evidence } = record;
  const slices = evidence && slicesOf(evidence, images);
  if (!evidence || !slices || slices === 'images-gone' || slices === 'frames-unknown') return null;
  const masks = evidence.masks.filter((one) => one.present.length > 0 && fits(one, slices));
  const [first] = masks;
  if (!first) return null;
  const { studyInstanceUid, model } = key;
  const segments = segmentsOf(masks, key);
  const numbers = segmentNumbers(
    masks.map(({ present }) => present),
    segments,
  );
  const reference = {
    sopClassUid: SEGMENTATION,
    sopInstanceUid: uidOf(segmentationWords(key)),
    seriesInstanceUid: stableUid('seg series', studyInstanceUid, model),
  };
  return {
    object: {
      context,
      seriesInstanceUid: reference.seriesInstanceUid,
      sopInstanceUid: reference.sopInstanceUid,
      instanceNumber: 1,
      title: `AI segmentation: ${context.algorithm.name}`,
      masks: masks.map(({ runs }) => Buffer.from(runs, 'base64')),
      rows: first.rows,
      columns: first.columns,
      slices,
      segments,
    },
    reference,
    segmentOf: (observation) => {
      const number = numbers[segmentAt(observation, masks, segments, evidence)] ?? null;
      return number === null ? null : { reference, number, sourceSeriesUid: evidence.seriesInstanceUid };
    },
  };
}

/**
 * Why masks of the record are in no segmentation; null when all are, or there are none. `frames-unknown`: several frames in an image and no word of which was
 * which slice, as an older server left it: a mask on the wrong slice would be worse than none.
 */
export type SegmentationRefusal = 'mask-too-large' | 'images-gone' | 'frames-unknown' | 'image-size-differs';

export function segmentationRefusal(
  { evidence }: Pick<ResultRecord, 'evidence'>,
  images: readonly DicomJson[],
): SegmentationRefusal | null {
  const masks = evidence?.masks.filter((one) => one.present.length > 0) ?? [];
  if (!evidence || masks.length === 0) return evidence?.notKept.length ? 'mask-too-large' : null;
  const slices = slicesOf(evidence, images);
  if (slices === 'images-gone' || slices === 'frames-unknown') return slices;
  if (!masks.every((one) => fits(one, slices))) return 'image-size-differs';
  return evidence.notKept.length > 0 ? 'mask-too-large' : null;
}

/** Metadata per slice of the masks; of frames with what their functional groups say. */
function slicesOf(
  { frames, sopInstanceUids }: AnalysisEvidence,
  images: readonly DicomJson[],
): DicomJson[] | 'images-gone' | 'frames-unknown' {
  if (sopInstanceUids.length !== images.length) return 'images-gone';
  const split = images.map(splitFrames);
  if (frames === undefined && split.some((all) => all.length > 1)) return 'frames-unknown';
  const places = frames ?? images.map((_, instance) => [instance, 1] as const);
  const slices = places.map(([instance, frame]) => split[instance]?.[frame - 1]);
  return slices.every((one) => one !== undefined) ? slices : 'images-gone';
}

const fits = ({ rows, columns }: KeptMask, slices: readonly DicomJson[]): boolean =>
  slices.every((one) => jsonNumber(one, '00280010') === rows && jsonNumber(one, '00280011') === columns);

function segmentsOf(masks: readonly KeptMask[], { studyInstanceUid, model }: ResultRecord['key']): Segment[] {
  const labels = new Set<string>();
  const make = (mask: number, label: string, from: number, to: number): Segment => {
    // Two outputs may call something by one name, and are still two things.
    const name = labels.has(label) ? `${label} (${mask + 1})` : label;
    labels.add(name);
    const trackingUid = stableUid('segment', studyInstanceUid, model, name);
    return { mask, label: name, values: { from, to }, ...codesOfLabel(label), trackingUid };
  };
  return masks.flatMap(({ meaning, label, present }, mask) => {
    if (meaning.kind === 'region')
      return [make(mask, label, 1, 255), make(mask, `${label}: finding`, 2, 255)];
    return present.flatMap((value) => {
      const named = meaning.labels[value - 1];
      return named ? [make(mask, named, value, value)] : [];
    });
  });
}

/** A finding lies in the segment of the label that it measures or is called by; all that the only region measures lies in that region. */
function segmentAt(
  observation: Observation,
  masks: readonly KeptMask[],
  segments: readonly Segment[],
  { shows = {} }: AnalysisEvidence,
): number {
  const key = keyOf(observation);
  const names = [shows[key] ?? key, key, observation.code?.text ?? ''].map(plain);
  for (const name of names) {
    const at = segments.findIndex(({ label }) => name !== '' && plain(label) === name);
    if (at >= 0) return at;
  }
  const regions = masks.flatMap(({ meaning }, mask) => (meaning.kind === 'region' ? [mask] : []));
  if (regions.length !== 1 || !observation.valueQuantity) return -1;
  return segments.findIndex(({ mask }) => mask === regions[0]);
}

const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
