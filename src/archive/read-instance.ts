import { datasetToJson } from '../dicom/dataset-to-json.ts';
import { jsonString } from '../dicom/json-values.ts';
import { type InstanceUids, instanceUids, readInstanceHead } from '../dicom/read-instance-head.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import { Failure } from '../kernel/errors.ts';

/** Failure Reason (0008,1197) and how many of us say it: PS3.18 Table I.2-2, and Azure for the mismatch of UIDs. */
export const FAILURE_REASONS = {
  processing: 0x0110,
  /** Other bytes with a SOP Instance UID that is there already. */
  duplicate: 0x0111,
  outOfResources: 0xa700,
  /** The data set breaks its own rules (no UIDs, control characters in the patient id), or has more elements than may be. */
  invalid: 0xa900,
  /** The study in the URL is another one than in the file. */
  otherStudy: 0xa901,
  notDicom: 0xc000,
  transferSyntax: 0xc122,
} as const;

export type FailureReason = (typeof FAILURE_REASONS)[keyof typeof FAILURE_REASONS];

export type ReadInstance =
  | { readonly kind: 'read'; readonly uids: InstanceUids; readonly metadata: DicomJson }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly uids: InstanceUids | null };

/** The deflated syntax: half a megabyte of it may inflate to half a gigabyte. */
const DEFLATED = '1.2.840.10008.1.2.1.99';

/** Reads the header of an incoming file and says whether the archive takes it. `expectedStudy`: the one in the URL, if any. */
export async function readInstance(path: string, expectedStudy: string | null): Promise<ReadInstance> {
  let uids: InstanceUids | null = null;
  try {
    const head = await readInstanceHead(path);
    uids = instanceUids(head);
    if (uids.transferSyntaxUid === DEFLATED)
      return { kind: 'failed', reason: FAILURE_REASONS.transferSyntax, uids };
    if (expectedStudy !== null && uids.studyInstanceUid !== expectedStudy) {
      return { kind: 'failed', reason: FAILURE_REASONS.otherStudy, uids };
    }
    const metadata = datasetToJson(head.dataset);
    if (IDENTIFYING.some((tag) => CONTROL.test(jsonString(metadata, tag) ?? ''))) {
      return { kind: 'failed', reason: FAILURE_REASONS.invalid, uids };
    }
    return { kind: 'read', uids, metadata };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return {
      kind: 'failed',
      reason: BROKEN.has(error.code) ? FAILURE_REASONS.invalid : FAILURE_REASONS.notDicom,
      uids,
    };
  }
}

/** DICOM, and still not taken: broken, or beyond a limit. */
const BROKEN: ReadonlySet<string> = new Set(['dicom.malformed', 'dicom.too-large']);

/** Patient id, its issuer, accession number, study id: they end in messages where a line break begins a new segment. */
const IDENTIFYING = ['00100020', '00100021', '00080050', '00200010'];
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;
