import type { DiagnosticReport, Observation, Reference } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import { FULL_ACCESS } from '../../fhir/access-context.ts';
import type { ResourceChange, ResourceStore } from '../../fhir/resource-store.ts';
import { reportId } from '../../governance/analysis-task.ts';
import type { ModelStates } from '../../governance/model-states.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { PACS_OBJECTS_QUEUE, type ReportWritten, RIS_MESSAGE_QUEUE } from '../../kernel/handoffs.ts';
import type { Outbox } from '../../queue/outbox.ts';

/**
 * A change of one of our reports from outside the way (a radiologist's system finalises, corrects or withdraws it over FHIR, an integrator edits it
 * while it is preliminary, deletes it, or edits one of its findings) must reach the RIS and the PACS as any version of ours does: the jobs are
 * queued in the transaction of the change. What the server writes itself before somebody has signed is handed on by the flow, so nothing is said twice; the steps
 * that make the message and the objects look per version, and for a finding whether the receiver would see another content. An edit of what a model in shadow
 * wrote tells nobody. Throws `fhir.invalid` for a version that takes our filler number away.
 */
export function announceChanges(
  store: ResourceStore,
  outbox: Outbox,
  states: Pick<ModelStates, 'mayLeaveAsKnown'>,
): void {
  store.onChange(async (tx: Transaction, changes: readonly ResourceChange[], access) => {
    const isOurs = access === FULL_ACCESS;
    const due: ReportWritten[] = [];
    for (const change of changes) {
      const told = announcement(change);
      if (told === null) continue;
      const { isSigned, written } = told;
      if (isSigned || (!isOurs && states.mayLeaveAsKnown(modelOf(change)))) due.push(written);
    }
    const reports = new Set(due.map((one) => one.diagnosticReportId));
    const findings = isOurs
      ? []
      : editedFindings(changes).filter((one) => !reports.has(one.diagnosticReportId));
    if (due.length + findings.length === 0) return;
    await outbox.add(tx, [
      ...[...due, ...findings].flatMap((payload) => [
        { queue: RIS_MESSAGE_QUEUE, payload, lane: `oru:${payload.patientId}` },
        { queue: PACS_OBJECTS_QUEUE, payload, lane: `pacs:${payload.patientId}` },
      ]),
    ]);
  });
}

/** Statuses that somebody else gives a report and that a result message can say. */
const ANNOUNCED: ReadonlySet<string> = new Set([
  'final',
  'amended',
  'corrected',
  'appended',
  'cancelled',
  'entered-in-error',
]);
/** Nobody has signed it. */
const UNSIGNED: ReadonlySet<string> = new Set(['partial', 'preliminary']);

interface Announcement {
  /** Or withdrawn, or deleted: somebody has decided. */
  readonly isSigned: boolean;
  readonly written: ReportWritten;
}

/** What the RIS must be told of this change; null when it is no report of ours, or one that says no result. */
function announcement(change: ResourceChange): Announcement | null {
  const { type, id, versionId, resource } = change;
  if (type !== 'DiagnosticReport') return null;
  // Asked late: the version before is parsed when somebody asks for it.
  const previous = change.previous as DiagnosticReport | undefined;
  if (!resource) return previous ? deletion(id, versionId, previous) : null;
  const report = resource as DiagnosticReport;
  const number = fillerNumberOf(report);
  const before = previous ? fillerNumberOf(previous) : undefined;
  if (before !== undefined && number !== before) throw numberChanged();
  if (number === undefined) return null;
  const isSigned = ANNOUNCED.has(report.status);
  // What somebody else writes anew before it is signed is his to tell; what he edits or brings back has been told.
  if (!isSigned && (Number(versionId) === 1 || !UNSIGNED.has(report.status))) return null;
  const patientId = patientIdOf(report.subject);
  return { isSigned, written: { diagnosticReportId: id, versionId: Number(versionId), patientId } };
}

/** Who has the result is told that its report is there no more. */
function deletion(id: string, versionId: string, report: DiagnosticReport): Announcement | null {
  if (fillerNumberOf(report) === undefined) return null;
  const patientId = patientIdOf(report.subject);
  return { isSigned: true, written: { diagnosticReportId: id, versionId: Number(versionId), patientId } };
}

/** The reports of which findings were changed, each once. Which they are follows from the number of the analysis, without a look at the record. */
function editedFindings(changes: readonly ResourceChange[]): ReportWritten[] {
  const told = changes.flatMap((change): ReportWritten[] => {
    if (change.type !== 'Observation' || change.interaction === 'create') return [];
    const observation = (change.resource ?? change.previous) as Observation | undefined;
    const [uid, model, finding] = observation ? analysisOf(observation) : [];
    if (!uid || !model || !finding) return [];
    const patientId = patientIdOf(observation?.subject);
    return [{ diagnosticReportId: reportId(uid, model), versionId: 0, patientId, findingEdited: true }];
  });
  return [...new Map(told.map((one) => [one.diagnosticReportId, one])).values()];
}

const modelOf = ({ resource }: ResourceChange): string => analysisOf(resource ?? {})[1] ?? '';

/** `<study>|<model>|…`, as the report step writes it. */
const analysisOf = (resource: object): string[] =>
  (resource as Pick<DiagnosticReport, 'identifier'>).identifier
    ?.find(({ system }) => system === IDENTIFIER_SYSTEMS.analysis)
    ?.value?.split('|') ?? [];

/** The RIS knows the result by this number: under another it would stand beside the one it corrects. */
function numberChanged(): Failure {
  const text = `Keep the identifier of the system ${IDENTIFIER_SYSTEMS.filler} as it is: the RIS replaces the earlier result by it.`;
  return new Failure('fhir.invalid', text, { issues: [{ at: 'DiagnosticReport.identifier', text }] });
}

const fillerNumberOf = (report: DiagnosticReport): string | undefined =>
  report.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.filler)?.value;

const patientIdOf = (subject: Reference | undefined): string =>
  /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})(?:\/_history\/.*)?$/.exec(subject?.reference ?? '')?.[1] ?? '';
