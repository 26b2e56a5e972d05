import { setImmediate } from 'node:timers/promises';
import type { DiagnosticReport, Observation, Task } from '@medplum/fhirtypes';
import type { DicomwebConnection } from '../src/dicomweb/dicomweb-connection.ts';
import { storeInstances } from '../src/dicomweb/stow.ts';
import { FlowRunner, type StepEnded } from '../src/flow/flow-runner.ts';
import type { RunningServer } from '../src/start-server.ts';
import { InletListener } from '../src/steps/inlet/inlet-listener.ts';
import { fieldOf, type RisPeer, sendOrder } from '../test/peers/ris.ts';
import type { DemoStudy } from './demo-study.ts';
import { orderMessage } from './order-message.ts';
import { StudyThread } from './study-thread.ts';
import { bold, cyan, dim, formatMs, green, progress, red, say, yellow } from './terminal.ts';
import type { Timeline } from './timeline.ts';

export interface DemoParts {
  readonly server: RunningServer;
  readonly ris: RisPeer;
  readonly token: string;
  readonly timeline: Timeline;
  /** Where the study is stored: the PACS that the server looks at, or its own archive. */
  readonly pacs: DicomwebConnection;
}

/** How one study ended: with reports, or refused by every model that looked. */
export interface DemoResult {
  readonly label: string;
  readonly studyInstanceUid: string;
  readonly analyses: readonly AnalysisResult[];
  readonly stages: readonly { stage: string; ms: number }[];
}

export interface AnalysisResult {
  readonly task: Task;
  readonly report: DiagnosticReport | null;
  readonly observations: readonly Observation[];
  /** As sent and as answered, CR for line ends. */
  readonly oru: string | null;
  readonly ack: string | null;
}

/** No step of the study for so long: nothing more is coming. */
const SETTLED_MS = 400;
/** A complete study that no Subscription asks about by then is asked about by none. */
const UNASKED_MS = 3_000;
/** A study that nothing happens to any more is told as such. */
const PATIENCE_MS = 120_000;

/** Sends the order, stores the study, and tells every stage as it happens until the last message is acknowledged. */
export async function runStudy(parts: DemoParts, study: DemoStudy): Promise<DemoResult> {
  say(`\n${bold(study.label)} ${dim(study.exam.studyInstanceUid)}`);
  const stages: { stage: string; ms: number }[] = [];
  const tell = (mark: string, stage: string, detail: string, ms: number) => {
    stages.push({ stage, ms });
    parts.timeline.add(mark, stage, detail, ms);
  };
  await sendTheOrder(parts, study, tell);
  const ended = followStudy(parts, study.exam.studyInstanceUid, tell);
  const stored = await storeTheStudy(parts, study, tell);
  if (stored === 0) ended.stop();
  const taskIds = await ended.taskIds;
  const analyses = await Promise.all(taskIds.map((id) => readAnalysis(parts, id)));
  return { label: study.label, studyInstanceUid: study.exam.studyInstanceUid, analyses, stages };
}

type Tell = (mark: string, stage: string, detail: string, ms: number) => void;

async function sendTheOrder({ server, timeline }: DemoParts, study: DemoStudy, tell: Tell): Promise<void> {
  if (study.exam.accession === '' || study.exam.patientId === '') {
    tell(
      yellow('●'),
      'no order',
      'the files have no accession number or patient id: the study stays unmatched',
      0,
    );
    return;
  }
  const controlId = `DEMO${Date.now().toString(36)}${timeline.entries.length}`.slice(0, 20).toUpperCase();
  const before = performance.now();
  const answer = await sendOrder(
    server.app.get(InletListener).port,
    orderMessage(study.exam, controlId, new Date()),
  );
  const code = /\rMSA\|(\w\w)/.exec(answer.toString('utf8'))?.[1] ?? 'no answer';
  tell(
    code === 'AA' ? green('●') : red('●'),
    'order filed',
    `OMI^O23 ${study.exam.accession}, answered ${code}`,
    performance.now() - before,
  );
}

async function storeTheStudy({ pacs }: DemoParts, study: DemoStudy, tell: Tell): Promise<number> {
  // Read or drawn first: a pause of the sender in the middle of a study would look like its end.
  const files: Uint8Array[] = [];
  for await (const file of study.files()) {
    files.push(file);
    progress('preparing', files.length, study.instances);
    await setImmediate(); // the server lives in this process and wants its turn
  }
  const before = performance.now();
  const result = await storeInstances(pacs, files);
  const reasons = [
    ...new Set(result.failed.map((one) => `0x${one.reason.toString(16).padStart(4, '0')}`)),
  ].join(', ');
  const failed =
    result.failed.length > 0 ? red(`, ${result.failed.length} refused (failure reason ${reasons})`) : '';
  const mark = result.stored.length > 0 ? green('●') : red('✗');
  tell(
    mark,
    'study stored',
    `STOW-RS, ${result.stored.length} instances${failed}`,
    performance.now() - before,
  );
  return result.stored.length;
}

