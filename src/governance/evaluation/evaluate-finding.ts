import { type Calibration, calibration } from './calibration.ts';
import { type OperatingPoint, operatingPoint } from './operating-point.ts';
import { type Interval, rocAuc, type Scored } from './roc-auc.ts';

/** One case of the test set that the gate let pass. */
export interface EvaluatedCase extends Scored {
  /** For subgroups; empty where nobody says. */
  readonly sex: string;
  readonly ageYears: number | null;
  readonly scanner: string;
}

export interface Thresholds {
  readonly positive: number;
  readonly indeterminate?: number;
}

export interface FindingEvaluation {
  readonly key: string;
  readonly label: string;
  readonly cases: number;
  readonly positives: number;
  /** DeLong. */
  readonly auc: Interval | null;
  /** At the manifest's threshold `positive`, then `indeterminate` where there is one. */
  readonly points: readonly (OperatingPoint & { readonly name: 'positive' | 'indeterminate' })[];
  /** null: the scores are no probabilities (a measurement), or there is no case. */
  readonly calibration: Calibration | null;
  readonly subgroups: readonly Subgroup[];
}

export interface Subgroup {
  readonly by: 'sex' | 'age' | 'scanner';
  readonly group: string;
  readonly cases: number;
  readonly positives: number;
  readonly auc: Interval | null;
  readonly point: OperatingPoint;
}

/** Everything that a report says of one finding. Pure: the same cases give the same report. */
export function evaluateFinding(
  rule: { readonly key: string; readonly label: string; readonly threshold: Thresholds },
  cases: readonly EvaluatedCase[],
): FindingEvaluation {
  const { positive, indeterminate } = rule.threshold;
  const areProbabilities = cases.every(({ score }) => score >= 0 && score <= 1);
  return {
    key: rule.key,
    label: rule.label,
    cases: cases.length,
    positives: positivesOf(cases),
    auc: rocAuc(cases),
    points: [
      { name: 'positive', ...operatingPoint(cases, positive) },
      ...(indeterminate === undefined
        ? []
        : [{ name: 'indeterminate' as const, ...operatingPoint(cases, indeterminate) }]),
    ],
    calibration: areProbabilities ? calibration(cases) : null,
    subgroups: subgroupsOf(cases, positive),
  };
}

const positivesOf = (cases: readonly Scored[]): number => cases.filter(({ isPositive }) => isPositive).length;

const GROUPINGS = [
  { by: 'sex', groupOf: ({ sex }: EvaluatedCase) => sex || NOT_STATED },
  { by: 'age', groupOf: ({ ageYears }: EvaluatedCase) => ageBand(ageYears) },
  { by: 'scanner', groupOf: ({ scanner }: EvaluatedCase) => scanner || NOT_STATED },
] as const;

const NOT_STATED = 'not stated';

function subgroupsOf(cases: readonly EvaluatedCase[], threshold: number): Subgroup[] {
  return GROUPINGS.flatMap(({ by, groupOf }) => {
    const names = [...new Set(cases.map(groupOf))].sort();
    return names.map((group) => {
      const own = cases.filter((one) => groupOf(one) === group);
      return {
        by,
        group,
        cases: own.length,
        positives: positivesOf(own),
        auc: rocAuc(own),
        point: operatingPoint(own, threshold),
      };
    });
  });
}

/** Children, then adults in four bands; the sort of their names is their order. */
function ageBand(years: number | null): string {
  if (years === null) return NOT_STATED;
  if (years < 18) return '0-17';
  if (years < 40) return '18-39';
  if (years < 65) return '40-64';
  return years < 80 ? '65-79' : '80 and over';
}
