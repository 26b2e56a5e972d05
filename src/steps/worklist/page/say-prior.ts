import type { RowFinding, RowPrior } from '../worklist-row.ts';
import { sayNumber } from './say-row.ts';

/** Words about earlier results of a finding. */

/** The day of an exam as it stands in the record: `2026-01-03`. */
export const dayOf = (taken: string): string => taken.slice(0, 10);

/** The nearest result that may be compared; null where there is none. */
const comparable = (finding: RowFinding): RowPrior | null =>
  finding.priors.find(({ caution }) => caution === null) ?? null;

/** `+1.4 percentage points since 2026-01-03`, `was absent on 2026-01-03`; null without a result to compare with. */
export function sayChange(finding: RowFinding): string | null {
  const prior = comparable(finding);
  if (prior === null) return null;
  const day = dayOf(prior.taken);
  if (finding.value !== null)
    return prior.change === null ? null : `${sayDifference(prior.change, prior.unit)} since\u00a0${day}`;
  if (prior.presence === null || finding.presence === null) return null;
  return prior.presence === finding.presence ? `as on\u00a0${day}` : `was ${prior.presence} on\u00a0${day}`;
}

function sayDifference(change: number, unit: string | null): string {
  if (change === 0) return 'unchanged';
  const words = unit === '%' ? '\u00a0percentage points' : unit === null ? '' : `\u00a0${unit}`;
  return `${change > 0 ? '+' : ''}${sayNumber(change)}${words}`;
}

/** One earlier result in a list: `2025-06-01: 10.1 %`, with the reason where it is not compared. */
export function sayPrior(prior: RowPrior): string {
  const unit = prior.unit === null ? '' : `\u00a0${prior.unit}`;
  const result = prior.value === null ? (prior.presence ?? 'no value') : `${sayNumber(prior.value)}${unit}`;
  const caution = prior.caution === null ? '' : ` (${CAUTIONS[prior.caution](prior)}, not compared)`;
  return `${dayOf(prior.taken)}: ${result}${caution}`;
}

const CAUTIONS: Readonly<Record<NonNullable<RowPrior['caution']>, (prior: RowPrior) => string>> = {
  'model-version': ({ modelVersion }) => `version ${modelVersion ?? 'unknown'} of the model`,
  unit: () => 'another unit',
  laterality: () => 'another side, or none stated',
};
