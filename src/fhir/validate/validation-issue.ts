import type { FailureIssue } from '../../kernel/errors.ts';

/** One thing found. Only errors refuse a write; the rest is told by `$validate`. */
export interface ValidationIssue extends FailureIssue {
  readonly severity: 'error' | 'warning' | 'information';
}
