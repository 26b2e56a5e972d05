import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Binary, Task } from '@medplum/fhirtypes';
import { decode } from 'fast-png';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { phantomSeries } from '../../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../../models/phantom/phantom-file.ts';
import { type FreshDatabase, freshDatabase } from '../../../test/database.ts';
import { dicomFile } from '../../../test/peers/dicom-file.ts';
import { PixelWorkers } from '../../dicom/pixel-workers.ts';
import type { StudySource } from '../../dicom/study-source.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { requestedTask } from '../../governance/analysis-task.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { Failure } from '../../kernel/errors.ts';
import type { GatePassed } from '../../kernel/handoffs.ts';
import { OnnxEngine } from './engines/onnx-engine.ts';
import { InferenceStep } from './inference.step.ts';
import { InferenceEngines } from './inference-engines.ts';
import { EvidenceKeeper } from './keep-evidence.ts';
import { KeyPictures } from './key-pictures.ts';
import { TensorReader } from './tensor-reader.ts';
import { undecodableVerdict } from './why-not-run.ts';

const MODEL = 'ct-lung-density@1.0.0';
const FILE = resolve('models/ct-lung-density/1.0.0/model.onnx');

let folder: string;
let fresh: FreshDatabase;
let store: ResourceStore;
let workers: PixelWorkers;
let engines: InferenceEngines;
let handoff: GatePassed;
let released: number;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'inference-'));
  fresh = await freshDatabase();
  await loadDefinitions();
  store = new ResourceStore(fresh.database, { baseUrl: 'http://127.0.0.1:8080' });
  workers = new PixelWorkers({ size: 2 });
  engines = new InferenceEngines([new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 })]);
  const series = phantomSeries({
    slices: 48,
    rows: 256,
    columns: 256,
    pixelSpacingMm: 1.44,
    sliceSpacingMm: 6.25,
  });
  const sopInstanceUids = [...series.slices()].map((slice) => {
    writeFileSync(
      join(folder, `${slice.attributes['SOPInstanceUID']}`),
      phantomFile(slice.attributes, slice.stored),
    );
    return String(slice.attributes['SOPInstanceUID']);
  });
  const { studyInstanceUid } = series.identity;
  const study = {
    resourceType: 'ImagingStudy' as const,
    id: 'study',
    status: 'available' as const,
    subject: { display: 'phantom' },
  };
  const task = requestedTask({ study, studyInstanceUid, model: MODEL }, new Date());
  await fresh.database.transaction((tx) => store.write(tx, [{ kind: 'create', resource: task }]));
  handoff = {
    taskId: task.id,
    imagingStudyId: 'study',
    studyInstanceUid,
    model: MODEL,
    seriesInstanceUid: '2.25.1',
    sopInstanceUids,
    warnings: [],
  };
}, 120_000);
beforeEach(() => {
  released = 0;
});
afterAll(async () => {
  await engines.close();
  await workers.close();
  await fresh.close();
  rmSync(folder, { recursive: true });
});

const source: Pick<StudySource, 'fetch'> = {
  fetch: async (_study, _series, uids) => ({
    instances: uids.map((sopInstanceUid) => ({ sopInstanceUid, path: join(folder, sopInstanceUid) })),
    release: async () => {
      released++;
    },
  }),
};

const MANIFEST: Partial<Manifest> = {
  id: 'ct-lung-density',
  version: '1.0.0',
  device: { uid: '2.25.2', manufacturer: 'Prelim', model: 'ct-lung-density' },
  fits: { modality: ['CT'] },
  pixels: [{ op: 'modality_values' }],
  inputs: [
    { name: 'image', gives: 'image', layout: 'DHW', dtype: 'int16' },
    { name: 'spacing_mm', gives: 'spacing_mm', dtype: 'float32' },
  ],
  outputs: [
    { name: 'lung_volume_ml', kind: 'measurement', unit: 'mL' },
    { name: 'lung_mask', kind: 'mask', label: 'Lung' },
  ],
  findings: [],
  running: { time_limit_ms: 60_000 },
};

function step(changes: Partial<Manifest> = {}): InferenceStep {
  const manifest = { ...MANIFEST, ...changes } as Manifest;
  const models = new ModelRegister([{ ref: MODEL, manifest, folder: '', file: FILE, graph: null }], []);
  const pictures = new KeyPictures(workers);
  const evidence = new EvidenceKeeper(workers, { PACS_OBJECTS: ['sr', 'seg'] });
  return new InferenceStep(
    source as StudySource,
    models,
    new TensorReader(workers),
    engines,
    pictures,
    evidence,
    store,
  );
}

