import type { ModelFile, ModelGraph } from '../../../governance/inspect-model.ts';
import { Failure } from '../../../kernel/errors.ts';
import { BATCH_BYTES_MAX, bytesOf, fitsTogether, joinRequests, splitResult } from './batch-tensors.ts';
import type { Engine, EngineModel, EngineRequest, EngineResult } from './engine.ts';
import { processHost, threadHost } from './onnx-host.ts';
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
  /** Timed-out runs that may still be computing before new work is turned away: threads only, a process is killed. */
  readonly stuckMax?: number;
  /** A process per session survives a crash and a time-out of the model; a thread shares this process's fate. */
  readonly isolation?: 'process' | 'thread';
  /** Waiting images of one model computed in one run, where a trial shows that this changes no number. 1: never. */
  readonly batchMax?: number;
}

/** ONNX Runtime on this machine: each warm session in a process (or thread) of its own, so that the main thread never computes. */
export class OnnxEngine implements Engine {
  readonly kind = 'onnx';
  private readonly options: Required<OnnxEngineOptions>;
  /** Least recently used first. */
  private sessions: Held[] = [];
  private waiting: (() => void)[] = [];
  /** Requests without a session yet, by model. */
  private readonly asked = new Map<string, Asked[]>();
  private running = 0;
  private closed = false;

  constructor(options: OnnxEngineOptions) {
    this.options = {
      executionProviders: ['cpu'],
      sessionsMax: SESSIONS_WARM_MAX,
      stuckMax: RUNS_STUCK_MAX,
      isolation: 'process',
      batchMax: 1,
      ...options,
    };
  }

  run(request: EngineRequest): Promise<EngineResult> {
    const { key } = request.model;
    return new Promise((resolve, reject) => {
      const queue = this.asked.get(key) ?? [];
      queue.push({ request, resolve, reject });
      this.asked.set(key, queue);
      // As many tries as requests: a place that finds its request computed already is given back.
      this.runNext(request.model).catch((error: unknown) => {
        // Its own request, or, when another place has that in hand, the one that now has no place left.
        const own = queue.findIndex((asked) => asked.request === request);
        for (const asked of queue.splice(Math.max(own, 0), 1)) asked.reject(error);
      });
    });
  }

  /** What is loaded now: for metrics and tests. */
  sessionsNow(): readonly { readonly key: string; readonly pid: number | null; readonly state: string }[] {
    return this.sessions.flatMap(({ key, session }) =>
      session ? [{ key, pid: session.pid, state: session.state }] : [],
    );
  }

  private async runNext(model: EngineModel): Promise<void> {
    const held = await this.take(model);
    try {
      if (!this.asked.get(model.key)?.length) return;
      held.session ??= await this.start(model);
      const asked = this.nextBatch(model.key, held.session.batches);
      if (asked.length > 0) await answer(held.session, asked);
    } finally {
      this.giveBack(held);
    }
  }

  /** The request that has waited longest and, where the model allows, those that fit beside it. */
  private nextBatch(key: string, batches: boolean): readonly Asked[] {
    const queue = this.asked.get(key) ?? [];
    const first = queue.shift();
    if (!first) return [];
    const batch = [first];
    const each = Math.max(...Object.values(first.request.inputs).map(bytesOf));
    const most = batches ? Math.min(this.options.batchMax, Math.floor(BATCH_BYTES_MAX / each)) : 1;
    while (batch.length < most && queue[0] && fitsTogether(first.request, queue[0].request))
      batch.push(queue.shift() as Asked);
    if (queue.length === 0) this.asked.delete(key);
    return batch;
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
    const { intraOpNumThreads, executionProviders, isolation, batchMax } = this.options;
    const host = isolation === 'process' ? processHost : threadHost;
    const tryBatch = batchMax > 1;
    return OnnxSession.start({ file: model.file, intraOpNumThreads, executionProviders, tryBatch }, host);
  }
}

interface Asked {
  readonly request: EngineRequest;
  resolve(result: EngineResult): void;
  reject(error: unknown): void;
}

/** One run for all of them. A joined run that fails is done again one by one: one patient's image must not fail another's. */
async function answer(session: OnnxSession, asked: readonly Asked[]): Promise<void> {
  if (asked.length > 1) {
    const joined = joinRequests(asked.map(({ request }) => request));
    const result = await session.run(joined).catch((error: unknown) => {
      if (session.state === 'idle') return null;
      for (const { reject } of asked) reject(error);
      return 'lost' as const;
    });
    if (result === 'lost') return;
    const parts = result && splitResult(result, asked.length);
    if (parts) {
      for (const [i, { resolve }] of asked.entries()) resolve(parts[i] as EngineResult);
      return;
    }
  }
  let lost: unknown = null;
  for (const { request, resolve, reject } of asked) {
    if (lost !== null) reject(lost);
    else
      await session.run(request).then(resolve, (error: unknown) => {
        if (session.state !== 'idle') lost = error;
        reject(error);
      });
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
