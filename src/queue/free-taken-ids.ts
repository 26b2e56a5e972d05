import type Bull from 'bull';

/** Jobs of one queue that are looked at in one sweep: seven commands each, of which two read a list. Those due first, so all come at last. */
export const TAKEN_IDS_LOOKED_AT_MAX = 20;

/** States in which Bull runs a job no more, though the job keeps its id. */
const OVER: ReadonlySet<string> = new Set(['stuck', 'completed', 'failed']);

/**
 * Removes those of the jobs that Bull holds without ever running them. Redis takes an id once, so such a job keeps out every further offer of its
 * row. It is there when a worker took a job from the list, Redis was emptied, and the worker then wrote when it began: into a job of nothing else.
 * An eviction that takes the list and leaves the jobs does the same.
 */
export async function freeTakenIds(queue: Bull.Queue, jobIds: readonly string[]): Promise<number> {
  let freed = 0;
  for (const jobId of jobIds.slice(0, TAKEN_IDS_LOOKED_AT_MAX)) {
    const job = await queue.getJob(jobId);
    // A job that goes from one list to the next may be seen in neither: asked twice. One that is locked is being worked on, and stays.
    if (!job || !OVER.has(await job.getState()) || !OVER.has(await job.getState())) continue;
    freed += await job.remove().then(
      () => 1,
      () => 0,
    );
  }
  return freed;
}
