import { Failure } from '../../../kernel/errors.ts';
import { type OutputTensor, valuesIn } from './engine.ts';
import { numbersOfBytes, numbersOfJson } from './oip-datatypes.ts';
import type { OipAnswer } from './oip-http.ts';
import { isRecord } from './oip-metadata.ts';

/**
 * The answer to an infer request of the Open Inference Protocol v2, checked: from the model and version asked for, every wanted
 * output there, as many numbers as its shape says. Binary tensors lie behind the JSON, in the order of the outputs that say
 * `binary_data_size`. Throws `inference.engine-refused`, `inference.output-invalid`.
 */
export function readInferenceAnswer(
  { bytes, headers }: Pick<OipAnswer, 'bytes' | 'headers'>,
  asked: { readonly model: string; readonly version: string },
  outputs: readonly string[],
): Record<string, OutputTensor> {
  const head = headLength(headers, bytes.byteLength);
  const answer = parse(bytes.subarray(0, head));
  if (answer['model_name'] !== asked.model || (answer['model_version'] ?? asked.version) !== asked.version) {
    throw new Failure(
      'inference.engine-refused',
      'The inference server answered for another model or version than was asked.',
    );
  }
  const given = Array.isArray(answer['outputs']) ? answer['outputs'].filter(isRecord) : [];
  const raw = binaryParts(given, bytes, head);
  return Object.fromEntries(
    outputs.map((name) => {
      const output = given.find((candidate) => candidate['name'] === name);
      if (!output)
        throw new Failure('inference.output-invalid', `The inference server gave no output "${name}".`);
      return [name, tensorOf(name, output, raw.get(output))];
    }),
  );
}

type Output = Record<string, unknown>;

function headLength(headers: Headers, size: number): number {
  const text = headers.get('inference-header-content-length');
  if (text === null) return size;
  const length = Number(text);
  if (/^\d+$/.test(text) && length <= size) return length;
  throw new Failure(
    'inference.output-invalid',
    'The inference server names a length of its JSON that cannot be.',
  );
}

/** Which bytes belong to which output. Together they must be all that came. */
function binaryParts(
  given: readonly Output[],
  bytes: Uint8Array<ArrayBuffer>,
  head: number,
): ReadonlyMap<Output, Uint8Array<ArrayBuffer>> {
  const parts = new Map<Output, Uint8Array<ArrayBuffer>>();
  let at = head;
  for (const output of given) {
    const size = isRecord(output['parameters']) ? output['parameters']['binary_data_size'] : undefined;
    if (size === undefined) continue;
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > bytes.byteLength)
      throw cutShort();
    parts.set(output, bytes.subarray(at, at + size));
    at += size;
  }
  if (at !== bytes.byteLength) throw cutShort();
  return parts;
}

const cutShort = (): Failure =>
  new Failure(
    'inference.output-invalid',
    'The binary outputs of the inference server are not as long as it says.',
  );

function tensorOf(name: string, output: Output, raw: Uint8Array<ArrayBuffer> | undefined): OutputTensor {
  const dims = output['shape'];
  const shaped =
    Array.isArray(dims) &&
    dims.length <= DIMENSIONS_MAX &&
    dims.every((size) => Number.isInteger(size) && size >= 0);
  const size = shaped ? valuesIn(dims as number[]) : -1;
  const datatype = String(output['datatype'] ?? '');
  const data = raw ? numbersOfBytes(datatype, raw, size) : jsonNumbers(output['data'], datatype, size);
  if (data === null) {
    throw new Failure(
      'inference.output-invalid',
      `The output "${name}" of the inference server is not a tensor of numbers of its shape.`,
    );
  }
  return { dims: dims as number[], data };
}

/** The protocol lets data be nested as deep as the tensor has dimensions. */
const DIMENSIONS_MAX = 8;

function jsonNumbers(data: unknown, datatype: string, size: number): OutputTensor['data'] | null {
  const values: unknown[] | null = Array.isArray(data) ? data.flat(DIMENSIONS_MAX) : null;
  if (values?.length !== size) return null;
  const numbers = values.map((value) =>
    datatype === 'BOOL' && typeof value === 'boolean' ? Number(value) : value,
  );
  return numbers.every((value) => typeof value === 'number')
    ? numbersOfJson(datatype, numbers as number[])
    : null;
}

function parse(bytes: Uint8Array): Output {
  try {
    const answer: unknown = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(),
    );
    if (isRecord(answer)) return answer;
  } catch {
    // Said below: what the text holds is nobody's business.
  }
  throw new Failure('inference.output-invalid', 'The inference server did not answer with a JSON object.');
}
