import { type ChildProcess, fork } from 'node:child_process';
import { rmSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { childEnvironment } from '../../../config/child-environment.ts';
import type { EngineRequest } from './engine.ts';
import type { OnnxProcessData, OnnxProcessMessage, OnnxProcessReply } from './onnx-process.ts';
import type { OnnxData, OnnxReply } from './onnx-serve.ts';
import { makeScratchFolder } from './scratch-folder.ts';
import { inputToWire, outputFromWire } from './tensor-wire.ts';

/** Where a session lives, as its holder sees it. */
export interface OnnxHost {
  /** Process id; null for a thread. */
  readonly pid: number | null;
  post(message: Pick<EngineRequest, 'inputs' | 'outputs'> | 'end'): Promise<void>;
  /** Ends it now, whatever it is doing; false: that cannot be done, it ends by itself. */
  kill(): boolean;
  ref(): void;
  unref(): void;
}

export interface OnnxHostEvents {
  reply(reply: OnnxReply): void;
  /** It has ended; `how` names a signal or an exit code. */
  ended(how: string): void;
}

export type StartHost = (data: OnnxData, events: OnnxHostEvents) => OnnxHost;

/** A process of its own. Large tensors go through files in a folder of its own, which goes when it ends. */
export const processHost: StartHost = (data, events) => {
  const folder = makeScratchFolder();
  const child = fork(moduleOf('onnx-process'), [], {
    serialization: 'advanced',
    execArgv: [],
    // Nothing of the server's environment: it holds passwords.
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  child.on('message', (reply) => {
    void fromWire(reply as OnnxProcessReply).then(events.reply, (error: unknown) =>
      events.reply({ kind: 'failed', message: String(error) }),
    );
  });
  child.once('exit', (code, signal) => {
    rmSync(folder, { recursive: true, force: true });
    events.ended(signal ?? `exit code ${code}`);
  });
  child.once('error', () => events.ended('not started'));
  send(child, { ...data, folder });
  return {
    pid: child.pid ?? null,
    post: async (message) => send(child, message === 'end' ? message : await toWire(message, folder)),
    kill: () => child.kill('SIGKILL'),
    ref: () => {
      child.ref();
      child.channel?.ref();
    },
    unref: () => {
      child.unref();
      child.channel?.unref();
    },
  };
};

/** A thread of this process: tensors are shared, but a crash of the runtime ends the server, and a run cannot be stopped. */
export const threadHost: StartHost = (data, events) => {
  const worker = new Worker(moduleOf('onnx-thread'), { workerData: data, name: 'onnx', execArgv: [] });
  worker.on('message', (reply: OnnxReply) => events.reply(reply));
  worker.on('error', () => undefined); // `exit` follows
  worker.once('exit', (code) => events.ended(`exit code ${code}`));
  return {
    pid: null,
    post: async (message) => worker.postMessage(message),
    kill: () => false,
    ref: () => worker.ref(),
    unref: () => worker.unref(),
  };
};

/** `.ts` where the sources run as they are, `.js` in the build. */
const moduleOf = (name: 'onnx-process' | 'onnx-thread'): URL =>
  new URL(`./${name}${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url);

/** A child that ended meanwhile says so by `exit`; that the message did not arrive is no news then. */
function send(child: ChildProcess, message: OnnxProcessMessage | OnnxProcessData): void {
  if (child.connected) child.send(message, () => undefined);
}

async function toWire(
  { inputs, outputs }: Pick<EngineRequest, 'inputs' | 'outputs'>,
  folder: string,
): Promise<OnnxProcessMessage> {
  const wired = Object.entries(inputs).map(
    async ([name, tensor]) => [name, await inputToWire(tensor, folder)] as const,
  );
  return { inputs: Object.fromEntries(await Promise.all(wired)), outputs };
}

async function fromWire(reply: OnnxProcessReply): Promise<OnnxReply> {
  if (reply.kind !== 'ran') return reply;
  const outputs = Object.entries(reply.outputs).map(
    async ([name, tensor]) => [name, await outputFromWire(tensor)] as const,
  );
  return { ...reply, outputs: Object.fromEntries(await Promise.all(outputs)) };
}
