import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { decodePixels } from '../../src/dicom/decode-pixels.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import type { PixelOp } from '../../src/governance/manifest.ts';
import { readSlices } from '../../src/steps/inference/read-tensor.task.ts';
import { median } from './percentile.ts';

interface Measured {
  readonly ms: number;
  readonly peakKb: number;
  readonly sum: number;
}

const PEERS = ['pydicom', 'gdcm', 'pool'] as const;
const VOLUME_SUM_TOLERANCE = 1e-3;

/**
 * `npm run bench -- pixels`: a generated CT, uncompressed, as JPEG lossless and as JPEG 2000, from files to a sorted float32 volume, in turn with
 * the Python programs; a chest radiograph from bytes to tensor against the bare decoder; a series of 3,000 slices for its memory.
 * Needs dcmtk, gdcm and python3 with pydicom, numpy and gdcm (apt); writes `bench-results/pixels.md`.
 */
export async function benchPixels(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      slices: { type: 'string', default: '300' },
      runs: { type: 'string', default: '3' },
      long: { type: 'string', default: '10' },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'prelim-pixels-'));
  const slices = Number(values.slices);
  try {
    makeSeries(folder, slices);
    const lines = [
      `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}. Medians of ${values.runs} runs in turn.`,
      '',
      ...series(folder, slices, Number(values.runs)),
      '',
      ...(await radiographs()),
      '',
      long(join(folder, 'raw'), slices, Number(values.long)),
    ];
    mkdirSync('bench-results', { recursive: true });
    writeFileSync('bench-results/pixels.md', `# Pixels\n\n${lines.join('\n')}\n`);
    process.stdout.write(`${lines.join('\n')}\n\nbench-results/pixels.md\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function makeSeries(folder: string, slices: number): void {
  for (const name of ['raw', 'jpeg-lossless', 'jpeg-2000']) mkdirSync(join(folder, name));
  const spacing = Math.min(2.5, 300 / slices);
  for (const slice of phantomSeries({
    seed: 7,
    emphysemaFraction: 0.12,
    slices,
    sliceSpacingMm: spacing,
  }).slices()) {
    const name = `${String((slice.index * 7919) % 100_000).padStart(5, '0')}.dcm`;
    const raw = join(folder, 'raw', name);
    writeFileSync(raw, phantomFile(slice.attributes, slice.stored));
    execFileSync('dcmcjpeg', ['+e1', raw, join(folder, 'jpeg-lossless', name)]);
    execFileSync('gdcmconv', ['--j2k', raw, join(folder, 'jpeg-2000', name)]);
  }
}

function series(folder: string, slices: number, runs: number): string[] {
  const volumeMb = (slices * 512 * 512 * 4) / 2 ** 20;
  const lines = [
    `${slices} × 512 × 512, files → sorted float32 volume of scaled Hounsfield units (${volumeMb.toFixed(0)} MB). Time from the first file read to the volume made; starting the programs and their threads is not counted. Peak memory is the process's, for \`pool\` the parent's alone.`,
    '',
    '| copy | Prelim | pydicom | gdcm | pydicom, a process per core | best peer / Prelim | best single-process peer / Prelim | peak memory / volume (Prelim, pydicom) |',
    '|---|---:|---:|---:|---:|---:|---:|---:|',
  ];
  for (const copy of ['raw', 'jpeg-lossless', 'jpeg-2000']) {
    const measured = new Map<string, Measured[]>(['prelim', ...PEERS].map((name) => [name, []]));
    for (let run = 0; run < runs; run += 1) {
      measured.get('prelim')?.push(ours(join(folder, copy), 1, 'float32'));
      for (const peer of PEERS) measured.get(peer)?.push(theirs(peer, join(folder, copy)));
    }
    lines.push(row(copy, measured, volumeMb));
    process.stdout.write(`${lines.at(-1)}\n`);
  }
  return lines;
}

function row(copy: string, measured: ReadonlyMap<string, readonly Measured[]>, volumeMb: number): string {
  const ms = (name: string) => median((measured.get(name) ?? []).map((one) => one.ms));
  const peak = (name: string) =>
    Math.max(...(measured.get(name) ?? []).map((one) => one.peakKb)) / 1024 / volumeMb;
  const sum = measured.get('prelim')?.[0]?.sum ?? Number.NaN;
  for (const peer of PEERS) {
    const other = measured.get(peer)?.[0]?.sum ?? Number.NaN;
    if (!(Math.abs(other - sum) <= Math.abs(sum) * VOLUME_SUM_TOLERANCE))
      throw new Error(`${copy}: ${peer} made another volume (${other}, not ${sum})`);
  }
  const single = Math.min(ms('pydicom'), ms('gdcm'));
  const cells = [
    copy,
    ...['prelim', ...PEERS].map((name) => `${(ms(name) / 1000).toFixed(2)} s`),
    `${(Math.min(single, ms('pool')) / ms('prelim')).toFixed(2)}×`,
    `${(single / ms('prelim')).toFixed(2)}×`,
    `${peak('prelim').toFixed(2)}, ${peak('pydicom').toFixed(2)}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

function ours(folder: string, times: number, dtype: 'float32' | 'int16'): Measured {
  const script = new URL(
    `./pixels-run${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
    import.meta.url,
  );
  return resultOf(process.execPath, [fileURLToPath(script), folder, String(times), dtype]);
}

const theirs = (peer: string, folder: string): Measured =>
  resultOf('/usr/bin/python3', ['test/bench/pixels-peers.py', peer, folder]);

function resultOf(command: string, args: readonly string[]): Measured {
  const run = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  const line = run.stdout.trim().split('\n').at(-1) ?? '';
  if (run.status !== 0 || !line.startsWith('{'))
    throw new Error(`${command} ${args[0]} failed: ${run.stderr.slice(-500)}`);
  return JSON.parse(line) as Measured;
}

const CHEST: readonly PixelOp[] = [
  { op: 'stored_values' },
  { op: 'scale', from: 'bits', to: [-1024, 1024] },
  { op: 'centre_crop_square' },
  { op: 'resize', rows: 224, columns: 224, method: 'bilinear', antialias: true },
  { op: 'channels', count: 1 },
];
const CHEST_FOLDER = '../shared/data/dicom/cxr';
const CHEST_RUNS = 30;

/** Whole way and bare decoder in one thread, in turn, after both have run warm. */
async function radiographs(): Promise<string[]> {
  if (!existsSync(CHEST_FOLDER)) return ['Chest radiographs: no shared data.'];
  const lines = [
    'Chest radiograph, bytes → 1 × 1 × 224 × 224 float32, one thread.',
    '',
    '| file | bare decoder | bytes to tensor | ratio |',
    '|---|---:|---:|---:|',
  ];
  for (const name of readdirSync(CHEST_FOLDER).sort()) {
    const path = join(CHEST_FOLDER, name);
    const part10 = readPart10(readFileSync(path));
    if (part10.pixelData?.kind !== 'encapsulated') continue;
    const bare: number[] = [];
    const whole: number[] = [];
    for (let run = -5; run < CHEST_RUNS; run += 1) {
      const decoded = await timed(() => decodePixels(part10));
      const read = await timed(() => readSlices(chestTask(path)));
      if (run >= 0) {
        bare.push(decoded);
        whole.push(read);
      }
    }
    const ratio = median(whole) / median(bare);
    lines.push(
      `| ${name} | ${median(bare).toFixed(1)} ms | ${median(whole).toFixed(1)} ms | ${ratio.toFixed(2)} |`,
    );
  }
  return lines;
}

const chestTask = (path: string): Parameters<typeof readSlices>[0] => ({
  paths: [path],
  pixels: CHEST,
  dtype: 'float32',
  layout: 'NCHW',
  into: null,
  fits: {},
  preview: false,
  sliceValuesMax: 16_384 ** 2,
});

async function timed(action: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await action();
  return performance.now() - start;
}

function long(folder: string, slices: number, times: number): string {
  const { ms, peakKb } = ours(folder, times, 'int16');
  const count = slices * times;
  return `A series of ${count} slices (the ${slices} files ${times} times) as int16 Hounsfield units: ${(ms / 1000).toFixed(1)} s, peak memory ${(peakKb / 2 ** 20).toFixed(2)} GB for a volume of ${((count * 512 * 512 * 2) / 2 ** 30).toFixed(2)} GB.`;
}
