import type { Patient } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { type Role, rolesAmong } from '../grant.ts';
import type { ClientKeys } from '../oauth/client-keys.ts';
import { fetchJson, type OutboundRules } from '../outbound/fetch-json.ts';
import type { Person } from '../people/session.store.ts';
import type { SigningKeys } from '../signing-key.ts';
import { type ClientProof, clientThere, readProof } from './client-proof.ts';
import {
  beginCodeFlow,
  type ClientThere,
  type SignInUnderWay,
  tradeCode,
  verifyIdToken,
} from './code-flow.ts';
import { type ClaimMapping, readMapping, rolesOf } from './read-claims.ts';

/** An EHR with a FHIR server and an authorization server of its own, as the operator describes it. */
export interface EhrSettings extends ClaimMapping, ClientProof {
  /** Its FHIR base URL, as it names itself in a launch. */
  readonly iss: string;
  readonly clientId: string;
  readonly scope: string;
  /** System of the patient number there, and of the same number here. */
  readonly patientSystem: string;
  readonly patientSystemHere: string;
  /** What everybody is whom this EHR signs in. */
  readonly everybody: readonly Role[];
}

/** @throws Failure `config.invalid` */
export function readEhrs(text: string): EhrSettings[] {
  if (text.trim() === '') return [];
  try {
    return (JSON.parse(text) as Record<string, unknown>[]).map(readEhr);
  } catch {
    throw new Failure(
      'config.invalid',
      'AUTH_EHRS must be a JSON array of {"iss" (a URL), "clientId", "patientSystem"}, all three non-empty, known roles in "everybody", and "clientSecret" or "clientAlgorithm" (RS384, ES384), not both. See docs/access.md.',
    );
  }
}

function readEhr(entry: Record<string, unknown>): EhrSettings {
  const text = (name: string, other?: string): string => {
    const value = entry[name] ?? other;
    if (typeof value !== 'string' || value === '') throw new Error(name);
    return value;
  };
  const everybody = (entry['everybody'] ?? []) as unknown[];
  const roles = rolesAmong(everybody);
  if (roles.length !== everybody.length) throw new Error('everybody');
  return {
    ...readMapping(entry),
    ...readProof(entry),
    iss: new URL(text('iss')).href.replace(/\/$/, ''),
    clientId: text('clientId'),
    scope: text('scope', 'launch openid fhirUser patient/Patient.r'),
    patientSystem: text('patientSystem'),
    patientSystemHere: text('patientSystemHere', text('patientSystem')),
    everybody: roles,
  };
}

/** Who opened the page there, and for whom. */
export interface Launched {
  readonly person: Person;
  /** The number of the patient that is open there; null: none is open. */
  readonly patientNumber: string | null;
}

interface Discovered {
  readonly authorizationEndpoint: URL;
  readonly tokenEndpoint: URL;
  readonly issuer: string;
  readonly jwksUri: string;
  /** Of the clock that never goes back. */
  readonly untilMs: number;
}

const DISCOVERY_KEPT_MS = 600_000;
/** R4 datatypes.html#id */
const ID = /^[A-Za-z0-9.-]{1,64}$/;

/** The other side of an EHR launch (SMART App Launch 2.2): we are an app of the EHR, that says who is there and which patient is open. */
export class Ehr {
  private discovered: Discovered | null = null;
  private readonly client: ClientThere;

  constructor(
    readonly settings: EhrSettings,
    private readonly rules: OutboundRules,
    private readonly keys: ClientKeys,
    baseUrl: string,
    ours: SigningKeys,
  ) {
    this.client = clientThere(settings, `${baseUrl}/auth/ehr/callback`, ours);
  }

  /** Where the browser goes, and what to remember until it is back. `request` comes back in front of the state. */
  async begin(request: string, launch: string): Promise<{ url: string; underWay: SignInUnderWay }> {
    const { authorizationEndpoint } = await this.discover();
    const { iss, scope } = this.settings;
    return beginCodeFlow(authorizationEndpoint, this.client, request, { scope, launch, aud: iss });
  }

  /** @throws Error for anything that is not as it must be */
  async finish(code: string, iss: string | undefined, underWay: SignInUnderWay): Promise<Launched> {
    const { tokenEndpoint, issuer, jwksUri } = await this.discover();
    if (iss !== undefined && iss !== issuer) throw new Error('another issuer answered');
    const answer = await tradeCode(tokenEndpoint, this.client, code, underWay.verifier, this.rules);
    const { clientId } = this.settings;
    const payload = await verifyIdToken(
      String(answer['id_token']),
      { issuer, clientId, jwksUri, nonce: underWay.nonce },
      this.keys,
    );
    const patient = answer['patient'];
    const person: Person = {
      // Ids of people there are not those here: this is who it is, and no Practitioner of ours.
      subject: `${issuer}#${payload.sub}`,
      roles: rolesAmong([...rolesOf(payload, this.settings), ...this.settings.everybody]),
      authTimeS: Math.floor(Date.now() / 1_000),
    };
    if (patient === undefined) return { person, patientNumber: null };
    return { person, patientNumber: await this.numberOf(patient, String(answer['access_token'])) };
  }

  /** The one number of the patient under the system that both sides know. */
  private async numberOf(id: unknown, token: string): Promise<string> {
    if (typeof id !== 'string' || !ID.test(id)) throw new Error('no logical id');
    const { iss, patientSystem } = this.settings;
    const headers = { accept: 'application/fhir+json', authorization: `Bearer ${token}` };
    const { status, body } = await fetchJson(new URL(`${iss}/Patient/${id}`), this.rules, { headers });
    const patient = body as unknown as Patient;
    if (status !== 200 || patient.resourceType !== 'Patient' || patient.id !== id)
      throw new Error('the patient cannot be read there');
    const numbers = (patient.identifier ?? [])
      .filter(({ system, use }) => system === patientSystem && use !== 'old')
      .map(({ value }) => value);
    const [number] = numbers;
    if (number === undefined || new Set(numbers).size !== 1)
      throw new Error('the patient has no number there, or several');
    return number;
  }

  /** SMART App Launch 2.2 "Retrieve .well-known/smart-configuration". The address is the operator's, never the launch's. */
  private async discover(): Promise<Discovered> {
    if (this.discovered && this.discovered.untilMs > performance.now()) return this.discovered;
    const place = new URL(`${this.settings.iss}/.well-known/smart-configuration`);
    const { status, body } = await fetchJson(place, this.rules);
    const { issuer, jwks_uri: jwksUri } = body;
    if (status !== 200 || typeof issuer !== 'string' || typeof jwksUri !== 'string')
      throw new Error('the EHR does not say how it signs people in');
    const authorizationEndpoint = new URL(String(body['authorization_endpoint']));
    if (!['https:', 'http:'].includes(authorizationEndpoint.protocol)) throw new Error('no web address');
    this.discovered = {
      authorizationEndpoint,
      tokenEndpoint: new URL(String(body['token_endpoint'])),
      issuer,
      jwksUri,
      untilMs: performance.now() + DISCOVERY_KEPT_MS,
    };
    return this.discovered;
  }
}
