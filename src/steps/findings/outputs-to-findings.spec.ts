import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { FindingRule, Manifest, ModelOutput } from '../../governance/manifest.ts';
import { outputsToFindings } from './outputs-to-findings.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const example = (id: string) =>
  parse(readFileSync(resolve(ROOT, `test/fixtures/models/${id}/1.0.0/manifest.yaml`), 'utf8')) as Manifest;
const cxr15 = example('cxr15-mobilenetv3-int8');

const model = (outputs: readonly ModelOutput[], findings: readonly FindingRule[]): Manifest => ({
  ...cxr15,
  outputs,
  findings,
});

const classes = (
  gives: 'logits' | 'probabilities',
  activation: 'none' | 'sigmoid' | 'softmax',
): ModelOutput => ({
  name: 'out',
  kind: 'classification',
  labels: ['A', 'B'],
  gives,
  activation,
});
const presence = (label: string, more: object = {}): FindingRule => ({
  key: label.toLowerCase(),
  label,
  from: { output: 'out', label },
  threshold: { positive: 0.5, indeterminate: 0.2 },
  ...more,
});
const tensor = (...data: number[]) => ({ out: { dims: [1, data.length], data } });

function findings(manifest: Manifest, outputs: Parameters<typeof outputsToFindings>[1]) {
  const result = outputsToFindings(manifest, outputs);
  return result.kind === 'findings' ? result.findings : result.refusals;
}

describe('presence', () => {
  it.each([
    [0.5, 'present'],
    [0.4999, 'indeterminate'],
    [0.2, 'indeterminate'],
    [0.1999, 'absent'],
    [0, 'absent'],
    [1, 'present'],
  ])('of %d is %s', (score, verdict) => {
    const manifest = model([classes('probabilities', 'none')], [presence('A')]);
    expect(findings(manifest, tensor(score, 0))).toMatchObject([
      { presence: verdict, score, threshold: 0.5 },
    ]);
  });

  it('is never indeterminate without such a threshold', () => {
    const manifest = model(
      [classes('probabilities', 'none')],
      [presence('A', { threshold: { positive: 0.5 } })],
    );
    expect(findings(manifest, tensor(0.49, 0))).toMatchObject([{ presence: 'absent' }]);
  });

  it('has a category only when it is present', () => {
    const manifest = model(
      [classes('probabilities', 'none')],
      [presence('A', { actionable: 1 }), presence('B', { actionable: 2 })],
    );
    expect(findings(manifest, tensor(0.9, 0.3)).map((f) => 'actionable' in f && f.actionable)).toEqual([
      1,
      null,
    ]);
  });

  it('of an untrained head is never reported', () => {
    const manifest = model(
      [classes('probabilities', 'none')],
      [presence('A', { untrained: true }), presence('B')],
    );
    expect(findings(manifest, tensor(0.5, 0.9))).toMatchObject([{ key: 'b' }]);
  });
});

describe('activation', () => {
  it('is applied as the manifest says, and probabilities are left as they are', () => {
    const score = (
      gives: 'logits' | 'probabilities',
      activation: 'none' | 'sigmoid' | 'softmax',
      values: number[],
    ) => {
      const [first] = findings(model([classes(gives, activation)], [presence('A')]), tensor(...values));
      return first !== undefined && 'score' in first ? first.score : null;
    };
    expect(score('logits', 'sigmoid', [0, 9])).toBe(0.5);
    expect(score('logits', 'softmax', [Math.log(3), 0])).toBeCloseTo(0.75, 12);
    expect(score('logits', 'softmax', [1000, 0])).toBe(1);
    expect(score('logits', 'sigmoid', [-1000, 0])).toBe(0);
    expect(score('probabilities', 'none', [0.3, 0.7])).toBe(0.3);
  });

  it.each([
    ['not a number', [Number.NaN, 0]],
    ['infinite', [Number.POSITIVE_INFINITY, 0]],
    ['a logit taken for a probability', [4.2, -3]],
    ['too many', [0.1, 0.2, 0.3]],
    ['too few', [0.1]],
  ])('of a number that is %s refuses instead of showing something', (_what, values) => {
    const manifest = model([classes('probabilities', 'none')], [presence('A'), presence('B')]);
    const result = outputsToFindings(manifest, tensor(...values));
    expect(result).toMatchObject({ kind: 'refused', refusals: [{ rule: 'implausible-output' }] });
  });

  it('refuses when the output is missing', () => {
    const manifest = model([classes('probabilities', 'none')], [presence('A')]);
    expect(outputsToFindings(manifest, {})).toMatchObject({ kind: 'refused' });
  });
});

