import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { digestOf, newSecret } from '../oauth/digest.ts';
import { type Approval, type Family, GrantsStore } from '../oauth/grants.store.ts';

/** The two halves of a session of a page: the browser's, which no script can read, and the tab's, which no other site makes a browser send. */
export interface PageHalves {
  readonly browser: string;
  readonly tab: string;
}

/** Sessions of the browser pages. Both halves are random secrets; here stand their digests. */
@Injectable()
export class PageSessionStore {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(GrantsStore) private readonly grants: GrantsStore,
  ) {}

  /** A session of this browser for what was approved, as long as that holds. Gives the tab's half, always a new one. */
  async open(browser: string, family: Family): Promise<string> {
    const tab = newSecret();
    await this.database.run(
      {
        text: `INSERT INTO auth_page (browser_sha256, tab_sha256, family, ends_at)
          VALUES ($1, $2, $3, to_timestamp($4))`,
      },
      [digestOf(browser), digestOf(tab), family.id, family.endsAtS],
    );
    return tab;
  }

  /** Null: there is none, or what it hangs on has ended. */
  async find({ browser, tab }: PageHalves): Promise<Family | null> {
    const [row] = await this.database.run<{ id: string; content: Approval; ends_s: string }>(
      {
        name: 'auth-page',
        text: `SELECT f.id, f.content, extract(epoch FROM f.ends_at) AS ends_s
          FROM auth_page p JOIN auth_family f ON f.id = p.family
          WHERE p.browser_sha256 = $1 AND p.tab_sha256 = $2 AND f.revoked_at IS NULL AND f.ends_at > now()`,
      },
      [digestOf(browser), digestOf(tab)],
    );
    return row ? { id: row.id, approval: row.content, endsAtS: Math.floor(Number(row.ends_s)) } : null;
  }

  /** Ends all sessions of a browser, and what they hung on. Gives the ids of that. */
  async closeAll(browser: string): Promise<string[]> {
    const rows = await this.database.run<{ family: string }>(
      { text: 'DELETE FROM auth_page WHERE browser_sha256 = $1 RETURNING family' },
      [digestOf(browser)],
    );
    for (const { family } of rows) await this.grants.endFamily(family);
    return rows.map(({ family }) => family);
  }
}
