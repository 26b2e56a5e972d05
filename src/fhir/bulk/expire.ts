import type { Job, JobHandler, JobOutcome } from '../../queue/job.ts';
import { type BulkDue, EXPIRE_QUEUE } from './bulk-job.ts';
import type { BulkParts } from './bulk-parts.ts';

/** Removes files and row of a job whose time is over: its status answers 404 from then on. */
export function expireHandler({ jobs, folder }: Pick<BulkParts, 'jobs' | 'folder'>): JobHandler<BulkDue> {
  return {
    queue: EXPIRE_QUEUE,
    concurrency: 1,
    attemptsMax: 10,
    async run(job: Job<BulkDue>): Promise<JobOutcome> {
      await folder.remove(job.payload.jobId);
      return { kind: 'done', write: (tx) => jobs.remove(tx, job.payload.jobId) };
    },
  };
}
