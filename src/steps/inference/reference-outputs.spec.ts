import { existsSync, readFileSync } from 'node:fs';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PixelOp } from '../../governance/manifest.ts';
import type { EngineModel, InputTensor } from './engines/engine.ts';
import { OnnxEngine } from './engines/onnx-engine.ts';
import { applyPixels } from './pixels/apply-pixels.ts';
import { imageOfStoredPixels, type PixelImage } from './pixels/pixel-image.ts';
import { type TensorLayout, tensorDims, tensorSlice, writeTensor } from './pixels/tensor-layout.ts';
import { readStoredPixels } from './read-stored-pixels.ts';

/** Outputs that were computed elsewhere, with Pillow doing the pixels. Whatever the pipeline does differently shows here. */
const DATA = '../shared/data';
const noData = !existsSync(`${DATA}/models`);

const INT8_MODEL = 'cxr15-mobilenetv3-int8';
const NHWC_MODEL = 'cxr3-teachable-nhwc';

const EIGHT_BIT: PixelOp[] = [{ op: 'invert_if_monochrome1' }, { op: 'to_8bit', from: 'minmax' }];
const RESIZE = { op: 'resize', rows: 224, columns: 224, antialias: true, round_8bit: true } as const;
const INT8: PixelOp[] = [
  ...EIGHT_BIT,
  { op: 'channels', count: 1 },
  { ...RESIZE, method: 'bilinear' },
  { op: 'scale', from: [0, 255], to: [0, 1] },
  { op: 'normalise', mean: [0.485], std: [0.229] },
];
const NHWC: PixelOp[] = [
  ...EIGHT_BIT,
  { op: 'channels', count: 3 },
  { op: 'centre_crop_square' },
  { ...RESIZE, method: 'lanczos' },
  { op: 'scale', from: [0, 255], to: [-1, 1] },
];

describe.skipIf(noData)(noData ? 'skipped: no shared data' : 'reference outputs', () => {
  const engine = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });
  afterAll(() => engine.close());

  const scores = { int8: new Map<string, number[]>(), nhwc: new Map<string, number[]>() };
  const square = new Set<string>();
  // Each file is decoded once for both models.
  beforeAll(async () => {
    for (const { file } of references(INT8_MODEL)) {
      const image = await load(file);
      if (image.rows === image.columns) square.add(file);
      const int8 = applyPixels(image, INT8);
      scores.int8.set(file, await run(INT8_MODEL, ['input', 'output', 'NCHW'], int8));
      const nhwc = applyPixels(image, NHWC);
      scores.nhwc.set(file, await run(NHWC_MODEL, ['image', 'probabilities', 'NHWC'], nhwc));
    }
  }, 180_000);

  test('The int8 chest model gives the reference logits for every PNG and DICOM, to the last quantisation step', () => {
    const rows = references(INT8_MODEL);
    expect(rows.length).toBe(59);
    // One step of the quantised output is 0.279, and the file has five decimals.
    for (const { file, expected } of rows)
      expect(worst(scores.int8.get(file) ?? [], expected), file).toBeLessThan(1e-4);
  });

  test('The NHWC model gives the reference probabilities', () => {
    const rows = references(NHWC_MODEL);
    expect(rows.length).toBe(59);
    // There the image was cropped inside the resize, which lets pixels beyond the crop into its border.
    for (const { file, expected } of rows)
      expect(worst(scores.nhwc.get(file) ?? [], expected), file).toBeLessThan(square.has(file) ? 1e-4 : 0.01);
  });

  async function run(
    model: string,
    [input, output, layout]: [string, string, TensorLayout],
    image: PixelImage,
  ) {
    const values = image.data.length;
    const tensor: InputTensor = {
      dtype: 'float32',
      dims: tensorDims(image, 1, layout),
      bytes: new ArrayBuffer(values * 4),
    };
    writeTensor(image, tensorSlice(tensor.bytes, 'float32', values, 0), 'float32', layout);
    const engineModel: EngineModel = {
      key: model,
      version: '1',
      file: `${DATA}/models/${model}/model.onnx`,
      engine: { kind: 'onnx' },
      concurrencyMax: 1,
    };
    const result = await engine.run({
      model: engineModel,
      inputs: { [input]: tensor },
      outputs: [output],
      timeLimitMs: 10_000,
    });
    return Array.from(result.outputs[output]!.data);
  }
});

function references(model: string): { file: string; expected: number[] }[] {
  const lines = readFileSync(`${DATA}/models/${model}/reference-outputs.csv`, 'utf8')
    .trim()
    .split('\n')
    .slice(1);
  return lines
    .map((line) => line.split(','))
    .filter(([file]) => /\.(png|dcm)$/.test(file ?? ''))
    .map(([file, , ...expected]) => ({ file: file!, expected: expected.map(Number) }));
}

const worst = (scores: readonly number[], expected: readonly number[]): number =>
  Math.max(...expected.map((value, i) => Math.abs(value - (scores[i] ?? Number.NaN))));

async function load(file: string): Promise<PixelImage> {
  if (file.endsWith('.dcm')) return imageOfStoredPixels((await readStoredPixels(`${DATA}/${file}`)).pixels);
  const png = decode(readFileSync(`${DATA}/${file}`));
  const samples = png.channels >= 3 ? 3 : 1;
  const data = png.channels === 4 ? png.data.filter((_, i) => i % 4 !== 3) : png.data;
  return imageOfStoredPixels({
    rows: png.height,
    columns: png.width,
    samples,
    data: Uint8Array.from(data),
    bitsStored: 8,
    signed: false,
    source: { monochrome1: false, slope: 1, intercept: 0 },
  });
}
