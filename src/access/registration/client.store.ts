import { Inject, Injectable } from '@nestjs/common';
import { Database, type Sql } from '../../database/database.ts';
import type { Client } from '../client.ts';
import { RESERVED_CLIENTS } from '../clients.ts';
import { CLIENTS } from '../injection.ts';
import { newSecret, secretSha256 } from '../oauth/digest.ts';
import { readRegistration } from './read-registration.ts';

/** While one secret follows another both work. */
export const SECRETS_MAX = 2;

/** What a registration's resource says of its client; `active: false` lets it in no longer. */
export type Registration = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly active: boolean;
};

/**
 * Ends what people approved for the clients in `gone`: their tokens in every process within a look (`Revocations`). `gone` comes of the statement itself, so a registration that was refused
 * ends nothing of another client of that name.
 */
const END_APPROVALS = `, ended AS (UPDATE auth_family f SET revoked_at = now() FROM gone
      WHERE f.client_id = gone.client_id AND f.revoked_at IS NULL AND f.ends_at > now() RETURNING f.id, f.ends_at)
    INSERT INTO auth_revoked (key, ends_at) SELECT id, ends_at + interval '1 day' FROM ended ON CONFLICT (key) DO NOTHING`;

/** Nobody who registers the name of a client that is gone gets its secrets with it. */
const END_SECRETS =
  ', secrets AS (DELETE FROM auth_client_secret s USING gone WHERE s.client_id = gone.client_id)';

/** All clients: those of the settings, and those registered as resources. */
@Injectable()
export class ClientStore {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(CLIENTS) private readonly fixed: ReadonlyMap<string, Client>,
  ) {}

  /** One round trip for a registered client, none for one of the settings. */
  async find(id: string): Promise<Client | undefined> {
    const fixed = this.fixed.get(id);
    if (fixed) return fixed;
    const [row] = await this.database.run<{ registration: Registration; secrets: string[] }>(
      {
        name: 'auth-client',
        text: `SELECT registration, ARRAY(SELECT secret_sha256 FROM auth_client_secret s
            WHERE s.client_id = c.client_id) AS secrets FROM auth_client c WHERE client_id = $1`,
      },
      [id],
    );
    if (!row?.registration.active) return undefined;
    return { ...readRegistration(row.registration), secrets: row.secrets };
  }

  isTaken(id: string): boolean {
    return RESERVED_CLIENTS.includes(id) || this.fixed.has(id);
  }

  /** With its Basic resource, in one transaction. False: another resource registers this client id. */
  async keep(tx: Sql, basicId: string, registration: Registration): Promise<boolean> {
    await tx.run(
      {
        text: `WITH gone AS (DELETE FROM auth_client WHERE basic_id = $1 AND client_id <> $2 RETURNING client_id)
          ${END_SECRETS}${END_APPROVALS}`,
      },
      [basicId, registration.id],
    );
    if (!registration.active)
      await tx.run({ text: `WITH gone AS (SELECT $1::text AS client_id)${END_APPROVALS}` }, [
        registration.id,
      ]);
    const rows = await tx.run(
      {
        text: `INSERT INTO auth_client AS c (client_id, basic_id, registration) VALUES ($1, $2, $3)
          ON CONFLICT (client_id) DO UPDATE SET registration = EXCLUDED.registration
          WHERE c.basic_id = EXCLUDED.basic_id RETURNING client_id`,
      },
      [registration.id, basicId, JSON.stringify(registration)],
    );
    return rows.length > 0;
  }

  async remove(tx: Sql, basicId: string): Promise<void> {
    await tx.run(
      {
        text: `WITH gone AS (DELETE FROM auth_client WHERE basic_id = $1 RETURNING client_id)
          ${END_SECRETS}${END_APPROVALS}`,
      },
      [basicId],
    );
  }

  /** Makes a further secret, shown this once; the oldest beyond two ends. Null: no such registered client, or it may have none. */
  async newSecret(id: string): Promise<string | null> {
    const client = await this.find(id);
    if (!client || this.fixed.has(id) || client.isPublic) return null;
    const secret = newSecret();
    await this.database.transaction(async (tx) => {
      await tx.run(
        {
          text: 'INSERT INTO auth_client_secret (client_id, secret_sha256, made_at) VALUES ($1, $2, clock_timestamp())',
        },
        [id, secretSha256(secret)],
      );
      await tx.run(
        {
          text: `DELETE FROM auth_client_secret WHERE client_id = $1 AND secret_sha256 NOT IN (
            SELECT secret_sha256 FROM auth_client_secret WHERE client_id = $1 ORDER BY made_at DESC LIMIT ${SECRETS_MAX})`,
        },
        [id],
      );
    });
    return secret;
  }
}
