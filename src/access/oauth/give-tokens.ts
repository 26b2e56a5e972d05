import { Inject, Injectable } from '@nestjs/common';
import { SignJWT } from 'jose';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { AccessTokens, PERSON_TOKEN_LIFETIME_S, TOKEN_LIFETIME_S } from '../access-tokens.ts';
import { checkScopeQueries } from '../check-scope-queries.ts';
import type { Client } from '../client.ts';
import { SIGNING_KEY } from '../injection.ts';
import { narrow, type Scope, scopeText } from '../scope.ts';
import { ID_TOKEN_ALGORITHM, type SigningKeys } from '../signing-key.ts';
import { type Approval, type Family, GrantsStore } from './grants.store.ts';
import { OAuthError } from './oauth-error.ts';
import { readScopeList, type ScopeList } from './scope-words.ts';

/** RFC 6749 5.1, with the launch context of SMART App Launch 2.2 beside the token. */
export type TokenAnswer = Readonly<Record<string, string | number | boolean>>;

/** Makes what the token endpoint answers. */
@Injectable()
export class GiveTokens {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(GrantsStore) private readonly grants: GrantsStore,
    @Inject(SIGNING_KEY) private readonly keys: SigningKeys,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  /** Client credentials (RFC 6749 4.4): what of its own scopes the client wants, or all of them. */
  async toClient(client: Client, scope: string | undefined): Promise<TokenAnswer> {
    const granted = scopesForClient(client, scope);
    const { token } = await this.tokens.issueFor(
      { clientId: client.id, scope: granted, roles: client.roles },
      TOKEN_LIFETIME_S,
    );
    return { access_token: token, token_type: 'Bearer', expires_in: TOKEN_LIFETIME_S, scope: granted };
  }

  /**
   * What an approval gives: at the code, and again at each refresh, then perhaps with fewer scopes (`wanted`), which hold for that token only. What was approved and is no longer
   * in the client's registration is given no more.
   */
  async toFamily(family: Family, client: Client, isFirst: boolean, wanted?: string): Promise<TokenAnswer> {
    const { content } = family.approval;
    const approved = stillRegistered(content.scope, client);
    const scope = wanted === undefined ? approved : subset(wanted, approved);
    const { words } = readScopeList(scope);
    const { token } = await this.tokens.issueFor(
      { ...content, scope, family: family.id },
      PERSON_TOKEN_LIFETIME_S,
    );
    const lasting = readScopeList(approved).words;
    const refreshes = lasting.includes('offline_access') || lasting.includes('online_access');
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: PERSON_TOKEN_LIFETIME_S,
      scope,
      ...(refreshes ? { refresh_token: await this.grants.newRefresh(family.id) } : {}),
      ...(words.includes('openid') ? { id_token: await this.idToken(family.approval, words, isFirst) } : {}),
      ...(content.patient ? { patient: content.patient, need_patient_banner: true } : {}),
      ...(content.encounter ? { encounter: content.encounter } : {}),
      ...(content.fhirUser && words.includes('fhirUser') ? { fhirUser: content.fhirUser } : {}),
    };
  }

  /** OpenID Connect Core 2; `fhirUser` as SMART App Launch 2.2 "Scopes for requesting identity data" wants it: absolute. */
  private async idToken(approval: Approval, words: readonly string[], isFirst: boolean): Promise<string> {
    const key = await this.keys.current(ID_TOKEN_ALGORITHM);
    const { content, nonce, authTimeS } = approval;
    const nowS = Math.floor(Date.now() / 1_000);
    return new SignJWT({
      auth_time: authTimeS,
      ...(nonce !== undefined && isFirst ? { nonce } : {}),
      ...(content.fhirUser && words.includes('fhirUser')
        ? { fhirUser: `${this.settings.baseUrl}/fhir/${content.fhirUser}` }
        : {}),
    })
      .setProtectedHeader({ alg: ID_TOKEN_ALGORITHM, typ: 'JWT', kid: key.kid })
      .setIssuer(this.settings.baseUrl)
      .setAudience(content.clientId)
      .setSubject(String(content.subject))
      .setIssuedAt(nowS)
      .setExpirationTime(nowS + PERSON_TOKEN_LIFETIME_S)
      .sign(key.privateKey);
  }
}

/** A list of scopes that came from outside. @throws OAuthError `invalid_scope` */
export function readWanted(text: string): ScopeList {
  try {
    const list = readScopeList(text);
    checkScopeQueries(list.resources);
    return list;
  } catch (error) {
    throw new OAuthError('invalid_scope', (error as Error).message);
  }
}

export const listText = (words: readonly string[], scopes: readonly Scope[]): string =>
  [...words, scopeText(scopes)].filter((part) => part !== '').join(' ');

/** Words that need a person; a client alone gets none of them. */
const OWN_WORDS = ['introspect'];

function scopesForClient(client: Client, text: string | undefined): string {
  const wanted = text?.trim() ? readWanted(text) : { words: client.words, resources: client.scopes };
  const words = wanted.words.filter((word) => client.words.includes(word) && OWN_WORDS.includes(word));
  const scopes = text?.trim() ? narrow(wanted.resources, client.scopes) : client.scopes;
  if (scopes.length === 0 && words.length === 0)
    throw new OAuthError('invalid_scope', 'none of the scopes may be given to this client');
  return listText(words, scopes);
}

function stillRegistered(approved: string, client: Client): string {
  const { words, resources } = readScopeList(approved);
  const keptWords = words.filter((word) => client.words.includes(word));
  const keptScopes = narrow(resources, client.scopes);
  if (keptWords.length === 0 && keptScopes.length === 0)
    throw new OAuthError('invalid_grant', 'the app may no longer ask for any of what was approved');
  return listText(keptWords, keptScopes);
}

/** RFC 6749 6: a refresh may ask for less than was approved, never for more. */
function subset(text: string, approved: string): string {
  const wanted = readWanted(text);
  const all = readScopeList(approved);
  const scopes = narrow(wanted.resources, all.resources);
  const words = wanted.words.filter((word) => all.words.includes(word));
  if (scopes.length === 0 && words.length === 0)
    throw new OAuthError('invalid_scope', 'none of the scopes was approved');
  return listText(words, scopes);
}
