import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeModel, Graph } from '../../models/ct-lung-density/build/onnx-model.ts';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { datasetToJson } from '../../src/dicom/dataset-to-json.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import type { FindingRule, Manifest, ModelOutput } from '../../src/governance/manifest.ts';
import { outputsToFindings } from '../../src/steps/findings/outputs-to-findings.ts';
import type {
  Engine,
  EngineModel,
  InputTensor,
  OutputTensor,
} from '../../src/steps/inference/engines/engine.ts';
import { OnnxEngine } from '../../src/steps/inference/engines/onnx-engine.ts';
import { OpenInferenceProtocol } from '../../src/steps/inference/engines/open-inference-protocol.ts';
import { EvidenceKeeper } from '../../src/steps/inference/keep-evidence.ts';
import { KeyPictures } from '../../src/steps/inference/key-pictures.ts';
import { outputNames, pictureNumbers, pictureRegions } from '../../src/steps/inference/result-pictures.ts';
import { smallOutputs } from '../../src/steps/inference/small-outputs.ts';
import { TensorReader } from '../../src/steps/inference/tensor-reader.ts';
import { makeObjects } from '../../src/steps/pacs/make-objects.ts';
import { planSegmentation } from '../../src/steps/pacs/plan-segmentation.ts';
import { trimMetadata } from '../../src/steps/pacs/trim-metadata.ts';
import { binaryAnswer, OpenInferenceServer, type SeenRequest } from '../peers/open-inference-server.ts';

/**
 * One study through the engine in this process and through a server that has the same file behind the Open Inference Protocol: not only the tensors, all that is
 * made of them must be the same, to the byte. The model has an output of every kind.
 */
const SIZE = 64;
const NAME = 'every-kind';
/** In the order of the graph. */
const OUTPUTS: readonly {
  readonly name: string;
  readonly datatype: 'FP32' | 'UINT8';
  readonly shape: readonly number[];
}[] = [
  { name: 'score', datatype: 'FP32', shape: [1, 2] },
  { name: 'mean', datatype: 'FP32', shape: [1] },
  { name: 'boxes', datatype: 'FP32', shape: [2, 4] },
  { name: 'scores', datatype: 'FP32', shape: [2] },
  { name: 'logits', datatype: 'FP32', shape: [1, 1, SIZE, SIZE] },
  { name: 'cam', datatype: 'FP32', shape: [1, 1, SIZE, SIZE] },
  { name: 'mask', datatype: 'UINT8', shape: [1, 1, SIZE, SIZE] },
];
const KINDS: readonly ModelOutput[] = [
  {
    name: 'score',
    kind: 'classification',
    gives: 'logits',
    activation: 'sigmoid',
    labels: ['Dense', 'Light'],
  },
  { name: 'mean', kind: 'measurement', unit: "[hnsf'U]" },
  {
    ...{
      name: 'boxes',
      kind: 'detection',
      labels: ['Nodule'],
      form: 'xyxy',
      unit: 'pixels',
      activation: 'none',
    },
    ...{ score_min: 0.1, scores: { output: 'scores' }, nms: { iou: 0.3, across_classes: false } },
  },
  {
    ...{ name: 'logits', kind: 'segmentation', labels: ['Lung'], decode: 'threshold', activation: 'sigmoid' },
    ...{ threshold: 0.5, keep: 'largest' },
  },
  { name: 'cam', kind: 'heat_map', label: 'Dense', level: 0.5 },
  { name: 'mask', kind: 'mask', label: 'Body' },
];
const threshold = { positive: 0.5, indeterminate: 0.2 };
const FINDINGS: readonly FindingRule[] = [
  { key: 'dense', label: 'Dense', from: { output: 'score', label: 'Dense' }, threshold, shown_by: 'cam' },
  { key: 'light', label: 'Light', from: { output: 'score', label: 'Light' }, threshold },
  { key: 'nodule', label: 'Nodule', from: { output: 'boxes', label: 'Nodule' }, threshold },
  {
    ...{ key: 'mean', label: 'Mean', measures: 'mean', unit: "[hnsf'U]", decimals: 3 },
    plausible: { min: -2000, max: 4000 },
  },
  {
    ...{ key: 'lung-area', label: 'Lung area', measures: 'logits', of: 'Lung', unit: 'mm2', decimals: 1 },
    plausible: { min: 0, max: 1e6 },
  },
];
const MANIFEST = {
  ...{ outputs: KINDS, findings: FINDINGS, fits: { modality: ['CT'] }, pixels: [{ op: 'modality_values' }] },
  inputs: [{ name: 'image', gives: 'image', layout: 'NCHW', dtype: 'float32' }],
} as unknown as Manifest;

