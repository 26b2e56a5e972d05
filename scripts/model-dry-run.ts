import type { RegisteredModel } from '../src/governance/check-model.ts';
import type { ModelInput } from '../src/governance/manifest.ts';
import { Failure } from '../src/kernel/errors.ts';
import type { InputTensor, OutputTensor } from '../src/steps/inference/engines/engine.ts';
import { engineModel } from '../src/steps/inference/inference.step.ts';
import type { ModelKit } from './model-kit.ts';

/** What an axis has that neither graph nor manifest fixes: small, since only the run itself is tried. */
const OPEN_AXIS = 64;
const VALUE_BYTES = { float32: 4, float16: 2, int16: 2, uint8: 1 } as const;

export interface DryRun {
  readonly lines: readonly string[];
  readonly fault: string | null;
}

/** Runs the graph once with zeros of the shape it takes: does it run here at all, and are its outputs numbers of a shape that fits? */
export async function dryRun(model: RegisteredModel, { engines }: ModelKit): Promise<DryRun> {
  const { manifest, graph } = model;
  if (graph === null) return { lines: ['no dry run: the file is on the server only'], fault: null };
  const inputs = Object.fromEntries(
    manifest.inputs.map((input) => {
      const dims = graph.inputs.find(({ name }) => name === input.name)?.dims ?? [];
      return [input.name, zeros(input, dims)];
    }),
  );
  try {
    const result = await engines.of(engineModel(model).engine.kind).run({
      model: engineModel(model),
      inputs,
      outputs: manifest.outputs.map(({ name }) => name),
      timeLimitMs: manifest.running.time_limit_ms,
    });
    const shapes = [...Object.entries(inputs), ...Object.entries(result.outputs)].map(
      ([name, { dims }]: [string, Pick<OutputTensor, 'dims'>]) => `${name} [${dims}]`,
    );
    return { lines: [`dry run on zeros: ${shapes.join(', ')} in ${result.ms.toFixed(0)} ms`], fault: null };
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // Zeros of a guessed size are no image: a graph that asks for another size is tried by its golden cases.
    const guessed = Object.keys(inputs).some((name) =>
      graph.inputs.some((tensor) => tensor.name === name && tensor.dims.slice(1).includes(null)),
    );
    const text = `dry run on zeros: ${error.code}: ${error.message}`;
    return guessed ? { lines: [`${text} (its size was a guess)`], fault: null } : { lines: [], fault: text };
  }
}

function zeros({ dtype, gives }: ModelInput, dims: readonly (number | null)[]): InputTensor {
  const sizes = dims.map((size, axis) => size ?? (axis === 0 && dims.length > 3 ? 1 : OPEN_AXIS));
  const values = sizes.reduce((product, size) => product * size, 1);
  const bytes = new ArrayBuffer(values * VALUE_BYTES[dtype]);
  if (gives === 'spacing_mm') new Float32Array(bytes).fill(1);
  return { dtype, dims: sizes, bytes };
}
