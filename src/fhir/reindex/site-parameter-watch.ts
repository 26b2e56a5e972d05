import type { Sql } from '../../database/database.ts';
import { setSiteParameters } from '../search/parameters/site-parameters.ts';
import type { SiteParameterStore } from './site-parameter.store.ts';

/** How often a process looks whether the site's parameters changed: one small statement. */
export const WATCH_MS = 2_000;
/** After this time every process that can write has looked, also one that was busy: four looks may fail. */
export const NOTICE_MS = 10_000;

/** Keeps this process's list of the site's own search parameters as the database has it. */
export class SiteParameterWatch {
  private timer: NodeJS.Timeout | null = null;
  private last = '';

  constructor(
    private readonly store: SiteParameterStore,
    private readonly sql: Sql,
  ) {}

  /** Before the first write of the process: it must index by the list. */
  async start(): Promise<void> {
    await this.refresh();
    // A database that is away is told by whoever needs it; the next look finds it.
    this.timer = setInterval(() => void this.refresh().catch(() => undefined), WATCH_MS);
    this.timer.unref();
  }

  stop(): void {
    if (this.timer) clearInterval(this.timer);
    this.timer = null;
  }

  async refresh(): Promise<void> {
    const rows = await this.store.all(this.sql);
    const text = JSON.stringify(rows);
    if (text === this.last) return;
    this.last = text;
    setSiteParameters(rows.map(({ definition, active }) => ({ definition, active })));
  }
}
