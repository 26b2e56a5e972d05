import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type PhantomSeries, phantomSeries } from '../../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../../models/phantom/phantom-file.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { Failure } from '../../kernel/errors.ts';
import { OnnxEngine } from './engines/onnx-engine.ts';
import { FILES_MAX, type ReadTensorsOptions, TENSOR_VALUES_MAX, TensorReader } from './tensor-reader.ts';

const SLICES = 30;
const ROWS = 64;

let folder: string;
let paths: string[];
let hu: Int16Array;
let series: PhantomSeries;
let workers: PixelWorkers;
let reader: TensorReader;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tensor-'));
  series = phantomSeries({
    slices: SLICES,
    rows: ROWS,
    columns: ROWS,
    pixelSpacingMm: 5.6,
    sliceSpacingMm: 10,
    emphysemaFraction: 0.15,
  });
  hu = new Int16Array(SLICES * ROWS * ROWS);
  paths = [];
  for (const slice of series.slices()) {
    hu.set(slice.hu, slice.index * ROWS * ROWS);
    paths.push(write(`${slice.index}.dcm`, slice.attributes, slice.stored));
  }
  workers = new PixelWorkers({ size: 2 });
  reader = new TensorReader(workers);
});
afterAll(async () => {
  await workers.close();
  rmSync(folder, { recursive: true });
});

function write(name: string, attributes: Readonly<Record<string, unknown>>, stored: Uint16Array): string {
  const path = join(folder, name);
  writeFileSync(path, phantomFile(attributes, stored));
  return path;
}

type Model = Pick<Manifest, 'pixels' | 'inputs' | 'fits'>;

const lung: Model = {
  fits: { modality: ['CT'] },
  pixels: [{ op: 'modality_values' }],
  inputs: [
    { name: 'image', gives: 'image', layout: 'DHW', dtype: 'int16' },
    { name: 'spacing_mm', gives: 'spacing_mm', dtype: 'float32' },
  ],
};

const read = (changes: Partial<ReadTensorsOptions> = {}) =>
  reader.read({ paths, manifest: lung, timeLimitMs: 20_000, ...changes });

test('A CT series becomes one volume of Hounsfield units in stacking order, with its distances', async () => {
  const tensors = await read();
  expect(tensors.image.dims).toEqual([SLICES, ROWS, ROWS]);
  expect(new Int16Array(tensors.image.bytes, 0, hu.length)).toEqual(hu);
  const spacing = tensors.inputs['spacing_mm'];
  expect(spacing?.dims).toEqual([3]);
  expect([...new Float32Array(spacing!.bytes)].map((mm) => mm.toFixed(3))).toEqual([
    '10.000',
    '5.600',
    '5.600',
  ]);
  expect(tensors.preview).toBeNull();
  tensors.release();
});

test('The digest is the same for the same inputs, however many workers read them, and another when one slice moves', async () => {
  const alone = new PixelWorkers({ size: 1 });
  const one = await new TensorReader(alone).read({ paths, manifest: lung, timeLimitMs: 20_000 });
  await alone.close();
  const two = await read();
  const swapped = await read({ paths: [paths[1]!, paths[0]!, ...paths.slice(2)] });
  expect(one.digest).toMatch(/^[0-9a-f]{64}$/);
  expect(two.digest).toBe(one.digest);
  expect(swapped.digest).not.toBe(one.digest);
});

test('Memory that was given back is used again, and what a longer series left in it is not seen', async () => {
  const long = await read();
  const { bytes } = long.image;
  long.release();
  const short = await read({ paths: paths.slice(10, 14) });
  expect(short.image.bytes).toBe(bytes);
  expect(short.image.dims).toEqual([4, ROWS, ROWS]);
  expect(new Int16Array(short.image.bytes, 0, 4 * ROWS * ROWS)).toEqual(
    hu.subarray(10 * ROWS * ROWS, 14 * ROWS * ROWS),
  );
  short.release();
});

