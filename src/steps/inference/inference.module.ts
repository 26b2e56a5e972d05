import { availableParallelism } from 'node:os';
import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { OnnxEngine } from './engines/onnx-engine.ts';
import { OpenInferenceProtocol } from './engines/open-inference-protocol.ts';
import { engineModel, InferenceStep } from './inference.step.ts';
import { InferenceEngines } from './inference-engines.ts';
import { EvidenceKeeper } from './keep-evidence.ts';
import { KeyPictures } from './key-pictures.ts';
import { TensorReader } from './tensor-reader.ts';

/** Pixel workers, engines and the step that uses them. */
@Module({
  imports: [FhirModule, GovernanceModule],
  providers: [
    { provide: PixelWorkers, useFactory: () => new PixelWorkers() },
    {
      provide: OnnxEngine,
      inject: [SETTINGS],
      useFactory: (settings: Settings) =>
        new OnnxEngine({
          intraOpNumThreads: settings.INFERENCE_THREADS || availableParallelism(),
          runsMax: settings.INFERENCE_RUNS_MAX,
          executionProviders: settings.INFERENCE_PROVIDERS,
          sessionsMax: settings.INFERENCE_SESSIONS_MAX,
          isolation: settings.INFERENCE_ISOLATION,
          batchMax: settings.INFERENCE_BATCH_MAX,
        }),
    },
    {
      provide: InferenceEngines,
      inject: [OnnxEngine, SETTINGS],
      useFactory: (onnx: OnnxEngine, settings: Settings) =>
        new InferenceEngines([onnx, new OpenInferenceProtocol({ hosts: settings.INFERENCE_HOSTS })]),
    },
    TensorReader,
    KeyPictures,
    EvidenceKeeper,
    InferenceStep,
  ],
  exports: [InferenceStep],
})
export class InferenceModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    private readonly models: ModelRegister,
    private readonly onnx: OnnxEngine,
    private readonly engines: InferenceEngines,
    private readonly workers: PixelWorkers,
  ) {}

  /** Loads what this process will run, beside everything else: the first study does not wait for it. A fault shows when it runs. */
  onApplicationBootstrap(): void {
    if (!this.settings.PRELIM_ROLES.includes('worker')) return;
    const own = this.models.list().map(engineModel);
    for (const model of own
      .filter(({ engine }) => engine.kind === 'onnx')
      .slice(0, this.settings.INFERENCE_SESSIONS_MAX)) {
      this.onnx.warm(model).catch(() => undefined);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.engines.close(), this.workers.close()]);
  }
}