describe('a measurement', () => {
  const volume: FindingRule = {
    key: 'laa-950',
    label: 'LAA-950',
    measures: 'laa',
    unit: '%',
    decimals: 1,
    plausible: { min: 0, max: 100 },
    abnormal_from: 6,
    actionable: 3,
  };
  const manifest = model([{ name: 'laa', kind: 'measurement', unit: '%' }], [volume]);
  const measured = (value: number) => findings(manifest, { laa: { dims: [], data: [value] } });

  it('is rounded to the decimals that mean something, and flagged by what is shown', () => {
    expect(measured(12.345)).toMatchObject([
      { value: 12.3, unit: '%', presence: 'present', actionable: 3, score: null },
    ]);
    expect(measured(5.96)).toMatchObject([{ value: 6, presence: 'present', threshold: 6 }]);
    expect(measured(5.94)).toMatchObject([{ value: 5.9, presence: 'absent', actionable: null }]);
  });

  it.each([-0.1, 100.1, Number.NaN, Number.NEGATIVE_INFINITY])(
    'of %d is refused: it means nothing',
    (value) => {
      expect(measured(value)).toMatchObject([
        { rule: 'implausible-output', required: 'laa-950 from 0 to 100 %' },
      ]);
    },
  );

  it('has no presence without a cut', () => {
    const { abnormal_from: _, ...plain } = volume as Extract<FindingRule, { measures: string }>;
    const result = outputsToFindings(model(manifest.outputs, [plain]), { laa: { dims: [1], data: [50] } });
    expect(result).toMatchObject({ findings: [{ presence: null, threshold: null, value: 50 }] });
  });

  it('that is several numbers is refused', () => {
    expect(findings(manifest, { laa: { dims: [2], data: [1, 2] } })).toMatchObject([
      { rule: 'implausible-output' },
    ]);
  });
});

describe('the published outputs of real models (skipped: no shared data)', () => {
  const csv = (id: string) => resolve(ROOT, `../shared/data/models/${id}/reference-outputs.csv`);
  const row = (id: string, input: string) => {
    const line = readFileSync(csv(id), 'utf8')
      .split('\n')
      .find((text) => text.startsWith(input));
    return (line ?? '').split(',').slice(2).map(Number);
  };

  it.skipIf(!existsSync(csv('cxr15-mobilenetv3-int8')))(
    'say cardiomegaly for the film with a large heart, and nothing else',
    () => {
      const data = row('cxr15-mobilenetv3-int8', 'images/nih/00000001_002.png');
      const result = findings(cxr15, { output: { dims: [1, 15], data } });
      const present = result.flatMap((f) =>
        'presence' in f && f.presence === 'present' ? [[f.key, Number(f.score?.toFixed(2))]] : [],
      );
      expect(present).toEqual([['cardiomegaly', 0.94]]);
      expect(result).toHaveLength(14);
    },
  );

  it.skipIf(!existsSync(csv('cxr3-teachable-nhwc')))(
    'are taken as probabilities where the graph has a softmax',
    () => {
      const data = row('cxr3-teachable-nhwc', 'images/nih/00000001_000.png');
      const result = findings(example('cxr3-teachable-nhwc'), { probabilities: { dims: [1, 3], data } });
      expect(result).toMatchObject([
        { key: 'covid-19', score: 1 },
        { key: 'viral-pneumonia', score: 0 },
      ]);
    },
  );
});

