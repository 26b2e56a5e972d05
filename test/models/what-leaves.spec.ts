import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { element } from '../../src/dicom/fixtures/dicom-bytes.ts';
import {
  INSTANCE,
  image,
  SECRETS,
  SERIES,
  STUDY,
  secretElement,
} from '../../src/dicom/fixtures/identified-dataset.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import type { Manifest, RunningEngine } from '../../src/governance/manifest.ts';
import { Failure } from '../../src/kernel/errors.ts';
import type { EngineModel } from '../../src/steps/inference/engines/engine.ts';
import { OpenInferenceProtocol } from '../../src/steps/inference/engines/open-inference-protocol.ts';
import { TensorReader } from '../../src/steps/inference/tensor-reader.ts';
import { undecodableVerdict } from '../../src/steps/inference/why-not-run.ts';
import { binaryAnswer, OpenInferenceServer } from '../peers/open-inference-server.ts';

/**
 * What leaves for a model on another server, seen from that server: a file full of identifying values goes through the reader and the engine, and
 * nothing of it but its pixels arrives.
 */
const IDENTIFYING = [
  ...[
    0x00080050, 0x00080080, 0x00080081, 0x00080090, 0x00081030, 0x0008103e, 0x00081070, 0x00100010,
    0x00100020, 0x00100030,
  ],
  ...[
    0x00101000, 0x00101010, 0x00101040, 0x00104000, 0x00181000, 0x00181030, 0x00200010, 0x00204000,
    0x00081155, 0x00400275,
  ],
];
const FILE = image([
  element(0x00280101, 'US', 16),
  element(0x00280103, 'US', 0),
  ...IDENTIFYING.map((tag) => secretElement(tag)),
]).dataset.bytes;

let folder: string;
let server: OpenInferenceServer;
let workers: PixelWorkers;
let reader: TensorReader;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'zzqsecret-folder-'));
  server = await OpenInferenceServer.start();
  server.model = {
    name: 'chest',
    versions: ['1'],
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 2, 2] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [1] }],
  };
  workers = new PixelWorkers({ size: 1 });
  reader = new TensorReader(workers);
});
afterAll(async () => {
  await workers.close();
  await server.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  server.seen.length = 0;
});

const remote = (deidentify?: 'required' | 'off'): RunningEngine => ({
  kind: 'open-inference-protocol',
  url: `http://${server.host}/`,
  model: 'chest',
  version: '1',
  ...(deidentify ? { deidentify } : {}),
});
const manifest = (engine: RunningEngine): Pick<Manifest, 'pixels' | 'inputs' | 'fits' | 'running'> => ({
  fits: { modality: ['CT'] },
  pixels: [{ op: 'stored_values' }],
  inputs: [{ name: 'image', gives: 'image', layout: 'NCHW', dtype: 'float32' }],
  running: { time_limit_ms: 5000, engine },
});

function read(name: string, file: Buffer, engine: RunningEngine) {
  const path = join(folder, name);
  writeFileSync(path, file);
  return reader.read({ paths: [path], manifest: manifest(engine), timeLimitMs: 10_000 });
}

async function send(binary: boolean) {
  server.extensions = binary ? ['binary_tensor_data'] : [];
  const outputs = [{ name: 'scores', shape: [1], datatype: 'FP32', data: [0.5] }];
  const json = JSON.stringify({ model_name: 'chest', model_version: '1', outputs });
  server.answer = () =>
    binary
      ? binaryAnswer({ model_name: 'chest', model_version: '1' }, [
          { name: 'scores', datatype: 'FP32', shape: [1], bytes: Buffer.from(Float32Array.of(0.5).buffer) },
        ])
      : { status: 200, body: json };
  const engine = new OpenInferenceProtocol({ hosts: [server.host] });
  const tensors = await read('Zzqsurname.dcm', FILE, remote());
  const model: EngineModel = {
    key: 'chest@1',
    version: '1',
    file: join(folder, 'model.onnx'),
    engine: remote(),
    concurrencyMax: 1,
  };
  return engine.run({ model, inputs: tensors.inputs, outputs: ['scores'], timeLimitMs: 5000 });
}

test.each([
  ['JSON', false],
  ['binary tensors', true],
])(
  'As %s, the tensor leaves and nothing else: no header, name, path or parameter tells of the patient, the study or this machine',
  async (_, binary) => {
    const result = await send(binary);
    expect(result.outputs['scores']?.data[0]).toBe(0.5);
    const all = server.seen
      .map(
        ({ method, path, headers, body, binary: bytes }) =>
          `${method} ${path} ${JSON.stringify(headers)} ${JSON.stringify(body)} ${bytes.toString('latin1')}`,
      )
      .join('\n');
    const secrets = [...Object.values(SECRETS), STUDY, SERIES, INSTANCE, 'zzq', folder, '1.2.840'];
    expect(secrets.filter((secret) => all.toLowerCase().includes(secret.toLowerCase()))).toEqual([]);
    const headers = new Set(server.seen.flatMap((request) => Object.keys(request.headers)));
    const known = [
      'accept',
      'accept-encoding',
      'accept-language',
      'connection',
      'content-length',
      'content-type',
      'host',
      'inference-header-content-length',
      'sec-fetch-mode',
      'user-agent',
    ];
    expect([...headers].filter((name) => !known.includes(name))).toEqual([]);
    expect(new Set(server.seen.map(({ path }) => path))).toEqual(
      new Set(['/v2', '/v2/models/chest/versions/1', '/v2/models/chest/versions/1/infer']),
    );
    const body = server.inferences[0]?.body as { inputs: Record<string, unknown>[] };
    expect(Object.keys(body).sort()).toEqual(['inputs', 'outputs']);
    const parts = binary
      ? ['datatype', 'name', 'parameters', 'shape']
      : ['data', 'datatype', 'name', 'shape'];
    expect(body.inputs.map((input) => Object.keys(input).sort())).toEqual([parts]);
    if (binary) expect(body.inputs[0]?.['parameters']).toEqual({ binary_data_size: 16 });
  },
);

const BURNED = image([
  element(0x00280101, 'US', 16),
  element(0x00280103, 'US', 0),
  element(0x00280301, 'CS', 'YES'),
]).dataset.bytes;
const SCREEN = image([
  element(0x00280101, 'US', 16),
  element(0x00280103, 'US', 0),
  element(0x00080064, 'CS', 'WSD'),
]).dataset.bytes;

test.each([
  ['with text in their pixels', BURNED],
  ['of a captured screen', SCREEN],
])(
  'Images %s do not leave: the study is refused by name before a byte is sent, whatever the manifest only warns of',
  async (_, file) => {
    const refused = await read('burned.dcm', file, remote()).then(
      () => null,
      (error: unknown) => error,
    );
    expect(refused).toBeInstanceOf(Failure);
    expect(refused).toMatchObject({ code: 'inference.may-not-leave', retry: false });
    expect(undecodableVerdict(refused)).toMatchObject({
      rule: 'burned-in',
      observed: expect.stringMatching(/^Images that may not leave/),
    });
    expect(server.seen).toEqual([]);
  },
);

test("They are read for a model in this process, and for a server that the manifest calls the site's own", async () => {
  for (const engine of [{ kind: 'onnx' } as const, remote('off')])
    expect((await read('burned.dcm', BURNED, engine)).image.dims).toEqual([1, 1, 2, 2]);
});
