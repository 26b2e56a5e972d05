import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';

interface Code {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly challenge: string;
  readonly nonce: string;
}

/**
 * An OpenID provider as the specifications have it (Core 3.1, Discovery 4, RFC 7636 S256 only, RFC 9207): stands in for the one of a hospital. Who
 * comes to its authorization endpoint is signed in as `claims` says. It also issues access tokens, as an authorization server in front of us
 * would. Tests make it misbehave.
 */
export class OpenIdProviderPeer {
  readonly clientId = 'prelim';
  readonly clientSecret = randomUUID();
  /** Of the person who signs in. */
  claims: Record<string, unknown> = { sub: 'u-1' };
  /** Changes an ID token before it is signed. */
  spoil: (payload: Record<string, unknown>) => Record<string, unknown> = (payload) => payload;
  /** Signs ID tokens in place of its own key. */
  otherKey: CryptoKey | null = null;
  /** The client's key set, as registered: then it must sign, and its secret is worth nothing. */
  clientKeys: (() => Promise<{ keys: JWK[] }>) | null = null;
  /** What an assertion must be for; null: the token endpoint. */
  wantedAudience: string | null = null;
  /** What the assertions that were taken said of themselves. */
  readonly assertions: { readonly header: object; readonly payload: JWTPayload }[] = [];
  /** Times that the key set was asked for. */
  keySetsGiven = 0;
  private keys: { kid: string; privateKey: CryptoKey; publicJwk: JWK }[] = [];
  private readonly codes = new Map<string, Code>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<OpenIdProviderPeer> {
    const server = createServer();
    const peer = new OpenIdProviderPeer(server);
    server.on('request', (request, response) => void peer.hear(request, response));
    await peer.rotate();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return peer;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get issuer(): string {
    return `http://${this.host}/realms/hospital`;
  }

  get jwksUri(): string {
    return `${this.issuer}/certs`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  /** A new key signs from now on, and the old one is gone. */
  async rotate(): Promise<void> {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const kid = randomUUID();
    this.keys = [
      { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } },
    ];
  }

  get kid(): string {
    return this.keys[0]?.kid ?? '';
  }

  /** An access token as Keycloak writes one. */
  accessToken(claims: Record<string, unknown>, header: Record<string, unknown> = {}): Promise<string> {
    const nowS = Math.floor(Date.now() / 1_000);
    return this.sign(
      { iss: this.issuer, iat: nowS, exp: nowS + 300, jti: randomUUID(), typ: 'Bearer', ...claims },
      { typ: 'JWT', ...header },
    );
  }

  private sign(payload: Record<string, unknown>, header: Record<string, unknown>): Promise<string> {
    const [key] = this.keys;
    if (!key) throw new Error('no key');
    return new SignJWT(payload)
      .setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header })
      .sign(this.otherKey ?? key.privateKey);
  }

  private async hear(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.issuer);
    const path = url.pathname.replace('/realms/hospital', '');
    if (path === '/.well-known/openid-configuration') return answer(response, 200, this.configuration());
    if (path === '/certs') {
      this.keySetsGiven += 1;
      return answer(response, 200, { keys: this.keys.map(({ publicJwk }) => publicJwk) });
    }
    if (path === '/auth') return this.authorize(url.searchParams, response);
    if (path === '/token') return this.token(request, response);
    answer(response, 404, {});
  }

  private configuration(): object {
    return {
      issuer: this.issuer,
      authorization_endpoint: `${this.issuer}/auth`,
      token_endpoint: `${this.issuer}/token`,
      jwks_uri: this.jwksUri,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    };
  }

  private authorize(asked: URLSearchParams, response: ServerResponse): void {
    const get = (name: string) => asked.get(name) ?? '';
    const isRight =
      get('response_type') === 'code' &&
      get('client_id') === this.clientId &&
      get('scope').split(' ').includes('openid') &&
      get('code_challenge_method') === 'S256' &&
      get('state') !== '' &&
      get('nonce') !== '';
    if (!isRight) {
      answer(response, 400, { error: 'invalid_request' });
      return;
    }
    const code = randomUUID();
    this.codes.set(code, {
      clientId: get('client_id'),
      redirectUri: get('redirect_uri'),
      challenge: get('code_challenge'),
      nonce: get('nonce'),
    });
    const to = new URL(get('redirect_uri'));
    for (const [name, value] of Object.entries({ code, state: get('state'), iss: this.issuer }))
      to.searchParams.set(name, value);
    response.writeHead(302, { location: to.href }).end();
  }

  /** OpenID Connect Core 9: `private_key_jwt`, or `client_secret_basic`. */
  private async isClient(authorization: string | undefined, form: URLSearchParams): Promise<boolean> {
    const basic = `Basic ${Buffer.from(`${this.clientId}:${this.clientSecret}`).toString('base64')}`;
    if (this.clientKeys === null) return authorization === basic;
    const verified = await jwtVerify(
      form.get('client_assertion') ?? '',
      createLocalJWKSet(await this.clientKeys()),
      {
        algorithms: ['RS384', 'ES384'],
        issuer: this.clientId,
        subject: this.clientId,
        audience: this.wantedAudience ?? `${this.issuer}/token`,
        requiredClaims: ['exp', 'jti'],
      },
    ).catch(() => null);
    const isFresh = this.assertions.every(({ payload }) => payload.jti !== verified?.payload.jti);
    const kind = form.get('client_assertion_type');
    if (!verified || !isFresh || kind !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
      return false;
    this.assertions.push({ header: verified.protectedHeader, payload: verified.payload });
    return authorization === undefined;
  }

  private async token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    if (!(await this.isClient(request.headers.authorization, form)))
      return answer(response, 401, { error: 'invalid_client' });
    const code = this.codes.get(form.get('code') ?? '');
    this.codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (!code || code.challenge !== challenge || code.redirectUri !== form.get('redirect_uri'))
      return answer(response, 400, { error: 'invalid_grant' });
    const nowS = Math.floor(Date.now() / 1_000);
    const payload = {
      iss: this.issuer,
      aud: code.clientId,
      nonce: code.nonce,
      iat: nowS,
      exp: nowS + 300,
      ...this.claims,
    };
    answer(response, 200, {
      access_token: randomUUID(),
      token_type: 'Bearer',
      id_token: await this.sign(this.spoil(payload), { typ: 'JWT' }),
    });
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
