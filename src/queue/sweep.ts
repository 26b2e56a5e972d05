import type { Database } from '../database/database.ts';
import { promoteForsaken, releaseOrphans } from './claim.ts';

/** Lanes without a head come from deleting rows by hand only, and looking for them costs a look at every held row. */
const FORSAKEN_LOOK_MS = 60_000;

/** The safety net: rows whose process died wait again, lanes whose head was deleted go on. */
export class Sweep {
  private lookAt = 0;

  constructor(private readonly database: Database) {}

  async run(): Promise<void> {
    await releaseOrphans(this.database);
    if (Date.now() < this.lookAt) return;
    this.lookAt = Date.now() + FORSAKEN_LOOK_MS;
    await promoteForsaken(this.database);
  }
}