describe('op_norm', () => {
  const output: ModelOutput = {
    ...{ name: 'out', kind: 'classification', labels: ['A', 'B'], gives: 'logits', activation: 'sigmoid' },
    op_norm: [0.0742, null],
  };

  it('moves the operating point to a half, and keeps 0 and 1', () => {
    const score = (logit: number) => {
      const [finding] = findings(model([output], [presence('A')]), tensor(logit, 0));
      return (finding as { score: number }).score;
    };
    const logit = (p: number) => Math.log(p / (1 - p));
    expect(score(logit(0.0742))).toBeCloseTo(0.5, 10);
    expect(score(logit(0.0371))).toBeCloseTo(0.25, 10);
    expect(score(logit(0.5371))).toBeCloseTo(0.75, 10);
    expect(score(-80)).toBeCloseTo(0, 10);
    expect(score(80)).toBeCloseTo(1, 10);
  });

  it('never reports a label that was not trained, not even as a half', () => {
    const rules = [presence('A'), presence('B', { untrained: true })];
    expect(findings(model([output], rules), tensor(0, 0))).toMatchObject([{ key: 'a' }]);
    expect(outputsToFindings(model([output], [presence('B')]), tensor(0, 0)).kind).toBe('refused');
  });
});

describe('places', () => {
  const region = (label: string, score: number | null, size: number | null = null) => ({
    label,
    size,
    location: { sopInstanceUid: '1.2.3', frame: 1, box: [0, 0, 4, 4] as const, polygon: null, score },
  });
  const boxes: ModelOutput = {
    ...{
      name: 'out',
      kind: 'detection',
      labels: ['A', 'B'],
      form: 'xyxy',
      unit: 'pixels',
      activation: 'sigmoid',
    },
    ...{ scores: { output: 's' }, score_min: 0.1, nms: 'graph' },
  };

  it('of boxes are those from the lowest threshold on; the best decides, its activation done before', () => {
    const regions = { out: [region('A', 0.9), region('A', 0.3), region('A', 0.15), region('B', 0.15)] };
    const result = outputsToFindings(
      model([boxes], [presence('A'), presence('B')]),
      { out: { dims: [2], data: [0.9, 0.15] } },
      regions,
    );
    if (result.kind !== 'findings') throw new Error('refused');
    const [a, b] = result.findings;
    expect(a).toMatchObject({ presence: 'present', score: 0.9 });
    expect(a?.locations?.map(({ score }) => score)).toEqual([0.9, 0.3]);
    expect(b).toMatchObject({ presence: 'absent' });
    expect(b?.locations).toBeUndefined();
  });

  it('of a segment go with its size, which is present, indeterminate or absent', () => {
    const seg: ModelOutput = {
      name: 'seg',
      kind: 'segmentation',
      labels: ['', 'Liver'],
      decode: 'argmax',
      keep: 'all',
    };
    const rule: FindingRule = {
      ...{ key: 'liver', label: 'Liver volume', measures: 'seg', of: 'Liver', unit: 'mL', decimals: 0 },
      ...{ plausible: { min: 0, max: 6000 }, abnormal_from: 2000, indeterminate_from: 1800 },
    };
    const at = (size: number) => {
      const outputs = { seg: { dims: [2], data: [0, size] } };
      const result = outputsToFindings(model([seg], [rule]), outputs, { seg: [region('Liver', null, size)] });
      return result.kind === 'findings' ? result.findings[0] : result.refusals[0];
    };
    expect(at(2000.4)).toMatchObject({ value: 2000, presence: 'present', locations: [{ frame: 1 }] });
    expect(at(1800)).toMatchObject({ presence: 'indeterminate' });
    expect(at(1799)).toMatchObject({ presence: 'absent' });
    expect(at(7000)).toMatchObject({ rule: 'implausible-output' });
  });

  it('of a heat map are those of a finding that it shows, and of none that is absent', () => {
    const heat: ModelOutput = { name: 'cam', kind: 'heat_map', label: 'A', level: 0.5 };
    const manifest = model([classes('probabilities', 'none'), heat], [presence('A', { shown_by: 'cam' })]);
    const at = (score: number) => {
      const result = outputsToFindings(manifest, tensor(score, 0), { cam: [region('A', null)] });
      return result.kind === 'findings' ? result.findings[0]?.locations?.length : null;
    };
    expect(at(0.9)).toBe(1);
    expect(at(0.1)).toBeUndefined();
  });
});
