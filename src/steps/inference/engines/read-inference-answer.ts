import { Failure } from '../../../kernel/errors.ts';
import { type OutputTensor, valuesIn } from './engine.ts';

/**
 * The answer to an infer request of the Open Inference Protocol v2, checked: from the model and version asked for, every wanted
 * output there, as many numbers as its shape says. Throws `inference.engine-refused`, `inference.output-invalid`.
 */
export function readInferenceAnswer(
  text: string,
  asked: { readonly model: string; readonly version: string },
  outputs: readonly string[],
): Record<string, OutputTensor> {
  const answer = parse(text);
  if (answer['model_name'] !== asked.model || (answer['model_version'] ?? asked.version) !== asked.version) {
    throw new Failure(
      'inference.engine-refused',
      'The inference server answered for another model or version than was asked.',
    );
  }
  const given = Array.isArray(answer['outputs']) ? answer['outputs'].filter(isRecord) : [];
  return Object.fromEntries(
    outputs.map((name) => {
      const output = given.find((candidate) => candidate['name'] === name);
      if (!output)
        throw new Failure('inference.output-invalid', `The inference server gave no output "${name}".`);
      return [name, tensorOf(name, output)];
    }),
  );
}

function tensorOf(name: string, output: Record<string, unknown>): OutputTensor {
  const dims = output['shape'];
  const values = Array.isArray(output['data']) ? output['data'].flat(DIMENSIONS_MAX) : null;
  const shaped =
    Array.isArray(dims) &&
    dims.length <= DIMENSIONS_MAX &&
    dims.every((size) => Number.isInteger(size) && size >= 0);
  const size = shaped ? valuesIn(dims as number[]) : -1;
  if (values?.length !== size || !values.every((value) => typeof value === 'number')) {
    throw new Failure(
      'inference.output-invalid',
      `The output "${name}" of the inference server is not a tensor of numbers of its shape.`,
    );
  }
  return { dims: dims as number[], data: Float64Array.from(values) };
}

/** The protocol lets data be nested as deep as the tensor has dimensions. */
const DIMENSIONS_MAX = 8;

function parse(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text);
    if (isRecord(answer)) return answer;
  } catch {
    // Said below: what the text holds is nobody's business.
  }
  throw new Failure('inference.output-invalid', 'The inference server did not answer with a JSON object.');
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
