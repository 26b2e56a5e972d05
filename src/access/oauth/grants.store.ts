import { Inject, Injectable } from '@nestjs/common';
import { Database, type Sql } from '../../database/database.ts';
import type { TokenContent } from '../access-tokens.ts';
import { digestOf, newSecret } from './digest.ts';

/** SMART App Launch 2.2 asks for a minute or so: an app that is there trades its code in at once. */
export const CODE_LIFETIME_S = 60;

/** What a person approved for an app. */
export interface Approval {
  readonly content: TokenContent;
  /** For the ID token. */
  readonly nonce?: string;
  /** When the person signed in, in seconds. */
  readonly authTimeS: number;
  /** Local account by which the person signed in: it must still be active at a refresh. */
  readonly account?: string;
  /** The session that it ends with; left out: it was approved for longer (`offline_access`). */
  readonly session?: string;
}

export interface Family {
  readonly id: string;
  readonly approval: Approval;
  readonly endsAtS: number;
}

export interface UsedCode extends Family {
  readonly redirectUri: string;
  readonly challenge: string;
}

/** What became of an attempt to use a code or a refresh token. `reused`: its family is ended with this very call. */
export type Use<T> =
  | { readonly kind: 'fresh'; readonly found: T }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'reused'; readonly family: string };

interface FamilyRow {
  readonly id: string;
  readonly content: Approval;
  readonly ends_s: string;
  readonly fresh: boolean;
}

