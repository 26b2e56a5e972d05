import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { phantomOfRecipe } from '../models/phantom/make-phantom.ts';
import { phantomFile } from '../models/phantom/phantom-file.ts';
import { datasetToJson } from '../src/dicom/dataset-to-json.ts';
import { jsonString } from '../src/dicom/json-values.ts';
import { readInstanceHead } from '../src/dicom/read-instance-head.ts';
import type { DicomJson } from '../src/dicom/study-source.ts';
import { verdictText } from '../src/governance/analysis-task.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import type { GoldenCase } from '../src/governance/manifest.ts';
import { Failure } from '../src/kernel/errors.ts';
import type { Finding } from '../src/kernel/handoffs.ts';
import { outputsToFindings } from '../src/steps/findings/outputs-to-findings.ts';
import { engineModel, READ_TIME_LIMIT_MS } from '../src/steps/inference/inference.step.ts';
import type { InferenceEngines } from '../src/steps/inference/inference-engines.ts';
import { smallOutputs } from '../src/steps/inference/small-outputs.ts';
import type { TensorReader } from '../src/steps/inference/tensor-reader.ts';
import { chooseSeries } from '../src/steps/quality/choose-series.ts';

export interface GoldenResult {
  readonly name: string;
  readonly values: readonly GoldenValue[];
  /** Why there are no values: refused by the gate, or a failure by its code. */
  readonly fault: string | null;
  readonly ms: number;
}

export interface GoldenValue {
  readonly key: string;
  readonly expected: number;
  readonly tolerance: number;
  /** null: the model gives no number for this finding. */
  readonly got: number | null;
  readonly isWithin: boolean;
}

/** What a case is run with: the same parts that the server has. */
export interface GoldenKit {
  readonly tensors: TensorReader;
  readonly engines: InferenceEngines;
}

export const isGood = ({ fault, values }: GoldenResult): boolean =>
  fault === null && values.every(({ isWithin }) => isWithin);

/**
 * Runs one golden case the way a study goes: the gate over the headers, pixels, engine, findings. A phantom is written as files
 * first, so that nothing is spared. Never throws for a case that fails: its fault says why.
 */
export async function runGoldenCase(
  model: RegisteredModel,
  golden: GoldenCase,
  kit: GoldenKit,
): Promise<GoldenResult> {
  const start = performance.now();
  const end = (values: readonly GoldenValue[], fault: string | null): GoldenResult => ({
    name: golden.name,
    values,
    fault,
    ms: Math.round(performance.now() - start),
  });
  const own = golden.phantom ? await mkdtemp(join(tmpdir(), 'golden-')) : null;
  try {
    if (own) await writePhantom(golden.phantom ?? {}, own);
    const findings = await analyse(model, own ?? resolve(model.folder, golden.files ?? ''), kit);
    if (typeof findings === 'string') return end([], findings);
    return end(valuesOf(golden, findings), null);
  } catch (error) {
    if (error instanceof Failure) return end([], `${error.code}: ${error.message}`);
    if (error instanceof RangeError) return end([], error.message);
    throw error;
  } finally {
    if (own) await rm(own, { recursive: true, force: true });
  }
}

/** Files by their place in the series; the names sort as the slices do. */
async function writePhantom(
  recipe: Readonly<Record<string, number | string>>,
  folder: string,
): Promise<void> {
  for (const { index, attributes, stored } of phantomOfRecipe(recipe).slices()) {
    await writeFile(join(folder, `${String(index).padStart(4, '0')}.dcm`), phantomFile(attributes, stored));
  }
}

/** The findings; or, as text, why the gate or the plausible ranges refuse. */
async function analyse(
  model: RegisteredModel,
  folder: string,
  { tensors, engines }: GoldenKit,
): Promise<readonly Finding[] | string> {
  const { manifest } = model;
  const files = await readHeads(folder);
  if (files === null) return 'there is no such folder, or no DICOM file in it';
  const choice = chooseSeries(
    [...files.values()].map(({ head }) => head),
    manifest,
  );
  if (choice.kind === 'refused') return `refused: ${choice.refusals.map(verdictText).join('; ')}`;
  const paths = choice.sopInstanceUids.map((uid) => files.get(uid)?.path ?? '');
  const read = await tensors.read({ paths, manifest, timeLimitMs: READ_TIME_LIMIT_MS });
  const { verdict } = read;
  if (verdict && !manifest.warn_only?.includes(verdict.rule)) return `refused: ${verdictText(verdict)}`;
  const outputs = manifest.outputs.filter(({ kind }) => kind !== 'mask');
  const result = await engines.of(engineModel(model).engine.kind).run({
    model: engineModel(model),
    inputs: read.inputs,
    outputs: outputs.map(({ name }) => name),
    timeLimitMs: manifest.running.time_limit_ms,
  });
  read.release();
  const found = outputsToFindings(manifest, smallOutputs(outputs, result.outputs));
  return found.kind === 'refused' ? `refused: ${found.refusals.map(verdictText).join('; ')}` : found.findings;
}

interface HeadOfFile {
  readonly path: string;
  readonly head: DicomJson;
}

/** By SOP Instance UID. Other files (a note, a licence) may lie beside the images. */
async function readHeads(folder: string): Promise<ReadonlyMap<string, HeadOfFile> | null> {
  if (!(await stat(folder).catch(() => null))?.isDirectory()) return null;
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const heads = new Map<string, HeadOfFile>();
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const head = await headOf(path);
    const uid = head && jsonString(head, '00080018');
    if (head && uid) heads.set(uid, { path, head });
  }
  return heads.size > 0 ? heads : null;
}

async function headOf(path: string): Promise<DicomJson | null> {
  try {
    return datasetToJson((await readInstanceHead(path)).dataset);
  } catch (error) {
    if (error instanceof Failure && error.code === 'dicom.not-dicom') return null;
    throw error;
  }
}

/** A measurement's value, a presence finding's score. */
function valuesOf(golden: GoldenCase, findings: readonly Finding[]): GoldenValue[] {
  return Object.entries(golden.expect).map(([key, { value: expected, tolerance }]) => {
    const finding = findings.find((one) => one.key === key);
    const got = finding?.value ?? finding?.score ?? null;
    return { key, expected, tolerance, got, isWithin: got !== null && Math.abs(got - expected) <= tolerance };
  });
}
