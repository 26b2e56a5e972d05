import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { datasetToJson } from '../src/dicom/dataset-to-json.ts';
import { jsonString } from '../src/dicom/json-values.ts';
import { readInstanceHead } from '../src/dicom/read-instance-head.ts';
import type { DicomJson } from '../src/dicom/study-source.ts';
import { verdictText } from '../src/governance/analysis-task.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import { Failure } from '../src/kernel/errors.ts';
import type { Finding, GateVerdict } from '../src/kernel/handoffs.ts';
import { outputsToFindings } from '../src/steps/findings/outputs-to-findings.ts';
import type { EngineResult } from '../src/steps/inference/engines/engine.ts';
import { engineModel, READ_TIME_LIMIT_MS } from '../src/steps/inference/inference.step.ts';
import { readResults } from '../src/steps/inference/read-results.task.ts';
import { outputNames, pictureNumbers, pictureRegions } from '../src/steps/inference/result-pictures.ts';
import { smallOutputs } from '../src/steps/inference/small-outputs.ts';
import type { ModelTensors } from '../src/steps/inference/tensor-reader.ts';
import { chooseSeries } from '../src/steps/quality/choose-series.ts';
import type { GoldenKit } from './run-golden-case.ts';

/** How a study ended that was sent through all stages. */
export type Analysed =
  | { readonly kind: 'findings'; readonly findings: readonly Finding[]; readonly head: DicomJson }
  /** `stage`: where; `rules`: who said no. */
  | { readonly kind: 'refused'; readonly stage: Stage; readonly verdicts: readonly GateVerdict[] };

export type Stage = 'gate' | 'pixels' | 'findings';

/** Told while the study goes: what each stage made, and its time. */
export interface Watch {
  gate?(passed: readonly string[], warnings: readonly GateVerdict[], ms: number): void;
  pixels?(tensors: ModelTensors, ms: number): void | Promise<void>;
  engine?(result: EngineResult, ms: number): void | Promise<void>;
  findings?(findings: readonly Finding[], ms: number): void;
}

/** The one study of a folder, through all stages. Throws `dicom.several-studies`, and what `analyseStudy` throws. */
export async function analyseFolder(
  model: RegisteredModel,
  folder: string,
  kit: GoldenKit,
  watch: Watch = {},
): Promise<Analysed> {
  const [study, ...others] = await studiesIn(folder);
  if (!study || others.length > 0)
    throw new Failure(
      'dicom.several-studies',
      `The folder has ${others.length + 1} studies, and a model looks at one at a time.`,
    );
  return analyseStudy(model, study, kit, watch);
}

/** Files of one study, by SOP Instance UID. */
export type StudyFiles = ReadonlyMap<string, HeadOfFile>;

/**
 * The way of a study from DICOM files to findings, as the server's steps go it, without their records. Throws what reading and running throw.
 */
export async function analyseStudy(
  { manifest, ...model }: RegisteredModel,
  files: StudyFiles,
  { tensors, engines }: GoldenKit,
  watch: Watch = {},
): Promise<Analysed> {
  const clock = stopwatch();
  const heads = [...files.values()].map(({ head }) => head);
  const choice = chooseSeries(heads, manifest);
  if (choice.kind === 'refused') return { kind: 'refused', stage: 'gate', verdicts: choice.refusals };
  const chosen = choice.sopInstanceUids.map((uid) => files.get(uid) as HeadOfFile);
  const paths = chosen.map(({ path }) => path);
  watch.gate?.(paths, choice.warnings, clock());
  const read = await tensors.read({ paths, manifest, timeLimitMs: READ_TIME_LIMIT_MS });
  await watch.pixels?.(read, clock());
  const { verdict } = read;
  if (verdict && !manifest.warn_only?.includes(verdict.rule))
    return { kind: 'refused', stage: 'pixels', verdicts: [verdict] };
  clock();
  const engine = engineModel({ manifest, ...model });
  const result = await engines.of(engine.engine.kind).run({
    model: engine,
    inputs: read.inputs,
    outputs: outputNames(manifest.outputs),
    timeLimitMs: manifest.running.time_limit_ms,
  });
  await watch.engine?.(result, clock());
  read.release();
  clock();
  const pictures = readResults({ outputs: manifest.outputs, results: result.outputs, place: read.place });
  const numbers = { ...smallOutputs(manifest.outputs, result.outputs), ...pictureNumbers(pictures) };
  const uids = choice.sopInstanceUids;
  const found = outputsToFindings(manifest, numbers, pictureRegions(pictures, read.frames, uids));
  if (found.kind === 'refused') return { kind: 'refused', stage: 'findings', verdicts: found.refusals };
  watch.findings?.(found.findings, clock());
  return { kind: 'findings', findings: found.findings, head: chosen[0]?.head ?? {} };
}

export const refusalText = ({ verdicts }: Extract<Analysed, { kind: 'refused' }>): string =>
  `refused: ${verdicts.map(verdictText).join('; ')}`;

/** Each call gives the milliseconds since the one before. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const ms = now - last;
    last = now;
    return ms;
  };
}

export interface HeadOfFile {
  readonly path: string;
  readonly head: DicomJson;
}

/**
 * The studies of a folder, in the order of its files: images of two patients are never one study. Other files (a note, a licence) may lie beside
 * them; of two files of one instance the first is taken, as an archive does, and `repeated` is told of the other. Throws `dicom.not-dicom`.
 */
export async function studiesIn(
  folder: string,
  repeated: () => void = () => undefined,
): Promise<StudyFiles[]> {
  const found = await stat(folder).catch(() => null);
  if (found === null) throw new Failure('dicom.not-dicom', NO_FILES);
  const entries = found.isFile() ? [] : await readdir(folder, { withFileTypes: true, recursive: true });
  const paths = found.isFile()
    ? [folder]
    : entries.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const studies = new Map<string, Map<string, HeadOfFile>>();
  for (const path of paths.sort()) {
    const head = await headOf(path);
    const uid = head && jsonString(head, '00080018');
    if (!head || !uid) continue;
    const study = jsonString(head, '0020000D') ?? '';
    const files = studies.get(study) ?? new Map<string, HeadOfFile>();
    if (files.has(uid)) repeated();
    else files.set(uid, { path, head });
    studies.set(study, files);
  }
  if (studies.size === 0) throw new Failure('dicom.not-dicom', NO_FILES);
  return [...studies.values()];
}

const NO_FILES = 'There is no such folder, or no DICOM file in it.';

async function headOf(path: string): Promise<DicomJson | null> {
  try {
    return datasetToJson((await readInstanceHead(path)).dataset);
  } catch (error) {
    if (error instanceof Failure && error.code === 'dicom.not-dicom') return null;
    throw error;
  }
}
