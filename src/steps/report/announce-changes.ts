import type { DiagnosticReport } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { ResourceChange, ResourceStore } from '../../fhir/resource-store.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { PACS_OBJECTS_QUEUE, type ReportWritten } from '../../kernel/handoffs.ts';
import type { Outbox } from '../../queue/outbox.ts';

/**
 * A change of one of our reports from outside the way (a radiologist's system finalises, corrects or withdraws it over FHIR) must reach the
 * RIS and the PACS as any version of ours does: the job is queued in the transaction of the change. What the report step writes itself is
 * `preliminary` and is handed on by the flow, so nothing is said twice; the step that makes the message looks per version. Throws
 * `fhir.invalid` for a version that takes our filler number away.
 */
export function announceChanges(store: ResourceStore, outbox: Outbox): void {
  store.onChange(async (tx: Transaction, changes: readonly ResourceChange[]) => {
    const due = changes.flatMap((change) => announcement(change) ?? []);
    if (due.length > 0)
      await outbox.add(
        tx,
        due.flatMap((payload) => [
          { queue: RIS_MESSAGE_QUEUE, payload, lane: `oru:${payload.patientId}` },
          { queue: PACS_OBJECTS_QUEUE, payload, lane: `pacs:${payload.patientId}` },
        ]),
      );
  });
}

/** Its row and its lane stand in `flow/study-flow.ts`. */
const RIS_MESSAGE_QUEUE = 'ris-message';

/** Statuses that somebody else gives a report and that a result message can say. */
const ANNOUNCED: ReadonlySet<string> = new Set([
  'final',
  'amended',
  'corrected',
  'appended',
  'cancelled',
  'entered-in-error',
]);

/** What the RIS must be told of this change; null when it is no report of ours, or one without a decision. */
function announcement(change: ResourceChange): ReportWritten | null {
  if (change.type !== 'DiagnosticReport' || !change.resource) return null;
  const { id, versionId, resource, previous } = change;
  const report = resource as DiagnosticReport;
  const number = fillerNumberOf(report);
  const before = previous ? fillerNumberOf(previous as DiagnosticReport) : undefined;
  if (before !== undefined && number !== before) throw numberChanged();
  if (number === undefined || !ANNOUNCED.has(report.status)) return null;
  return { diagnosticReportId: id, versionId: Number(versionId), patientId: patientIdOf(report) };
}

/** The RIS knows the result by this number: under another it would stand beside the one it corrects. */
function numberChanged(): Failure {
  const text = `Keep the identifier of the system ${IDENTIFIER_SYSTEMS.filler} as it is: the RIS replaces the earlier result by it.`;
  return new Failure('fhir.invalid', text, { issues: [{ at: 'DiagnosticReport.identifier', text }] });
}

const fillerNumberOf = (report: DiagnosticReport): string | undefined =>
  report.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.filler)?.value;

const patientIdOf = (report: DiagnosticReport): string =>
  /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/.*)?$/.exec(report.subject?.reference ?? '')?.[1] ??
  '';
