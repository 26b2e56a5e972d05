import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeModel, Graph } from '../../../../models/ct-lung-density/build/onnx-model.ts';
import type { EngineModel, EngineRequest } from './engine.ts';
import { OnnxEngine } from './onnx-engine.ts';

const MODELS = '../shared/data/models';
const CHEST = `${MODELS}/cxr15-mobilenetv3-int8/model.onnx`;
const SLOW = `${MODELS}/brain-seg-3d/model.onnx`;
const CAST = `${MODELS}/onnx-backend-tests`;
const noData = !existsSync(CAST);

const model = (file: string, key = 'chest@1.0.0', concurrencyMax = 1): EngineModel => ({
  key,
  version: '1.0.0',
  file,
  engine: { kind: 'onnx' },
  concurrencyMax,
});

const pixels = (rows = 224): SharedArrayBuffer => new SharedArrayBuffer(rows * 224 * 4);

function chest(changes: Partial<EngineRequest> = {}): EngineRequest {
  return {
    model: model(CHEST),
    inputs: { input: { dtype: 'float32', dims: [1, 1, 224, 224], bytes: pixels() } },
    outputs: ['output'],
    timeLimitMs: 10_000,
    ...changes,
  };
}

/** 256³ values take seconds on any processor. */
const slow = (timeLimitMs: number, key = 'slow@1.0.0'): EngineRequest => ({
  model: model(SLOW, key),
  inputs: {
    input: { dtype: 'float32', dims: [1, 1, 256, 256, 256], bytes: new SharedArrayBuffer(256 ** 3 * 4) },
  },
  outputs: ['output'],
  timeLimitMs,
});

/** A batch that takes a second or two on any processor: for what has to wait until it ends by itself. */
const batch = (timeLimitMs: number): EngineRequest => ({
  ...chest({ timeLimitMs, model: model(CHEST, 'batch@1.0.0') }),
  inputs: { input: { dtype: 'float32', dims: [BATCH, 1, 224, 224], bytes: pixels(BATCH * 224) } },
});
const BATCH = 300;

