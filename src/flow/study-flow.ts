import type {
  AnalysisAccepted,
  AnalysisRequested,
  FindingsCoded,
  GatePassed,
  Inferred,
  MessageFiled,
  MessageStored,
  OruStored,
  PacsObjectsMade,
  PriorsListed,
  ReportWritten,
  StudyAvailable,
  StudySeen,
} from '../kernel/handoffs.ts';
import { laneJob } from '../kernel/handoffs.ts';
import type { JobRequest } from '../queue/job.ts';
import type { StepName } from '../steps/step.ts';

/** The arrows of the way: what is handed from step to step. */
export interface Arrows {
  'message stored': MessageStored;
  'message filed': MessageFiled;
  'study seen': StudySeen;
  'study available': StudyAvailable;
  'analysis requested': AnalysisRequested;
  'analysis accepted': AnalysisAccepted;
  'priors listed': PriorsListed;
  'gate passed': GatePassed;
  'model ran': Inferred;
  'findings coded': FindingsCoded;
  'report written': ReportWritten;
  'ORU stored': OruStored;
  'ORU acknowledged': OruStored;
  'PACS objects made': PacsObjectsMade;
  'PACS objects stored': PacsObjectsMade;
}

export type Arrow = keyof Arrows;

export interface FlowRow {
  readonly waitsFor: Arrow;
  readonly step: StepName;
  readonly handsOn: Arrow;
  /** How many run beside each other in one process. */
  readonly concurrency: number;
  /** Runs before the job is given up and shown as a dead letter. Waiting for a peer does not count. */
  readonly attemptsMax: number;
  /** Handoffs of one lane go one after the other. */
  readonly lane?: (handoff: never) => string;
  /** Where its job is another than the handoff in the queue of its name. */
  readonly job?: (handoff: never) => JobRequest<object>;
}

/**
 * THE MAP. Read it downwards: an HL7 message is stored and answered at the MLLP door (`steps/inlet`), then filed: an order makes a
 * ServiceRequest, and nothing waits for it; a study is seen in the archive or the PACS; when it is complete its ImagingStudy is written, and the FHIR Subscriptions that match it (see
 * `flow-subscriptions.ts`) ask for an analysis, one per model; from there each row hands on to the one below.
 */
export const STUDY_FLOW: readonly FlowRow[] = [
  //  One at a time: messages are filed in the order in which they were answered. Trouble that passes uses up no attempts.
  row('message stored', 'filing', 'message filed', { concurrency: 1, attemptsMax: 10 }),
  row('study seen', 'study', 'study available', { concurrency: 4, attemptsMax: 50 }),
  //  study available  ── Subscriptions ──▶  analysis requested
  row('analysis requested', 'analysis', 'analysis accepted', { concurrency: 4, attemptsMax: 10 }),
  row('analysis accepted', 'quality', 'gate passed', { concurrency: 4, attemptsMax: 10 }),
  //  Beside the way: the result does not wait for what the PACS knows of earlier studies.
  row('analysis accepted', 'priors', 'priors listed', { concurrency: 1, attemptsMax: 3 }),
  row('gate passed', 'inference', 'model ran', { concurrency: 3, attemptsMax: 5 }),
  row('model ran', 'findings', 'findings coded', { concurrency: 4, attemptsMax: 5 }),
  row('findings coded', 'report', 'report written', { concurrency: 4, attemptsMax: 10 }),
  row('report written', 'ris-message', 'ORU stored', {
    concurrency: 4,
    attemptsMax: 10,
    lane: (handoff: ReportWritten) => `oru:${handoff.patientId}`,
  }),
  row('ORU stored', 'ris-send', 'ORU acknowledged', {
    concurrency: 8,
    attemptsMax: 100,
    //  One job for all that waits in a lane.
    job: laneJob,
  }),
  //  Versions of a report are made in order, for each names the one before; objects of a study are stored in order.
  row('report written', 'pacs-objects', 'PACS objects made', {
    concurrency: 2,
    attemptsMax: 10,
    lane: (handoff: ReportWritten) => `pacs:${handoff.patientId}`,
  }),
  row('PACS objects made', 'pacs-store', 'PACS objects stored', {
    concurrency: 4,
    attemptsMax: 20,
    lane: (handoff: PacsObjectsMade) => `pacs-store:${handoff.studyInstanceUid}`,
  }),
];

interface RowOptions<A extends Arrow> {
  concurrency: number;
  attemptsMax: number;
  lane?: (handoff: Arrows[A]) => string;
  job?: (handoff: Arrows[A]) => JobRequest<object>;
}

function row<A extends Arrow>(waitsFor: A, step: StepName, handsOn: Arrow, options: RowOptions<A>): FlowRow {
  return { waitsFor, step, handsOn, ...options } as FlowRow;
}
