import { connect, type Socket } from 'node:net';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import pg from 'pg';
import { decodePixels } from '../../src/dicom/decode-pixels.ts';
import { multipartBoundary, readMultipart } from '../../src/dicom/read-multipart.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import type { PixelOp } from '../../src/governance/manifest.ts';
import { applyPixels } from '../../src/steps/inference/pixels/apply-pixels.ts';
import { modalityValuesInto } from '../../src/steps/inference/pixels/modality-values.ts';
import { imageOfStoredPixels, type PixelImage } from '../../src/steps/inference/pixels/pixel-image.ts';
import {
  type TensorLayout,
  type TensorType,
  tensorDims,
  writeTensor,
} from '../../src/steps/inference/pixels/tensor-layout.ts';
import type { FloorJob, FloorModel, FloorSetup } from './messages.ts';

/**
 * The floor: the work that cannot be left out, in one plain script. Fetch by HTTP, decode, tensor, the bare runtime, the same rows in one
 * raw transaction, one MLLP round trip. No queue, no gate, no codes, no validation, no access control, nothing that survives a crash.
 */
let setup: FloorSetup;
let client: pg.Client;
let ris: Socket;
const sessions = new Map<string, InferenceSession>();

process.on('message', (message: { setup: FloorSetup } | { job: FloorJob }) => {
  const work = 'setup' in message ? prepare(message.setup).then(() => 0) : runJob(message.job);
  work.then(
    (ms) => process.send?.({ ms }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));

async function prepare(given: FloorSetup): Promise<void> {
  setup = given;
  client = new pg.Client(setup.database as pg.ClientConfig);
  await client.connect();
  for (const model of setup.models)
    sessions.set(
      model.name,
      await InferenceSession.create(model.file, { graphOptimizationLevel: 'all', logSeverityLevel: 3 }),
    );
  ris = connect(setup.risPort, '127.0.0.1');
  ris.setNoDelay(true);
  await new Promise((resolve) => ris.once('connect', resolve));
}

async function runJob(job: FloorJob): Promise<number> {
  const start = performance.now();
  const model = setup.models.find((one) => one.name === job.model) as FloorModel;
  const files = await fetchSeries(job.seriesUrl);
  const feeds = await feedsOf(model, files, job.spacing);
  await sessions.get(job.model)?.run(feeds);
  await writeRows(job);
  await sendOru(job.oru);
  return performance.now() - start;
}

async function fetchSeries(url: string): Promise<Buffer[]> {
  const response = await fetch(url, {
    headers: {
      authorization: `Bearer ${setup.token}`,
      accept: 'multipart/related; type="application/dicom"; transfer-syntax=*',
    },
  });
  if (!response.ok || !response.body) throw new Error(`WADO-RS answered ${response.status}`);
  const files: Buffer[] = [];
  const limits = { partsMax: 10_000, partBytesMax: 2 ** 30, bodyBytesMax: 2 ** 31 };
  for await (const part of readMultipart(
    response.body,
    multipartBoundary(response.headers.get('content-type') ?? ''),
    limits,
  )) {
    const chunks: Buffer[] = [];
    for await (const chunk of part.body) chunks.push(Buffer.from(chunk));
    files.push(Buffer.concat(chunks));
  }
  return files;
}

async function feedsOf(
  model: FloorModel,
  files: readonly Buffer[],
  spacing: readonly number[],
): Promise<Record<string, Tensor>> {
  const image = model.inputs.find((input) => input.gives === 'image');
  if (!image) throw new Error('no image input');
  const layout = (image.layout ?? 'NCHW') as TensorLayout;
  const images =
    layout === 'DHW'
      ? await volumeOf(files)
      : await imageOf(files[0] as Buffer, model, image.dtype as TensorType, layout);
  const feeds: Record<string, Tensor> = {
    [image.name]: new Tensor(image.dtype as 'float32', images.data as Float32Array, images.dims),
  };
  const spacings = model.inputs.find((input) => input.gives === 'spacing_mm');
  if (spacings) feeds[spacings.name] = new Tensor('float32', Float32Array.from(spacing), [3]);
  return feeds;
}

async function volumeOf(files: readonly Buffer[]): Promise<{ data: Int16Array; dims: number[] }> {
  const slices = files
    .map((file) => readPart10(file))
    .map((part10) => ({ part10, z: part10.dataset.numbers(0x00200032)[2] ?? 0 }));
  slices.sort((a, b) => a.z - b.z);
  let volume: Int16Array | null = null;
  let shape = { rows: 0, columns: 0 };
  for (const [index, { part10 }] of slices.entries()) {
    const stored = await storedImage(part10);
    shape = stored;
    const values = stored.rows * stored.columns;
    volume ??= new Int16Array(values * slices.length);
    modalityValuesInto(stored, volume.subarray(index * values, (index + 1) * values));
  }
  return { data: volume ?? new Int16Array(0), dims: [slices.length, shape.rows, shape.columns] };
}

async function imageOf(
  file: Buffer,
  model: FloorModel,
  dtype: TensorType,
  layout: TensorLayout,
): Promise<{ data: Float32Array; dims: number[] }> {
  const image = applyPixels(await storedImage(readPart10(file)), model.pixels as PixelOp[]);
  const data = new Float32Array(image.rows * image.columns * image.samples);
  writeTensor(image, data, dtype, layout);
  return { data, dims: tensorDims(image, 1, layout) };
}

async function storedImage(part10: ReturnType<typeof readPart10>): Promise<PixelImage> {
  const decoded = await decodePixels(part10);
  return imageOfStoredPixels({
    rows: decoded.rows,
    columns: decoded.columns,
    samples: 1,
    data: decoded.values,
    bitsStored: decoded.bitsStored,
    signed: decoded.signed,
    source: {
      monochrome1: decoded.photometricInterpretation === 'MONOCHROME1',
      slope: part10.dataset.number(0x00281053) || 1,
      intercept: part10.dataset.number(0x00281052) ?? 0,
    },
  });
}

/** The rows that the server wrote for the same study, into tables of the same shape. */
async function writeRows(job: FloorJob): Promise<void> {
  await client.query('BEGIN');
  for (const [table, rows] of Object.entries(job.tables)) {
    if (rows.length === 0) continue;
    await client.query({
      name: `floor-${table}`,
      text: `INSERT INTO floor_${table} SELECT * FROM json_populate_recordset(NULL::floor_${table}, $1)`,
      values: [JSON.stringify(rows)],
    });
  }
  await client.query('COMMIT');
}

function sendOru(message: string): Promise<void> {
  return new Promise((resolve, reject) => {
    ris.once('error', reject);
    ris.once('data', () => {
      ris.off('error', reject);
      resolve();
    });
    ris.write(`\x0b${message}\x1c\r`);
  });
}
