import type { DiagnosticReport, Observation } from '@medplum/fhirtypes';

/**
 * OBR-25 (table 0123) → DiagnosticReport.status. The published map has no target for A, M and N: A is some of the results, M a correction of
 * what was never final, N a procedure done whose results are to come. Y and Z answer queries and are no result: undefined, as is any other text.
 */
export const REPORT_STATUSES: Readonly<Record<string, DiagnosticReport['status']>> = {
  O: 'registered',
  I: 'registered',
  S: 'registered',
  N: 'registered',
  A: 'partial',
  R: 'partial',
  P: 'preliminary',
  M: 'preliminary',
  F: 'final',
  U: 'final',
  C: 'corrected',
  X: 'cancelled',
};

/**
 * OBX-11 (table 0085) → Observation.status. D (delete), W (wrong patient) and V say that the line must not be believed. B, N and S have
 * no target in the published map; U is "final, without being sent again".
 */
export const OBSERVATION_STATUSES: Readonly<Record<string, Observation['status']>> = {
  O: 'registered',
  I: 'registered',
  S: 'preliminary',
  R: 'preliminary',
  P: 'preliminary',
  B: 'preliminary',
  F: 'final',
  U: 'final',
  C: 'corrected',
  A: 'amended',
  X: 'cancelled',
  N: 'cancelled',
  D: 'entered-in-error',
  W: 'entered-in-error',
  V: 'unknown',
};

/** A report that a person stands for; nothing earlier may come after it. */
export const FINAL_STATUSES: ReadonlySet<string> = new Set(['final', 'corrected', 'amended', 'appended']);

/** A report that is still being made. */
export const OPEN_STATUSES: ReadonlySet<string> = new Set([
  'registered',
  'partial',
  'preliminary',
  'unknown',
]);
