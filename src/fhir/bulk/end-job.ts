import { systemClock } from '../../kernel/clock.ts';
import type { Transaction } from '../../queue/job.ts';
import { EXPIRE_QUEUE } from './bulk-job.ts';
import type { BulkParts } from './bulk-parts.ts';

/** Ends a job and lets its files go when their time is over, in one transaction. */
export async function endJob(
  {
    jobs,
    outbox,
    filesHours,
    clock = systemClock,
  }: Pick<BulkParts, 'jobs' | 'outbox' | 'filesHours' | 'clock'>,
  tx: Transaction,
  jobId: string,
  state: 'done' | 'failed' | 'cancelled',
  fault: string | null,
): Promise<void> {
  const expiresAt = new Date(clock.now().getTime() + filesHours * 3_600_000);
  if (!(await jobs.end(tx, jobId, state, expiresAt, fault))) return;
  await outbox.add(tx, [{ queue: EXPIRE_QUEUE, payload: { jobId }, notBefore: expiresAt }]);
}
