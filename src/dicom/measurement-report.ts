import type { DicomCode } from './dicom-code.ts';
import type { InstanceReference, ResultContext } from './result-object.ts';
import type { GraphicType } from './sr/content-item.ts';

/** What a TID 1500 report says, in the words of DICOM; `write-measurement-report.ts` makes the object of it. */
export interface MeasurementReport {
  readonly context: ResultContext;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  /** Version of the report. */
  readonly instanceNumber: number;
  readonly title: string;
  /** PARTIAL while more is to come (PS3.3 C.17.2). */
  readonly completion: 'PARTIAL' | 'COMPLETE';
  readonly preliminary: boolean;
  /** The imaging procedure that was analysed, not the algorithm. */
  readonly procedureReported: DicomCode;
  /** The images the model was given. */
  readonly images: readonly InstanceReference[];
  readonly groups: readonly MeasurementGroup[];
  /** Every further instance that the groups refer to. */
  readonly furtherEvidence: readonly InstanceReference[];
  /** Earlier versions, nearest last. */
  readonly predecessors: readonly InstanceReference[];
  readonly request: ReferencedRequest | null;
}

/** The order that the study belongs to. */
export interface ReferencedRequest {
  readonly accessionNumber: string;
  readonly placerOrderNumber: string;
  readonly fillerOrderNumber: string;
  readonly procedureDescription: string;
}

/** One finding: its own tracking, what was found, numbers and words, and where. */
export interface MeasurementGroup {
  readonly trackingIdentifier: string;
  /** Stays the same over all versions of the report. */
  readonly trackingUid: string;
  readonly finding: DicomCode;
  readonly site?: { readonly code: DicomCode; readonly laterality?: DicomCode };
  /** Parameters of the algorithm that decided: `threshold 0.5`. */
  readonly parameters: readonly string[];
  readonly measurements: readonly Measurement[];
  readonly evaluations: readonly Evaluation[];
  readonly regions: readonly ImageRegion[];
  /** A segment of a SEG of ours that shows the finding. */
  readonly segment: {
    readonly reference: InstanceReference;
    readonly number: number;
    readonly sourceSeriesUid: string;
  } | null;
}

export interface Measurement {
  readonly name: DicomCode;
  readonly value: number;
  readonly unit: DicomCode;
  /** Said where the record says it. */
  readonly abnormal: boolean;
}

export interface Evaluation {
  readonly name: DicomCode;
  readonly value: DicomCode;
}

export interface ImageRegion {
  readonly image: InstanceReference;
  /** Counts from 1; null for an image with one frame. */
  readonly frame: number | null;
  readonly type: GraphicType;
  /** Column and row in turn, pixels of the image, 0.0 at the corner of the first. */
  readonly points: readonly number[];
}
