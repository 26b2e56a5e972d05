import type { FailureIssue } from '../../kernel/errors.ts';
import { instants } from '../search/kinds/date.ts';

/** R4 datatypes.html#Period, invariant per-1: a period does not end before it starts. Compared as far as both are precise. */
export function checkPeriod(period: Readonly<Record<string, unknown>>, path: string): FailureIssue[] {
  const { start, end } = period;
  const from = typeof start === 'string' ? instants(start) : null;
  const to = typeof end === 'string' ? instants(end) : null;
  if (!from || !to || from.lo < to.hi) return [];
  return [{ text: 'per-1: the period ends before it starts.', at: path, type: 'invariant' }];
}
