import { fork } from 'node:child_process';
import { childEnvironment } from '../config/child-environment.ts';
import type { InspectModel, ModelFile, ModelGraph } from './inspect-model.ts';
import type { InspectReply } from './model-file/inspect-process.ts';

/** A file of several gigabytes is read in that time; one that takes longer is a fault. */
export const INSPECT_TIME_LIMIT_MS = 120_000;

/** Processes at the same time: each loads a whole model, and a start with many must not fill the memory. */
const INSPECT_AT_ONCE_MAX = 2;

/** Opens a model in a process of its own: what a damaged file does to the runtime, it does not do to the server. */
export const inspectApart: InspectModel = async (model) => {
  while (running >= INSPECT_AT_ONCE_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
  running++;
  try {
    return await inspect(model);
  } finally {
    running--;
    waiting.shift()?.();
  }
};

let running = 0;
const waiting: (() => void)[] = [];

function inspect({ ref, path, manifest }: ModelFile): Promise<ModelGraph> {
  const child = fork(PROCESS_MODULE, [], {
    execArgv: [],
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    timeout: INSPECT_TIME_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  return new Promise((resolve, reject) => {
    child.once('message', (reply: InspectReply) =>
      'graph' in reply ? resolve(reply.graph) : reject(new Error(reply.error)),
    );
    child.once('error', reject);
    // After a reply this says nothing new; the reply may still be on its way when the process has ended.
    child.once('exit', (code, signal) => {
      const ended = new Error(
        `ONNX Runtime ended while it loaded the file (${signal ?? `exit code ${code}`})`,
      );
      if (child.connected) child.once('disconnect', () => reject(ended));
      else setImmediate(reject, ended);
    });
    child.send({ ref, path, manifest });
  });
}

/** `.ts` where the sources run as they are, `.js` in the build. */
const PROCESS_MODULE = new URL(
  `./model-file/inspect-process${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);