describe.skipIf(noData)(noData ? 'skipped: no shared data' : 'ONNX engine', () => {
  let engine: OnnxEngine;
  beforeAll(() => {
    engine = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 2 });
  });
  afterAll(() => engine.close());

  test('A run gives the named output with its dimensions, and the same input the same numbers', async () => {
    const first = await engine.run(chest());
    const second = await engine.run(chest());
    expect(first.outputs['output']?.dims).toEqual([1, 15]);
    expect(first.outputs['output']?.data).toEqual(second.outputs['output']?.data);
    expect(first.outputs['output']?.data[0]).toBeCloseTo(-7.25762, 4);
  });

  test('The main thread stays free while a model computes', async () => {
    let longest = 0;
    let last = performance.now();
    const beat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    await engine.warm(model(CHEST));
    longest = 0;
    await Promise.all(Array.from({ length: 10 }, () => engine.run(chest())));
    clearInterval(beat);
    expect(longest).toBeLessThan(100);
  });

  test.each([
    [
      'too few rows',
      { input: { dtype: 'float32' as const, dims: [1, 1, 200, 224], bytes: pixels(200) } },
      /takes \[batch_size,1,224,224\].*give \[1,1,200,224\]/,
    ],
    [
      'too few dimensions',
      { input: { dtype: 'float32' as const, dims: [224, 224], bytes: pixels() } },
      /give \[224,224\]/,
    ],
    [
      'another type',
      { input: { dtype: 'uint8' as const, dims: [1, 1, 224, 224], bytes: pixels() } },
      /takes float32.*gives uint8/,
    ],
    [
      'another name',
      { image: { dtype: 'float32' as const, dims: [1, 1, 224, 224], bytes: pixels() } },
      /no input "image"; it has input/,
    ],
    ['no input', {}, /nothing for the input "input"/],
  ])('A tensor with %s is refused by name, with both shapes', async (_, inputs, message) => {
    const run = engine.run(chest({ inputs }));
    await expect(run).rejects.toMatchObject({
      code: 'inference.input-shape',
      message: expect.stringMatching(message),
    });
  });

  test('An output that the model does not have is refused by name', async () => {
    await expect(engine.run(chest({ outputs: ['mask'] }))).rejects.toMatchObject({
      code: 'inference.output-invalid',
    });
  });

  test.each(['git_lfs_pointer.onnx', 'graph_without_weights.onnx', 'needs_custom_ops.onnx'])(
    'The broken file %s is unloadable by name, and the engine lives on',
    async (file) => {
      const run = engine.run(chest({ model: model(`${MODELS}/broken/${file}`, `${file}@1.0.0`) }));
      await expect(run).rejects.toMatchObject({ code: 'inference.model-unloadable', retry: false });
      expect((await engine.run(chest())).outputs['output']?.dims).toEqual([1, 15]);
    },
  );

  test('A file of noise is unloadable by name', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'noise-'));
    const file = join(folder, 'noise.onnx');
    writeFileSync(file, Buffer.alloc(5000, 0xa7));
    await expect(engine.run(chest({ model: model(file, 'noise@1.0.0') }))).rejects.toMatchObject({
      code: 'inference.model-unloadable',
    });
    rmSync(folder, { recursive: true });
  });

  test('Many runs of one model share its session, one at a time, and all are answered', async () => {
    const results = await Promise.all(Array.from({ length: 12 }, () => engine.run(chest())));
    expect(results.every((result) => result.outputs['output']?.dims[1] === 15)).toBe(true);
  });

  test('More models than sessions: the one unused for longest makes room', async () => {
    const small = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1, sessionsMax: 2 });
    for (const key of ['a@1', 'b@1', 'c@1', 'a@1']) await small.run(chest({ model: model(CHEST, key) }));
    await small.close();
  });

  test('In a thread, a run beyond its time limit fails by name, a new session takes its place, and too many lost runs close the door', async () => {
    const own = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 2, stuckMax: 1, isolation: 'thread' });
    await own.warm(model(CHEST, 'batch@1.0.0'));
    await own.warm(model(CHEST));
    const start = performance.now();
    await expect(own.run(batch(150))).rejects.toMatchObject({ code: 'inference.timeout', retry: true });
    expect(performance.now() - start).toBeLessThan(1500);
    await expect(own.run(chest())).rejects.toMatchObject({ code: 'inference.engine-stuck', retry: true });
    // The lost run ends by itself; then the engine works again, with the same model too.
    await expect
      .poll(
        () =>
          own.run(chest()).then(
            () => 'ran',
            (error: { code: string }) => error.code,
          ),
        { timeout: 60_000, interval: 100 },
      )
      .toBe('ran');
    await own.close();
  }, 90_000);

  test('A closed engine takes no work, and closing ends its threads', async () => {
    const own = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1 });
    await own.run(chest());
    await own.close();
    await expect(own.run(chest())).rejects.toMatchObject({ code: 'inference.engine-unavailable' });
  });

  test('In a process, a run beyond its time limit is killed: the processor is free and the next run starts at once', async () => {
    const own = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 2 });
    await own.warm(model(SLOW, 'slow@1.0.0'));
    await own.warm(model(CHEST));
    const pid = pidOf(own, 'slow@1.0.0');
    for (let i = 0; i < 3; i++)
      await expect(own.run(slow(150))).rejects.toMatchObject({ code: 'inference.timeout', retry: true });
    await expect.poll(() => isAlive(pid), { timeout: 2_000 }).toBe(false);
    expect((await own.run(chest())).outputs['output']?.dims).toEqual([1, 15]);
    expect(own.sessionsNow().map(({ key }) => key)).toEqual(['chest@1.0.0']);
    await own.close();
  }, 30_000);

  test.each(['SIGSEGV', 'SIGABRT', 'SIGKILL'] as const)(
    'A model whose process dies of %s while it runs fails by name, others run on, and the next run of it is good',
    async (signal) => {
      const own = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 2 });
      await own.warm(model(SLOW, 'slow@1.0.0'));
      const lost = own.run(slow(60_000));
      await new Promise((resolve) => setTimeout(resolve, 300));
      process.kill(pidOf(own, 'slow@1.0.0'), signal);
      await expect(lost).rejects.toMatchObject({
        code: 'inference.engine-lost',
        retry: true,
        message: expect.stringContaining(signal),
      });
      expect((await own.run(chest())).outputs['output']?.dims).toEqual([1, 15]);
      await own.warm(model(SLOW, 'slow@1.0.0'));
      await own.close();
    },
    30_000,
  );

  test('Thread and process give the same numbers, for a volume with a mask too', async () => {
    const threads = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1, isolation: 'thread' });
    const volume = lungs();
    const [here, there] = [await threads.run(volume), await engine.run(volume)];
    expect(there.outputs['lung_mask']?.data.length).toBe(64 * 128 * 128);
    expect(there.outputs).toEqual(here.outputs);
    expect((await engine.run(chest())).outputs).toEqual((await threads.run(chest())).outputs);
    await threads.close();
  }, 30_000);

  test('The process of a model sees no setting and no password of the server', async () => {
    const pid = pidOf(engine, 'chest@1.0.0');
    const seen = readFileSync(`/proc/${pid}/environ`, 'utf8');
    expect(seen).toContain('ORT_DISABLE_TELEMETRY=1');
    expect(seen).not.toMatch(/DATABASE_URL|PRELIM_|VITEST/);
  });

  test('Images are computed together only where neighbours change no number', async () => {
    const own = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1, batchMax: 4 });
    const images = [0.1, 0.9, 0.4, 0.7, 0.2].map((value) => chestOf(value));
    const joined = await Promise.all(images.map((image) => own.run(image)));
    for (const [i, image] of images.entries())
      expect(joined[i]?.outputs).toEqual((await engine.run(image)).outputs);
    await own.close();
  });

  test('A model with an open first axis is batched, and each request gets its own part', async () => {
    const { folder, remove } = await makeMeanModel();
    const own = new OnnxEngine({ intraOpNumThreads: 1, runsMax: 1, batchMax: 8 });
    const mean = (value: number): EngineRequest => ({
      model: model(join(folder, 'model.onnx'), 'mean@1.0.0'),
      inputs: {
        image: { dtype: 'float32', dims: [1, 1, 8, 8], bytes: new Float32Array(64).fill(value).buffer },
      },
      outputs: ['score'],
      timeLimitMs: 5_000,
    });
    await own.run(mean(0));
    const results = await Promise.all([1, 2, 3, 4, 5, 6].map((value) => own.run(mean(value))));
    expect(results.map(({ outputs }) => outputs['score']?.data[0])).toEqual([1, 2, 3, 4, 5, 6]);
    expect(results.map(({ outputs }) => outputs['score']?.dims)).toEqual(Array(6).fill([1, 1]));
    // The first is taken alone or with the others; what waits together ends together, with one time.
    expect(new Set(results.map(({ ms }) => ms)).size).toBeLessThan(6);
    await own.close();
    await remove();
  });
});

