import type { RunningEngine } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Engine } from './engines/engine.ts';

/** The engines of this process, one per kind. */
export class InferenceEngines {
  private readonly engines: readonly Engine[];

  constructor(engines: readonly Engine[]) {
    this.engines = engines;
  }

  /** Throws `inference.engine-unavailable` when this process has none of the kind. */
  of(kind: RunningEngine['kind']): Engine {
    const engine = this.engines.find((candidate) => candidate.kind === kind);
    if (engine) return engine;
    throw new Failure('inference.engine-unavailable', `No engine of kind ${kind} is set up in this process.`);
  }

  /** Lets runs end and gives their memory back. */
  async close(): Promise<void> {
    await Promise.all(this.engines.map((engine) => engine.close()));
  }
}
