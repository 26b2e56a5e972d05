import { Outbox1763700000001 } from './0001-outbox.ts';
import { Archive1763700000003 } from './0003-archive.ts';

/** Every migration, oldest first. */
export const MIGRATIONS = [Outbox1763700000001, Archive1763700000003] as const;
