import type { Coding, DiagnosticReport, Observation } from '@medplum/fhirtypes';
import type { Transaction } from '../database/database.ts';
import { ifStill } from '../fhir/if-still.ts';
import type { ResourceStore, ResourceWrite } from '../fhir/resource-store.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../kernel/code-systems.ts';
import type { AnalysisAccepted, GateVerdict } from '../kernel/handoffs.ts';
import { type AnalysisTask, isOutdated, rejectedTask, reportId, verdictText } from './analysis-task.ts';
import { isUnsigned, isWithdrawn } from './standing.ts';

/** What is written beside the refusal itself: the Device of the scanner, mostly. */
export type Adapt = (task: AnalysisTask) => AnalysisTask;

/**
 * The gate says no: the Task becomes `rejected` with every reason, and an earlier result of the same study and model that nobody has signed is withdrawn
 * in the same transaction, for it says of the study what is not held to be true any more. The report becomes `cancelled`, or `entered-in-error` where the images
 * are not the patient's; RIS and PACS are told of it as of any withdrawal (see `steps/report/announce-changes.ts`). A report that a person has decided stays, and the
 * Task says so. What was changed meanwhile is not written over: throws `fhir.version-conflict`, and the job runs again.
 */
export async function refuseAnalysis(
  store: ResourceStore,
  tx: Transaction,
  handoff: Pick<AnalysisAccepted, 'taskId' | 'studyVersion'>,
  refusals: readonly GateVerdict[],
  adapt: Adapt = (task) => task,
): Promise<void> {
  const now = new Date();
  const kept = await store.read('Task', handoff.taskId, tx);
  if (!kept || kept.deleted) return;
  const task = kept.parse<AnalysisTask>();
  if (isOutdated(task, handoff)) return;
  const earlier = await earlierReport(store, tx, task);
  const isSaid = refusals.every(({ rule }) => rule !== NOT_LOADED);
  const withdrawn = earlier && isSaid && isUnsigned(earlier);
  const rejected = rejectedTask(adapt(task), refusals, now, earlier && isSaid ? notedOf(earlier) : null);
  const writes: ResourceWrite[] = [
    { kind: 'update', resource: rejected, unchanged: 'skip', ifVersion: kept.versionId },
    ...(withdrawn ? await withdrawal(store, tx, earlier, becauseOf(refusals), now) : []),
  ];
  await store.write(tx, writes);
}

/** A report that was withdrawn here and by nobody else since: what passes the gate later takes its place again. */
export const isWithdrawnByGate = (report: DiagnosticReport): boolean =>
  isWithdrawn(report) && report.meta?.tag?.some(isOurTag) === true;

/** Which report a rejected Task has to tell of: one that was or had been withdrawn by the gate, or one that a person has decided. */
function notedOf(report: DiagnosticReport) {
  const reference = { reference: `DiagnosticReport/${report.id}` };
  const isGone = isUnsigned(report) || isWithdrawn(report);
  return { reference, text: isGone ? EARLIER_WITHDRAWN : EARLIER_STANDS };
}

/** Said in the Task, and so in the worklist. */
export const EARLIER_WITHDRAWN = 'An earlier AI result of this study was withdrawn. Disregard it.';
export const EARLIER_STANDS =
  'The study changed after its report was signed, and the gate refuses it now. The signed report stands: check whether it still holds.';

async function earlierReport(
  store: ResourceStore,
  tx: Transaction,
  task: AnalysisTask,
): Promise<(DiagnosticReport & { id: string }) | null> {
  const value = task.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.analysis)?.value;
  const [uid, model] = value?.split('|') ?? [];
  if (!uid || !model) return null;
  const kept = await store.read('DiagnosticReport', reportId(uid, model), tx);
  return kept && !kept.deleted ? kept.parse<DiagnosticReport & { id: string }>() : null;
}

interface Withdrawal {
  readonly status: 'cancelled' | 'entered-in-error';
  /** The conclusion from now on. */
  readonly text: string;
  readonly tags: readonly Coding[];
}

const becauseOf = (refusals: readonly GateVerdict[]): Withdrawal => ({
  status: refusals.some(({ rule }) => rule === OTHER_PATIENT) ? 'entered-in-error' : 'cancelled',
  text: `Withdrawn: the study changed after this result and does not fit the model any more. ${refusals.map(verdictText).join('. ')}. Disregard the earlier result and read the study as ordered.`,
  tags: [TAG],
});

/** The study of this Task is void: so is its result, where nobody has signed it, and what is under way ends. */
export async function withdrawWithStudy(
  store: ResourceStore,
  tx: Transaction,
  task: AnalysisTask,
  status: Withdrawal['status'],
): Promise<void> {
  const now = new Date();
  const earlier = await earlierReport(store, tx, task);
  const text = 'Withdrawn: the study was taken back. Disregard the earlier result.';
  const open = OPEN.has(task.status);
  await store.write(tx, [
    ...(open ? [{ kind: 'update', resource: endedWithStudy(task, status, now) } as const] : []),
    ...(earlier && isUnsigned(earlier)
      ? await withdrawal(store, tx, earlier, { status, text, tags: [] }, now)
      : []),
  ]);
}

const endedWithStudy = (task: AnalysisTask, status: Withdrawal['status'], now: Date): AnalysisTask => ({
  ...task,
  status,
  businessStatus: { text: 'the study was taken back' },
  lastModified: now.toISOString(),
});

const OPEN: ReadonlySet<string> = new Set(['requested', 'in-progress']);

async function withdrawal(
  store: ResourceStore,
  tx: Transaction,
  report: DiagnosticReport & { id: string },
  { status, text, tags }: Withdrawal,
  now: Date,
): Promise<ResourceWrite[]> {
  const ids = (report.result ?? []).map(({ reference }) => ({
    type: 'Observation',
    id: reference?.split('/')[1] ?? '',
  }));
  const findings = (await store.readMany(ids, tx)).filter((one) => !one.deleted);
  const { media: _picture, ...rest } = report;
  const withdrawn: DiagnosticReport & { id: string } = {
    ...rest,
    meta: {
      ...report.meta,
      tag: [...(report.meta?.tag ?? []).filter((one) => !isOurTag(one)), ...tags],
    },
    status,
    issued: now.toISOString(),
    conclusion: text,
  };
  return [
    { kind: 'update', resource: withdrawn, ...ifStill(report) },
    ...findings.map((one) => {
      const finding = one.parse<Observation & { id: string }>();
      return { kind: 'update', resource: { ...finding, status }, ...ifStill(finding) } as const;
    }),
  ];
}

const TAG = {
  system: CODE_SYSTEMS.subscriptionTag,
  code: 'withdrawn-by-gate',
  display: 'Withdrawn because the study changed and the gate refuses it',
};
const isOurTag = (tag: { system?: string; code?: string }) =>
  tag.system === TAG.system && tag.code === TAG.code;

/** Says that the model is gone: nothing of the study, so nothing of an earlier result. */
const NOT_LOADED = 'model';
/** The images name another person than the record: the result should never have been there. */
const OTHER_PATIENT = 'patient-mismatch';
