import { parentPort } from 'node:worker_threads';
import { Failure, type FailureCode, type FailureIssue } from '../../kernel/errors.ts';

/**
 * Runs inside a worker thread: loads the module asked for, calls its function, sends the result back. Result buffers are
 * moved, not copied. This file is loaded by Node directly, compiled or by type stripping, so it and what it imports use
 * erasable TypeScript only.
 */
export interface WorkerTask {
  readonly moduleUrl: string;
  readonly exportName: string;
  readonly args: unknown;
}

export type WorkerAnswer =
  | { readonly kind: 'done'; readonly result: unknown }
  | {
      readonly kind: 'failed';
      readonly code: FailureCode;
      readonly message: string;
      readonly retry: boolean;
      readonly issues: readonly FailureIssue[];
    }
  /** An error that is no Failure: a fault of the program. */
  | { readonly kind: 'broken'; readonly message: string };

parentPort?.on('message', async (task: WorkerTask) => {
  try {
    const result = await run(task);
    parentPort?.postMessage({ kind: 'done', result } satisfies WorkerAnswer, [...buffersOf(result)]);
  } catch (error) {
    parentPort?.postMessage(answerOf(error));
  }
});

async function run(task: WorkerTask): Promise<unknown> {
  const module = (await import(task.moduleUrl)) as Record<string, unknown>;
  const run = module[task.exportName];
  if (typeof run !== 'function') throw new Error(`The module has no function ${task.exportName}.`);
  return await run(task.args);
}

function answerOf(error: unknown): WorkerAnswer {
  if (error instanceof Failure) {
    const { code, message, retry, issues } = error;
    return { kind: 'failed', code, message, retry, issues };
  }
  return { kind: 'broken', message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** Buffers that a view covers as a whole; part of a shared pool must not be moved away from under its other users. */
function buffersOf(value: unknown, found = new Set<ArrayBuffer>(), depth = 0): Set<ArrayBuffer> {
  if (depth > RESULT_DEPTH_MAX || typeof value !== 'object' || value === null) return found;
  if (value instanceof ArrayBuffer) found.add(value);
  else if (ArrayBuffer.isView(value)) {
    const { buffer } = value;
    if (buffer instanceof ArrayBuffer && buffer.byteLength === value.byteLength) found.add(buffer);
  } else for (const part of Object.values(value)) buffersOf(part, found, depth + 1);
  return found;
}

/** Results are shallow: an object with arrays, perhaps a list of such objects. */
const RESULT_DEPTH_MAX = 4;
