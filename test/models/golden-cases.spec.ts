import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GoldenKit, isGood, runGoldenCase } from '../../scripts/run-golden-case.ts';
import { PixelWorkers } from '../../src/dicom/pixel-workers.ts';
import { checkModel, type RegisteredModel } from '../../src/governance/check-model.ts';
import { inspectAndRelease } from '../../src/governance/inspect-model.ts';
import type { GoldenCase } from '../../src/governance/manifest.ts';
import { OnnxEngine } from '../../src/steps/inference/engines/onnx-engine.ts';
import { InferenceEngines } from '../../src/steps/inference/inference-engines.ts';
import { TensorReader } from '../../src/steps/inference/tensor-reader.ts';
import { lateImage, tinyStudy } from '../flow/studies.ts';
import { makeTinyModel, TINY_MODEL } from '../flow/tiny-model.ts';

/** The tiny model's number is the mean of its image over 4095: 0 to 2047 in a row. */
const MEAN = 2_047 / 2 / 4_095;

let model: Awaited<ReturnType<typeof makeTinyModel>>;
let tiny: RegisteredModel;
let workers: PixelWorkers;
let kit: GoldenKit;
beforeAll(async () => {
  model = await makeTinyModel();
  const folder = join(model.folder, TINY_MODEL, '1.0.0');
  const study = tinyStudy();
  const files: Record<string, Uint8Array> = {
    'good/image.dcm': study.files[0] ?? new Uint8Array(),
    'good/README.md': Buffer.from('Where the image is from.'),
    'lateral/image.dcm': lateImage(study, 'LL'),
    'cut/image.dcm': (study.files[0] ?? new Uint8Array()).subarray(0, 5_000),
    'empty/README.md': Buffer.from('No image.'),
  };
  for (const [name, bytes] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), bytes);
  }
  const checked = await checkModel(folder, inspectAndRelease);
  if ('faults' in checked) throw new Error(JSON.stringify(checked.faults));
  tiny = checked;
  workers = new PixelWorkers({ size: 1 });
  kit = {
    tensors: new TensorReader(workers),
    engines: new InferenceEngines([new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 })]),
  };
});
afterAll(async () => {
  await kit.engines.close();
  await workers.close();
  await model.remove();
});

const golden = (more: Partial<GoldenCase>, value = MEAN): GoldenCase => ({
  name: 'case',
  expect: { pneumothorax: { value, tolerance: 0.001 } },
  ...more,
});

describe('a golden case', () => {
  it('is run from its files by gate, pixels, engine and findings, and its score is compared', async () => {
    const result = await runGoldenCase(tiny, golden({ files: 'good' }), kit);
    expect(result).toMatchObject({ fault: null, values: [{ key: 'pneumothorax', isWithin: true }] });
    expect(result.values[0]?.got).toBeCloseTo(MEAN, 3);
    expect(isGood(result)).toBe(true);
  });

  it('fails when a number is farther from the expected one than the tolerance, and says both', async () => {
    const result = await runGoldenCase(tiny, golden({ files: 'good' }, MEAN + 0.002), kit);
    expect(result.values[0]).toMatchObject({ expected: MEAN + 0.002, isWithin: false });
    expect(isGood(result)).toBe(false);
  });

  it('fails when the model gives no number for what is expected', async () => {
    const none = golden({ files: 'good', expect: { nodule: { value: 0, tolerance: 1 } } });
    expect(await runGoldenCase(tiny, none, kit)).toMatchObject({ values: [{ got: null, isWithin: false }] });
  });

  it.each([
    ['whose images the gate refuses', { files: 'lateral' }, /^refused: view: /],
    [
      'whose phantom the gate refuses',
      { phantom: { seed: 1, slices: 2, rows: 64, columns: 64 } },
      /^refused: modality: /,
    ],
    ['with a recipe that is none', { phantom: { colour: 3 } }, /recipe/],
    ['whose image is cut short', { files: 'cut' }, /^dicom\.truncated: /],
    ['whose folder has no image', { files: 'empty' }, /no DICOM file/],
    ['whose folder is not there', { files: 'nowhere' }, /no such folder/],
  ])('%s fails with the reason, and without numbers', async (_, more, fault) => {
    const result = await runGoldenCase(tiny, golden(more as Partial<GoldenCase>), kit);
    expect(result.values).toEqual([]);
    expect(result.fault).toMatch(fault);
    expect(isGood(result)).toBe(false);
  });
});

describe('model add', () => {
  const program = join(import.meta.dirname, '../../dist/scripts/model.js');
  it.skipIf(!existsSync(program))(
    'runs the cases: exit 0 when all are within, 1 with the numbers when one is not',
    async () => {
      const manifest = join(tiny.folder, 'manifest.yaml');
      const check = () =>
        spawnSync(process.execPath, [program, 'add', model.folder, '--check'], {
          encoding: 'utf8',
          env: { PATH: process.env['PATH'] ?? '' },
        });
      const expected = (value: number) =>
        `    expect: { pneumothorax: { value: ${value}, tolerance: 0.001 } }\n`;
      await appendFile(manifest, `golden:\n  - name: grey\n    files: good\n${expected(MEAN)}`);
      const good = check();
      expect([good.status, good.stderr]).toEqual([0, '']);
      expect(good.stdout).toMatch(/golden ok\s+grey \(\d+\.\d s\)/);
      await appendFile(manifest, `  - name: wrong\n    files: good\n${expected(0.9)}`);
      const bad = check();
      expect(bad.status).toBe(1);
      expect(bad.stdout).toMatch(/golden FAILS wrong/);
      expect(bad.stdout).toMatch(/pneumothorax: expected 0\.9 ± 0\.001, got 0\.2\d*: outside/);
    },
    60_000,
  );
});
