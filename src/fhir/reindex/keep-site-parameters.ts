import type { SearchParameter } from '@medplum/fhirtypes';
import type { Transaction } from '../../database/database.ts';
import type { Outbox } from '../../queue/outbox.ts';
import type { ChangeListener } from '../resource-store.ts';
import { readSiteParameter } from './read-site-parameter.ts';
import { REINDEX_QUEUE } from './reindex.job.ts';
import type { ReindexRunsStore } from './reindex-runs.store.ts';
import type { SiteParameterStore } from './site-parameter.store.ts';
import { NOTICE_MS, type SiteParameterWatch } from './site-parameter-watch.ts';

export interface SiteParameterParts {
  readonly parameters: SiteParameterStore;
  readonly runs: ReindexRunsStore;
  readonly watch: SiteParameterWatch;
  readonly outbox: Outbox;
}

/**
 * Takes SearchParameters that are written into use, in the transaction of the write: an active one is indexed from now on and searched once all
 * stored resources are indexed; one that is not active any more, or deleted, stops at once. Throws what `readSiteParameter` throws, so
 * that the write is refused.
 */
export function keepSiteParameters(parts: SiteParameterParts, noticeMs = NOTICE_MS): ChangeListener {
  return async (tx, changes) => {
    for (const change of changes) {
      if (change.type !== 'SearchParameter') continue;
      const definition = change.resource ? readSiteParameter(change.resource as SearchParameter) : null;
      if (!definition) await parts.parameters.retire(tx, change.id);
      else if (await parts.parameters.announce(tx, change.id, definition))
        await queueRun(parts, tx, change.id, definition.base, noticeMs);
      tx.afterCommit(() => void parts.watch.refresh().catch(() => undefined));
    }
  };
}

/** Not before every process indexes by the parameter: what is written after that needs no second look. */
async function queueRun(
  { parameters, runs, outbox }: SiteParameterParts,
  tx: Transaction,
  id: string,
  types: readonly string[],
  noticeMs: number,
): Promise<void> {
  const run = await runs.start(tx, types, id);
  await parameters.setRun(tx, id, run);
  await outbox.add(tx, [
    { queue: REINDEX_QUEUE, payload: { run }, notBefore: new Date(Date.now() + noticeMs), priority: 900 },
  ]);
}
