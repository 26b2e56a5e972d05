import type { DiagnosticReport } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import type { RisProfile } from './profile-settings.ts';

/** How a status of the report is said in a result message (tables 0123, 0085, 0038). */
export interface ReportStatus {
  /** OBR-25. */
  readonly result: string;
  /** OBX-11 of everything but the study UID. */
  readonly observation: string;
  /** ORC-5. */
  readonly order: string;
  /**
   * First line of text. A widely used archive reads OBR-25 P as verified, so the words must say what it is; nobody may rely on
   * the letter alone.
   */
  readonly banner: string;
  /** A withdrawn result is one line that says so. */
  readonly withResults: boolean;
}

/**
 * Throws `ris.not-sendable` for a status that is no result yet. `correction`: the receiver has an earlier message about this report with other
 * content, final or not.
 */
export function reportStatus(
  status: DiagnosticReport['status'],
  profile: Pick<RisProfile, 'preliminaryStatus' | 'partialStatus' | 'earlyCorrectionStatus'>,
  correction: Correction = null,
): ReportStatus {
  const found = STATUSES[status];
  if (found === undefined) {
    throw new Failure(
      'ris.not-sendable',
      'A report without a result (status registered or unknown) is not sent to the RIS.',
      { issues: [{ at: 'DiagnosticReport.status', text: 'is no result' }] },
    );
  }
  if (status === 'final' && correction === 'after-final') return CORRECTED;
  if (status === 'partial' && profile.partialStatus === 'A') return { ...found, result: 'A' };
  if (found.result !== 'P') return found;
  const early = correction === 'before-final' && profile.earlyCorrectionStatus === 'M';
  return { ...found, result: early ? 'M' : profile.preliminaryStatus };
}

/** What a message corrects: an earlier final one, an earlier one that was not final, or nothing. */
export type Correction = 'after-final' | 'before-final' | null;

/** OBR-25 of a result that a person has not signed. */
export const saysUnsigned = (result: string): boolean => ['P', 'R', 'A', 'M'].includes(result);

/** What the first line of a message that takes a result back from the wrong patient says. */
export const WRONG_PATIENT = 'AI RESULT ENTERED IN ERROR: WRONG PATIENT. DISREGARD EARLIER VERSIONS.';

/** The same, of the order or the accession number that the study had before: a PACS or a late order has corrected it. */
export const WRONG_ORDER =
  'AI RESULT ENTERED IN ERROR: WRONG ORDER OR ACCESSION NUMBER. DISREGARD EARLIER VERSIONS.';

/** What the first line of a message says that takes a result back whose report was deleted. */
export const DELETED = 'AI RESULT DELETED FROM THE RECORD. DISREGARD EARLIER VERSIONS.';

const PRELIMINARY: ReportStatus = {
  result: 'P',
  observation: 'P',
  order: 'IP',
  banner: 'PRELIMINARY AI RESULT. NOT REVIEWED BY A RADIOLOGIST.',
  withResults: true,
};
const CORRECTED: ReportStatus = {
  result: 'C',
  observation: 'C',
  order: 'CM',
  banner: 'CORRECTED AI RESULT. REPLACES EARLIER VERSIONS.',
  withResults: true,
};

const STATUSES: Readonly<Partial<Record<string, ReportStatus>>> = {
  preliminary: PRELIMINARY,
  partial: PRELIMINARY,
  final: {
    result: 'F',
    observation: 'F',
    order: 'CM',
    banner: 'AI RESULT, REVIEWED BY A RADIOLOGIST.',
    withResults: true,
  },
  amended: CORRECTED,
  corrected: CORRECTED,
  appended: CORRECTED,
  cancelled: {
    result: 'X',
    observation: 'X',
    order: 'CA',
    banner: 'AI RESULT WITHDRAWN. DISREGARD EARLIER VERSIONS.',
    withResults: false,
  },
  // Table 0123 has no W; each line says it (table 0085), with the OBX-3 and OBX-4 of the line it takes back.
  'entered-in-error': {
    result: 'X',
    observation: 'W',
    order: 'CA',
    banner: 'AI RESULT ENTERED IN ERROR. DISREGARD EARLIER VERSIONS.',
    withResults: true,
  },
};

/** Every first line of a status, so that a message that is taken back can be found to have one. */
export const BANNERS: readonly string[] = [
  ...new Set(Object.values(STATUSES).flatMap((status) => status?.banner ?? [])),
];

/** Every first line that a message can have. */
export const FIRST_LINES: readonly string[] = [...BANNERS, WRONG_PATIENT, WRONG_ORDER, DELETED];

/** What the note on what made the result begins with. */
export const SOFTWARE_NOTE = 'Result of software: ';
