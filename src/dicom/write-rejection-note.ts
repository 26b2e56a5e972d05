import { type DicomCode, dcm } from './dicom-code.ts';
import { type InstanceReference, type ResultContext, resultHeader, SERIES_NUMBERS } from './result-object.ts';
import { code, composite, image, rootContainer, text } from './sr/content-item.ts';
import { deviceObserver, english } from './sr/observer-context.ts';
import { COMPREHENSIVE_3D_SR, evidenceOf } from './write-measurement-report.ts';
import { writePart10 } from './write-part10.ts';

export const KEY_OBJECT_SELECTION = '1.2.840.10008.5.1.4.1.1.88.59';

export interface RejectionNote {
  readonly context: ResultContext;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly instanceNumber: number;
  /**
   * `quality`: the result was withdrawn. `safety`: it should never have been there and nobody may see it again (IHE IOCM has the
   * archive hide those in every case, those of quality where the site wants it).
   */
  readonly reason: 'quality' | 'safety';
  readonly rejected: readonly InstanceReference[];
  /** The result is not withdrawn, it says something else now. */
  readonly replaced?: boolean;
}

const TITLES = {
  quality: dcm('113001', 'Rejected for Quality Reasons'),
  safety: dcm('113037', 'Rejected for Patient Safety Reasons'),
} as const satisfies Record<string, DicomCode>;

/** A Key Object Selection by TID 2010 that withdraws instances (IHE IOCM, RAD-66). */
export function writeRejectionNote(note: RejectionNote): Buffer {
  const { context, reason } = note;
  return writePart10({
    ...resultHeader(context, {
      sopClassUid: KEY_OBJECT_SELECTION,
      sopInstanceUid: note.sopInstanceUid,
      seriesInstanceUid: note.seriesInstanceUid,
      modality: 'KO',
      seriesNumber: SERIES_NUMBERS.ko,
      seriesDescription: `AI result ${note.replaced ? 'replaced' : 'withdrawn'}: ${context.algorithm.name}`,
      instanceNumber: note.instanceNumber,
    }),
    ReferencedPerformedProcedureStepSequence: [],
    CurrentRequestedProcedureEvidenceSequence: evidenceOf(note.studyInstanceUid, note.rejected),
    ...rootContainer(
      TITLES[reason],
      [
        english('alone'),
        // CID 7011 has no code for "the analysis was wrong"; this is the nearest true one.
        ...(reason === 'quality'
          ? [
              code(
                'HAS CONCEPT MOD',
                dcm('113011', 'Document Title Modifier'),
                dcm('111220', 'Other failure'),
              ),
            ]
          : []),
        ...deviceObserver(context.algorithm),
        text(
          'CONTAINS',
          dcm('113012', 'Key Object Description'),
          note.replaced
            ? 'A later version of this AI result says something else.'
            : 'This AI result was withdrawn.',
        ),
        ...note.rejected.map((one) =>
          one.sopClassUid === COMPREHENSIVE_3D_SR ? composite(one) : image('CONTAINS', null, one),
        ),
      ],
      '2010',
    ),
  });
}
