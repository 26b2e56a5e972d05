/** What the `status` of a report, and of its Observations and its Task, says of how far it stands (R4 diagnostic-report-status, observation-status, task-status). */
interface HasStatus {
  readonly status?: string | undefined;
}

/** A report that nobody has signed. */
export const isUnsigned = ({ status = '' }: HasStatus): boolean => UNSIGNED.has(status);

/** A report that a person has signed. */
export const isSigned = ({ status = '' }: HasStatus): boolean => SIGNED.has(status);

/** Taken back: it says of itself that it is none. */
export const isWithdrawn = ({ status = '' }: HasStatus): boolean => WITHDRAWN.has(status);

const UNSIGNED: ReadonlySet<string> = new Set(['registered', 'partial', 'preliminary']);
const SIGNED: ReadonlySet<string> = new Set(['final', 'amended', 'corrected', 'appended']);
const WITHDRAWN: ReadonlySet<string> = new Set(['cancelled', 'entered-in-error']);