let folder: string;
let path: string;
let server: OpenInferenceServer;
const workers = new PixelWorkers({ size: 1 });
const pictures = new KeyPictures(workers);
const keeper = new EvidenceKeeper(workers, { PACS_OBJECTS: ['sr', 'seg'] });
const here = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });
/** Behind the protocol: another process would compute the same. */
const behind = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });

const model = (engine: EngineModel['engine']): EngineModel => ({
  ...{ key: `${NAME}@1.0.0`, version: '1.0.0', file: join(folder, 'model.onnx'), concurrencyMax: 1, engine },
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'both-engines-'));
  writeFileSync(join(folder, 'model.onnx'), everyKind());
  const [slice] = [...phantomSeries({ slices: 1, rows: SIZE, columns: SIZE, pixelSpacingMm: 6 }).slices()];
  path = join(folder, 'image.dcm');
  writeFileSync(path, phantomFile(slice!.attributes, slice!.stored));
  server = await OpenInferenceServer.start();
  server.model = {
    ...{ name: NAME, versions: ['1.0.0'], outputs: OUTPUTS },
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, -1, -1] }],
  };
  server.answer = compute;
});
afterAll(async () => {
  await Promise.all([here.close(), behind.close(), workers.close(), server.close()]);
  rmSync(folder, { recursive: true });
});

function everyKind(): Uint8Array {
  const g = new Graph();
  const image = g.input({ name: 'image', type: 'float', shape: [1, 1, SIZE, SIZE] });
  const f = (...values: number[]) => g.constant('float', values, values.length > 1 ? [values.length] : []);
  const all = { axes: [1, 2, 3], keepdims: 0 };
  const mean = g.op('ReduceMean', [image], all);
  const scaled = g.op('Div', [g.op('Add', [image, f(500)]), f(137)]);
  const pair = g.op('Concat', [g.op('Div', [mean, f(-391)]), g.op('Div', [mean, f(733)])], { axis: 0 });
  const low = g.op('Unsqueeze', [g.op('Concat', [mean, mean], { axis: 0 }), g.constant('int64', [0], [1])]);
  const jitter = g.op('Mul', [g.op('Tile', [low, g.constant('int64', [2, 2], [2])]), f(0.001)]);
  const boxes = g.op('Add', [jitter, g.constant('float', [10, 12, 30, 33, 11, 12, 31, 33], [2, 4])]);
  const whole: Record<string, string> = {
    score: g.op('Unsqueeze', [pair, g.constant('int64', [0], [1])]),
    mean,
    boxes,
    scores: g.op('Sigmoid', [g.op('Mul', [pair, f(1, 0.7)])]),
    logits: g.op('Neg', [scaled]),
    cam: g.op('Sigmoid', [scaled]),
    mask: g.op('Cast', [g.op('Greater', [image, f(-400)])], { to: 2 }),
  };
  for (const { name, datatype, shape } of OUTPUTS)
    g.output(whole[name]!, { name, type: datatype === 'UINT8' ? 'uint8' : 'float', shape });
  return encodeModel(g, { name: NAME, producer: 'tests', version: '1', doc: '', opset: 17, metadata: {} });
}

/** The server: reads the tensor as it came, computes, and answers as it was asked to. */
async function compute({ body, binary }: SeenRequest) {
  const [sent] = (body as { inputs: { shape: number[]; data?: number[] }[] }).inputs;
  const bytes = sent?.data ? Float32Array.from(sent.data).buffer : new Uint8Array(binary).buffer;
  const image: InputTensor = { dtype: 'float32', dims: sent?.shape ?? [], bytes };
  const outputs = OUTPUTS.map(({ name }) => name);
  const run = await behind.run({
    model: model({ kind: 'onnx' }),
    inputs: { image },
    outputs,
    timeLimitMs: 20_000,
  });
  const about = { model_name: NAME, model_version: '1.0.0' };
  const valuesOf = (name: string) => run.outputs[name]?.data as Float32Array | Uint8Array;
  if (server.extensions.length > 0)
    return binaryAnswer(
      about,
      OUTPUTS.map((one) => {
        const { buffer, byteOffset, byteLength } = valuesOf(one.name);
        return { ...one, bytes: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength) };
      }),
    );
  const answered = OUTPUTS.map((one) => ({ ...one, data: Array.from(valuesOf(one.name)) }));
  return { status: 200, body: JSON.stringify({ ...about, outputs: answered }) };
}

