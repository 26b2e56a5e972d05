import { Worker } from 'node:worker_threads';
import type { ModelGraph } from '../../../governance/inspect-model.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { EngineRequest, EngineResult } from './engine.ts';
import type { OnnxThreadData, OnnxThreadMessage, OnnxThreadReply } from './onnx-thread.ts';

/** One warm session in its own thread. It runs one request at a time; whoever holds it sees to that. */
export class OnnxSession {
  /** `idle` can run; `stuck` outlived a time limit and ends itself when its run is over; `gone` has ended. */
  state: 'idle' | 'busy' | 'stuck' | 'gone' = 'busy';
  /** What the model takes and gives. */
  graph: ModelGraph = { inputs: [], outputs: [] };
  private readonly worker: Worker;
  private readonly ended: Promise<void>;
  private waiting: ((reply: OnnxThreadReply | 'lost') => void) | null = null;

  private constructor(data: OnnxThreadData) {
    this.worker = new Worker(THREAD_MODULE, { workerData: data, name: 'onnx', execArgv: [] });
    this.worker.on('message', (reply: OnnxThreadReply) => this.settle(reply));
    this.worker.on('error', () => this.settle('lost'));
    this.ended = new Promise((resolve) => {
      this.worker.once('exit', () => {
        this.state = 'gone';
        this.settle('lost');
        resolve();
      });
    });
  }

  /** Loads the model. The session is `busy` until then. Throws `inference.model-unloadable`. */
  static async start(data: OnnxThreadData): Promise<OnnxSession> {
    const session = new OnnxSession(data);
    const reply = await session.next(SESSION_LOAD_TIME_LIMIT_MS);
    if (reply === 'late') session.abandon();
    if (reply === 'late' || reply === 'lost' || reply.kind !== 'ready') throw unloadable(reply);
    session.graph = reply.graph;
    session.rest();
    return session;
  }

  async run(request: EngineRequest): Promise<EngineResult> {
    this.state = 'busy';
    this.worker.ref();
    const answer = this.next(request.timeLimitMs);
    this.post({ inputs: request.inputs, outputs: request.outputs });
    const reply = await answer;
    if (reply === 'late') {
      this.abandon();
      throw new Failure(
        'inference.timeout',
        `The model did not answer within ${request.timeLimitMs} ms; its result will be thrown away.`,
      );
    }
    if (reply === 'lost')
      throw new Failure(
        'inference.engine-lost',
        'The thread of the model ended while it ran; it is started again.',
      );
    this.rest();
    if (reply.kind === 'ran') return { outputs: reply.outputs, ms: reply.ms };
    if (reply.kind === 'refused') throw new Failure(reply.code, reply.message);
    throw new Failure('inference.run-failed', 'The model failed while it ran.', { cause: reply });
  }

  /** Ends the thread after its run, and waits for that at most `waitMs`. */
  async close(waitMs: number): Promise<void> {
    if (this.state === 'gone') return;
    if (this.state !== 'stuck') this.post('end');
    this.worker.unref();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([this.ended, late]);
    clearTimeout(timer);
  }

  /** An idle session does not keep the process alive. */
  private rest(): void {
    this.state = 'idle';
    this.worker.unref();
  }

  /** Cannot be killed while it computes: told to end, and left alone. */
  private abandon(): void {
    this.state = 'stuck';
    this.post('end');
    this.worker.unref();
  }

  private post(message: OnnxThreadMessage): void {
    this.worker.postMessage(message);
  }

  private next(limitMs: number): Promise<OnnxThreadReply | 'lost' | 'late'> {
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

  private settle(reply: OnnxThreadReply | 'lost'): void {
    this.waiting?.(reply);
  }
}

/** A model of several gigabytes comes from a disk; one that takes longer than this has a fault. */
export const SESSION_LOAD_TIME_LIMIT_MS = 120_000;

/** `.ts` where the sources run as they are, `.js` in the build. */
const THREAD_MODULE = new URL(
  `./onnx-thread${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

function unloadable(reply: OnnxThreadReply | 'lost' | 'late'): Failure {
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
