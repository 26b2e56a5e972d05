import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { datasetToJson } from '../../src/dicom/dataset-to-json.ts';
import { describeVolume } from '../../src/dicom/describe-volume.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import { readInstanceHead } from '../../src/dicom/read-instance-head.ts';
import type { DicomJson } from '../../src/dicom/study-source.ts';
import type { PixelOp } from '../../src/governance/manifest.ts';
import { type ReadTensorsOptions, TensorReader } from '../../src/steps/inference/tensor-reader.ts';

/**
 * One measurement in a process of its own, so that its memory is its own: files of a series → sorted volume. Arguments: a folder, how often
 * its files are taken (for a series longer than the disk should hold), `float32` for scaled values or `int16` for Hounsfield units.
 */
const [folder = '', times = '1', dtype = 'float32'] = process.argv.slice(2);

/** One file, then several tasks for each of two threads. */
const WARM_FILES = 25;
const HEADS_AT_ONCE = 8;

const SCALED: readonly PixelOp[] = [
  { op: 'modality_values' },
  { op: 'clip', min: -1000, max: 400 },
  { op: 'normalise', mean: [-300], std: [700] },
];

const paths = readdirSync(folder)
  .sort()
  .map((name) => join(folder, name));
const workers = new PixelWorkers();
const reader = new TensorReader(workers);
const manifest: ReadTensorsOptions['manifest'] = {
  fits: { modality: ['CT'] },
  pixels: dtype === 'int16' ? SCALED.slice(0, 1) : SCALED,
  inputs: [
    { name: 'image', gives: 'image', layout: 'NCDHW', dtype: dtype === 'int16' ? 'int16' : 'float32' },
  ],
};
// The threads of a server in service run; the peers' imports are not counted either.
const warm = await reader.read({ paths: paths.slice(0, WARM_FILES), manifest, timeLimitMs: 60_000 });
warm.release();
const start = performance.now();
const heads: DicomJson[] = [];
// A few at a time: the next ones are read while one is turned into JSON, and a head holds its bytes until then.
for (let at = 0; at < paths.length; at += HEADS_AT_ONCE) {
  const some = paths.slice(at, at + HEADS_AT_ONCE).map(readInstanceHead);
  for (const head of await Promise.all(some)) heads.push(datasetToJson(head.dataset));
}
const order = describeVolume(heads).frames.map(({ instance }) => paths[instance] ?? '');
const sortedMs = performance.now() - start;
const tensors = await reader.read({
  paths: Array.from({ length: Number(times) }, () => order).flat(),
  manifest,
  timeLimitMs: 600_000,
});
const ms = performance.now() - start;
const { bytes, dims } = tensors.image;
const values = dtype === 'int16' ? new Int16Array(bytes) : new Float32Array(bytes);
process.stdout.write(
  `${JSON.stringify({ ms, sortedMs, peakKb: peakKb(), dims, sum: dtype === 'int16' ? 0 : sumOf(values, dims) })}\n`,
);
process.exit(0);

/** The most memory that the process has had resident. */
function peakKb(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? 0);
}

/** Every 7th slice, 5th row, 3rd column: the peers add up the same ones. */
function sumOf(
  values: Float32Array | Int16Array,
  [, , slices = 0, rows = 0, columns = 0]: readonly number[],
): number {
  let sum = 0;
  for (let z = 0; z < slices; z += 7)
    for (let y = 0; y < rows; y += 5)
      for (let x = 0; x < columns; x += 3) sum += values[(z * rows + y) * columns + x] ?? 0;
  return sum;
}
