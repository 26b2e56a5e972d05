import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeModel, Graph } from '../../../models/ct-lung-density/build/onnx-model.ts';
import { phantomSeries } from '../../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../../models/phantom/phantom-file.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { ModelInput, ModelOutput, PixelOp } from '../../governance/manifest.ts';
import { OnnxEngine } from './engines/onnx-engine.ts';
import { KeyPictures } from './key-pictures.ts';
import { outputNames, pictureNumbers, pictureRegions } from './result-pictures.ts';
import { TensorReader } from './tensor-reader.ts';

/**
 * A bright block at a known place in stored pixels, through every operation that moves pixels, through a model that looks for what is
 * bright (a box of it, or its numbers as logits), and back: box and outline must lie where the block is, within half a stored pixel.
 */
const ROWS = 300;
const COLUMNS = 240;
const XRAY = { top: 64, bottom: 104, left: 150, right: 196 };
const SLICES = 12;
const CT = {
  ...{ first: 4, last: 7, top: 20, bottom: 44, left: 36, right: 52 },
  ...{ rows: 72, columns: 80 },
};
const BRIGHT = 2000;
const HALF_PIXEL = 0.5;

let folder: string;
let xray: string;
let ct: string[];
const graphs: Record<string, string> = {};
const workers = new PixelWorkers({ size: 2 });
const reader = new TensorReader(workers);
const pictures = new KeyPictures(workers);
const engine = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lesion-'));
  const [slice] = [...phantomSeries({ slices: 1, rows: 64, columns: 64 }).slices()];
  const write = (name: string, attributes: object, stored: Uint16Array) => {
    writeFileSync(join(folder, name), phantomFile({ ...slice!.attributes, ...attributes }, stored));
    return join(folder, name);
  };
  const block = new Uint16Array(ROWS * COLUMNS).fill(BRIGHT);
  // MONOCHROME1: what is bright is stored low.
  for (let y = XRAY.top; y < XRAY.bottom; y++)
    block.fill(0, y * COLUMNS + XRAY.left, y * COLUMNS + XRAY.right);
  const flat = { RescaleIntercept: 0, PhotometricInterpretation: 'MONOCHROME1', PixelSpacing: [0.5, 0.4] };
  xray = write('xray.dcm', { ...flat, Rows: ROWS, Columns: COLUMNS }, block);
  ct = Array.from({ length: SLICES }, (_, index) => {
    const stored = new Uint16Array(CT.rows * CT.columns);
    if (index >= CT.first && index <= CT.last)
      for (let y = CT.top; y < CT.bottom; y++)
        stored.fill(BRIGHT, y * CT.columns + CT.left, y * CT.columns + CT.right);
    const place = {
      ImagePositionPatient: [-30, -20, 2.5 * index],
      ImageOrientationPatient: [1, 0, 0, 0, 1, 0],
    };
    const own = {
      ...place,
      PixelSpacing: [0.8, 0.8],
      RescaleIntercept: 0,
      Rows: CT.rows,
      Columns: CT.columns,
    };
    return write(`ct-${index}.dcm`, { ...own, SOPInstanceUID: `1.2.3.${index}` }, stored);
  });
  for (const axes of [2, 3]) {
    graphs[`detector${axes}`] = join(folder, `detector${axes}.onnx`);
    writeFileSync(graphs[`detector${axes}`]!, detector(axes));
    graphs[`segmenter${axes}`] = join(folder, `segmenter${axes}.onnx`);
    writeFileSync(graphs[`segmenter${axes}`]!, segmenter(axes));
  }
});
afterAll(async () => {
  await engine.close();
  await workers.close();
  rmSync(folder, { recursive: true });
});

const header = (name: string) => ({ name, producer: 'test', version: '1', doc: '', opset: 17, metadata: {} });
const input = (axes: number) => [1, 1, ...['D', 'H', 'W'].slice(3 - axes)];