test('The lung density model measures the phantom within its tolerance', async () => {
  const engine = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });
  const folderOfSeries = join(folder, 'fine');
  mkdirSync(folderOfSeries);
  const fine = phantomSeries({
    slices: 48,
    rows: 256,
    columns: 256,
    pixelSpacingMm: 1.44,
    sliceSpacingMm: 6.25,
    emphysemaFraction: 0.12,
  });
  const finePaths = [...fine.slices()].map((slice) =>
    write(`fine/${slice.index}.dcm`, slice.attributes, slice.stored),
  );
  const tensors = await read({ paths: finePaths });
  const file = 'models/ct-lung-density/1.0.0/model.onnx';
  expect(existsSync(file)).toBe(true);
  const result = await engine.run({
    model: {
      key: 'ct-lung-density@1.0.0',
      version: '1.0.0',
      file,
      engine: { kind: 'onnx' },
      concurrencyMax: 1,
    },
    inputs: tensors.inputs,
    outputs: ['lung_volume_ml', 'laa_950_percent', 'lung_mask'],
    timeLimitMs: 60_000,
  });
  await engine.close();
  const truth = fine.truth();
  expect(result.outputs['lung_volume_ml']?.data[0]).toBeGreaterThan(truth.lungVolumeMl * 0.95);
  expect(result.outputs['lung_volume_ml']?.data[0]).toBeLessThan(truth.lungVolumeMl * 1.05);
  expect(Math.abs((result.outputs['laa_950_percent']?.data[0] ?? 0) - truth.laa950Percent)).toBeLessThan(1);
  expect(result.outputs['lung_mask']?.dims).toEqual([48, 256, 256]);
}, 90_000);

test('A single image is laid out for its model and comes with a preview and the outline of what the model saw', async () => {
  const stored = Uint16Array.from({ length: 20 * 30 }, (_, i) => i);
  const attributes = {
    ...firstAttributes(),
    Rows: 20,
    Columns: 30,
    WindowCenter: 300,
    WindowWidth: 600,
    RescaleIntercept: 0,
  };
  const manifest: Model = {
    fits: { modality: ['DX'] },
    pixels: [
      { op: 'centre_crop_square' },
      { op: 'channels', count: 3 },
      { op: 'scale', from: [0, 1], to: [0, 1] },
    ],
    inputs: [{ name: 'image', gives: 'image', layout: 'NCHW', dtype: 'float32' }],
  };
  const tensors = await read({ paths: [write('single.dcm', attributes, stored)], manifest });
  expect(tensors.image.dims).toEqual([1, 3, 20, 20]);
  expect(new Float32Array(tensors.image.bytes)[400]).toBe(5);
  expect(tensors.preview).toMatchObject({
    rows: 20,
    columns: 30,
    seen: { row: 0, column: 5, rows: 20, columns: 20 },
  });
  expect([tensors.preview?.data[0], tensors.preview?.data[300], tensors.preview?.data[599]]).toEqual([
    0, 128, 255,
  ]);
});

test('An image of one value is refused by the rule about its histogram, with what was seen and what is needed', async () => {
  const blank = new Uint16Array(ROWS * ROWS).fill(1000);
  const manifest = {
    ...lung,
    fits: { modality: ['CT'], histogram: { distinct_min: 50, single_value_share_max: 0.9 } },
  };
  const bad = write('blank.dcm', firstAttributes(), blank);
  const { verdict } = await read({ paths: [...paths.slice(0, 20), bad], manifest });
  expect(verdict).toMatchObject({ rule: 'histogram', observed: expect.stringContaining('1 distinct') });
  expect((await read({ manifest })).verdict).toBeNull();
});

test.each([
  [
    'slices of different size',
    'inference.slices-differ',
    () => [
      paths[0]!,
      write('small.dcm', { ...firstAttributes(), Rows: 32, Columns: 32 }, new Uint16Array(1024)),
    ],
  ],
  [
    'no distances',
    'inference.spacing-missing',
    () => [
      write('flat.dcm', { ...firstAttributes(), PixelSpacing: undefined }, new Uint16Array(ROWS * ROWS)),
      paths[1]!,
    ],
  ],
  [
    'several frames in a file',
    'inference.pixels-invalid',
    () => [
      write('frames.dcm', { ...firstAttributes(), NumberOfFrames: 2 }, new Uint16Array(2 * ROWS * ROWS)),
    ],
  ],
  [
    'PET, whose uptake values are not computed',
    'inference.suv',
    () => [write('pet.dcm', { ...firstAttributes(), Modality: 'PT' }, new Uint16Array(ROWS * ROWS))],
  ],
  ['a file that is no DICOM', 'dicom.not-dicom', () => [textFile()]],
  ['no files', 'inference.input-shape', () => []],
  [
    'more files than any series has',
    'inference.series-too-large',
    () => new Array<string>(FILES_MAX + 1).fill(paths[0]!),
  ],
])('A series with %s is refused by name', async (_, code, files) => {
  await expect(read({ paths: files() })).rejects.toMatchObject({ code });
});

