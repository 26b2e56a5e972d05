import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { ModelRefusal } from './check-model.ts';
import { inspectAndRelease } from './inspect-model.ts';
import { externalData } from './model-file/external-data.ts';
import { ModelRegister } from './model-register.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const SHARED = resolve(ROOT, '../shared/data/models');
const FIXTURES = join(ROOT, 'test/fixtures/models');
const here = existsSync(SHARED);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-models-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

// biome-ignore lint/suspicious/noExplicitAny: a manifest under change is what it is checked not to be.
type Loose = any;

/** A folder with the example manifest, changed, and a model file. */
async function modelFolder(name: string, change: (manifest: Loose) => void, file?: Buffer): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  const manifest = parse(
    await readFile(join(FIXTURES, 'cxr15-mobilenetv3-int8/1.0.0/manifest.yaml'), 'utf8'),
  );
  delete manifest.card;
  if (file !== undefined) {
    await writeFile(join(path, 'model.onnx'), file);
    manifest.file = {
      path: 'model.onnx',
      sha256: createHash('sha256').update(file).digest('hex'),
      licence: 'MIT',
    };
  }
  change(manifest);
  await writeFile(join(path, 'manifest.yaml'), stringify(manifest));
  return path;
}

const read = (...required: string[]) => ModelRegister.read({ own: [], required }, inspectAndRelease);
const textsOf = (refusals: readonly ModelRefusal[]) =>
  refusals.flatMap(({ faults }) => faults.map(({ text }) => text));

describe('the register', () => {
  it.skipIf(!here)(
    'reads the examples and finds them by id and by version (skipped: no shared data)',
    async () => {
      const register = await read(FIXTURES);
      expect(register.refusals()).toEqual([]);
      expect(register.list().map(({ ref }) => ref)).toEqual([
        'cxr15-mobilenetv3-int8@1.0.0',
        'cxr3-teachable-nhwc@1.0.0',
      ]);
      expect(register.get('cxr3-teachable-nhwc')?.graph?.inputs[0]).toEqual({
        name: 'image',
        dtype: 'float32',
        dims: [null, 224, 224, 3],
      });
      expect(register.get('cxr3-teachable-nhwc@1.0.0')?.manifest.outputs[0]?.name).toBe('probabilities');
      expect(register.get('cxr3-teachable-nhwc@2.0.0')).toBeNull();
      expect(register.get('unknown')).toBeNull();
    },
  );

  it.skipIf(!here)(
    'takes the newest version for an id, refuses a version twice, goes on after a bad model',
    async () => {
      const weights = await readFile(join(SHARED, 'cxr15-mobilenetv3-int8/model.onnx'));
      const version = (text: string, uid: string) => (m: Loose) => {
        m.version = text;
        m.device.uid = `2.25.${uid}`;
      };
      const all = join(folder, 'versions');
      await modelFolder('versions/m/a', version('1.9.0', '1'), weights);
      await modelFolder('versions/m/b', version('1.10.0', '2'), weights);
      await modelFolder('versions/m/c', version('2.0.0-rc.1', '3'), weights);
      await modelFolder('versions/m/d', version('1.10.0', '4'), weights);
      await modelFolder('versions/m/e', version('3.0.0', '1'), weights);
      await modelFolder('versions/m/f', (m) => delete m.fits, weights);
      const register = await read(all);
      expect(register.list().map(({ manifest }) => manifest.version)).toEqual([
        '2.0.0-rc.1',
        '1.10.0',
        '1.9.0',
      ]);
      expect(register.get('cxr15-mobilenetv3-int8')?.manifest.version).toBe('2.0.0-rc.1');
      expect(register.refusals().map((refusal) => refusal.faults[0]?.at)).toEqual([
        '/version',
        '/device/uid',
        '/',
      ]);
    },
  );

  it('refuses by name a folder that is not there, and one without a model', async () => {
    const empty = join(folder, 'empty');
    await mkdir(empty, { recursive: true });
    const register = await read(join(folder, 'nowhere'), empty);
    expect(textsOf(register.refusals())).toEqual([
      'there is no such folder',
      'there is no manifest in or under it',
    ]);
    const own = await ModelRegister.read({ own: [join(folder, 'nowhere')], required: [] }, inspectAndRelease);
    expect(own.refusals()).toEqual([]);
  });
});