/** The box of what is above a half, x y (z) first, twice: the second a pixel off and with a lower score, for the suppression. */
function detector(axes: number): Uint8Array {
  const g = new Graph();
  const image = g.input({ name: 'image', type: 'float', shape: input(axes) });
  const at = g.op('Cast', [g.op('NonZero', [g.op('Greater', [image, g.constant('float', [0.5])])])], {
    to: 1,
  });
  const axis = { axes: [1], keepdims: 0 };
  const order = g.constant(
    'int64',
    Array.from({ length: axes }, (_, i) => axes + 1 - i),
    [axes],
  );
  const low = g.op('Gather', [g.op('ReduceMin', [at], axis), order], { axis: 0 });
  const high = g.op('Add', [
    g.op('Gather', [g.op('ReduceMax', [at], axis), order], { axis: 0 }),
    g.constant('float', [1]),
  ]);
  const box = g.op('Unsqueeze', [g.op('Concat', [low, high], { axis: 0 }), g.constant('int64', [0], [1])]);
  const both = g.op('Concat', [g.op('Add', [box, g.constant('float', [1])]), box], { axis: 0 });
  g.output(both, { name: 'boxes', type: 'float', shape: [2, 2 * axes] });
  g.output(g.op('Identity', [g.constant('float', [0.6, 0.9], [2])]), {
    name: 'scores',
    type: 'float',
    shape: [2],
  });
  return encodeModel(g, header('detector'));
}

function segmenter(axes: number): Uint8Array {
  const g = new Graph();
  const image = g.input({ name: 'image', type: 'float', shape: input(axes) });
  const logits = g.op('Mul', [g.op('Sub', [image, g.constant('float', [0.5])]), g.constant('float', [8])]);
  g.output(logits, { name: 'logits', type: 'float', shape: input(axes) });
  return encodeModel(g, header('segmenter'));
}

const DETECTION = (axes: number): ModelOutput => ({
  ...{
    name: 'boxes',
    kind: 'detection',
    labels: ['Block'],
    unit: 'pixels',
    activation: 'none',
    score_min: 0.1,
  },
  ...{
    form: axes === 3 ? 'xyzxyz' : 'xyxy',
    scores: { output: 'scores' },
    nms: { iou: 0.3, across_classes: false },
  },
});
const SEGMENTATION: ModelOutput = {
  ...{ name: 'logits', kind: 'segmentation', labels: ['Block'], decode: 'threshold', activation: 'sigmoid' },
  ...{ threshold: 0.5, keep: 'largest' },
};

async function find(paths: readonly string[], pixels: readonly PixelOp[], output: ModelOutput) {
  const axes = paths.length > 1 ? 3 : 2;
  const image: ModelInput = {
    name: 'image',
    gives: 'image',
    layout: axes === 3 ? 'NCDHW' : 'NCHW',
    dtype: 'float32',
  };
  const manifest = { pixels, inputs: [image], fits: { modality: ['CT'] } };
  const tensors = await reader.read({ paths, manifest, timeLimitMs: 20_000 });
  const name = `${output.kind === 'detection' ? 'detector' : 'segmenter'}${axes}`;
  const model = {
    key: name,
    version: '1',
    file: graphs[name]!,
    engine: { kind: 'onnx' as const },
    concurrencyMax: 1,
  };
  const wanted = outputNames([output]);
  const result = await engine.run({ model, inputs: tensors.inputs, outputs: wanted, timeLimitMs: 20_000 });
  const read = await pictures.read([output], result.outputs, tensors);
  const regions = pictureRegions(
    read,
    tensors.frames,
    paths.map((_, i) => `1.2.3.${i}`),
  );
  const picture = await pictures.draw([output], result.outputs, tensors, read);
  tensors.release();
  return { regions: regions[output.name]!, numbers: pictureNumbers(read)[output.name]!, read, picture };
}

function expectBox(box: readonly number[], { left, top, right, bottom }: typeof XRAY) {
  for (const [i, edge] of [left, top, right, bottom].entries())
    expect(Math.abs(box[i]! - edge), `edge ${i}: ${box[i]} for ${edge}`).toBeLessThanOrEqual(HALF_PIXEL);
}

const UNIT: PixelOp[] = [
  { op: 'invert_if_monochrome1' },
  { op: 'scale', from: [4095 - BRIGHT, 4095], to: [0, 1] },
];
const RESIZE = { op: 'resize', method: 'bilinear', antialias: true } as const;
const WAYS: Record<string, PixelOp[]> = {
  'nothing that moves them': [],
  'a resize with two factors': [{ ...RESIZE, rows: 450, columns: 384 }],
  'a resize by a half': [{ ...RESIZE, rows: 150, columns: 120 }],
  'a nearest resize': [{ ...RESIZE, rows: 600, columns: 720, method: 'nearest' }],
  'a resize with aligned corners': [
    { ...RESIZE, rows: 597, columns: 600, antialias: false, centres: 'align_corners' },
  ],
  'a square crop and a resize': [{ op: 'centre_crop_square' }, { ...RESIZE, rows: 512, columns: 512 }],
  'padding to a square and a resize': [
    { op: 'pad_square', value: 0 },
    { ...RESIZE, rows: 600, columns: 600 },
  ],
  'a resize, then a crop, then padding': [
    { ...RESIZE, rows: 500, columns: 400 },
    { op: 'crop', rows: 300, columns: 350, at: [17, 43] },
    { op: 'pad', rows: 330, columns: 380, where: 'both', value: 0 },
  ],
  'other distances, edges kept': [
    { op: 'resample_spacing', mm: [0.31, 0.23], method: 'bilinear', origin: 'edges' },
  ],
  'other distances, first pixel kept': [
    { op: 'resample_spacing', mm: [0.31, 0.23], method: 'bilinear', origin: 'first_voxel' },
  ],
};

