import ort from 'onnxruntime-node';

/**
 * May several images be computed in one run? Only when the first axis of every input and output is open, no other is, and a trial
 * shows that neighbours do not change the numbers. They do in graphs that quantise over the whole tensor (`DynamicQuantizeLinear`) or
 * normalise over the batch: there a patient's score would depend on who else was waiting.
 */
export async function batchesAgree(session: ort.InferenceSession): Promise<boolean> {
  const all = [...session.inputMetadata, ...session.outputMetadata];
  if (!all.every((meta) => meta.isTensor && hasOpenBatch(meta.shape))) return false;
  if (!session.inputMetadata.every((meta) => meta.isTensor && meta.type === 'float32')) return false;
  try {
    const [one, two] = [trialFeeds(session, 1), trialFeeds(session, 1000)];
    const alone = [await session.run(one), await session.run(two)];
    const names = session.inputNames;
    const together = await session.run(
      Object.fromEntries(names.map((name) => [name, stack(one[name]!, two[name]!)])),
    );
    return session.outputNames.every((name) =>
      agrees(
        together[name]!,
        alone.map((result) => result[name]!),
      ),
    );
  } catch {
    // A graph that names its first axis and still takes only one image.
    return false;
  }
}

/** Largest difference that rounding in another order of sums makes, of 1 or of the value. */
const AGREE_TOLERANCE = 1e-4;

/** A trial on more values than this (16 MB) would make the start slow: volumes are not batched. */
const TRIAL_VALUES_MAX = 4_194_304;

const hasOpenBatch = ([first, ...rest]: readonly (number | string)[]): boolean =>
  first !== undefined &&
  !(typeof first === 'number' && first >= 0) &&
  rest.every((size) => typeof size === 'number' && size > 0);

/** The same numbers at every start: a linear congruential sequence from 0 to 1, at very different scales for different seeds. */
function trialFeeds(session: ort.InferenceSession, scale: number): Record<string, ort.Tensor> {
  return Object.fromEntries(
    session.inputMetadata.map((meta) => {
      const dims = meta.isTensor ? [1, ...meta.shape.slice(1).map(Number)] : [];
      const size = dims.reduce((product, value) => product * value, 1);
      if (size > TRIAL_VALUES_MAX) throw new RangeError('too large for a trial');
      let seed = 12_345;
      const values = Float32Array.from({ length: size }, () => {
        seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
        return (seed / 2_147_483_648) * scale;
      });
      return [meta.name, new ort.Tensor('float32', values, dims)];
    }),
  );
}

function stack(one: ort.Tensor, two: ort.Tensor): ort.Tensor {
  const values = new Float32Array(one.size * 2);
  values.set(one.data as Float32Array);
  values.set(two.data as Float32Array, one.size);
  return new ort.Tensor('float32', values, [2, ...one.dims.slice(1)]);
}

function agrees(together: ort.Tensor, alone: readonly ort.Tensor[]): boolean {
  const joined = alone.flatMap((tensor) => Array.from(tensor.data as Float32Array, Number));
  const values = Array.from(together.data as Float32Array, Number);
  return (
    together.dims[0] === 2 &&
    values.length === joined.length &&
    values.every((value, i) => {
      const other = joined[i] ?? Number.NaN;
      return Math.abs(value - other) <= AGREE_TOLERANCE * Math.max(1, Math.abs(other));
    })
  );
}
