import type { EngineRequest, EngineResult, InputTensor, OutputTensor } from './engine.ts';

/** Bytes of one joined input: batches are for radiographs, where starting a run costs more than copying it. */
export const BATCH_BYTES_MAX = 64 * 1024 * 1024;

/** Can the second be computed together with the first? Same shapes, types and outputs, one image each. */
export function fitsTogether(one: EngineRequest, other: EngineRequest): boolean {
  const names = Object.keys(one.inputs);
  return (
    names.length === Object.keys(other.inputs).length &&
    one.outputs.join('\n') === other.outputs.join('\n') &&
    names.every((name) => {
      const [left, right] = [one.inputs[name], other.inputs[name]];
      return (
        left !== undefined &&
        right?.dtype === left.dtype &&
        left.dims[0] === 1 &&
        left.dims.length === right.dims.length &&
        left.dims.every((size, i) => size === right.dims[i])
      );
    })
  );
}

/** Requests that fit together, as one whose tensors are joined along the first axis. */
export function joinRequests(requests: readonly EngineRequest[]): EngineRequest {
  const [first] = requests as [EngineRequest];
  const inputs = Object.keys(first.inputs).map((name) => [
    name,
    joinTensors(requests.map(({ inputs }) => inputs[name] as InputTensor)),
  ]);
  return {
    ...first,
    inputs: Object.fromEntries(inputs),
    timeLimitMs: Math.max(...requests.map(({ timeLimitMs }) => timeLimitMs)),
  };
}

const VALUE_BYTES = { float32: 4, float16: 2, int16: 2, uint8: 1 } as const;

export const bytesOf = ({ dtype, dims }: InputTensor): number =>
  dims.reduce((product, size) => product * size, VALUE_BYTES[dtype]);

function joinTensors(tensors: readonly InputTensor[]): InputTensor {
  const [first] = tensors as [InputTensor];
  const each = bytesOf(first);
  const joined = new Uint8Array(each * tensors.length);
  for (const [i, tensor] of tensors.entries()) joined.set(new Uint8Array(tensor.bytes, 0, each), i * each);
  return { dtype: first.dtype, dims: [tensors.length, ...first.dims.slice(1)], bytes: joined.buffer };
}

/** The answer to the joined request, as one answer per request; null when it does not divide. */
export function splitResult(result: EngineResult, count: number): readonly EngineResult[] | null {
  const outputs = Object.entries(result.outputs);
  if (!outputs.every(([, { dims }]) => dims[0] === count)) return null;
  return Array.from({ length: count }, (_, i) => ({
    ms: result.ms,
    outputs: Object.fromEntries(outputs.map(([name, tensor]) => [name, part(tensor, i, count)])),
  }));
}

function part({ dims, data }: OutputTensor, i: number, count: number): OutputTensor {
  const each = data.length / count;
  return { dims: [1, ...dims.slice(1)], data: data.slice(i * each, (i + 1) * each) };
}