describe('A block in a radiograph is found where it is, after', () => {
  test.each(Object.entries(WAYS))('%s', async (_, ops) => {
    const boxes = await find([xray], [...UNIT, ...ops], DETECTION(2));
    expect(boxes.regions.length).toBe(1);
    expect(boxes.regions[0]!.location).toMatchObject({
      sopInstanceUid: '1.2.3.0',
      frame: 1,
      score: expect.closeTo(0.9, 5),
    });
    expectBox(boxes.regions[0]!.location.box, XRAY);
    expect(boxes.numbers.data[0]).toBeCloseTo(0.9, 5);

    const mask = await find([xray], [...UNIT, ...ops], SEGMENTATION);
    expectBox(mask.regions[0]!.location.box, XRAY);
    expect(mask.regions[0]!.location.polygon!.length).toBeGreaterThanOrEqual(8);
    // 40 × 46 pixels of 0.2 mm²; half a pixel at each edge at most.
    expect(Math.abs(mask.numbers.data[0]! - 40 * 46 * 0.2)).toBeLessThan(0.2 * (40 + 46));
    expect(mask.picture?.png.length).toBeGreaterThan(100);
  });
});

const HU: PixelOp[] = [{ op: 'modality_values' }, { op: 'scale', from: [0, BRIGHT], to: [0, 1] }];
const VOLUMES: Record<string, PixelOp[]> = {
  'nothing that moves them': [],
  'a resize of each slice': [{ ...RESIZE, rows: 144, columns: 160 }],
  'distances of 1 mm': [{ op: 'resample_spacing', mm: [1, 0.5, 0.5], method: 'bilinear', origin: 'edges' }],
  'distances from the first voxel': [
    { op: 'resample_spacing', mm: [1.2, 0.4, 0.4], method: 'bilinear', origin: 'first_voxel' },
  ],
  'turning to RAS': [{ op: 'reorient', to: 'RAS' }],
  'turning to RAS with the left-right axis first': [{ op: 'reorient', to: 'RAS', axes: 'xyz' }],
  'turning, resampling, cutting and padding': [
    { op: 'reorient', to: 'RAS', axes: 'xyz' },
    { op: 'resample_spacing', mm: [0.5, 0.5, 1], method: 'bilinear', origin: 'first_voxel' },
    { op: 'crop', slices: 100, rows: 100, columns: 28, at: 'centre' },
    { op: 'pad', slices: 128, rows: 112, columns: 32, where: 'both', value: 0 },
  ],
};

describe('A block in a CT is found where it is, after', () => {
  test.each(Object.entries(VOLUMES))('%s', async (_, ops) => {
    const boxes = await find(ct, [...HU, ...ops], DETECTION(3));
    const [found] = boxes.regions;
    expectBox(found!.location.box, CT);
    expect(Number(found!.location.sopInstanceUid.slice(6))).toBeGreaterThanOrEqual(CT.first);
    expect(Number(found!.location.sopInstanceUid.slice(6))).toBeLessThanOrEqual(CT.last);

    const mask = await find(ct, [...HU, ...ops], SEGMENTATION);
    expectBox(mask.regions[0]!.location.box, CT);
    const { mask: labels } = mask.read['logits']!;
    const slices = Array.from({ length: SLICES }, (_, slice) =>
      labels!
        .subarray(slice * CT.rows * CT.columns, (slice + 1) * CT.rows * CT.columns)
        .some((label) => label === 1),
    );
    expect(slices.flatMap((has, slice) => (has ? [slice] : []))).toEqual([4, 5, 6, 7]);
    // 4 slices of 24 × 16 voxels of 1.6 mm³.
    const volume = (4 * 24 * 16 * 1.6) / 1000;
    expect(Math.abs(mask.numbers.data[0]! - volume) / volume).toBeLessThan(0.08);
    expect(mask.picture?.slice).toBe(Number(mask.regions[0]!.location.sopInstanceUid.slice(6)));
  });
});