describe('a model file that does not run', () => {
  it.skipIf(!here).each([
    ['broken/git_lfs_pointer.onnx', 'Git LFS pointer'],
    ['broken/graph_without_weights.onnx', 'chest_xray_model.onnx.data'],
    ['broken/needs_custom_ops.onnx', 'com.microsoft.extensions:DecodeImage'],
    ['cxr3-teachable-nhwc/keras_model.h5', 'Keras (HDF5)'],
    ['onnx-backend-tests/test_gradient_of_add/model.onnx', 'Gradient'],
  ])('%s is refused by name: %s', async (file, text) => {
    const path = await modelFolder(
      `broken-${file.replaceAll('/', '-')}`,
      () => {},
      await readFile(join(SHARED, file)),
    );
    const [refusal] = (await read(path)).refusals();
    expect(refusal?.id).toBe('cxr15-mobilenetv3-int8');
    expect(textsOf(refusal ? [refusal] : []).join()).toContain(text);
    expect(textsOf(refusal ? [refusal] : []).join()).not.toContain(SHARED);
  });

  it.each([
    ['', 'is empty'],
    ['<html>', 'web page'],
    ['PK\u0003\u0004', 'ZIP'],
    ['not a model at all', 'not an ONNX file'],
  ])('one that starts with %j is refused', async (content, text) => {
    const path = await modelFolder(`bytes-${text.replaceAll(' ', '-')}`, () => {}, Buffer.from(content));
    expect(textsOf((await read(path)).refusals()).join()).toContain(text);
  });

  it.skipIf(!here)('is not opened when its checksum is wrong', async () => {
    const weights = await readFile(join(SHARED, 'generic/mnist.onnx'));
    const path = await modelFolder('checksum', (m) => (m.file.sha256 = '0'.repeat(64)), weights);
    let opened = 0;
    const register = await ModelRegister.read({ own: [], required: [path] }, async () => {
      opened++;
      return { inputs: [], outputs: [] };
    });
    expect(register.refusals()[0]?.faults).toMatchObject([{ at: '/file/sha256' }]);
    expect(opened).toBe(0);
  });
});

describe('a manifest that does not fit its graph', () => {
  it.skipIf(!here)('is told everything that is wrong at once', async () => {
    const weights = await readFile(join(SHARED, 'cxr15-mobilenetv3-int8/model.onnx'));
    const path = await modelFolder(
      'misfit',
      (m) => {
        m.inputs = [{ name: 'input', gives: 'image', layout: 'NCHW', dtype: 'uint8' }];
        m.pixels[3].rows = 256;
        m.pixels.push({ op: 'channels', count: 3 });
        m.outputs[0].labels = m.outputs[0].labels.slice(0, 14);
        m.findings = m.findings.slice(0, 3);
        m.outputs.push({ name: 'heat', kind: 'mask', label: 'Heat' });
        m.card = 'card.md';
      },
      weights,
    );
    const [refusal] = (await read(path)).refusals();
    expect(refusal?.faults.map(({ at }) => at)).toEqual([
      '/card',
      '/inputs/0/dtype',
      '/inputs/0/layout',
      '/inputs/0/layout',
      '/outputs/0/labels',
      '/outputs/1/name',
    ]);
  });

  it.skipIf(!here)('must give every input of the graph', async () => {
    const weights = await readFile(join(SHARED, 'tb-head-multi-input/tb_head_t2.onnx'));
    const path = await modelFolder('inputs', () => {}, weights);
    await cp(join(SHARED, 'tb-head-multi-input/tb_head_t2.onnx.data'), join(path, 'tb_head_t2.onnx.data'));
    const before = textsOf((await read(path)).refusals()).join();
    expect(before).toContain('list "tb_head_t2.onnx.data" here with its SHA-256');
    const data = await readFile(join(path, 'tb_head_t2.onnx.data'));
    const sha256 = createHash('sha256').update(data).digest('hex');
    const external = [{ path: 'tb_head_t2.onnx.data', sha256 }];
    await modelFolder('inputs', (m) => (m.file.external = external), weights);
    const texts = textsOf((await read(path)).refusals()).join();
    for (const name of ['cls', 'patches', 'txrv', 'zones']) expect(texts).toContain(name);
    await writeFile(join(path, 'tb_head_t2.onnx.data'), Buffer.concat([data, Buffer.from('x')]));
    expect(textsOf((await read(path)).refusals()).join()).toContain('the file has the SHA-256');
  });
});

describe('a hostile manifest', () => {
  it.each([
    [
      'a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c]\n',
      'too many YAML aliases',
    ],
    ['id: a\nid: b\n', 'not valid YAML'],
    ['{"id": ', 'not valid YAML'],
    [`x: ${'y'.repeat(300_000)}`, 'larger than 256 KiB'],
  ])('is refused by name (%#)', async (content, text) => {
    const path = join(folder, `hostile-${text.slice(0, 8)}-${content.length}`);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'manifest.yaml'), content);
    expect(textsOf((await read(path)).refusals()).join()).toContain(text);
  });

  it('cannot make the walk through a broken file go on without end', () => {
    for (const bytes of ['3affffffffffffffffff', '3a05', 'ffffffffffffffffffffffff', '3a022a7f']) {
      expect(externalData(Buffer.from(bytes, 'hex'))).toEqual([]);
    }
  });
});
