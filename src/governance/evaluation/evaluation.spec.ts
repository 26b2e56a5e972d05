import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { calibration } from './calibration.ts';
import { type EvaluatedCase, evaluateFinding } from './evaluate-finding.ts';
import { type Evaluation, evaluationHtml, METHOD } from './evaluation-report.ts';
import { operatingPoint, wilson } from './operating-point.ts';
import { type Interval, rocAuc } from './roc-auc.ts';

interface Reference {
  readonly name: string;
  readonly scores: readonly number[];
  readonly truth: readonly boolean[];
  readonly threshold: number;
  readonly auc: Interval;
  readonly sensitivity: Interval;
  readonly specificity: Interval;
  readonly brier: number;
  readonly expectedError: number;
  readonly bins: readonly { readonly count: number; readonly meanScore: number; readonly observed: number }[];
}

/** Made by `test/models/fixtures/make-evaluation-reference.py` with numpy and scipy. */
const REFERENCES = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../test/models/fixtures/evaluation-reference.json'), 'utf8'),
) as readonly Reference[];

const casesOf = ({ scores, truth }: Reference) =>
  scores.map((score, i) => ({ score, isPositive: truth[i] === true }));

describe.each(REFERENCES)('$name', (reference) => {
  const cases = casesOf(reference);

  it('has the ROC area and DeLong interval that numpy and scipy give', () => {
    expect(rocAuc(cases)).toEqual(near(reference.auc));
  });

  it("has the sensitivity and specificity with Wilson's interval that numpy gives", () => {
    const { sensitivity, specificity } = operatingPoint(cases, reference.threshold);
    expect(sensitivity).toEqual(near(reference.sensitivity));
    expect(specificity).toEqual(near(reference.specificity));
  });

  it('is calibrated as numpy says', () => {
    const result = calibration(cases);
    expect(result?.brier).toBeCloseTo(reference.brier, 12);
    expect(result?.expectedError).toBeCloseTo(reference.expectedError, 12);
    expect(
      result?.bins.map(({ count, meanScore, observed }) => [count, meanScore, observed.value].map(rounded)),
    ).toEqual(
      reference.bins.map(({ count, meanScore, observed }) => [count, meanScore, observed].map(rounded)),
    );
  });
});

const rounded = (value: number) => Number(value.toFixed(10));
const near = ({ value, low, high }: Interval) => ({
  value: expect.closeTo(value, 9),
  low: expect.closeTo(low, 9),
  high: expect.closeTo(high, 9),
});

describe('where the numbers cannot be told', () => {
  it('there is no area without both kinds of case, and no share of nothing', () => {
    expect(rocAuc([{ score: 0.4, isPositive: true }])).toBeNull();
    expect(wilson(0, 0)).toBeNull();
    expect(calibration([])).toBeNull();
  });

  it('a perfect area of few cases has no narrow interval', () => {
    const cases = [0.1, 0.2, 0.8, 0.9].map((score) => ({ score, isPositive: score > 0.5 }));
    expect(rocAuc(cases)).toEqual({ value: 1, low: 0, high: 1 });
  });

  it('a score of exactly the threshold is positive', () => {
    expect(operatingPoint([{ score: 0.5, isPositive: true }], 0.5).truePositives).toBe(1);
  });
});

describe('a report', () => {
  const cases: EvaluatedCase[] = Array.from({ length: 40 }, (_, i) => ({
    score: i / 40,
    isPositive: i % 3 === 0,
    sex: i % 2 ? 'F' : 'M',
    ageYears: i === 0 ? null : i * 2.4,
    scanner: i < 20 ? 'A <b>' : '',
  }));
  const finding = evaluateFinding(
    { key: 'mass', label: 'Mass', threshold: { positive: 0.7, indeterminate: 0.3 } },
    cases,
  );

  it('divides the cases by sex, age band and scanner, each case once', () => {
    const counts = (by: string) =>
      finding.subgroups.filter((group) => group.by === by).map(({ group, cases }) => [group, cases]);
    expect(counts('sex')).toEqual([
      ['F', 20],
      ['M', 20],
    ]);
    expect(counts('scanner')).toEqual([
      ['A <b>', 20],
      ['not stated', 20],
    ]);
    expect(counts('age').map(([group]) => group)).toEqual([
      '0-17',
      '18-39',
      '40-64',
      '65-79',
      '80 and over',
      'not stated',
    ]);
  });

  it('holds both thresholds, a plot per finding and no foreign markup', () => {
    const evaluation: Evaluation = {
      model: 'm@1.0.0',
      title: 'T & <script>',
      deviceUid: '2.25.1',
      sha256: 'ab',
      at: '2026-01-15T00:00:00.000Z',
      cases: 40,
      refused: { view: 2 },
      method: METHOD,
      claimed: ['AUC 0.9'],
      findings: [finding],
    };
    const html = evaluationHtml(evaluation);
    expect(finding.points.map(({ name }) => name)).toEqual(['positive', 'indeterminate']);
    expect(html.match(/<svg /g)).toHaveLength(1);
    expect(html).not.toMatch(/<script>|<b>|https?:\/\/(?!www\.w3\.org)/);
    expect(html).toContain('view: 2');
  });

  it('has no calibration for scores that are no probabilities', () => {
    const [first] = cases;
    const measured = evaluateFinding({ key: 'x', label: 'X', threshold: { positive: 5 } }, [
      { ...(first as EvaluatedCase), score: 11.5 },
    ]);
    expect(measured.calibration).toBeNull();
  });
});
