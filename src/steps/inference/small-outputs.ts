import type { ModelOutput } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import type { SmallTensor } from '../../kernel/handoffs.ts';
import type { OutputTensor } from './engines/engine.ts';

/**
 * The outputs that go on to findings as they are, as plain numbers; pictures are read in `results/`. A number that is none (NaN, infinity) would become `null` in
 * the handoff's JSON and then a zero: it is refused here, by the output's name. Throws `inference.output-invalid`.
 */
export function smallOutputs(
  outputs: readonly ModelOutput[],
  results: Readonly<Record<string, OutputTensor>>,
): Record<string, SmallTensor> {
  return Object.fromEntries(
    outputs.filter(isNumbers).map((output) => [output.name, smallTensor(output, results[output.name])]),
  );
}

/** A handoff is a row of the outbox; 15 labels or a handful of measurements are usual. */
export const OUTPUT_VALUES_MAX = 4096;

const isNumbers = ({ kind }: ModelOutput): boolean => kind === 'classification' || kind === 'measurement';

function smallTensor(output: ModelOutput, tensor: OutputTensor | undefined): SmallTensor {
  if (!tensor) throw invalid(output.name, 'is missing');
  const { dims, data } = tensor;
  if (data.length > OUTPUT_VALUES_MAX)
    throw invalid(output.name, `has ${data.length} values; at most ${OUTPUT_VALUES_MAX} are handed on`);
  const expected = output.kind === 'classification' ? output.labels.length : 1;
  if (data.length !== expected)
    throw invalid(output.name, `has ${data.length} values; the manifest names ${expected}`);
  if (!data.every((value: number) => Number.isFinite(value)))
    throw invalid(output.name, 'holds a value that is no finite number');
  return { dims: [...dims], data: Array.from(data) };
}

const invalid = (name: string, what: string): Failure =>
  new Failure('inference.output-invalid', `The output "${name}" ${what}.`);
