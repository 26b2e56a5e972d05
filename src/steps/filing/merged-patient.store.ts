import type { Sql, Statement, Transaction } from '../../database/database.ts';

export interface Referring {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly content: string;
}

/**
 * Current resources of which a patient (`Patient/1`) is the subject, by type and id, at most `limit`, after the one named. What stands for a moment
 * of the past (Provenance, AuditEvent) is not among them.
 */
export function readReferring(
  sql: Sql,
  patient: string,
  after: { readonly type: string; readonly id: string },
  limit: number,
): Promise<Referring[]> {
  const tokens = TYPES.flatMap((type) => PARAMETERS.map((parameter) => `${type}.${parameter}>${patient}`));
  return sql.run<Referring>(REFERRING, [tokens, after.type, after.id, limit]);
}

/** Messages that wait to be sent for the patient are not sent any more. Gives the reports they were about, each once. */
export async function supersedeUnsent(
  tx: Transaction,
  reports: readonly string[],
  patientId: string,
): Promise<string[]> {
  const rows = await tx.run<{ report_id: string }>(SUPERSEDE, [reports, patientId]);
  return [...new Set(rows.map((row) => row.report_id))];
}

/** What follows a patient to the survivor: everything clinical that names a subject. */
const TYPES = [
  'Account',
  'AllergyIntolerance',
  'Appointment',
  'CarePlan',
  'CareTeam',
  'Communication',
  'CommunicationRequest',
  'Composition',
  'Condition',
  'Consent',
  'Coverage',
  'DetectedIssue',
  'DeviceRequest',
  'DeviceUseStatement',
  'DiagnosticReport',
  'DocumentReference',
  'Encounter',
  'EpisodeOfCare',
  'Flag',
  'ImagingStudy',
  'Immunization',
  'List',
  'Media',
  'MedicationAdministration',
  'MedicationRequest',
  'MedicationStatement',
  'Observation',
  'Procedure',
  'QuestionnaireResponse',
  'RelatedPerson',
  'RequestGroup',
  'RiskAssessment',
  'ServiceRequest',
  'Specimen',
  'Task',
] as const;
const PARAMETERS = ['subject', 'patient', 'actor', 'beneficiary'] as const;

const REFERRING: Statement = {
  name: 'filing-referring',
  text: `SELECT r.type, r.id, r.version, r.content FROM resource r
    WHERE r.tokens && $1::text[] AND NOT r.deleted AND (r.type, r.id) > ($2, $3) ORDER BY r.type, r.id LIMIT $4`,
};

const SUPERSEDE: Statement = {
  name: 'filing-supersede-unsent',
  text: `UPDATE hl7_outbound SET state = 'superseded', last_error = 'patient-merged'
    WHERE state = 'waiting' AND id IN (SELECT o.id FROM hl7_unacknowledged o
      WHERE o.state = 'waiting' AND (o.report_id = ANY($1::text[]) OR o.patient_id = $2)) RETURNING report_id`,
};
