import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { PhantomSeries, PhantomTruth } from '../../models/phantom/make-phantom.ts';

export interface PhantomRun {
  readonly truth: PhantomTruth;
  readonly volumeMl: number;
  readonly laaPercent: number;
  readonly densityHu: number;
  readonly mask: Uint8Array;
  /** 1 where a voxel's centre lies in aerated lung. */
  readonly trueLung: Uint8Array;
  readonly image: Int16Array;
  readonly runMs: number;
}

export function openLungModel(): Promise<InferenceSession> {
  const file = new URL('../../models/ct-lung-density/1.0.0/model.onnx', import.meta.url);
  // Without spinning, threads that wait leave the cores to others: half the processor time, no slower.
  const extra = { session: { intra_op: { allow_spinning: '0' } } };
  return InferenceSession.create(file.pathname, { intraOpNumThreads: 2, extra });
}

/** The whole phantom through the model. `turn` may change the volume before the model sees it (not the truth). */
export async function runPhantom(
  session: InferenceSession,
  phantom: PhantomSeries,
  turn: (image: Int16Array, planeSize: number) => Int16Array = (image) => image,
): Promise<PhantomRun> {
  const { slices, rows, columns, sliceSpacingMm, pixelSpacingMm } = phantom.options;
  const plane = rows * columns;
  const image = new Int16Array(slices * plane);
  const trueLung = new Uint8Array(slices * plane);
  for (const slice of phantom.slices()) {
    image.set(slice.hu, slice.index * plane);
    trueLung.set(slice.lung, slice.index * plane);
  }
  const spacing = Float32Array.of(sliceSpacingMm, pixelSpacingMm, pixelSpacingMm);
  const start = performance.now();
  const output = await session.run({
    image: new Tensor('int16', turn(image, plane), [slices, rows, columns]),
    spacing_mm: new Tensor('float32', spacing, [3]),
  });
  const runMs = performance.now() - start;
  const number = (name: string) => Number(output[name]?.data[0]);
  return {
    truth: phantom.truth(),
    volumeMl: number('lung_volume_ml'),
    laaPercent: number('laa_950_percent'),
    densityHu: number('mean_lung_density_hu'),
    mask: output['lung_mask']?.data as Uint8Array,
    trueLung,
    image,
    runMs,
  };
}
