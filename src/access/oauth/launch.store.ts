import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { digestOf, newSecret } from './digest.ts';
import type { LaunchContext } from './request.store.ts';

/** An EHR opens the app at once. */
export const LAUNCH_LIFETIME_S = 300;

/** Launches that an EHR announced (SMART App Launch 2.2, "EHR launch"): each opens one app once. */
@Injectable()
export class LaunchStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  async open(context: LaunchContext): Promise<string> {
    const secret = newSecret();
    await this.database.run(
      {
        text: `INSERT INTO auth_launch (launch_sha256, content, ends_at)
          VALUES ($1, $2, now() + $3 * interval '1 second')`,
      },
      [digestOf(secret), JSON.stringify(context), LAUNCH_LIFETIME_S],
    );
    return secret;
  }

  /** Uses it up. */
  async take(launch: string): Promise<LaunchContext | null> {
    const [row] = await this.database.run<{ content: LaunchContext }>(
      { text: 'DELETE FROM auth_launch WHERE launch_sha256 = $1 AND ends_at > now() RETURNING content' },
      [digestOf(launch)],
    );
    return row?.content ?? null;
  }
}
