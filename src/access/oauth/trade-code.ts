import { createHash, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import type { Client } from '../client.ts';
import { AccountStore } from '../people/account.store.ts';
import type { Form } from './authenticate-client.ts';
import { GiveTokens, type TokenAnswer } from './give-tokens.ts';
import { type Family, GrantsStore } from './grants.store.ts';
import { OAuthError } from './oauth-error.ts';
import { Revocations } from './revocations.ts';

/** RFC 7636 4.1 */
const VERIFIER = /^[A-Za-z0-9._~-]{43,128}$/;

/** Trades a code, or a refresh token, for tokens. */
@Injectable()
export class TradeCode {
  constructor(
    @Inject(GrantsStore) private readonly grants: GrantsStore,
    @Inject(GiveTokens) private readonly give: GiveTokens,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(AccountStore) private readonly accounts: AccountStore,
  ) {}

  /** The tokens that a code gives. */
  async code(client: Client, form: Form): Promise<TokenAnswer> {
    return this.give.toFamily(await this.family(client, form), client, true);
  }

  /** What a code was given for: RFC 6749 4.1.3 with RFC 7636. Whatever does not fit uses the code up. */
  async family(client: Client, form: Form): Promise<Family> {
    const use = await this.grants.useCode(form['code'] ?? '');
    if (use.kind === 'reused') this.revocations.heardOfFamily(use.family);
    if (use.kind !== 'fresh') throw invalid();
    const { found } = use;
    const fits =
      found.approval.content.clientId === client.id &&
      found.redirectUri === form['redirect_uri'] &&
      challengeFits(found.challenge, form['code_verifier'] ?? '');
    if (!fits) throw invalid();
    return found;
  }

  /** RFC 6749 6 with rotation (RFC 9700 4.14.2). */
  async refresh(client: Client, form: Form): Promise<TokenAnswer> {
    const token = form['refresh_token'] ?? '';
    const known = await this.grants.familyOfRefresh(token);
    if (known?.approval.content.clientId !== client.id) throw invalid();
    const use = await this.grants.useRefresh(token);
    if (use.kind === 'reused') this.revocations.heardOfFamily(use.family);
    if (use.kind !== 'fresh' || !(await this.isStillThere(use.found))) throw invalid();
    return this.give.toFamily(use.found, client, false, form['scope']);
  }

  private async isStillThere({ approval }: Family): Promise<boolean> {
    return approval.account === undefined || (await this.accounts.isActive(approval.account));
  }
}

/** RFC 7636 4.6, S256 */
function challengeFits(challenge: string, verifier: string): boolean {
  if (!VERIFIER.test(verifier)) return false;
  const given = Buffer.from(createHash('sha256').update(verifier).digest('base64url'));
  const expected = Buffer.from(challenge);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

const invalid = () =>
  new OAuthError('invalid_grant', "the code or refresh token is not valid, was used, or is another client's");
