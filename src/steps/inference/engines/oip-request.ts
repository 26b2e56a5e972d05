import { Failure } from '../../../kernel/errors.ts';
import { bytesOf } from './batch-tensors.ts';
import { type EngineRequest, type InputTensor, valuesIn } from './engine.ts';
import { numbersOfInput, OIP_DATATYPES } from './oip-datatypes.ts';

/** Values in one request as JSON: more would take the main thread longer than a request may wait. Binary has its own limit. */
export const REQUEST_VALUES_MAX = 1024 * 1024;
/** Bytes of the tensors of one binary request: a chest CT as float32 has some 700 MB. */
export const REQUEST_BYTES_MAX = 1024 * 1024 * 1024;

export interface InferenceBody {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array<ArrayBuffer>;
}

/**
 * The body of an infer request. `binary`: as the binary tensor data extension has it, a JSON header whose length a field of the HTTP header
 * tells, then the tensors' bytes in their order. Throws `inference.series-too-large`, `inference.input-shape`.
 */
export function inferenceBody({ inputs, outputs }: EngineRequest, binary: boolean): InferenceBody {
  return binary ? binaryBody(inputs, outputs) : jsonBody(inputs, outputs);
}

type Inputs = EngineRequest['inputs'];

function jsonBody(inputs: Inputs, outputs: readonly string[]): InferenceBody {
  const body = { inputs: Object.entries(inputs).map(jsonInput), outputs: outputs.map((name) => ({ name })) };
  return {
    headers: { 'content-type': 'application/json' },
    body: Uint8Array.from(Buffer.from(JSON.stringify(body))),
  };
}

function jsonInput([name, tensor]: [string, InputTensor]) {
  if (tensor.dtype === 'float16') {
    throw new Failure(
      'inference.input-shape',
      `The input "${name}" is float16, which has no JSON form in the protocol: use float32, or a server with the binary tensor data extension.`,
    );
  }
  const size = valuesIn(tensor.dims);
  if (size > REQUEST_VALUES_MAX) {
    throw new Failure(
      'inference.series-too-large',
      `The input "${name}" has ${size} values; a server without the binary tensor data extension is sent at most ${REQUEST_VALUES_MAX}.`,
    );
  }
  return {
    name,
    shape: tensor.dims,
    datatype: OIP_DATATYPES[tensor.dtype],
    data: numbersOfInput(tensor, size),
  };
}

function binaryBody(inputs: Inputs, outputs: readonly string[]): InferenceBody {
  const tensors = Object.entries(inputs).map(([name, tensor]) => ({ name, tensor, bytes: bytesOf(tensor) }));
  const size = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  if (size > REQUEST_BYTES_MAX) {
    throw new Failure(
      'inference.series-too-large',
      `The inputs have ${size} bytes; a server is sent at most ${REQUEST_BYTES_MAX}.`,
    );
  }
  const head = Buffer.from(
    JSON.stringify({
      inputs: tensors.map(({ name, tensor, bytes }) => ({
        name,
        shape: tensor.dims,
        datatype: OIP_DATATYPES[tensor.dtype],
        parameters: { binary_data_size: bytes },
      })),
      outputs: outputs.map((name) => ({ name, parameters: { binary_data: true } })),
    }),
  );
  const body = new Uint8Array(head.byteLength + size);
  body.set(head);
  let at = head.byteLength;
  for (const { tensor, bytes } of tensors) {
    body.set(new Uint8Array(tensor.bytes, 0, bytes), at);
    at += bytes;
  }
  return {
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(head.byteLength),
    },
    body,
  };
}