/** Approvals, the codes and refresh tokens they gave, what was used, and what was ended. */
@Injectable()
export class GrantsStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** Keeps an approval for `lifetimeS` and gives the code for it. */
  async approve(
    approval: Approval,
    code: { readonly redirectUri: string; readonly challenge: string },
    lifetimeS: number,
  ): Promise<string> {
    const secret = newSecret();
    const id = crypto.randomUUID();
    await this.database.transaction(async (tx) => {
      await tx.run(
        {
          text: `INSERT INTO auth_family (id, client_id, subject, content, ends_at)
            VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second')`,
        },
        [id, approval.content.clientId, approval.content.subject ?? '', JSON.stringify(approval), lifetimeS],
      );
      await tx.run(
        {
          text: `INSERT INTO auth_code (code_sha256, family, redirect_uri, challenge, ends_at, valid_until)
            VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second', now() + $6 * interval '1 second')`,
        },
        [digestOf(secret), id, code.redirectUri, code.challenge, lifetimeS, CODE_LIFETIME_S],
      );
    });
    return secret;
  }

  /** A code works once and for a minute; its row stays as long as what it gave, so that a second use is known as one. */
  async useCode(code: string): Promise<Use<UsedCode>> {
    const rows = await this.database.run<FamilyRow & { redirect_uri: string; challenge: string }>(
      {
        text: `WITH used AS (
            UPDATE auth_code SET used_at = now() WHERE code_sha256 = $1 AND used_at IS NULL
            RETURNING family, redirect_uri, challenge, valid_until)
          SELECT f.id, f.content, extract(epoch FROM f.ends_at) AS ends_s, used.redirect_uri, used.challenge,
            f.revoked_at IS NULL AND f.ends_at > now() AND used.valid_until > now() AS fresh
          FROM used JOIN auth_family f ON f.id = used.family`,
      },
      [digestOf(code)],
    );
    const [row] = rows;
    if (row) {
      if (!row.fresh) return { kind: 'unknown' };
      return {
        kind: 'fresh',
        found: { ...familyOf(row), redirectUri: row.redirect_uri, challenge: row.challenge },
      };
    }
    return this.reused('auth_code', 'code_sha256', code);
  }

  async newRefresh(family: string, sql: Sql = this.database): Promise<string> {
    const secret = newSecret();
    await sql.run(
      {
        text: `INSERT INTO auth_refresh (token_sha256, family, ends_at)
          SELECT $1, id, ends_at FROM auth_family WHERE id = $2`,
      },
      [digestOf(secret), family],
    );
    return secret;
  }

  /** A refresh token works once; its second use ends the family, since one of the two users is a thief. */
  async useRefresh(token: string): Promise<Use<Family>> {
    const [row] = await this.database.run<FamilyRow>(
      {
        text: `WITH used AS (
            UPDATE auth_refresh SET used_at = now() WHERE token_sha256 = $1 AND used_at IS NULL RETURNING family)
          SELECT f.id, f.content, extract(epoch FROM f.ends_at) AS ends_s,
            f.revoked_at IS NULL AND f.ends_at > now() AS fresh
          FROM used JOIN auth_family f ON f.id = used.family`,
      },
      [digestOf(token)],
    );
    if (row) return row.fresh ? { kind: 'fresh', found: familyOf(row) } : { kind: 'unknown' };
    return this.reused('auth_refresh', 'token_sha256', token);
  }

  /** The family of a refresh token, used or not: for revocation and introspection. */
  async familyOfRefresh(token: string): Promise<(Family & { readonly active: boolean }) | null> {
    const [row] = await this.database.run<FamilyRow>(
      {
        text: `SELECT f.id, f.content, extract(epoch FROM f.ends_at) AS ends_s,
            r.used_at IS NULL AND f.revoked_at IS NULL AND f.ends_at > now() AS fresh
          FROM auth_refresh r JOIN auth_family f ON f.id = r.family WHERE r.token_sha256 = $1`,
      },
      [digestOf(token)],
    );
    return row ? { ...familyOf(row), active: row.fresh } : null;
  }

  /** Ends everything that came of one approval. */
  async endFamily(id: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      await tx.run({ text: 'UPDATE auth_family SET revoked_at = now() WHERE id = $1' }, [id]);
      await tx.run(
        {
          text: `INSERT INTO auth_revoked (key, ends_at) SELECT id, ends_at + interval '1 day' FROM auth_family
            WHERE id = $1 ON CONFLICT (key) DO NOTHING`,
        },
        [id],
      );
    });
  }

  /** Ends what a person approved for all apps: when an account is closed; with `session` what hangs on that one. Gives the ids of the families. */
  async endFamiliesOf(subject: string, session: string | null = null): Promise<string[]> {
    const rows = await this.database.run<{ id: string }>(
      {
        text: `SELECT id FROM auth_family WHERE subject = $1 AND revoked_at IS NULL
          AND ($2::text IS NULL OR content ->> 'session' = $2)`,
      },
      [subject, session],
    );
    for (const { id } of rows) await this.endFamily(id);
    return rows.map(({ id }) => id);
  }

  async endToken(tokenId: string, endsAtS: number): Promise<void> {
    await this.database.run(
      {
        text: `INSERT INTO auth_revoked (key, ends_at) VALUES ($1, to_timestamp($2)) ON CONFLICT (key) DO NOTHING`,
      },
      [tokenId, endsAtS],
    );
  }

  /** What was ended in the last `seconds`, or at all. */
  ended(seconds: number | null): Promise<{ key: string; ends_s: string }[]> {
    return this.database.run(
      {
        text: `SELECT key, extract(epoch FROM ends_at) AS ends_s FROM auth_revoked
          WHERE ends_at > now() AND ($1::float8 IS NULL OR revoked_at > clock_timestamp() - $1 * interval '1 second')`,
      },
      [seconds],
    );
  }

  /** Stores that something was used; false: it was before. Holds across processes. */
  async useOnce(digest: string, endsAtS: number): Promise<boolean> {
    const rows = await this.database.run(
      {
        text: `INSERT INTO auth_used_once (digest, ends_at) VALUES ($1, to_timestamp($2))
          ON CONFLICT (digest) DO NOTHING RETURNING digest`,
      },
      [digest, endsAtS],
    );
    return rows.length > 0;
  }

  private async reused(
    table: 'auth_code' | 'auth_refresh',
    column: 'code_sha256' | 'token_sha256',
    secret: string,
  ): Promise<{ kind: 'unknown' } | { kind: 'reused'; family: string }> {
    const [row] = await this.database.run<{ family: string }>(
      { text: `SELECT family FROM ${table} WHERE ${column} = $1` },
      [digestOf(secret)],
    );
    if (!row) return { kind: 'unknown' };
    await this.endFamily(row.family);
    return { kind: 'reused', family: row.family };
  }
}

const familyOf = (row: FamilyRow): Family => ({
  id: row.id,
  approval: row.content,
  endsAtS: Math.floor(Number(row.ends_s)),
});
