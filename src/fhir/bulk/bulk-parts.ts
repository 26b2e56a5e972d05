import type { Database } from '../../database/database.ts';
import type { Clock } from '../../kernel/clock.ts';
import type { Outbox } from '../../queue/outbox.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { BulkFolder } from './bulk-folder.ts';
import type { BulkJobsStore } from './bulk-jobs.store.ts';

/** What the jobs of this folder work with. */
export interface BulkParts {
  readonly store: ResourceStore;
  readonly database: Database;
  readonly jobs: BulkJobsStore;
  readonly folder: BulkFolder;
  readonly outbox: Outbox;
  readonly filesHours: number;
  readonly clock?: Clock;
}