const pidOf = (engine: OnnxEngine, key: string): number =>
  engine.sessionsNow().find((session) => session.key === key)?.pid ?? 0;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function chestOf(value: number): EngineRequest {
  const bytes = Float32Array.from({ length: 224 * 224 }, (_, i) => value * Math.sin(i / 50)).buffer;
  return chest({ inputs: { input: { dtype: 'float32', dims: [1, 1, 224, 224], bytes } } });
}

/** A block of lung in soft tissue. */
function lungs(): EngineRequest {
  const bytes = new SharedArrayBuffer(64 * 128 * 128 * 2);
  const values = new Int16Array(bytes).fill(40);
  for (let z = 8; z < 56; z++)
    for (let y = 30; y < 100; y++) values.fill(-860, (z * 128 + y) * 128 + 30, (z * 128 + y) * 128 + 100);
  return {
    model: model('models/ct-lung-density/1.0.0/model.onnx', 'lung@1.0.0'),
    inputs: {
      image: { dtype: 'int16', dims: [64, 128, 128], bytes },
      spacing_mm: { dtype: 'float32', dims: [3], bytes: Float32Array.of(2, 1, 1).buffer },
    },
    outputs: ['lung_volume_ml', 'lung_mask'],
    timeLimitMs: 20_000,
  };
}

async function makeMeanModel(): Promise<{ folder: string; remove(): Promise<void> }> {
  const graph = new Graph();
  const image = graph.input({ name: 'image', type: 'float', shape: ['batch', 1, 8, 8] });
  const mean = graph.op('ReduceMean', [image], { axes: [2, 3], keepdims: 0 });
  graph.output(mean, { name: 'score', type: 'float', shape: ['batch', 1] });
  const about = { name: 'mean', producer: 'tests', version: '1', doc: 'For tests.', opset: 17, metadata: {} };
  const folder = mkdtempSync(join(tmpdir(), 'mean-'));
  writeFileSync(join(folder, 'model.onnx'), encodeModel(graph, about));
  return { folder, remove: async () => rmSync(folder, { recursive: true }) };
}
