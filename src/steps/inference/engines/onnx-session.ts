import type { ModelGraph } from '../../../governance/inspect-model.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { EngineRequest, EngineResult } from './engine.ts';
import type { OnnxHost, StartHost } from './onnx-host.ts';
import type { OnnxData, OnnxReply } from './onnx-serve.ts';

/** One warm session in its own process or thread. It runs one request at a time; whoever holds it sees to that. */
export class OnnxSession {
  /** `idle` can run; `stuck` outlived a time limit and ends itself when its run is over; `gone` has ended. */
  state: 'idle' | 'busy' | 'stuck' | 'gone' = 'busy';
  /** What the model takes and gives. */
  graph: ModelGraph = { inputs: [], outputs: [] };
  /** Several images may be computed in one run. */
  batches = false;
  private readonly host: OnnxHost;
  private readonly ended: Promise<void>;
  private waiting: ((reply: OnnxReply | 'lost') => void) | null = null;
  /** A signal or an exit code, once it has ended. */
  private how = '';

  private constructor(data: OnnxData, startHost: StartHost) {
    let end: () => void = () => undefined;
    this.ended = new Promise((resolve) => {
      end = resolve;
    });
    this.host = startHost(data, {
      reply: (reply) => this.settle(reply),
      ended: (how) => {
        this.state = 'gone';
        this.how = how;
        this.settle('lost');
        end();
      },
    });
  }

  /** Process id; null for a thread. */
  get pid(): number | null {
    return this.host.pid;
  }

  /** Loads the model. The session is `busy` until then. Throws `inference.model-unloadable`. */
  static async start(data: OnnxData, startHost: StartHost): Promise<OnnxSession> {
    const session = new OnnxSession(data, startHost);
    const reply = await session.next(SESSION_LOAD_TIME_LIMIT_MS);
    if (reply === 'late') session.abandon();
    // Perhaps the machine had too little memory just now: worth another try, and shown when it keeps happening.
    if (reply === 'lost' && session.pid !== null) throw session.lost('while it loaded');
    if (reply === 'late' || reply === 'lost' || reply.kind !== 'ready') throw unloadable(reply);
    session.graph = reply.graph;
    session.batches = reply.batches;
    session.rest();
    return session;
  }

  async run(request: EngineRequest): Promise<EngineResult> {
    this.state = 'busy';
    this.host.ref();
    const answer = this.next(request.timeLimitMs);
    this.host
      .post({ inputs: request.inputs, outputs: request.outputs })
      .catch((error: unknown) => this.settle({ kind: 'failed', message: String(error) }));
    const reply = await answer;
    if (reply === 'late') {
      this.abandon();
      throw new Failure(
        'inference.timeout',
        `The model did not answer within ${request.timeLimitMs} ms; its result will be thrown away.`,
      );
    }
    if (reply === 'lost') throw this.lost('while it ran');
    this.rest();
    if (reply.kind === 'ran') return { outputs: reply.outputs, ms: reply.ms };
    if (reply.kind === 'refused') throw new Failure(reply.code, reply.message);
    throw new Failure('inference.run-failed', 'The model failed while it ran.', { cause: reply });
  }

  /** Ends it after its run, and waits for that at most `waitMs`. */
  async close(waitMs: number): Promise<void> {
    if (this.state === 'gone') return;
    if (this.state !== 'stuck') this.end();
    this.host.unref();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([this.ended, late]);
    clearTimeout(timer);
    if (!this.isGone()) this.host.kill();
  }

  private lost(when: string): Failure {
    const what = this.pid === null ? 'thread' : 'process';
    return new Failure(
      'inference.engine-lost',
      `The model's own ${what} ended ${when} (${this.how}); it is started again.`,
    );
  }

  /** An idle session does not keep the process alive. */
  private rest(): void {
    this.state = 'idle';
    this.host.unref();
  }

  /** A process is killed. A thread cannot be while it computes: told to end, and left alone. */
  private abandon(): void {
    if (this.host.kill()) this.state = 'gone';
    else {
      this.state = 'stuck';
      this.end();
    }
    this.host.unref();
  }

  private end(): void {
    this.host.post('end').catch(() => undefined);
  }

  private isGone(): boolean {
    return this.state === 'gone';
  }

  private next(limitMs: number): Promise<OnnxReply | 'lost' | 'late'> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.waiting = null;
        resolve('late');
      }, limitMs);
      this.waiting = (reply) => {
        clearTimeout(timer);
        this.waiting = null;
        resolve(reply);
      };
    });
  }

  private settle(reply: OnnxReply | 'lost'): void {
    this.waiting?.(reply);
  }
}

/** A model of several gigabytes comes from a disk; one that takes longer than this has a fault. */
export const SESSION_LOAD_TIME_LIMIT_MS = 120_000;

function unloadable(reply: OnnxReply | 'lost' | 'late'): Failure {
  if (reply === 'late') {
    return new Failure(
      'inference.model-unloadable',
      `The model did not load within ${SESSION_LOAD_TIME_LIMIT_MS} ms.`,
    );
  }
  return new Failure(
    'inference.model-unloadable',
    'ONNX Runtime cannot load this model: check that the file is complete and that its operators are supported.',
    { cause: reply },
  );
}
