import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import type { DecodedPixels } from './decode-pixels.ts';
import { hasSharedData, outcomeOf, sharedTitle } from './fixtures/dicom-bytes.ts';
import { PixelWorkers } from './pixel-workers.ts';

const TASKS = new URL('./fixtures/worker-tasks.ts', import.meta.url);
const LONG = { timeoutMs: 20_000 };

describe('worker threads for decoding', () => {
  let workers: PixelWorkers | null = null;
  const open = (options = {}) => {
    workers = new PixelWorkers({ size: 2, ...options });
    return workers;
  };
  afterEach(async () => {
    await workers?.close();
  });

  it('give back results with their arrays', async () => {
    const result = await open().run<{ values: Float32Array; name: string }>(TASKS, 'ramp', 4, LONG);
    expect(result).toEqual({ values: Float32Array.of(0, 1, 2, 3), name: 'ramp' });
  });

  it('do more tasks than there are threads', async () => {
    const pool = open();
    const sizes = await Promise.all(
      Array.from(
        { length: 20 },
        async (_, size) =>
          (await pool.run<{ values: Float32Array }>(TASKS, 'ramp', size, LONG)).values.length,
      ),
    );
    expect(sizes).toEqual(Array.from({ length: 20 }, (_, size) => size));
  });

  it('end a task that takes too long, and the others go on', async () => {
    const pool = open();
    const slow = outcomeOf(() => pool.run(TASKS, 'spin', null, { timeoutMs: 300 }));
    const others = Array.from({ length: 4 }, () => pool.run<{ name: string }>(TASKS, 'ramp', 2, LONG));
    expect(await slow).toBe('dicom.decode-timeout');
    expect((await Promise.all(others)).map(({ name }) => name)).toEqual(['ramp', 'ramp', 'ramp', 'ramp']);
    expect(await outcomeOf(() => pool.run(TASKS, 'ramp', 1, LONG))).toBe('ok');
  });

  it('end a task that takes too much memory, and the others go on', async () => {
    const pool = open({ size: 1, heapMegabytesMax: 32 });
    expect(await outcomeOf(() => pool.run(TASKS, 'growHeap', null, LONG))).toBe('dicom.decode-timeout');
    expect(await outcomeOf(() => pool.run(TASKS, 'ramp', 1, LONG))).toBe('ok');
  });

  it('hand on a Failure as it is, and everything else as a fault of the program', async () => {
    const pool = open();
    expect(await outcomeOf(() => pool.run(TASKS, 'refuse', null, LONG))).toBe('dicom.codestream');
    expect(await outcomeOf(() => pool.run(TASKS, 'blunder', null, LONG))).toBe('dicom.worker');
    expect(await outcomeOf(() => pool.run(TASKS, 'missing', null, LONG))).toBe('dicom.worker');
    expect(await outcomeOf(() => pool.run(new URL('./none.ts', TASKS), 'x', null, LONG))).toBe(
      'dicom.worker',
    );
    expect(await outcomeOf(() => pool.run(TASKS, 'ramp', () => 1, LONG))).toBe('dicom.worker');
    expect(await outcomeOf(() => pool.run(TASKS, 'leave', null, LONG))).toBe('dicom.worker');
    expect(await outcomeOf(() => pool.run(TASKS, 'ramp', 1, LONG))).toBe('ok');
  });

  it('fail what is waiting when they are closed', async () => {
    const pool = open({ size: 1 });
    const running = outcomeOf(() => pool.run(TASKS, 'spin', null, LONG));
    const waiting = outcomeOf(() => pool.run(TASKS, 'ramp', 1, LONG));
    await pool.close();
    expect([await running, await waiting]).toEqual(['dicom.worker', 'dicom.worker']);
    expect(await outcomeOf(() => pool.run(TASKS, 'ramp', 1, LONG))).toBe('dicom.worker');
  });

  it('do not keep a process alive, and need no build under plain node', () => {
    const script = `
      const { PixelWorkers } = await import(${JSON.stringify(new URL('./pixel-workers.ts', import.meta.url).href)});
      const result = await new PixelWorkers().run(new URL(${JSON.stringify(TASKS.href)}), 'ramp', 3, { timeoutMs: 20000 });
      console.log(result.values.length);`;
    const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(out.trim()).toBe('3');
  });

  it.skipIf(!hasSharedData)(sharedTitle('decode a compressed file off the main thread'), async () => {
    const path = '../shared/data/dicom/cxr/siim_pa_mono2.dcm';
    const decoded = await open().run<DecodedPixels>(TASKS, 'decodeFile', path, LONG);
    expect(decoded).toMatchObject({ rows: 1024, columns: 1024, photometricInterpretation: 'MONOCHROME2' });
    expect(decoded.values).toHaveLength(1024 * 1024);
  });
});
