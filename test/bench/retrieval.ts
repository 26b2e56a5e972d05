import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import { dicomwebConnection } from '../../src/dicomweb/dicomweb-connection.ts';
import { DicomwebSource } from '../../src/dicomweb/dicomweb-source.ts';
import { type ReadTensorsOptions, TensorReader } from '../../src/steps/inference/tensor-reader.ts';
import { type Orthanc, startOrthanc } from '../peers/orthanc.ts';
import { median } from './percentile.ts';

/**
 * `npm run bench -- retrieval`: a generated CT in a real Orthanc, in turn as a plain download of the same answer by curl to one file, as the
 * instances that a step waits for, those with the volume made of them afterwards, and the volume made while they arrive. Writes
 * `bench-results/retrieval.md`. Needs orthanc and curl (apt).
 */
export async function benchRetrieval(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { slices: { type: 'string', default: '300' }, runs: { type: 'string', default: '5' } },
  });
  const folder = mkdtempSync(join(tmpdir(), 'prelim-retrieval-'));
  const orthanc = await startOrthanc();
  try {
    const series = await fill(orthanc, Number(values.slices));
    const lines = await measured(orthanc, series, folder, Number(values.runs));
    mkdirSync('bench-results', { recursive: true });
    writeFileSync('bench-results/retrieval.md', `# Retrieval\n\n${lines.join('\n')}\n`);
    process.stdout.write(`${lines.join('\n')}\n\nbench-results/retrieval.md\n`);
  } finally {
    await orthanc.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Series {
  readonly study: string;
  readonly series: string;
  readonly instances: readonly string[];
}

async function fill(orthanc: Orthanc, slices: number): Promise<Series> {
  const instances: string[] = [];
  let [study, series] = ['', ''];
  const phantom = phantomSeries({ seed: 7, emphysemaFraction: 0.12, slices, sliceSpacingMm: 300 / slices });
  for (const { attributes, stored } of phantom.slices()) {
    const file = phantomFile(attributes, stored);
    const { dataset } = readPart10(Buffer.from(file));
    study = dataset.string(0x0020000d) ?? '';
    series = dataset.string(0x0020000e) ?? '';
    instances.push(dataset.string(0x00080018) ?? '');
    const answer = await fetch(new URL('instances', orthanc.api), {
      method: 'POST',
      body: new Uint8Array(file),
    });
    if (!answer.ok) throw new Error(`Orthanc answers ${answer.status}`);
    await answer.arrayBuffer();
  }
  return { study, series, instances };
}

const MANIFEST: ReadTensorsOptions['manifest'] = {
  fits: { modality: ['CT'] },
  pixels: [
    { op: 'modality_values' },
    { op: 'clip', min: -1000, max: 400 },
    { op: 'normalise', mean: [-300], std: [700] },
  ],
  inputs: [{ name: 'image', gives: 'image', layout: 'NCDHW', dtype: 'float32' }],
};
const ACCEPT = 'Accept: multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.1';
const WAYS = ['plain download', 'instances', 'instances, then the volume', 'the volume meanwhile'] as const;

async function measured(
  orthanc: Orthanc,
  { study, series, instances }: Series,
  folder: string,
  runs: number,
): Promise<string[]> {
  const source = new DicomwebSource(dicomwebConnection(orthanc.root), folder);
  const reader = new TensorReader(new PixelWorkers());
  const read = async (paths: ReadTensorsOptions['paths']) =>
    (await reader.read({ paths, manifest: MANIFEST, timeLimitMs: 60_000 })).release();
  const file = join(folder, 'plain');
  const times = new Map<string, number[]>(WAYS.map((way) => [way, []]));
  for (let run = -1; run < runs; run += 1) {
    const took: number[] = [];
    let start = performance.now();
    const url = `${orthanc.root.href.replace(/\/$/, '')}/studies/${study}/series/${series}`;
    execFileSync('curl', ['-s', '-f', '-o', file, '-H', ACCEPT, url]);
    took.push(performance.now() - start);
    start = performance.now();
    const fetched = await source.fetch(study, series, instances);
    took.push(performance.now() - start);
    await read(fetched.instances.map(({ path }) => path));
    took.push(performance.now() - start);
    await fetched.release();
    start = performance.now();
    const arriving = source.fetchEach(study, series, instances);
    await read(arriving.paths);
    took.push(performance.now() - start);
    await arriving.release();
    // The first turn warms the threads and Orthanc's cache.
    if (run >= 0) for (const [at, way] of WAYS.entries()) times.get(way)?.push(took[at] ?? Number.NaN);
  }
  return table(times, statSync(file).size, instances.length, runs);
}

function table(
  times: ReadonlyMap<string, readonly number[]>,
  bytes: number,
  slices: number,
  runs: number,
): string[] {
  const plain = median([...(times.get(WAYS[0]) ?? [])]);
  return [
    `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, Orthanc on the same machine. ${slices} slices, ${(bytes / 2 ** 20).toFixed(0)} MB; medians of ${runs} runs in turn.`,
    '',
    '| | time | rate of a plain download |',
    '|---|---:|---:|',
    ...WAYS.map((way) => {
      const ms = median([...(times.get(way) ?? [])]);
      return `| ${way} | ${ms.toFixed(0)} ms | ${(plain / ms).toFixed(2)} |`;
    }),
  ];
}
