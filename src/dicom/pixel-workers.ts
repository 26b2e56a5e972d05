import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { Failure } from '../kernel/errors.ts';
import type { WorkerAnswer, WorkerTask } from './pixels/worker-main.ts';

export interface PixelWorkersOptions {
  /** Threads; default: as many as there are cores. */
  readonly size?: number;
  /** JavaScript heap of one worker. Pixel arrays lie outside it; their size is checked before they are made. */
  readonly heapMegabytesMax?: number;
}

/** Room for the objects of a task; a hostile file that builds millions of them ends its own worker only. */
const HEAP_MEGABYTES_MAX = 512;

interface Job {
  readonly task: WorkerTask;
  readonly timeoutMs: number;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

interface Seat {
  readonly worker: Worker;
  job: Job | null;
  timer: NodeJS.Timeout | null;
}

/**
 * Worker threads for decoding. They start when first needed and do not keep the process alive while idle. A task that
 * takes too long or too much memory ends with `dicom.decode-timeout`, its worker is thrown away, and other tasks go on.
 */
export class PixelWorkers {
  private readonly size: number;
  private readonly heapMegabytesMax: number;
  private readonly seats = new Set<Seat>();
  private readonly waiting: Job[] = [];
  private closed = false;

  constructor(options: PixelWorkersOptions = {}) {
    this.size = options.size ?? availableParallelism();
    this.heapMegabytesMax = options.heapMegabytesMax ?? HEAP_MEGABYTES_MAX;
  }

  /**
   * Calls the function `exportName` of the module with `args` (copied) in a worker and gives its result; ArrayBuffers of
   * the result are moved. The time counts from when a worker takes the task. Rejects with the function's own Failure,
   * with `dicom.decode-timeout`, or with `dicom.worker` when the function throws something else or cannot be loaded.
   * Under type stripping the module and its imports must be erasable TypeScript.
   */
  run<T>(moduleUrl: URL, exportName: string, args: unknown, options: { timeoutMs: number }): Promise<T> {
    if (this.closed) return Promise.reject(new Failure('dicom.worker', 'The pixel workers are closed.'));
    return new Promise<T>((resolve, reject) => {
      const task: WorkerTask = { moduleUrl: moduleUrl.href, exportName, args };
      this.waiting.push({
        task,
        timeoutMs: options.timeoutMs,
        resolve: (result) => resolve(result as T),
        reject,
      });
      this.next();
    });
  }

  /** Ends every worker; tasks not yet done fail. */
  async close(): Promise<void> {
    this.closed = true;
    for (const job of this.waiting.splice(0))
      job.reject(new Failure('dicom.worker', 'The pixel workers are closed.'));
    const seats = [...this.seats];
    for (const seat of seats) this.end(seat, new Failure('dicom.worker', 'The pixel workers are closed.'));
    await Promise.all(seats.map((seat) => seat.worker.terminate()));
  }

  private next(): void {
    const job = this.waiting[0];
    if (job === undefined) return;
    const seat = [...this.seats].find((candidate) => candidate.job === null) ?? this.openSeat();
    if (seat === null) return;
    this.waiting.shift();
    seat.job = job;
    seat.worker.ref();
    seat.timer = setTimeout(() => {
      this.end(seat, new Failure('dicom.decode-timeout', `The task took longer than ${job.timeoutMs} ms.`));
    }, job.timeoutMs);
    try {
      seat.worker.postMessage(job.task);
    } catch (error) {
      this.finish(seat)?.reject(
        new Failure('dicom.worker', 'The arguments of the task cannot be sent.', { cause: error }),
      );
      this.next();
    }
  }

  private openSeat(): Seat | null {
    if (this.seats.size >= this.size) return null;
    const worker = new Worker(WORKER_URL, {
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: this.heapMegabytesMax },
    });
    const seat: Seat = { worker, job: null, timer: null };
    worker.on('message', (answer: WorkerAnswer) => this.answer(seat, answer));
    worker.on('messageerror', (error) =>
      this.end(seat, new Failure('dicom.worker', 'The result cannot be read.', { cause: error })),
    );
    worker.on('error', (error) => this.end(seat, failureOf(error)));
    worker.on('exit', () => this.end(seat, new Failure('dicom.worker', 'The worker ended during the task.')));
    worker.unref();
    this.seats.add(seat);
    return seat;
  }

  private answer(seat: Seat, answer: WorkerAnswer): void {
    const job = this.finish(seat);
    if (answer.kind === 'done') job?.resolve(answer.result);
    else if (answer.kind === 'failed') job?.reject(new Failure(answer.code, answer.message, answer));
    else {
      const cause = new Error(answer.message);
      job?.reject(
        new Failure('dicom.worker', 'The task failed by a fault of the program; see the cause.', { cause }),
      );
    }
    this.next();
  }

  /** Frees the seat and gives back the job it had. */
  private finish(seat: Seat): Job | null {
    const { job } = seat;
    if (seat.timer !== null) clearTimeout(seat.timer);
    seat.timer = null;
    seat.job = null;
    seat.worker.unref();
    return job;
  }

  /** Throws the worker away; the next task opens a new one. */
  private end(seat: Seat, failure: Failure): void {
    if (!this.seats.delete(seat)) return;
    const job = this.finish(seat);
    void seat.worker.terminate();
    job?.reject(failure);
    if (!this.closed) this.next();
  }
}

/** The entry beside this file, in the same form: `.ts` under type stripping, `.js` when compiled. */
const WORKER_URL = new URL(
  `./pixels/worker-main${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`,
  import.meta.url,
);

function failureOf(error: unknown): Failure {
  if ((error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new Failure('dicom.decode-timeout', 'The task took more memory than a worker may have.');
  }
  return new Failure('dicom.worker', 'The worker failed; see the cause.', { cause: error });
}
