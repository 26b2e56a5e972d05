import { Failure } from '../../../kernel/errors.ts';
import type { EngineRequest } from './engine.ts';
import { OIP_DATATYPES } from './oip-datatypes.ts';

/** What a server says of itself and of a model (`GET v2`, `GET v2/models/{name}/versions/{version}`). */
export interface ServerFacts {
  /** Offers the binary tensor data extension. */
  readonly binary: boolean;
  readonly inputs: readonly MetadataTensor[];
  readonly outputs: readonly MetadataTensor[];
}

export interface MetadataTensor {
  readonly name: string;
  readonly datatype: string;
  /** -1: any size. */
  readonly shape: readonly number[];
}

export function serverFacts(server: unknown, model: unknown): ServerFacts {
  const extensions = isRecord(server) && Array.isArray(server['extensions']) ? server['extensions'] : [];
  const { inputs, outputs } = isRecord(model) ? model : {};
  return {
    binary: extensions.includes('binary_tensor_data'),
    inputs: tensorsOf(inputs),
    outputs: tensorsOf(outputs),
  };
}

function tensorsOf(value: unknown): readonly MetadataTensor[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((one) =>
    isRecord(one) && typeof one['name'] === 'string' && Array.isArray(one['shape'])
      ? [
          {
            name: one['name'],
            datatype: String(one['datatype']),
            // Protobuf's JSON writes 64-bit numbers as text, and some servers do so here.
            shape: one['shape'].map(Number),
          },
        ]
      : [],
  );
}

/** Compares what the manifest makes with what the server's model takes and gives. Throws `inference.engine-refused` with every difference. */
export function checkMetadata(facts: ServerFacts, { inputs, outputs }: EngineRequest): void {
  const faults = [
    ...Object.entries(inputs).flatMap(([name, { dtype, dims }]) => {
      const there = facts.inputs.find((one) => one.name === name);
      if (!there) return [`it has no input "${name}"`];
      const type = OIP_DATATYPES[dtype];
      if (there.datatype !== type) return [`its input "${name}" is ${there.datatype}, not ${type}`];
      return fitsShape(there.shape, dims)
        ? []
        : [`its input "${name}" takes [${there.shape}], the manifest's pixels give [${dims}]`];
    }),
    ...facts.inputs
      .filter(({ name }) => !(name in inputs))
      .map(({ name }) => `it also needs the input "${name}"`),
    ...outputs
      .filter((name) => !facts.outputs.some((one) => one.name === name))
      .map((name) => `it has no output "${name}"`),
  ];
  if (faults.length === 0) return;
  throw new Failure(
    'inference.engine-refused',
    `The model on the inference server is not the manifest's: ${faults.join('; ')}.`,
  );
}

const fitsShape = (shape: readonly number[], dims: readonly number[]): boolean =>
  shape.length === dims.length && shape.every((size, i) => size < 0 || size === dims[i]);

export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
