import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { forbidTelemetry } from '../src/config/forbid-telemetry.ts';
import { readSettings, type Settings } from '../src/config/settings.ts';
import { PixelWorkers } from '../src/dicom/pixel-workers.ts';
import { checkModel, type ModelRefusal, type RegisteredModel } from '../src/governance/check-model.ts';
import { inspectApart } from '../src/governance/inspect-apart.ts';
import { ModelRegister } from '../src/governance/model-register.ts';
import { manifestPath } from '../src/governance/read-manifest.ts';
import { Failure } from '../src/kernel/errors.ts';
import { OnnxEngine } from '../src/steps/inference/engines/onnx-engine.ts';
import { OpenInferenceProtocol } from '../src/steps/inference/engines/open-inference-protocol.ts';
import { InferenceEngines } from '../src/steps/inference/inference-engines.ts';
import { TensorReader } from '../src/steps/inference/tensor-reader.ts';
import type { GoldenKit } from './run-golden-case.ts';

/** What a model is run with: the same parts that the server has. */
export interface ModelKit extends GoldenKit {
  readonly settings: Settings;
  readonly remote: OpenInferenceProtocol;
}

/** Opens the kit, does the work, closes it however the work ends. */
export async function withKit<T>(work: (kit: ModelKit) => Promise<T>): Promise<T> {
  forbidTelemetry();
  const settings = readSettings();
  const workers = new PixelWorkers();
  const remote = new OpenInferenceProtocol({ hosts: settings.INFERENCE_HOSTS });
  const engines = new InferenceEngines([
    new OnnxEngine({
      intraOpNumThreads: settings.INFERENCE_THREADS || availableParallelism(),
      runsMax: 1,
      executionProviders: settings.INFERENCE_PROVIDERS,
      isolation: settings.INFERENCE_ISOLATION,
    }),
    remote,
  ]);
  try {
    return await work({ settings, engines, remote, tensors: new TensorReader(workers) });
  } finally {
    await Promise.all([engines.close(), workers.close()]);
  }
}

/** Where the server looks for models: the project's, those taken in, and those of PRELIM_MODELS. */
const modelFolders = (settings: Settings) => ({
  own: [join(projectFolder(), 'models'), join(settings.PRELIM_DATA, 'models')],
  required: settings.PRELIM_MODELS,
});

export const readRegister = (settings: Settings): Promise<ModelRegister> =>
  ModelRegister.read(modelFolders(settings), inspectApart);

/** A model by folder, `<id>` or `<id>@<version>`. Throws `model.unknown`, with what is wrong where it is refused. */
export async function findModel(name: string, settings: Settings): Promise<RegisteredModel> {
  if (existsSync(name) && (await manifestPath(name)) !== null) {
    const model = await checkModel(resolve(name), inspectApart);
    if ('faults' in model) throw refused(model);
    return model;
  }
  const register = await readRegister(settings);
  const model = register.get(name);
  if (model) return model;
  const not = [...register.refusals(), ...register.absent()].find(
    ({ id, version }) => id === name || `${id}@${version}` === name,
  );
  if (not) throw refused(not);
  const names = register.list().map(({ ref }) => ref);
  throw new Failure(
    'model.unknown',
    `There is no model ${name}. There are: ${names.join(', ') || 'none'}; or name a folder with a manifest.`,
  );
}

function refused({ faults }: ModelRefusal): Failure {
  const text = faults.map(({ at, text }) => `${at ?? ''}  ${text}`).join('\n  ');
  return new Failure('model.unknown', `The model may not run:\n  ${text}`);
}

/** The folder with package.json above this file, whether it runs from the sources or from a build. */
function projectFolder(): string {
  let folder = import.meta.dirname;
  while (!existsSync(join(folder, 'package.json')) && resolve(folder, '..') !== folder)
    folder = resolve(folder, '..');
  return folder;
}
