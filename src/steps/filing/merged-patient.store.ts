import type { Sql, Statement, Transaction } from '../../database/database.ts';
import { patientReferenceHeads } from '../../fhir/patient-references.ts';

export interface Referring {
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly content: string;
}

/**
 * Current resources that are about a patient (`Patient/1`) or in which he takes part, by type and id, at most `limit`, after the one named. What stands for a
 * moment of the past (Provenance, AuditEvent) is not among them.
 */
export function readReferring(
  sql: Sql,
  patient: string,
  after: { readonly type: string; readonly id: string },
  limit: number,
): Promise<Referring[]> {
  const tokens = patientReferenceHeads().map((head) => `${head}>${patient}`);
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

/**
 * The tokens are hidden from the planner, and the order stands outside: for so many of them it guesses half of all rows, and would read the whole table, which takes
 * seconds for each merge and holds up everything that waits to be filed. The index on tokens has them in milliseconds.
 */
const REFERRING: Statement = {
  name: 'filing-referring',
  text: `SELECT type, id, version, content FROM (
      SELECT r.type, r.id, r.version, r.content FROM resource r WHERE r.tokens && (SELECT $1::text[]) AND NOT r.deleted OFFSET 0) AS found
    WHERE (type, id) > ($2, $3) ORDER BY type, id LIMIT $4`,
};

const SUPERSEDE: Statement = {
  name: 'filing-supersede-unsent',
  text: `UPDATE hl7_outbound SET state = 'superseded', last_error = 'patient-merged'
    WHERE state = 'waiting' AND id IN (SELECT o.id FROM hl7_unacknowledged o
      WHERE o.state = 'waiting' AND (o.report_id = ANY($1::text[]) OR o.patient_id = $2)) RETURNING report_id`,
};
