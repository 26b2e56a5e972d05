import type { Database } from '../../database/database.ts';
import type { Job, JobHandler, JobOutcome } from '../../queue/job.ts';
import { reindexPage } from '../storage/reindex-page.ts';
import type { ReindexRun, ReindexRunsStore } from './reindex-runs.store.ts';
import type { SiteParameterStore } from './site-parameter.store.ts';
import type { SiteParameterWatch } from './site-parameter-watch.ts';

export const REINDEX_QUEUE = 'fhir-reindex';
/** Then others have their turn, and a process that is to stop can. */
export const SLICE_MS = 5_000;
/** A page that fails is tried for about half an hour; nothing that was done is lost. */
const ATTEMPTS_MAX = 40;

interface ReindexDue {
  readonly run: string;
}

export interface ReindexParts {
  readonly database: Database;
  readonly runs: ReindexRunsStore;
  readonly parameters: SiteParameterStore;
  readonly watch: SiteParameterWatch;
  readonly base: string;
}

/** Works on one run for a while, page by page, each in a transaction with the run's position: killed at any moment it goes on from there. */
export function reindexHandler(parts: ReindexParts, sliceMs = SLICE_MS): JobHandler<ReindexDue> {
  return {
    queue: REINDEX_QUEUE,
    // One at a time and process: it is to be no burden.
    concurrency: 1,
    attemptsMax: ATTEMPTS_MAX,
    async run(job: Job<ReindexDue>): Promise<JobOutcome> {
      const id = job.payload.run;
      await parts.watch.refresh();
      await parts.runs.begin(parts.database, id);
      const until = performance.now() + sliceMs;
      for (;;) {
        const run = await parts.runs.read(parts.database, id);
        if (run?.state !== 'running') return { kind: 'done' };
        if (await step(run, parts)) return finished(id, parts);
        if (performance.now() >= until) return { kind: 'again', afterMs: 0, why: 'more to do', free: true };
      }
    },
    async buried(job, _why, tx) {
      await parts.runs.end(tx, job.payload.run, 'failed');
    },
  };
}

function finished(id: string, { runs, parameters, watch }: ReindexParts): JobOutcome {
  return {
    kind: 'done',
    write: async (tx) => {
      await runs.end(tx, id, 'done');
      await parameters.activate(tx, id);
      tx.afterCommit(() => void watch.refresh().catch(() => undefined));
    },
  };
}

/** One page, or the step to the next type or the second way round. True: there is nothing left. */
async function step(run: ReindexRun, { database, runs, base }: ReindexParts): Promise<boolean> {
  const types = run.types.filter((type) => type >= run.position_type);
  const type = types[0];
  if (type === undefined) return true;
  const after = type === run.position_type ? run.position_id : '';
  const changedSince = run.swept_at ? run.created_at : null;
  const page = await reindexPage(
    database,
    { type, after, changedSince },
    base,
    async (tx, { seen, last }) => {
      const next = types[1];
      if (last !== null) await runs.advance(tx, run.id, { type, id: last, seen });
      else if (next !== undefined) await runs.advance(tx, run.id, { type: next, id: '', seen });
      else await runs.advance(tx, run.id, { type, id: after, seen });
    },
  );
  if (page.last !== null || types.length > 1) return false;
  // A new parameter: a process that learned of it late may have written without it. Those writes are looked at once more.
  if (run.parameter === null || run.swept_at) return true;
  await runs.sweep(database, run.id);
  return false;
}
