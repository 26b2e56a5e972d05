import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { forbidTelemetry } from '../src/config/forbid-telemetry.ts';
import { readSettings, type Settings } from '../src/config/settings.ts';
import { PixelWorkers } from '../src/dicom/pixel-workers.ts';
import { checkModel, type RegisteredModel } from '../src/governance/check-model.ts';
import { findModelFolders } from '../src/governance/find-model-folders.ts';
import { inspectAndRelease } from '../src/governance/inspect-model.ts';
import { CODE_SYSTEMS } from '../src/kernel/code-systems.ts';
import { OnnxEngine } from '../src/steps/inference/engines/onnx-engine.ts';
import { OpenInferenceProtocol } from '../src/steps/inference/engines/open-inference-protocol.ts';
import { InferenceEngines } from '../src/steps/inference/inference-engines.ts';
import { TensorReader } from '../src/steps/inference/tensor-reader.ts';
import { ConceptMaps } from '../src/terminology/concept-maps.ts';
import { type GoldenKit, type GoldenResult, isGood, runGoldenCase } from './run-golden-case.ts';

forbidTelemetry();

/**
 * `node scripts/check-model.ts <folder>`: the verdict on one model, or on each model under a folder, with all faults at once; of a model that
 * may run, its golden cases are run too. Ends with 0 when every model may run and every case is within its tolerance, 1 when
 * one is not, 2 when there is none, or the settings are wrong.
 */
const folder = process.argv[2];
if (folder === undefined) {
  console.error('usage: node scripts/check-model.ts <folder with a manifest.yaml, or with models>');
  process.exit(2);
}
const folders = await findModelFolders(resolve(folder));
if (folders === null || folders.length === 0) {
  console.error('there is no manifest in or under this folder');
  process.exit(2);
}
const settings = readSettingsOrEnd();
const workers = new PixelWorkers();
const engines = new InferenceEngines([
  new OnnxEngine({ intraOpNumThreads: settings.INFERENCE_THREADS || availableParallelism(), runsMax: 1 }),
  new OpenInferenceProtocol({ hosts: settings.INFERENCE_HOSTS }),
]);
const kit: GoldenKit = { engines, tensors: new TensorReader(workers) };
let faults = 0;
for (const path of folders) {
  const model = await checkModel(path, inspectAndRelease);
  if ('faults' in model) {
    faults++;
    console.log(`REFUSED  ${model.id ?? path}${model.version ? `@${model.version}` : ''}`);
    for (const { at, text } of model.faults) console.log(`  ${at ?? ''}  ${text}`);
  } else {
    printModel(model);
    faults += await runGoldenCases(model);
  }
}
await Promise.all([engines.close(), workers.close()]);
process.exit(faults > 0 ? 1 : 0);

/** The engines take threads, providers and hosts from the settings. */
function readSettingsOrEnd(): Settings {
  try {
    return readSettings();
  } catch (error) {
    console.error((error as Error).message);
    return process.exit(2);
  }
}

function printModel({ ref, manifest }: RegisteredModel): void {
  const maps = ConceptMaps.shipped();
  console.log(`MAY RUN  ${ref}  ${manifest.title}`);
  for (const { key, label } of manifest.findings) {
    const codes = maps.codesOf(CODE_SYSTEMS.finding, key).filter(({ code }) => code !== null);
    const text = codes.map(({ system, code, match }) => `${system}|${code} (${match})`).join(', ');
    console.log(`  ${key} "${label}": ${text || 'no code in any system: reports carry the text only'}`);
  }
}

/** Gives the number of cases that are not as the manifest says. */
async function runGoldenCases(model: RegisteredModel): Promise<number> {
  const { golden = [] } = model.manifest;
  let wrong = 0;
  for (const one of golden) {
    const result = await runGoldenCase(model, one, kit);
    printCase(result);
    if (!isGood(result)) wrong++;
  }
  if (golden.length === 0)
    console.log('  no golden cases: nothing shows that the numbers are the ones meant');
  return wrong;
}

function printCase(result: GoldenResult): void {
  const { name, values, fault, ms } = result;
  console.log(`  ${isGood(result) ? 'golden ok   ' : 'golden FAILS'} ${name} (${(ms / 1000).toFixed(1)} s)`);
  if (fault !== null) console.log(`    ${fault}`);
  for (const { key, expected, tolerance, got, isWithin } of values) {
    const verdict = isWithin ? 'ok' : 'outside';
    console.log(`    ${key}: expected ${expected} ± ${tolerance}, got ${got ?? 'no number'}: ${verdict}`);
  }
}
