import { stableId } from '../kernel/stable-id.ts';

/**
 * What a model was given and what it drew, kept with the record so that DICOM objects can be made of it at any time: a Binary (JSON) in
 * the embedded server, written by inference, read by whatever projects the record into the PACS.
 */
export interface AnalysisEvidence {
  readonly schema: 'analysis-evidence/1';
  readonly seriesInstanceUid: string;
  /** In the order in which the pixels were stacked. */
  readonly sopInstanceUids: readonly string[];
  /**
   * Per slice of the masks the instance (index above) and its frame, from 1. Left out where every instance is one slice, which is so unless
   * frames of an enhanced object were stacked.
   */
  readonly frames?: readonly (readonly [instance: number, frame: number])[];
  readonly masks: readonly KeptMask[];
  /** By key of a finding that measures a label of a mask: that label. */
  readonly shows?: Readonly<Record<string, string>>;
  /** Masks that were not kept, and why. */
  readonly notKept: readonly { readonly label: string; readonly why: string }[];
}

/** A mask on the stored pixels of the slices above: as many slices, and their rows and columns. Labels that overlap have a mask each. */
export interface KeptMask {
  readonly label: string;
  readonly rows: number;
  readonly columns: number;
  /** `region`: values above 0, and 2 is the part that the finding is about. `labels`: a label per value, from 1. */
  readonly meaning:
    | { readonly kind: 'region' }
    | { readonly kind: 'labels'; readonly labels: readonly string[] };
  /** Values above 0 that occur. */
  readonly present: readonly number[];
  /** Runs (see `dicom/mask-runs.ts`), deflated, in base64. */
  readonly runs: string;
}

/** Deflated runs of one mask: a lung of 300 slices takes 0.4 MB; more than this is noise rather than a mask. */
export const MASK_BYTES_MAX = 8 * 1024 * 1024;
/** All masks of one result: they stand in one Binary, whose text the database and the page must carry as a whole. */
export const MASKS_BYTES_MAX = 32 * 1024 * 1024;

export const EVIDENCE_MEDIA_TYPE = 'application/json';

/** Id of the Binary: it follows from study, model and inputs, so that the evidence of an earlier version stays what it was. */
export const evidenceId = (studyInstanceUid: string, model: string, inputsDigest: string): string =>
  stableId('evidence', studyInstanceUid, model, inputsDigest);

/** Reads the Binary's text; null when it is not what we wrote. */
export function readEvidence(text: string): AnalysisEvidence | null {
  try {
    const value = JSON.parse(text) as AnalysisEvidence;
    return value.schema === 'analysis-evidence/1' && Array.isArray(value.sopInstanceUids) ? value : null;
  } catch {
    return null;
  }
}
