import type { CodeableConcept, DiagnosticReport, ImagingStudy, Reference, Task } from '@medplum/fhirtypes';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS, PRELIM } from '../kernel/code-systems.ts';
import type { AnalysisAccepted, GateVerdict } from '../kernel/handoffs.ts';
import { stableId } from '../kernel/stable-id.ts';
import { isWithdrawn } from './standing.ts';

/** The Task is the visible thread of one analysis: one per study and model version, whatever asked for it and how often. */
export const ANALYSIS_CODE = {
  system: `${PRELIM}/CodeSystem/task`,
  code: 'analysis',
  display: 'Analysis by a model',
} as const;

/** As kept: with its id. */
export type AnalysisTask = Task & { id: string };

export const analysisTaskId = (studyInstanceUid: string, model: string) =>
  stableId('task', studyInstanceUid, model);

/** One report per study and model version, whatever number of versions it gets. */
export const reportId = (studyInstanceUid: string, model: string) =>
  stableId('report', studyInstanceUid, model);

export interface TaskSubject {
  readonly study: ImagingStudy;
  readonly studyInstanceUid: string;
  /** `<id>@<version>` */
  readonly model: string;
}

/** A new or renewed analysis: `requested`. */
export function requestedTask({ study, studyInstanceUid, model }: TaskSubject, now: Date): AnalysisTask {
  const at = now.toISOString();
  return {
    resourceType: 'Task',
    id: analysisTaskId(studyInstanceUid, model),
    identifier: [{ system: IDENTIFIER_SYSTEMS.analysis, value: `${studyInstanceUid}|${model}` }],
    ...(study.basedOn ? { basedOn: study.basedOn } : {}),
    status: 'requested',
    intent: 'order',
    code: { coding: [{ ...ANALYSIS_CODE }] },
    businessStatus: { text: 'waiting for the gate' },
    focus: { reference: `ImagingStudy/${study.id}` },
    for: study.subject,
    ...(study.encounter ? { encounter: study.encounter } : {}),
    executionPeriod: { start: at },
    authoredOn: at,
    lastModified: at,
    input: [
      { type: { text: 'model' }, valueString: model },
      { type: { text: STUDY_VERSION }, valueString: study.meta?.versionId ?? '' },
    ],
  };
}

const STUDY_VERSION = 'study version';

/** The version of the ImagingStudy that the Task was made for. */
export function studyVersionOf(task: Task): string | undefined {
  return task.input?.find((input) => input.type.text === STUDY_VERSION)?.valueString;
}

/**
 * A newer version of the study has renewed the Task since this was handed on: what comes of the older one must not be written over it. Jobs of
 * an older server say no version and are never outdated.
 */
export const isOutdated = (task: Task, { studyVersion }: Pick<AnalysisAccepted, 'studyVersion'>): boolean =>
  studyVersion !== undefined && studyVersionOf(task) !== studyVersion;

/** Why an analysis goes no further, whatever it came to: its Task is gone, renewed or given up. Null when it goes on. */
export function whyEnded(
  task: AnalysisTask | null,
  handoff: Pick<AnalysisAccepted, 'studyVersion'>,
): string | null {
  if (task === null) return 'the task is gone';
  if (isOutdated(task, handoff)) return 'a newer version of the study is analysed';
  return isWithdrawn(task) ? `the task is ${task.status}` : null;
}

/** The gate let it pass: `in-progress`, its warnings as notes. */
export function passedTask(task: AnalysisTask, warnings: readonly GateVerdict[], now: Date): AnalysisTask {
  return {
    ...without(task, 'statusReason', 'output', 'note'),
    status: 'in-progress',
    businessStatus: { text: 'model running' },
    lastModified: now.toISOString(),
    ...(warnings.length > 0 ? { note: warnings.map((warning) => ({ text: verdictText(warning) })) } : {}),
  };
}

const SCANNER = 'scanner';

/** With the Device of the scanner that made the images: what the gate says is counted by it. */
export function withScanner(task: AnalysisTask, deviceId: string): AnalysisTask {
  const others = (task.input ?? []).filter((input) => input.type.text !== SCANNER);
  return {
    ...task,
    input: [...others, { type: { text: SCANNER }, valueReference: { reference: `Device/${deviceId}` } }],
  };
}

/** Id of that Device. */
export function scannerOfTask(task: Task): string | undefined {
  const input = task.input?.find(({ type }) => type.text === SCANNER);
  return input?.valueReference?.reference?.split('/')[1];
}

/** An earlier report that a Task has to tell of, and what it says of it. */
export interface EarlierReport {
  readonly reference: Reference<DiagnosticReport>;
  readonly text: string;
}

/** Refused by name: `rejected`, with every rule that said no, and what became of an earlier result. */
export function rejectedTask(
  task: AnalysisTask,
  verdicts: readonly GateVerdict[],
  now: Date,
  earlier: EarlierReport | null = null,
): AnalysisTask {
  return {
    ...ended(task, now),
    ...(earlier
      ? {
          output: [{ type: { text: 'report' }, valueReference: earlier.reference }],
          note: [{ text: earlier.text }],
        }
      : {}),
    status: 'rejected',
    businessStatus: { text: 'refused by the gate' },
    statusReason: verdictConcept(verdicts),
  };
}

/** Tried and given up: `failed`. `why` is a failure code or text without patient data. */
export function failedTask(task: AnalysisTask, why: string, now: Date): AnalysisTask {
  return {
    ...ended(task, now),
    status: 'failed',
    businessStatus: { text: 'failed' },
    statusReason: { text: why },
  };
}

/** Done: the report, and with it what the gate and the pixels warned of. */
export function completedTask(
  task: AnalysisTask,
  report: Reference<DiagnosticReport>,
  now: Date,
  warnings: readonly GateVerdict[] = [],
): AnalysisTask {
  return {
    ...ended(task, now),
    status: 'completed',
    businessStatus: { text: 'report written' },
    output: [
      { type: { text: 'report' }, valueReference: report },
      ...warnings.map((warning) => ({
        type: { text: 'warning' },
        valueCodeableConcept: verdictConcept([warning]),
      })),
    ],
    ...(warnings.length > 0 ? { note: warnings.map((warning) => ({ text: verdictText(warning) })) } : {}),
  };
}

/** The first rule is the coded reason (codings of one concept would be translations of each other); the text has a line per rule. */
function verdictConcept(verdicts: readonly GateVerdict[]): CodeableConcept {
  const [main] = verdicts;
  return {
    ...(main ? { coding: [{ system: CODE_SYSTEMS.refusal, code: main.rule }] } : {}),
    text: verdicts.map(verdictText).join('\n'),
  };
}

export const verdictText = (verdict: GateVerdict) =>
  `${verdict.rule}: observed ${verdict.observed}; required ${verdict.required}`;

function ended(task: AnalysisTask, now: Date): AnalysisTask {
  const at = now.toISOString();
  return {
    ...without(task, 'statusReason', 'output'),
    lastModified: at,
    executionPeriod: {
      ...(task.executionPeriod?.start ? { start: task.executionPeriod.start } : {}),
      end: at,
    },
  };
}

function without(task: AnalysisTask, ...keys: (keyof Task)[]): AnalysisTask {
  return Object.fromEntries(
    Object.entries(task).filter(([key]) => !keys.includes(key as keyof Task)),
  ) as unknown as AnalysisTask;
}
