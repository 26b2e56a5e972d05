import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeModel, Graph } from '../../models/ct-lung-density/build/onnx-model.ts';

export const TINY_MODEL = 'tiny-mean';

/**
 * A model that takes no time: its score is the mean brightness of a small radiograph, called "Pneumothorax". Made when a test
 * starts, so that no binary file stands in the repository.
 */
export async function makeTinyModel(): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'prelim-model-'));
  await chmod(folder, 0o755);
  const version = join(folder, TINY_MODEL, '1.0.0');
  await mkdir(version, { recursive: true });
  const file = modelFile();
  await writeFile(join(version, 'model.onnx'), file);
  await writeFile(join(version, 'manifest.yaml'), manifest(createHash('sha256').update(file).digest('hex')));
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

function modelFile(): Uint8Array {
  const graph = new Graph();
  const image = graph.input({ name: 'image', type: 'float', shape: [1, 1, 'rows', 'columns'] });
  const mean = graph.op('ReduceMean', [image], { axes: [2, 3], keepdims: 0 });
  graph.output(mean, { name: 'score', type: 'float', shape: [1, 1] });
  return encodeModel(graph, {
    name: 'tiny_mean',
    producer: 'tests',
    version: '1.0.0',
    doc: 'Mean of the image; for tests.',
    opset: 17,
    metadata: {},
  });
}

const manifest = (sha256: string) => `schema: imaging-model/1
id: ${TINY_MODEL}
version: "1.0.0"
title: Mean brightness
vendor: tests
intended_use: Tests of the flow. Means nothing.
regulatory_status: None.
file: { path: model.onnx, sha256: ${sha256}, licence: Apache-2.0 }
device: { uid: "2.25.112233445566778899001122334455667788990", manufacturer: tests, model: ${TINY_MODEL} }
fits:
  modality: [DX]
  body_part: [CHEST]
  view: [PA, AP]
  rows: { min: 64 }
  columns: { min: 64 }
pixels:
  - { op: stored_values }
  - { op: scale, from: [0, 4095], to: [0, 1] }
inputs:
  - { name: image, gives: image, layout: NCHW, dtype: float32 }
outputs:
  - { name: score, kind: classification, gives: probabilities, activation: none, labels: [Pneumothorax] }
findings:
  - key: pneumothorax
    label: Pneumothorax
    from: { output: score, label: Pneumothorax }
    threshold: { positive: 0.9, indeterminate: 0.05 }
report:
  code: { system: "http://loinc.org", code: 36554-4, display: XR Chest Single view }
  caution: For tests.
running: { time_limit_ms: 10000, concurrency_max: 2 }
`;
