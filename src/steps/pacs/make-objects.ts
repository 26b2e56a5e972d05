/** Run by a pixel worker: writing a segmentation of 300 slices takes half a second, and this process answers people. */
import { inflateRawSync } from 'node:zlib';
import type { MeasurementReport } from '../../dicom/measurement-report.ts';
import type { InstanceReference } from '../../dicom/result-object.ts';
import { COMPREHENSIVE_3D_SR, writeMeasurementReport } from '../../dicom/write-measurement-report.ts';
import {
  KEY_OBJECT_SELECTION,
  type RejectionNote,
  writeRejectionNote,
} from '../../dicom/write-rejection-note.ts';
import {
  SECONDARY_CAPTURE,
  type SecondaryCapture,
  writeSecondaryCapture,
} from '../../dicom/write-secondary-capture.ts';
import { SEGMENTATION, type Segmentation, writeSegmentation } from '../../dicom/write-segmentation.ts';
import { captionBelow } from './caption.ts';
import { decodePng } from './decode-png.ts';
import type { MadeObject } from './pacs-object.store.ts';
import type { SegmentationRefusal } from './plan-segmentation.ts';

/** What is to be made: values only, for they go to a worker. */
export interface ObjectPlan {
  readonly studyInstanceUid: string;
  readonly report: MeasurementReport | null;
  /** Masks deflated, as they are kept. */
  readonly segmentation: Segmentation | null;
  readonly capture:
    | (Omit<SecondaryCapture, 'rgb' | 'rows' | 'columns'> & {
        readonly png: Uint8Array;
        /** Lines written below the picture. */
        readonly caption: readonly string[];
      })
    | null;
  readonly note: RejectionNote | null;
  /** Why masks of the record are in no segmentation. */
  readonly segmentationRefused?: SegmentationRefusal | null;
}

/** The planned objects as Part 10 files. The same plan gives the same bytes. */
export function makeObjects(plan: ObjectPlan): MadeObject[] {
  const made: MadeObject[] = [];
  const add = (kind: MadeObject['kind'], sopClassUid: string, of: Uids, bytes: Buffer | null) => {
    if (bytes === null) return;
    const { sopInstanceUid, seriesInstanceUid } = of;
    const { studyInstanceUid } = plan;
    // A copy of its own: what a worker gives back is moved.
    made.push({
      kind,
      sopClassUid,
      sopInstanceUid,
      seriesInstanceUid,
      studyInstanceUid,
      bytes: Uint8Array.from(bytes),
    });
  };
  const { report, segmentation, capture, note } = plan;
  if (segmentation) {
    const masks = segmentation.masks.map((mask) => inflateRawSync(mask));
    add('seg', SEGMENTATION, segmentation, writeSegmentation({ ...segmentation, masks }));
  }
  if (capture) {
    const picture = captionBelow(decodePng(capture.png), capture.caption);
    add('sc', SECONDARY_CAPTURE, capture, writeSecondaryCapture({ ...capture, ...picture }));
  }
  if (report) add('sr', COMPREHENSIVE_3D_SR, report, writeMeasurementReport(report));
  if (note) add('ko', KEY_OBJECT_SELECTION, note, writeRejectionNote(note));
  return made;
}

type Uids = Pick<InstanceReference, 'sopInstanceUid' | 'seriesInstanceUid'>;
