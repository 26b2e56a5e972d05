import type { Observation } from '@medplum/fhirtypes';
import { jsonNumber, jsonString } from '../../dicom/json-values.ts';
import type { MeasurementGroup } from '../../dicom/measurement-report.ts';
import type { InstanceReference, ResultContext } from '../../dicom/result-object.ts';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import {
  SEGMENTATION,
  type Segment,
  type Segmentation,
  segmentNumbers,
} from '../../dicom/write-segmentation.ts';
import type { KeptMask } from '../../governance/analysis-evidence.ts';
import { keyOf } from './observation-to-group.ts';
import type { ResultRecord } from './read-result-record.ts';
import { codesOfLabel } from './segment-codes.ts';

export interface SegmentationPlan {
  /** `runs` deflated, as they are kept. */
  readonly object: Segmentation;
  readonly reference: InstanceReference;
  /** The segment that shows a finding; null for one that the masks do not show. */
  segmentOf(observation: Observation): MeasurementGroup['segment'];
}

/** The first kept mask that is not empty and lies on the stored pixels; null when there is none. */
export function planSegmentation(
  record: ResultRecord,
  context: ResultContext,
  images: readonly DicomJson[],
): SegmentationPlan | null {
  const { key, evidence } = record;
  const mask = evidence?.masks.find(
    (one) => one.present.length > 0 && evidence.sopInstanceUids.length === images.length && fits(one, images),
  );
  if (!mask || !evidence) return null;
  const { studyInstanceUid, model, inputsDigest } = key;
  const segments = segmentsOf(mask, key);
  const numbers = segmentNumbers(
    mask.present,
    segments.map(({ values }) => values),
  );
  const reference = {
    sopClassUid: SEGMENTATION,
    sopInstanceUid: stableUid('seg', studyInstanceUid, model, inputsDigest),
    seriesInstanceUid: stableUid('seg series', studyInstanceUid, model),
  };
  const segment = (at: number): MeasurementGroup['segment'] => {
    const number = numbers[at] ?? null;
    return number === null ? null : { reference, number, sourceSeriesUid: evidence.seriesInstanceUid };
  };
  return {
    object: {
      context,
      seriesInstanceUid: reference.seriesInstanceUid,
      sopInstanceUid: reference.sopInstanceUid,
      instanceNumber: 1,
      title: `AI segmentation: ${context.algorithm.name}`,
      runs: Buffer.from(mask.runs, 'base64'),
      rows: mask.rows,
      columns: mask.columns,
      slices: images,
      segments,
    },
    reference,
    segmentOf: (observation) => segment(segmentAt(observation, mask)),
  };
}

const fits = ({ rows, columns }: KeptMask, images: readonly DicomJson[]): boolean =>
  images.every(
    (one) =>
      jsonNumber(one, '00280010') === rows &&
      jsonNumber(one, '00280011') === columns &&
      (jsonString(one, '00280008') ?? '1') === '1',
  );

function segmentsOf(mask: KeptMask, { studyInstanceUid, model }: ResultRecord['key']): Segment[] {
  const make = (label: string, from: number, to: number): Segment => ({
    label,
    values: { from, to },
    ...codesOfLabel(label),
    trackingUid: stableUid('segment', studyInstanceUid, model, label),
  });
  if (mask.meaning.kind === 'labels')
    return mask.meaning.labels.map((label, at) => make(label, at + 1, at + 1));
  return [make(mask.label, 1, 255), make(`${mask.label}: finding`, 2, 255)];
}

/** A label's own finding lies in its segment; all that one region measures lies in that region. */
function segmentAt(observation: Observation, { meaning }: KeptMask): number {
  if (meaning.kind === 'region') return observation.valueQuantity ? 0 : -1;
  const names = [keyOf(observation), observation.code?.text ?? ''].map(plain);
  return meaning.labels.findIndex((label) => names.includes(plain(label)));
}

const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '');
