import { createHash, randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CryptoKey,
  createRemoteJWKSet,
  exportJWK,
  generateKeyPair,
  type JWK,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';

interface Code {
  readonly challenge: string;
  readonly nonce: string;
  readonly redirectUri: string;
  readonly patient: string | null;
}

/**
 * An EHR as SMART App Launch 2.2 has it ("EHR launch"): a FHIR server with `.well-known/smart-configuration`, an authorization server that knows which launches it
 * has begun and who sits in front of it, and a page that shows an app in a frame. Stands in for Epic and its like. Tests make it misbehave.
 */
export class EhrPeer {
  readonly clientId = 'prelim-at-ehr';
  readonly clientSecret = randomUUID();
  /** Patients there, by logical id: what Patient/<id> answers. */
  readonly patients = new Map<string, object>();
  /** The address of the client's key set, as registered there: then it must sign, and its secret is worth nothing. */
  clientKeysAt: string | null = null;
  /** What the assertions that were taken said of themselves. */
  readonly assertions: { readonly header: object; readonly payload: JWTPayload }[] = [];
  /** Of whoever sits in front of it. */
  claims: Record<string, unknown> = { sub: 'dr-1' };
  spoil: (payload: Record<string, unknown>) => Record<string, unknown> = (payload) => payload;
  /** Paths that were asked for. */
  readonly asked: string[] = [];
  private readonly launches = new Map<string, string | null>();
  private readonly codes = new Map<string, Code>();
  private readonly tokens = new Set<string>();

  private constructor(
    private readonly server: Server,
    private readonly key: { readonly privateKey: CryptoKey; readonly jwk: JWK },
  ) {}

  static async start(): Promise<EhrPeer> {
    const { privateKey, publicKey } = await generateKeyPair('RS256');
    const jwk = { ...(await exportJWK(publicKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' };
    const server = createServer();
    const peer = new EhrPeer(server, { privateKey, jwk });
    server.on('request', (request, response) => void peer.hear(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return peer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get iss(): string {
    return `${this.url}/fhir`;
  }

  /** What the operator of Prelim writes into AUTH_EHRS. */
  settings(more: object = {}): object {
    const { iss, clientId, clientSecret } = this;
    return { iss, clientId, clientSecret, patientSystem: 'urn:ehr:mrn', ...more };
  }

  /** The same for a client that signs. */
  settingsWithKey(clientAlgorithm: string, more: object = {}): object {
    const { clientSecret: _none, ...rest } = this.settings(more) as { clientSecret: string };
    return { ...rest, clientAlgorithm };
  }

  /** Somebody has this patient open and opens an app: the handle that goes beside `iss`. */
  launch(patient: string | null): string {
    const handle = randomUUID();
    this.launches.set(handle, patient);
    return handle;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private async hear(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    this.asked.push(url.pathname);
    if (url.pathname === '/') return frame(response, url.searchParams.get('show') ?? '');
    if (url.pathname === '/fhir/.well-known/smart-configuration')
      return answer(response, 200, this.configuration());
    if (url.pathname === '/certs') return answer(response, 200, { keys: [this.key.jwk] });
    if (url.pathname === '/authorize') return this.authorize(url.searchParams, response);
    if (url.pathname === '/token') return this.token(request, response);
    const patient = this.patients.get(url.pathname.replace('/fhir/Patient/', ''));
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!this.tokens.has(bearer)) return answer(response, 401, {});
    answer(response, patient ? 200 : 404, patient ?? {});
  }

  private configuration(): object {
    return {
      issuer: this.url,
      jwks_uri: `${this.url}/certs`,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      grant_types_supported: ['authorization_code'],
      code_challenge_methods_supported: ['S256'],
      capabilities: [
        'launch-ehr',
        'context-ehr-patient',
        'sso-openid-connect',
        'client-confidential-symmetric',
      ],
    };
  }

  private authorize(asked: URLSearchParams, response: ServerResponse): void {
    const get = (name: string) => asked.get(name) ?? '';
    const launch = get('launch');
    const isRight =
      get('response_type') === 'code' &&
      get('client_id') === this.clientId &&
      get('aud') === this.iss &&
      get('scope').split(' ').includes('launch') &&
      get('code_challenge_method') === 'S256' &&
      get('state') !== '' &&
      this.launches.has(launch);
    if (!isRight) {
      answer(response, 400, { error: 'invalid_request' });
      return;
    }
    const code = randomUUID();
    this.codes.set(code, {
      challenge: get('code_challenge'),
      nonce: get('nonce'),
      redirectUri: get('redirect_uri'),
      patient: this.launches.get(launch) ?? null,
    });
    this.launches.delete(launch);
    const to = new URL(get('redirect_uri'));
    for (const [name, value] of Object.entries({ code, state: get('state'), iss: this.url }))
      to.searchParams.set(name, value);
    response.writeHead(302, { location: to.href }).end();
  }

  /** SMART App Launch 2.2 "Asymmetric authentication", or RFC 6749 2.3.1. */
  private async isClient(authorization: string | undefined, form: URLSearchParams): Promise<boolean> {
    if (this.clientKeysAt === null)
      return (
        authorization === `Basic ${Buffer.from(`${this.clientId}:${this.clientSecret}`).toString('base64')}`
      );
    const keys = createRemoteJWKSet(new URL(this.clientKeysAt));
    const verified = await jwtVerify(form.get('client_assertion') ?? '', keys, {
      algorithms: ['RS384', 'ES384'],
      issuer: this.clientId,
      subject: this.clientId,
      audience: `${this.url}/token`,
      requiredClaims: ['exp', 'jti'],
    }).catch(() => null);
    const { exp = Number.POSITIVE_INFINITY, jti } = verified?.payload ?? {};
    if (
      !verified ||
      exp > Date.now() / 1_000 + 300 ||
      this.assertions.some(({ payload }) => payload.jti === jti) ||
      form.get('client_assertion_type') !== 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer' ||
      authorization !== undefined
    )
      return false;
    this.assertions.push({ header: verified.protectedHeader, payload: verified.payload });
    return true;
  }

  private async token(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
    const code = this.codes.get(form.get('code') ?? '');
    this.codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (
      !(await this.isClient(request.headers.authorization, form)) ||
      code?.challenge !== challenge ||
      code.redirectUri !== form.get('redirect_uri')
    )
      return answer(response, 400, { error: 'invalid_grant' });
    const nowS = Math.floor(Date.now() / 1_000);
    const token = randomUUID();
    this.tokens.add(token);
    const payload = { iss: this.url, aud: this.clientId, nonce: code.nonce, iat: nowS, exp: nowS + 300 };
    const idToken = await new SignJWT(this.spoil({ ...payload, ...this.claims }))
      .setProtectedHeader({ alg: 'RS256', kid: String(this.key.jwk.kid) })
      .sign(this.key.privateKey);
    answer(response, 200, {
      access_token: token,
      token_type: 'Bearer',
      expires_in: 300,
      id_token: idToken,
      ...(code.patient === null ? {} : { patient: code.patient }),
    });
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function frame(response: ServerResponse, show: string): void {
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end(
    `<!doctype html><title>EHR</title><iframe width="900" height="600" src="${show.replaceAll('&', '&amp;')}"></iframe>`,
  );
}
