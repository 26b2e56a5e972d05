import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { enhancedFile } from '../models/phantom/enhanced-file.ts';
import { phantomOfRecipe } from '../models/phantom/make-phantom.ts';
import { phantomFile } from '../models/phantom/phantom-file.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import type { GoldenCase } from '../src/governance/manifest.ts';
import { Failure } from '../src/kernel/errors.ts';
import type { Finding } from '../src/kernel/handoffs.ts';
import type { InferenceEngines } from '../src/steps/inference/inference-engines.ts';
import type { TensorReader } from '../src/steps/inference/tensor-reader.ts';
import { analyseFolder, refusalText } from './model-analyse.ts';

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
    const analysed = await analyseFolder(model, own ?? resolve(model.folder, golden.files ?? ''), kit);
    if (analysed.kind === 'refused') return end([], refusalText(analysed));
    return end(valuesOf(golden, analysed.findings), null);
  } catch (error) {
    if (error instanceof Failure) return end([], `${error.code}: ${error.message}`);
    if (error instanceof RangeError) return end([], error.message);
    throw error;
  } finally {
    if (own) await rm(own, { recursive: true, force: true });
  }
}

/** Files by their place in the series; the names sort as the slices do. An enhanced phantom is one file. */
async function writePhantom(
  recipe: Readonly<Record<string, number | string>>,
  folder: string,
): Promise<void> {
  const phantom = phantomOfRecipe(recipe);
  if (phantom.options.form === 'enhanced') {
    await writeFile(join(folder, 'enhanced.dcm'), enhancedFile([...phantom.slices()]));
    return;
  }
  for (const { index, attributes, stored } of phantom.slices()) {
    await writeFile(join(folder, `${String(index).padStart(4, '0')}.dcm`), phantomFile(attributes, stored));
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
