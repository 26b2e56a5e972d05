/**
 * What owns one ONNX Runtime session, in a process of its own (`onnx-process.ts`) or in a thread (`onnx-thread.ts`). `InferenceSession.run`
 * looks asynchronous but computes on the thread that calls it, so a session on the main thread would stop every request while a model
 * runs. Nothing here may import code that Node cannot run by leaving types out: in development the file is started as it is.
 */
import ort from 'onnxruntime-node';
import { type ModelGraph, sessionToGraph } from '../../../governance/inspect-model.ts';
import { batchesAgree } from './batches-agree.ts';
import { type InputTensor, type OutputArray, type OutputTensor, valuesIn } from './engine.ts';
import { float16Value } from './float16.ts';

export interface OnnxData {
  readonly file: string;
  readonly intraOpNumThreads: number;
  readonly executionProviders: readonly string[];
  /** Try whether images can be computed together. */
  readonly tryBatch: boolean;
}

export interface OnnxRunMessage {
  readonly inputs: Readonly<Record<string, InputTensor>>;
  readonly outputs: readonly string[];
}

export type OnnxMessage = OnnxRunMessage | 'end';

export type OnnxReply =
  | {
      readonly kind: 'ready';
      readonly graph: ModelGraph;
      /** Images computed together give the same numbers as alone: shown by a trial, when one was asked for. */
      readonly batches: boolean;
    }
  | { readonly kind: 'unloadable'; readonly message: string }
  | { readonly kind: 'ran'; readonly outputs: Readonly<Record<string, OutputTensor>>; readonly ms: number }
  | {
      readonly kind: 'refused';
      readonly code: 'inference.input-shape' | 'inference.output-invalid';
      readonly message: string;
    }
  | { readonly kind: 'failed'; readonly message: string };

/** ONNX Runtime's "error": its warnings about a graph are for whoever exported the model. */
const LOG_SEVERITY_ERROR = 3;

/** Where messages come from and replies go to: a port of a thread, or the channel of a process. */
export interface OnnxPort {
  say(reply: OnnxReply): void;
  listen(hear: (message: OnnxMessage) => void): void;
  close(): void;
}

/** Opens the session, then answers one message after the other until it is told to end. */
export async function serveOnnx(port: OnnxPort, data: OnnxData): Promise<void> {
  let session: ort.InferenceSession;
  try {
    session = await openSession(data);
  } catch (error) {
    port.say({ kind: 'unloadable', message: String(error) });
    port.close();
    return;
  }
  let last: Promise<void> = Promise.resolve();
  port.listen((message) => {
    last = last.then(async () => {
      if (message !== 'end') return port.say(await run(session, message));
      await session.release();
      port.close();
    });
  });
  port.say({
    kind: 'ready',
    graph: sessionToGraph(session),
    batches: data.tryBatch && (await batchesAgree(session)),
  });
}

/** With the providers asked for; on the CPU when the GPU's part of the runtime is not on this machine and "cpu" is among them. */
async function openSession(data: OnnxData): Promise<ort.InferenceSession> {
  const open = (providers: readonly string[]) =>
    ort.InferenceSession.create(data.file, {
      intraOpNumThreads: data.intraOpNumThreads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      executionProviders: [...providers],
      logSeverityLevel: LOG_SEVERITY_ERROR,
      // Threads that spin between operators would take the cores that decode the next study and serve people.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  try {
    return await open(data.executionProviders);
  } catch (error) {
    const alone = data.executionProviders.length === 1 || !data.executionProviders.includes('cpu');
    if (alone || !/ExecutionProvider|shared library|CUDA/i.test(String(error))) throw error;
    return open(['cpu']);
  }
}

async function run(session: ort.InferenceSession, message: OnnxRunMessage): Promise<OnnxReply> {
  const wrong = wrongInput(session.inputMetadata, message.inputs);
  if (wrong) return { kind: 'refused', code: 'inference.input-shape', message: wrong };
  const missing = message.outputs.find((name) => !session.outputNames.includes(name));
  if (missing)
    return {
      kind: 'refused',
      code: 'inference.output-invalid',
      message: `The model has no output "${missing}".`,
    };
  try {
    const feeds = Object.fromEntries(
      Object.entries(message.inputs).map(([name, input]) => [name, tensorOf(input)]),
    );
    const start = performance.now();
    const results = await session.run(feeds, message.outputs);
    const ms = performance.now() - start;
    return {
      kind: 'ran',
      outputs: Object.fromEntries(message.outputs.map((name) => [name, outputOf(results[name]!)])),
      ms,
    };
  } catch (error) {
    return { kind: 'failed', message: String(error) };
  }
}

/** What is wrong with the inputs, or null. A dimension that the model names instead of numbering takes any size. */
function wrongInput(
  expected: readonly ort.InferenceSession.ValueMetadata[],
  inputs: Readonly<Record<string, InputTensor>>,
): string | null {
  const names = expected.map((input) => input.name);
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown) return `The model has no input "${unknown}"; it has ${names.join(', ')}.`;
  for (const meta of expected) {
    const input = inputs[meta.name];
    if (!input) return `The manifest gives nothing for the input "${meta.name}".`;
    if (!meta.isTensor) return `The input "${meta.name}" is no tensor.`;
    if (meta.type !== input.dtype)
      return `The input "${meta.name}" takes ${meta.type}, the manifest gives ${input.dtype}.`;
    const fits =
      meta.shape.length === input.dims.length &&
      meta.shape.every((size, i) => typeof size !== 'number' || size === input.dims[i]);
    if (!fits)
      return `The input "${meta.name}" takes [${meta.shape}], the manifest's pixels give [${input.dims}].`;
  }
  return null;
}

function tensorOf({ dtype, dims, bytes }: InputTensor): ort.Tensor {
  const values = valuesIn(dims);
  switch (dtype) {
    case 'float32':
      return new ort.Tensor(dtype, new Float32Array(bytes, 0, values), dims);
    case 'int16':
      return new ort.Tensor(dtype, new Int16Array(bytes, 0, values), dims);
    case 'uint8':
      return new ort.Tensor(dtype, new Uint8Array(bytes, 0, values), dims);
    case 'float16':
      return new ort.Tensor(dtype, new Uint16Array(bytes, 0, values), dims);
  }
}

/** Copies an output into memory of its own, which is moved to the main thread; the runtime's buffer cannot be. */
function outputOf(tensor: ort.Tensor): OutputTensor {
  const data = tensor.data;
  if (Array.isArray(data)) throw new Error('an output of strings is no result');
  const target = emptyOutput(tensor.type, tensor.size);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) target[i] = Number(data[i]);
  } else if (tensor.type === 'float16' && data instanceof Uint16Array) {
    for (let i = 0; i < data.length; i++) target[i] = float16Value(data[i]!);
  } else target.set(data as unknown as ArrayLike<number>);
  tensor.dispose();
  return { dims: tensor.dims, data: target };
}

function emptyOutput(type: ort.Tensor.Type, size: number): OutputArray {
  switch (type) {
    case 'float32':
    case 'float16':
      return new Float32Array(size);
    case 'float64':
    case 'int64':
    case 'uint64':
      return new Float64Array(size);
    case 'int8':
      return new Int8Array(size);
    case 'uint8':
    case 'bool':
      return new Uint8Array(size);
    case 'int16':
      return new Int16Array(size);
    case 'uint16':
      return new Uint16Array(size);
    case 'int32':
      return new Int32Array(size);
    case 'uint32':
      return new Uint32Array(size);
    default:
      throw new Error(`outputs of type ${type} are not read`);
  }
}
