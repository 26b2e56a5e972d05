import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import type { Role } from '../grant.ts';
import { digestOf, newSecret } from '../oauth/digest.ts';

/** A working day; then the person signs in again. */
export const SESSION_LIFETIME_S = 8 * 3_600;

/** Somebody who signed in. */
export interface Person {
  /** `local:<name>`, or `<issuer>#<sub>` of the provider: never the same for two people. */
  readonly subject: string;
  readonly fhirUser?: string;
  readonly roles: readonly Role[];
  /** Of the local account, where there is one. */
  readonly account?: string;
  /** Seconds since 1970. */
  readonly authTimeS: number;
}

export interface Session extends Person {
  /** Names it where its secret must not stand. */
  readonly id: string;
  readonly endsAtS: number;
}

/** Sessions of browsers. The cookie is a random secret; here stands its digest. */
@Injectable()
export class SessionStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Gives the secret for the cookie. Always a new one: a session that somebody else put into the browser becomes nobody's. */
  async open(person: Person): Promise<string> {
    const secret = newSecret();
    await this.database.run(
      {
        text: `INSERT INTO auth_session (session_sha256, content, ends_at)
          VALUES ($1, $2, now() + $3 * interval '1 second')`,
      },
      [digestOf(secret), JSON.stringify(person), SESSION_LIFETIME_S],
    );
    return secret;
  }

  async find(secret: string): Promise<Session | null> {
    const id = digestOf(secret);
    const [row] = await this.database.run<{ content: Person; ends_s: string }>(
      {
        text: `SELECT content, extract(epoch FROM ends_at) AS ends_s FROM auth_session s
          WHERE session_sha256 = $1 AND ends_at > now() AND (content ->> 'account' IS NULL OR EXISTS (
            SELECT 1 FROM auth_account a WHERE a.name = s.content ->> 'account' AND a.active))`,
      },
      [id],
    );
    return row ? { ...row.content, id, endsAtS: Math.floor(Number(row.ends_s)) } : null;
  }

  /** All sessions of a local account. */
  async closeOf(account: string): Promise<void> {
    await this.database.run({ text: "DELETE FROM auth_session WHERE content ->> 'account' = $1" }, [account]);
  }

  /** Gives whose it was; null: there is none. */
  async close(secret: string): Promise<{ readonly id: string; readonly subject: string } | null> {
    const id = digestOf(secret);
    const [row] = await this.database.run<{ subject: string }>(
      {
        text: "DELETE FROM auth_session WHERE session_sha256 = $1 RETURNING content ->> 'subject' AS subject",
      },
      [id],
    );
    return row ? { id, subject: row.subject } : null;
  }
}