test('One enhanced object gives the volume of its frames in the order of their places', async () => {
  const order = [3, 0, 4, 1, 2];
  const slice = ROWS * ROWS;
  const slices = [...series.slices()];
  const stored = new Uint16Array(order.length * slice);
  order.forEach((index, at) => {
    stored.set(slices[index]!.stored, at * slice);
  });
  const { ImagePositionPatient: _, ImageOrientationPatient, PixelSpacing, ...rest } = slices[0]!.attributes;
  const attributes = {
    ...rest,
    NumberOfFrames: order.length,
    SharedFunctionalGroupsSequence: [
      {
        PlaneOrientationSequence: [{ ImageOrientationPatient }],
        PixelMeasuresSequence: [{ PixelSpacing }],
        PixelValueTransformationSequence: [{ RescaleIntercept: -1024, RescaleSlope: 1, RescaleType: 'HU' }],
      },
    ],
    PerFrameFunctionalGroupsSequence: order.map((index) => ({
      PlanePositionSequence: [{ ImagePositionPatient: slices[index]!.attributes.ImagePositionPatient }],
    })),
  };
  const file = write('enhanced.dcm', attributes, stored);
  const one = await read({ paths: [file] });
  const many = await read({ paths: paths.slice(0, order.length) });
  expect(one.image.dims).toEqual([order.length, ROWS, ROWS]);
  expect(new Int16Array(one.image.bytes, 0, stored.length)).toEqual(hu.subarray(0, stored.length));
  expect(one.digest).toBe(many.digest);
  await expect(read({ paths: [file, file] })).rejects.toMatchObject({ code: 'inference.pixels-invalid' });
  const twice = {
    ...attributes,
    PerFrameFunctionalGroupsSequence: order.map(() => attributes.PerFrameFunctionalGroupsSequence[0]),
  };
  const doubled = write('doubled.dcm', twice, stored);
  await expect(read({ paths: [doubled] })).rejects.toMatchObject({ code: 'inference.pixels-invalid' });
});

test('A volume beyond the limit of voxels is refused before its memory is taken', async () => {
  const large = write(
    'large.dcm',
    { ...firstAttributes(), Rows: 1024, Columns: 1024 },
    new Uint16Array(1024 * 1024),
  );
  const slices = Math.floor(TENSOR_VALUES_MAX / (1024 * 1024)) + 1;
  const before = process.memoryUsage().rss;
  await expect(read({ paths: new Array<string>(slices).fill(large) })).rejects.toMatchObject({
    code: 'inference.series-too-large',
  });
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
});

test('Several images for a model that takes one are refused by name', async () => {
  const manifest: Model = {
    ...lung,
    inputs: [{ name: 'image', gives: 'image', layout: 'NHWC', dtype: 'float32' }],
  };
  await expect(read({ manifest })).rejects.toMatchObject({ code: 'inference.input-shape' });
});

test('A task that takes too long fails by name, and the reader goes on', async () => {
  await expect(read({ timeLimitMs: 0 })).rejects.toMatchObject({ code: 'dicom.decode-timeout' });
  expect((await read()).image.dims).toEqual([SLICES, ROWS, ROWS]);
});

function firstAttributes(): Readonly<Record<string, unknown>> {
  const first = phantomSeries({ slices: 1, rows: ROWS, columns: ROWS, pixelSpacingMm: 5.6 }).slices().next();
  return (first.value as { attributes: Readonly<Record<string, unknown>> }).attributes;
}

function textFile(): string {
  const path = join(folder, 'text.dcm');
  writeFileSync(path, 'not a DICOM file at all');
  return path;
}

test('Files that arrive in another order than they are stacked, one by one, give the same tensor', async () => {
  const whole = await read();
  const arrivals = paths.map(() => Promise.withResolvers<string>());
  const reading = read({ paths: arrivals.map(({ promise }) => promise) });
  for (const at of [...paths.keys()].reverse()) {
    arrivals[at]!.resolve(paths[at]!);
    if (at % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const { digest, place, preview, verdict } = await reading;
  expect(digest).toBe(whole.digest);
  expect({ place, preview, verdict }).toEqual({
    place: whole.place,
    preview: whole.preview,
    verdict: whole.verdict,
  });
});

test('A file that never arrives fails the reading with what kept it away', async () => {
  const lost = new Failure('dicomweb.timeout', 'The PACS takes too long to answer.');
  const late = [...paths.slice(0, 5), Promise.reject(lost), ...paths.slice(6)];
  await expect(read({ paths: late })).rejects.toBe(lost);
});
