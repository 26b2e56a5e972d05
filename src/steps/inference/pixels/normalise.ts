import type { PixelOp } from '../../../governance/manifest.ts';
import { Failure } from '../../../kernel/errors.ts';
import type { PixelImage } from './pixel-image.ts';

/** `(value − mean) / std` per sample, as Float32. One mean and one std serve all samples, or there is one of each per sample. */
export function normalise(image: PixelImage, op: Extract<PixelOp, { op: 'normalise' }>): PixelImage {
  const mean = perSample(op.mean, image.samples);
  const std = perSample(op.std, image.samples);
  if (std.includes(0))
    throw new Failure(
      'inference.pixels-invalid',
      'normalise: a std of 0 divides by nothing; correct the manifest.',
    );
  const { samples } = image;
  const data = new Float32Array(image.data.length);
  for (let sample = 0; sample < samples; sample++) {
    const m = mean[sample]!;
    const s = std[sample]!;
    for (let i = sample; i < data.length; i += samples) data[i] = (image.data[i]! - m) / s;
  }
  const lows = mean.map((m, i) => (image.range.min - m) / std[i]!);
  const highs = mean.map((m, i) => (image.range.max - m) / std[i]!);
  return { ...image, data, range: { min: Math.min(...lows, ...highs), max: Math.max(...lows, ...highs) } };
}

function perSample(values: readonly number[], samples: number): number[] {
  if (values.length === samples) return [...values];
  const [only] = values;
  if (values.length === 1 && only !== undefined) return new Array<number>(samples).fill(only);
  throw new Failure(
    'inference.pixels-invalid',
    `normalise: ${values.length} values for an image of ${samples} samples; give one, or one per sample.`,
  );
}
