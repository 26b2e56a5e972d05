import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import schema from '../../models/imaging-model-1.schema.json' with { type: 'json' };
import { checkManifest } from './check-manifest.ts';

const EXAMPLE = new URL(
  '../../test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0/manifest.yaml',
  import.meta.url,
);

/** A sound manifest with one thing changed. */
function changed(change: (manifest: Record<string, never>) => void) {
  const manifest = parse(readFileSync(EXAMPLE, 'utf8'));
  change(manifest);
  return checkManifest(manifest);
}

// biome-ignore lint/suspicious/noExplicitAny: a manifest under change is what it is checked not to be.
type Loose = any;

describe('the schema', () => {
  it('accepts the example', () => {
    const { manifest, faults } = changed(() => {});
    expect(faults).toEqual([]);
    expect(manifest?.id).toBe('cxr15-mobilenetv3-int8');
  });

  it('knows every property of the types in manifest.ts, and no other', () => {
    const types = readFileSync(new URL('manifest.ts', import.meta.url), 'utf8');
    const inTypes = new Set([...types.matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name));
    const inSchema = new Set<string>();
    const walk = (node: unknown): void => {
      if (typeof node !== 'object' || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key === 'properties') for (const name of Object.keys(value)) inSchema.add(name);
        walk(value);
      }
    };
    walk(schema);
    expect([...inSchema].sort()).toEqual([...inTypes].sort());
  });

  it('describes every property for the owner of a model', () => {
    const bare: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return;
      for (const [key, value] of Object.entries(node)) {
        if (key === 'properties') {
          for (const [name, property] of Object.entries(value as Record<string, { description?: string }>)) {
            if (!property.description && !path.includes('/if')) bare.push(`${path}/${name}`);
          }
        }
        walk(value, `${path}/${key}`);
      }
    };
    walk(schema, '');
    expect(bare).toEqual([]);
  });
});

describe('a manifest with faults', () => {
  it('is told all of them at once', () => {
    const { manifest, faults } = changed((m: Loose) => {
      m.version = 1.0;
      m.id = 'Upper Case';
      m.file.sha256 = 'abc';
      delete m.vendor;
      m.colour = 'blue';
      m.pixels[0] = { op: 'sharpen' };
      m.running.time_limit_ms = 0;
    });
    expect(manifest).toBeNull();
    expect(faults.map(({ at }) => at).sort()).toEqual(
      ['/', '/', '/file/sha256', '/id', '/pixels/0', '/running/time_limit_ms', '/version'].sort(),
    );
    expect(faults.find(({ at }) => at === '/version')?.text).toContain('quotes');
  });

  it.each<[string, (m: Loose) => void, string]>([
    ['applies an activation twice', (m) => (m.outputs[0].gives = 'probabilities'), '/outputs/0/activation'],
    ['reads logits as probabilities', (m) => (m.outputs[0].activation = 'none'), '/outputs/0/activation'],
    ['names a label that is not there', (m) => (m.findings[0].from.label = 'Gout'), '/findings/0/from/label'],
    [
      'names an output that is not there',
      (m) => (m.findings[0].from.output = 'x'),
      '/findings/0/from/output',
    ],
    ['has a key twice', (m) => (m.findings[1].key = m.findings[0].key), '/findings/1/key'],
    ['has a label twice', (m) => (m.outputs[0].labels[1] = 'Nodule'), '/outputs/0/labels'],
    [
      'has thresholds the wrong way round',
      (m) => (m.findings[0].threshold.indeterminate = 0.9),
      '/findings/0/threshold',
    ],
    ['warns by a rule that does not exist', (m) => (m.warn_only = ['weather']), '/warn_only/0'],
    ['wants to warn only where nothing can run', (m) => (m.warn_only = ['frames']), '/warn_only/0'],
    ['has an empty range', (m) => (m.fits.rows = { min: 9, max: 8 }), '/fits/rows'],
    ['has more means than channels', (m) => (m.pixels[5].mean = [1, 2, 3]), '/pixels/5'],
    ['takes stored values late', (m) => m.pixels.push({ op: 'stored_values' }), '/pixels/6'],
    ['takes no image', (m) => (m.inputs[0].gives = 'spacing_mm'), '/inputs'],
    ['measures what is no measurement', (m) => (m.findings[0] = MEASURE), '/findings/0/measures'],
    [
      'expects an unknown key',
      (m) => (m.golden = [{ name: 'a', files: 'x', expect: { y: VALUE } }]),
      '/golden/0/expect',
    ],
  ])('is refused when it %s', (_title, change, at) => {
    expect(changed(change).faults.map((fault) => fault.at)).toContain(at);
  });

  it.each(['/etc/model.onnx', 'https://host/model.onnx', 'C:\\model.onnx', 'a\u0000b', 'file:///x', ''])(
    'is refused when its file is at %j: only relative paths are followed',
    (path) => {
      const { faults } = changed((m: Loose) => (m.file.path = path));
      expect(faults.map((fault) => fault.at)).toContain('/file/path');
    },
  );

  it.each([null, [], 'text', 7])('is refused when it is %j', (value) => {
    expect(checkManifest(value).faults.length).toBeGreaterThan(0);
  });
});

const VALUE = { value: 1, tolerance: 0 };
const MEASURE = {
  key: 'a',
  label: 'A',
  measures: 'output',
  unit: 'mL',
  decimals: 0,
  plausible: { min: 0, max: 1 },
};
