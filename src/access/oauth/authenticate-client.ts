import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { ASSERTION_TYPE } from '../assertion-type.ts';
import type { Client } from '../client.ts';
import { secretFits } from '../clients.ts';
import { ClientStore } from '../registration/client.store.ts';
import { ClientKeys } from './client-keys.ts';
import { digestOf } from './digest.ts';
import { GrantsStore } from './grants.store.ts';
import { OAuthError } from './oauth-error.ts';
import { verifyAssertion } from './verify-assertion.ts';

/** A form as it was sent, one value per name (RFC 6749 3.2). */
export type Form = Readonly<Record<string, string | undefined>>;

/** Says which client is calling, by what it can prove: a secret, a signed assertion, or nothing for a public one. */
@Injectable()
export class AuthenticateClient {
  private readonly audiences: readonly string[];

  constructor(
    @Inject(ClientStore) private readonly clients: ClientStore,
    @Inject(ClientKeys) private readonly keys: ClientKeys,
    @Inject(GrantsStore) private readonly grants: GrantsStore,
    @Inject(SETTINGS) settings: Settings,
  ) {
    this.audiences = [`${settings.baseUrl}/auth/token`, settings.baseUrl];
  }

  /** @throws OAuthError `invalid_client`, without telling which check failed */
  async authenticate(form: Form, authorization: string | undefined): Promise<Client> {
    const basic = basicOf(authorization);
    const ways = [basic, form['client_secret'], form['client_assertion']].filter((way) => way !== undefined);
    if (ways.length > 1)
      throw new OAuthError('invalid_request', 'one way of client authentication at a time');
    if (form['client_assertion'] !== undefined || form['client_assertion_type'] !== undefined)
      return this.byAssertion(form);
    if (basic) return this.bySecret(basic.id, basic.secret);
    if (form['client_secret'] !== undefined)
      return this.bySecret(form['client_id'] ?? '', form['client_secret']);
    const client = await this.clients.find(form['client_id'] ?? (await this.clientOfRefresh(form)) ?? '');
    if (!client?.isPublic) throw refused();
    return client;
  }

  /** RFC 6749 6 asks a public client for nothing beside its refresh token, and some of them send nothing else. */
  private async clientOfRefresh({
    grant_type: kind,
    refresh_token: secret,
  }: Form): Promise<string | undefined> {
    if (kind !== 'refresh_token' || secret === undefined) return undefined;
    return (await this.grants.familyOfRefresh(secret))?.approval.content.clientId;
  }

  private async bySecret(id: string, secret: string): Promise<Client> {
    const client = await this.clients.find(id);
    if (!secretFits(client, secret) || !client) throw refused();
    return client;
  }

  private async byAssertion(form: Form): Promise<Client> {
    if (form['client_assertion_type'] !== ASSERTION_TYPE)
      throw new OAuthError('invalid_request', `client_assertion_type must be ${ASSERTION_TYPE}`);
    try {
      return await verifyAssertion(form['client_assertion'] ?? '', form['client_id'], {
        nowS: Math.floor(Date.now() / 1_000),
        audiences: this.audiences,
        keys: this.keys,
        client: (id) => this.clients.find(id),
        // Under the client's name: a jti is a client's own, and nobody else can use it up.
        useOnce: (id, jti, endsAtS) => this.grants.useOnce(digestOf(`${id}|${jti}`), endsAtS),
      });
    } catch (cause) {
      if (isOurFault(cause)) throw cause;
      throw refused();
    }
  }
}

/** A database that is away is no fault of the client: it may try again. */
const isOurFault = (cause: unknown) => (cause as { kind?: string } | null)?.kind === 'unavailable';

const refused = () => new OAuthError('invalid_client', 'unknown client or wrong credentials');

function basicOf(authorization: string | undefined): { id: string; secret: string } | undefined {
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  if (!basic) return undefined;
  const [id = '', ...rest] = Buffer.from(basic, 'base64').toString('utf8').split(':');
  return { id: decode(id), secret: decode(rest.join(':')) };
}

/** RFC 6749 2.3.1: both parts are form-encoded before base64. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