test('A series that fits gives numbers, a digest and a kept picture of the fullest slice, and the files are released', async () => {
  const result = await step().run(handoff);
  if (result.kind !== 'done' || !result.write) throw new Error(`ended ${result.kind}`);
  const next = await fresh.database.transaction((tx) => result.write!(tx));
  if (!next) throw new Error('the write gives the handoff');
  expect(next).toMatchObject({ ...handoff, inputsDigest: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(Object.keys(next.outputs)).toEqual(['lung_volume_ml']);
  expect(next.outputs['lung_volume_ml']?.data[0]).toBeGreaterThan(2000);
  expect(handoff.sopInstanceUids).toContain(next.keySopInstanceUid);
  const kept = (await store.read('Binary', next.keyPicture ?? ''))?.parse<Binary>();
  expect(kept?.contentType).toBe('image/png');
  expect(decode(Buffer.from(kept?.data ?? '', 'base64'))).toMatchObject({ width: 256, height: 256 });
  expect(JSON.parse(JSON.stringify(next))).toEqual(next);
  expect(released).toBe(1);
}, 120_000);

test('A segmentation is measured and placed on its instances, and goes on with the handoff', async () => {
  const outputs: Manifest['outputs'] = [
    ...MANIFEST.outputs!.slice(0, 1),
    {
      name: 'lung_mask',
      kind: 'segmentation',
      labels: ['', 'Lung', 'Low'],
      decode: 'label_map',
      keep: 'all',
    },
  ];
  const result = await step({ outputs }).run(handoff);
  if (result.kind !== 'done' || !result.write) throw new Error(`ended ${result.kind}`);
  const next = await fresh.database.transaction((tx) => result.write!(tx));
  if (!next) throw new Error('the write gives the handoff');
  const [volume = 0] = next.outputs['lung_volume_ml']?.data ?? [];
  const sizes = next.outputs['lung_mask']?.data ?? [];
  // The graph measures the same lung itself.
  expect(Math.abs(sizes.reduce((sum, size) => sum + size, 0) - volume) / volume).toBeLessThan(0.02);
  const [largest] = next.regions?.['lung_mask'] ?? [];
  expect(largest?.label).toBe('Lung');
  expect(handoff.sopInstanceUids).toContain(largest?.location.sopInstanceUid);
  expect(largest?.location.polygon?.length).toBeGreaterThan(20);
  expect(next.keySopInstanceUid).toBe(largest?.location.sopInstanceUid);
  expect(JSON.parse(JSON.stringify(next))).toEqual(next);
}, 120_000);

test('Images that do not state the distances that the pixels need are refused by the rule for attributes', async () => {
  const error = new Failure('inference.spacing-missing', 'The files lack Pixel Spacing.');
  expect(undecodableVerdict(error)).toMatchObject({
    rule: 'attributes',
    observed: 'The files lack Pixel Spacing',
  });
});

test('A run that times out fails by name and is tried again; the files are released', async () => {
  const short = step({ running: { time_limit_ms: 1 } });
  await expect(short.run(handoff)).rejects.toMatchObject({ code: 'inference.timeout', retry: true });
  expect(released).toBe(1);
  expect((await step().run(handoff)).kind).toBe('done');
}, 120_000);

test('Pixels that do not give the tensor the model takes are refused by name, with both shapes', async () => {
  const wrong = step({
    inputs: [{ name: 'image', gives: 'image', layout: 'NCDHW', dtype: 'int16' }, MANIFEST.inputs![1]!],
  });
  await expect(wrong.run(handoff)).rejects.toMatchObject({
    code: 'inference.input-shape',
    message: expect.stringContaining('[1,1,48,256,256]'),
  });
});

test('A rule about pixels refuses the study, and the Task says which', async () => {
  const strict = step({ fits: { modality: ['CT'], histogram: { distinct_min: 60_000 } } });
  const result = await strict.run(handoff);
  if (result.kind !== 'refused' || !result.write) throw new Error(`ended ${result.kind}`);
  expect(result.why).toMatch(/^histogram: observed \d+ distinct pixel values; required at least 60000/);
  await fresh.database.transaction((tx) => result.write!(tx));
  const task = (await store.read('Task', handoff.taskId))?.parse<Task>();
  expect(task?.status).toBe('rejected');
  expect(task?.statusReason?.coding?.[0]?.code).toBe('histogram');
  expect(released).toBe(1);
});

test('A rule that only warns for this model goes on with the warning', async () => {
  const fits = { modality: ['CT'], histogram: { distinct_min: 60_000 } };
  const result = await step({ fits, warn_only: ['histogram'] }).run(handoff);
  expect(result).toMatchObject({ kind: 'done', next: { warnings: [{ rule: 'histogram' }] } });
}, 120_000);

test.each([
  ['is no DICOM file', 'text', Buffer.from('no DICOM file'), /no DICM prefix/],
  [
    'has a transfer syntax that is not decoded',
    'video',
    videoFile(),
    /transfer syntax 1\.2\.840\.10008\.1\.2\.4\.102/,
  ],
  ['is cut short', 'cut', null, /ends inside/],
])(
  'A series with an image that %s is refused as undecodable, the Task says why, and the files are released',
  async (_, name, bytes, observed) => {
    const first = handoff.sopInstanceUids[0] ?? '';
    writeFileSync(join(folder, name), bytes ?? readFileSync(join(folder, first)).subarray(0, 9_000));
    const task = { ...(await store.read('Task', handoff.taskId))!.parse<Task>(), id: `undecodable-${name}` };
    await fresh.database.transaction((tx) => store.write(tx, [{ kind: 'create', resource: task }]));
    const broken = {
      ...handoff,
      taskId: task.id,
      sopInstanceUids: [...handoff.sopInstanceUids.slice(0, 3), name],
    };
    // The rule cannot be softened: there is nothing to compute.
    const result = await step({ warn_only: ['undecodable'] }).run(broken);
    if (result.kind !== 'refused' || !result.write) throw new Error(`ended ${result.kind}`);
    expect(result.why).toMatch(/^undecodable: observed /);
    expect(result.why).toMatch(observed);
    expect(result.why).toMatch(/required images that this server can decode/);
    await fresh.database.transaction((tx) => result.write!(tx));
    const rejected = (await store.read('Task', task.id))?.parse<Task>();
    expect(rejected?.status).toBe('rejected');
    expect(rejected?.statusReason?.coding?.[0]?.code).toBe('undecodable');
    expect(released).toBe(1);
  },
);

test('A file that is not there, and a worker that is gone, are failures and no verdict on the study', async () => {
  const missing = { ...handoff, sopInstanceUids: [...handoff.sopInstanceUids.slice(0, 3), 'nowhere'] };
  await expect(step().run(missing)).rejects.toMatchObject({ code: 'dicom.worker', retry: true });
  expect(released).toBe(1);
});

test('A model that left the register, and an engine that is not set up, fail by name before anything is fetched', async () => {
  await expect(step().run({ ...handoff, model: 'gone@1.0.0' })).rejects.toMatchObject({
    code: 'inference.model-missing',
  });
  const remote = step({
    running: {
      time_limit_ms: 1000,
      engine: { kind: 'open-inference-protocol', url: 'http://127.0.0.1:1', model: 'm' },
    },
  });
  await expect(remote.run(handoff)).rejects.toMatchObject({ code: 'inference.engine-unavailable' });
  expect(released).toBe(0);
});

test('A cancelled Task is not analysed', async () => {
  const task = (await store.read('Task', handoff.taskId))!.parse<Task>();
  const cancelled = { ...task, id: handoff.taskId, status: 'cancelled' as const };
  await fresh.database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: cancelled }]));
  expect(await step().run(handoff)).toMatchObject({ kind: 'skipped', why: 'the task is cancelled' });
  expect(await step().run({ ...handoff, taskId: 'unknown' })).toMatchObject({
    kind: 'skipped',
    why: 'the task is gone',
  });
  expect(released).toBe(0);
});

/** MPEG-4 video: a transfer syntax that is not decoded here. */
function videoFile(): Buffer {
  return dicomFile({
    study: '1.2',
    series: '1.3',
    sop: '1.4',
    transferSyntax: '1.2.840.10008.1.2.4.102',
    elements: [
      ['00280004', 'CS', 'MONOCHROME2'],
      ['00280010', 'US', '\x40\x00'],
      ['00280011', 'US', '\x40\x00'],
      ['00280002', 'US', '\x01\x00'],
      ['00280100', 'US', '\x10\x00'],
      ['00280101', 'US', '\x10\x00'],
      ['00280103', 'US', '\x00\x00'],
    ],
    pixels: Buffer.alloc(64 * 64 * 2),
  });
}
