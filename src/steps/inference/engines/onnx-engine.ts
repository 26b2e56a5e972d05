import type { ModelFile, ModelGraph } from '../../../governance/inspect-model.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { Engine, EngineModel, EngineRequest, EngineResult } from './engine.ts';
import { OnnxSession } from './onnx-session.ts';

export interface OnnxEngineOptions {
  /** Threads that one run computes with. */
  readonly intraOpNumThreads: number;
  /** Runs at the same time, over all models. */
  readonly runsMax: number;
  /** `['cuda', 'cpu']` on a machine with a GPU. */
  readonly executionProviders?: readonly string[];
  /** Sessions kept in memory, over all models; the one unused for longest makes room. */
  readonly sessionsMax?: number;
  /** Timed-out runs that may still be computing before new work is turned away. */
  readonly stuckMax?: number;
}

/** ONNX Runtime in this process: each warm session in a thread of its own, so that the main thread never computes. */
export class OnnxEngine implements Engine {
  readonly kind = 'onnx';
  private readonly options: Required<OnnxEngineOptions>;
  /** Least recently used first. */
  private sessions: Held[] = [];
  private waiting: (() => void)[] = [];
  private running = 0;
  private closed = false;

  constructor(options: OnnxEngineOptions) {
    this.options = {
      executionProviders: ['cpu'],
      sessionsMax: SESSIONS_WARM_MAX,
      stuckMax: RUNS_STUCK_MAX,
      ...options,
    };
  }

  async run(request: EngineRequest): Promise<EngineResult> {
    const held = await this.take(request.model);
    try {
      held.session ??= await this.start(request.model);
      return await held.session.run(request);
    } finally {
      this.giveBack(held);
    }
  }

  /** Loads the model, runs nothing, keeps the session: the first study does not pay for it. Says what the graph takes and gives. */
  async warm(model: EngineModel): Promise<ModelGraph> {
    const held = await this.take(model);
    try {
      held.session ??= await this.start(model);
      return held.session.graph;
    } finally {
      this.giveBack(held);
    }
  }

  /** `warm` in the form that the model register asks for: each file is loaded once at start and stays. */
  readonly inspect = ({ ref, path, manifest }: ModelFile): Promise<ModelGraph> =>
    this.warm({
      key: ref,
      version: manifest.version,
      file: path,
      engine: { kind: 'onnx' },
      concurrencyMax: 1,
    });

  async close(): Promise<void> {
    this.closed = true;
    this.wakeAll();
    await Promise.all(this.sessions.map((held) => held.session?.close(CLOSE_WAIT_MS)));
    this.sessions = [];
  }

  /** A place to run this model, waiting for one if need be. The place may still be without its session. */
  private async take(model: EngineModel): Promise<Held> {
    for (;;) {
      if (this.closed)
        throw new Failure(
          'inference.engine-unavailable',
          'The engine is closing; the step runs again later.',
        );
      this.sessions = this.sessions.filter((held) => held.session?.state !== 'gone');
      this.refuseWhenStuck();
      const held = this.running < this.options.runsMax ? this.freePlace(model) : null;
      if (held) {
        held.taken = true;
        this.running++;
        return held;
      }
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  private freePlace(model: EngineModel): Held | null {
    const own = this.sessions.filter((held) => held.key === model.key && held.session?.state !== 'stuck');
    const idle = own.find((held) => !held.taken);
    if (idle) return idle;
    if (own.length >= model.concurrencyMax) return null;
    if (this.sessions.length >= this.options.sessionsMax) {
      const oldest = this.sessions.find((held) => !held.taken && held.session?.state === 'idle');
      if (oldest) this.drop(oldest);
    }
    const held: Held = { key: model.key, session: null, taken: false };
    this.sessions.push(held);
    return held;
  }

  private giveBack(held: Held): void {
    held.taken = false;
    this.running--;
    this.sessions = this.sessions.filter((other) => other !== held);
    // Stuck sessions stay counted until their thread has ended; one that never loaded leaves no trace.
    if (held.session && held.session.state !== 'gone') this.sessions.push(held);
    this.wakeAll();
  }

  private refuseWhenStuck(): void {
    const stuck = this.sessions.filter((held) => held.session?.state === 'stuck').length;
    if (stuck < this.options.stuckMax) return;
    throw new Failure(
      'inference.engine-stuck',
      `${stuck} runs outlived their time limit and still compute; no new one starts until one of them ends.`,
    );
  }

  private drop(held: Held): void {
    this.sessions = this.sessions.filter((other) => other !== held);
    void held.session?.close(CLOSE_WAIT_MS);
  }

  private wakeAll(): void {
    const waiting = this.waiting;
    this.waiting = [];
    for (const wake of waiting) wake();
  }

  private start(model: EngineModel): Promise<OnnxSession> {
    const { intraOpNumThreads, executionProviders } = this.options;
    return OnnxSession.start({ file: model.file, intraOpNumThreads, executionProviders });
  }
}

interface Held {
  readonly key: string;
  session: OnnxSession | null;
  taken: boolean;
}

/** Enough for every model of a department; a session of a chest X-ray model holds some 10 to 500 MB. */
export const SESSIONS_WARM_MAX = 8;
/** Two lost runs on a machine are a fault of the machine or of a model, and more would take all processors. */
export const RUNS_STUCK_MAX = 2;
/** A run that is going on when the process ends is given this long. */
export const CLOSE_WAIT_MS = 10_000;
