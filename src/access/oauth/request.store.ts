import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { digestOf, newSecret } from './digest.ts';

/** From an app's request to its answer: time to find one's password. */
export const REQUEST_LIFETIME_S = 1_200;

/** What an app asked for, checked, and how far the person has come. */
export interface AuthorizationRequest {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly state?: string;
  readonly challenge: string;
  readonly nonce?: string;
  /** As it may be granted at most. */
  readonly scope: string;
  readonly prompt?: 'none' | 'login';
  /** The person must have signed in no longer ago than this. */
  readonly maxAgeS?: number;
  /** Signed in after the request was made (`prompt=login`, `max_age`). */
  readonly signedInAgain?: boolean;
  /** From an EHR's launch. */
  readonly launch?: LaunchContext;
  readonly patient?: string;
  readonly encounter?: string;
  /** Of a sign-in with an OpenID provider that is on its way. */
  readonly openId?: { readonly state: string; readonly nonce: string; readonly verifier: string };
  /** Of a launch by an EHR that signs in by itself (`iss`), on its way. */
  readonly ehr?: {
    readonly iss: string;
    readonly state: string;
    readonly nonce: string;
    readonly verifier: string;
  };
}

/** What an EHR says of a launch. */
export interface LaunchContext {
  readonly patient?: string;
  readonly encounter?: string;
  /** Only this person may use it. */
  readonly fhirUser?: string;
  /** Only this app may. */
  readonly clientId?: string;
}

/** Authorization requests under way. Each is bound to the browser that made it: its id in an address or form is worth nothing elsewhere. */
@Injectable()
export class RequestStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  async open(request: AuthorizationRequest, browser: string): Promise<string> {
    const id = newSecret();
    await this.database.run(
      {
        text: `INSERT INTO auth_request (id_sha256, browser_sha256, content, ends_at)
          VALUES ($1, $2, $3, now() + $4 * interval '1 second')`,
      },
      [digestOf(id), digestOf(browser), JSON.stringify(request), REQUEST_LIFETIME_S],
    );
    return id;
  }

  async find(id: string, browser: string): Promise<AuthorizationRequest | null> {
    const [row] = await this.database.run<{ content: AuthorizationRequest }>(
      {
        text: 'SELECT content FROM auth_request WHERE id_sha256 = $1 AND browser_sha256 = $2 AND ends_at > now()',
      },
      [digestOf(id), digestOf(browser)],
    );
    return row?.content ?? null;
  }

  async change(id: string, request: AuthorizationRequest): Promise<void> {
    await this.database.run({ text: 'UPDATE auth_request SET content = $2 WHERE id_sha256 = $1' }, [
      digestOf(id),
      JSON.stringify(request),
    ]);
  }

  /** True for the one who ends it: an approval sent twice gives one code. */
  async close(id: string): Promise<boolean> {
    const rows = await this.database.run(
      { text: 'DELETE FROM auth_request WHERE id_sha256 = $1 RETURNING id_sha256' },
      [digestOf(id)],
    );
    return rows.length > 0;
  }
}