/** Follows the steps of one study until each analysis has ended and its message was acknowledged. Gives the ids of the Tasks. */
function followStudy({ server }: DemoParts, studyInstanceUid: string, tell: Tell): Followed {
  let stopNow = () => {};
  const taskIds = new Promise<string[]>((resolve) => {
    const thread = new StudyThread(studyInstanceUid);
    let settled: NodeJS.Timeout | undefined;
    const stop = server.app.get(FlowRunner).watch((ended) => {
      if (!thread.takes(ended)) return;
      tellStep(ended, tell);
      clearTimeout(settled);
      if (ended.step === 'study' && ended.end === 'done')
        setTimeout(() => thread.taskIds.length === 0 && end(), UNASKED_MS);
      // Another model may just be starting: a moment of quiet decides.
      if (thread.isOver()) settled = setTimeout(end, SETTLED_MS);
    });
    const patience = setTimeout(end, PATIENCE_MS);
    function end(): void {
      clearTimeout(patience);
      stop();
      resolve(thread.taskIds);
    }
    stopNow = end;
  });
  return { taskIds, stop: stopNow };
}

interface Followed {
  /** Empty when no model was asked to look: there is no Subscription for the study. */
  readonly taskIds: Promise<string[]>;
  stop(): void;
}

const STAGES: Record<string, string> = {
  study: 'study available',
  analysis: 'subscription fired',
  quality: 'gate passed',
  inference: 'model ran',
  findings: 'findings coded',
  report: 'report written',
  'ris-message': 'ORU written',
  'ris-send': 'ORU acknowledged',
  'pacs-objects': 'SR, SEG made',
  'pacs-store': 'stored in PACS',
};

function tellStep(ended: StepEnded, tell: Tell): void {
  if (ended.end === 'refused') {
    tell(red('✗'), 'refused', red(ended.why ?? ''), ended.ms);
    return;
  }
  if (ended.end === 'skipped') {
    tell(dim('○'), `${ended.step} skipped`, dim(ended.why ?? ''), ended.ms);
    return;
  }
  tell(green('●'), STAGES[ended.step] ?? ended.step, describe(ended), ended.ms);
}

function describe({ step, next }: StepEnded): string {
  const fields = (next ?? {}) as Record<string, unknown>;
  switch (step) {
    case 'study':
      return `ImagingStudy/${fields['imagingStudyId']}`;
    case 'analysis':
      return `Subscription asks for ${cyan(String(fields['model']))}`;
    case 'quality': {
      const warnings = fields['warnings'] as unknown[];
      return `${(fields['sopInstanceUids'] as unknown[]).length} images chosen${warnings.length > 0 ? yellow(`, ${warnings.length} warning(s)`) : ''}`;
    }
    case 'inference':
      return `model itself ${formatMs(Number(fields['inferenceMs']))}`;
    case 'findings':
      return `${(fields['findings'] as unknown[]).length} findings with codes`;
    case 'report':
      return `DiagnosticReport/${fields['diagnosticReportId']}`;
    default:
      return '';
  }
}

async function readAnalysis({ server, ris, token }: DemoParts, taskId: string): Promise<AnalysisResult> {
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${server.url}/fhir/${path}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await response.json()) as T;
  };
  const task = await get<Task>(`Task/${taskId}`);
  const reference = task.output?.find((output) => output.type?.text === 'report')?.valueReference?.reference;
  const report = reference ? await get<DiagnosticReport>(reference) : null;
  const observations = await Promise.all(
    (report?.result ?? []).map((result) => get<Observation>(String(result.reference))),
  );
  const filler =
    report?.identifier?.find((identifier) => identifier.system?.endsWith('/filler'))?.value ?? '\0';
  const message = ris.messages.findLast((one) => one.includes(filler));
  const ack = message ? ris.acknowledgements.get(fieldOf(message, 'MSH', 10)) : undefined;
  return {
    task,
    report,
    observations,
    oru: message?.toString('utf8') ?? null,
    ack: ack?.toString('utf8') ?? null,
  };
}