/** Everything that a study has in the record and in the PACS of what the engine gave. */
async function resultOf(engine: Engine, where: EngineModel['engine']) {
  const tensors = await new TensorReader(workers).read({
    paths: [path],
    manifest: MANIFEST,
    timeLimitMs: 20_000,
  });
  const { outputs } = await engine.run({
    ...{ model: model(where), inputs: tensors.inputs, timeLimitMs: 20_000 },
    outputs: outputNames(MANIFEST.outputs),
  });
  const read = await pictures.read(MANIFEST.outputs, outputs, tensors, true);
  const metadata = trimMetadata(datasetToJson(readPart10(readFileSync(path)).dataset));
  const uid = String(metadata['00080018']?.Value?.[0]);
  const regions = pictureRegions(read, tensors.frames, [uid]);
  const numbers = { ...smallOutputs(MANIFEST.outputs, outputs), ...pictureNumbers(read) };
  const findings = outputsToFindings(MANIFEST, numbers, regions);
  const handoff = { seriesInstanceUid: '1.2', sopInstanceUids: [uid] };
  const evidence = await keeper.gather(handoff, MANIFEST, outputs, tensors, read);
  const picture = await pictures.draw(MANIFEST.outputs, outputs, tensors, read);
  tensors.release();
  const key = { studyInstanceUid: '1.2.3', model: `${NAME}@1.0.0`, inputsDigest: tensors.digest };
  const algorithm = { deviceUid: '2.25.1', manufacturer: 'T', model: NAME, name: NAME, version: '1.0.0' };
  const context = { source: metadata, algorithm, moment: { date: '20260102', time: '101112' } };
  const segmentation = planSegmentation({ key, evidence } as never, context, [metadata])?.object ?? null;
  const objects = makeObjects({
    studyInstanceUid: '1.2.3',
    report: null,
    segmentation,
    capture: null,
    note: null,
  });
  return {
    outputs,
    numbers,
    regions,
    findings,
    evidence,
    picture,
    seg: Buffer.from(objects[0]?.bytes ?? []),
  };
}

describe('a study through both engines', () => {
  it.each([
    ['as JSON', []],
    ['as binary tensors', ['binary_tensor_data']],
  ])(
    'gives the same tensors, findings, places, masks, picture and Segmentation, sent %s',
    async (_, extensions) => {
      server.extensions = extensions;
      const url = `http://${server.host}`;
      const remote = new OpenInferenceProtocol({ hosts: [server.host] });
      const local = await resultOf(here, { kind: 'onnx' });
      const away = await resultOf(remote, { kind: 'open-inference-protocol', url, model: NAME });
      expect(server.inferences.length).toBeGreaterThan(0);
      const valuesOf = (outputs: Readonly<Record<string, OutputTensor>>) =>
        Object.entries(outputs).map(([name, { dims, data }]) => [
          name,
          dims,
          data.constructor.name,
          Buffer.from(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength).toString('base64'),
        ]);
      expect(valuesOf(away.outputs).sort()).toEqual(valuesOf(local.outputs).sort());
      const { outputs: _here, ...made } = local;
      const { outputs: _there, ...madeAway } = away;
      expect(madeAway).toEqual(made);

      // And there is something of every kind to be compared.
      if (local.findings.kind !== 'findings') throw new Error('refused');
      const found = Object.fromEntries(local.findings.findings.map((one) => [one.key, one]));
      expect(Object.keys(found)).toEqual(FINDINGS.map(({ key }) => key));
      expect(found['dense']).toMatchObject({ presence: 'present', locations: [expect.anything()] });
      expect(found['nodule']?.locations?.length).toBe(1);
      expect(found['lung-area']?.value).toBeGreaterThan(100);
      expect(local.evidence?.masks.map(({ label }) => label)).toEqual(['Lung', 'Body']);
      expect(local.picture).not.toBeNull();
      expect(local.seg.length).toBeGreaterThan(1000);
    },
  );
});
