import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inspectApart } from './inspect-apart.ts';
import { inspectAndRelease } from './inspect-model.ts';
import { inspectOperators } from './inspect-operators.ts';
import type { Manifest } from './manifest.ts';

const LUNG = 'models/ct-lung-density/1.0.0/model.onnx';
const CUSTOM = '../shared/data/models/broken/needs_custom_ops.onnx';
const file = (path: string) => ({ ref: 'm@1.0.0', path, manifest: {} as Manifest });

describe('a model opened in a process of its own', () => {
  it('has the graph that it has when it is opened here', async () => {
    expect(await inspectApart(file(LUNG))).toEqual(await inspectAndRelease(file(LUNG)));
  });

  it('that does not load is refused with the words of the runtime', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'noise-'));
    await writeFile(join(folder, 'noise.onnx'), Buffer.alloc(5_000, 0xa7));
    await expect(inspectApart(file(join(folder, 'noise.onnx')))).rejects.toThrow(/protobuf|parse|load/i);
    await rm(folder, { recursive: true });
  });
});

describe('the operators of a file', () => {
  it('are counted, with operator sets and producer', async () => {
    const facts = await inspectOperators(LUNG);
    expect(facts.opsets).toEqual({ 'ai.onnx': 17 });
    expect(facts.producer).toBe('ct-lung-density');
    expect(Object.values(facts.operators).reduce((sum, count) => sum + count, 0)).toBe(203);
    expect(facts.custom).toEqual([]);
  });

  it.skipIf(!existsSync(CUSTOM))(
    existsSync(CUSTOM) ? 'that the runtime cannot have are named, all at once' : 'skipped: no shared data',
    async () => {
      expect((await inspectOperators(CUSTOM)).custom.length).toBeGreaterThan(0);
    },
  );
});
