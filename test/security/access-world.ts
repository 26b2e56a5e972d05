import type { Bundle, Coding, Observation, Resource } from '@medplum/fhirtypes';
import type { TokenContent } from '../../src/access/access-tokens.ts';
import { freshDatabaseUrl } from '../database.ts';
import { type Answer, PrelimServer } from '../peers/prelim-server.ts';

export const CATEGORY = 'http://terminology.hl7.org/CodeSystem/observation-category';
export const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality';
export const RESTRICTED: Coding = { system: CONFIDENTIALITY, code: 'R' };
export const VERY_RESTRICTED: Coding = { system: CONFIDENTIALITY, code: 'V' };

/** Asks with one token. */
export type Ask = (
  method: string,
  path: string,
  body?: unknown,
  headers?: Readonly<Record<string, string>>,
) => Promise<Answer>;

/** The server with a database of its own, and what the access tests ask of it. */
export class AccessWorld {
  private constructor(
    readonly server: PrelimServer,
    readonly databaseUrl: string,
  ) {}

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<AccessWorld> {
    const databaseUrl = (await freshDatabaseUrl()).replace('@/', '@localhost/');
    const server = await PrelimServer.start({
      DATABASE_URL: databaseUrl,
      PRELIM_ROLES: 'api,worker',
      ...settings,
    });
    return new AccessWorld(server, databaseUrl);
  }

  close(): Promise<void> {
    return this.server.close();
  }

  /** Sees and does all: what the tests are set up with. */
  readonly all: Ask = (method, path, body, headers) =>
    this.server.ask(method, `/fhir/${path}`, body, headers);

  /** With a token of its own; `path` below the FHIR base. */
  async as(content: Partial<TokenContent> & { readonly scope: string }): Promise<Ask> {
    const token = await this.server.issueFor({ clientId: 'test-app', subject: 'somebody', ...content });
    return (method, path, body, headers) =>
      this.server.ask(method, path.startsWith('/') ? path : `/fhir/${path}`, body, {
        authorization: `Bearer ${token}`,
        ...headers,
      });
  }

  /** An app that a patient uses, or that an EHR opened for one. */
  patient(id: string, scope = 'patient/*.cruds', more: Partial<TokenContent> = {}): Promise<Ask> {
    return this.as({ scope, patient: id, ...more });
  }

  /** Writes with all rights, and gives the id. */
  async write<T extends Resource>(resource: T): Promise<string> {
    const { resourceType, id } = resource;
    const answer = id
      ? await this.all('PUT', `${resourceType}/${id}`, resource)
      : await this.all('POST', resourceType, resource);
    if (answer.status > 201) throw new Error(`${answer.status} ${answer.text}`);
    return String(answer.body.id);
  }
}

export const person = (id: string, family: string, birthDate = '1970-01-01'): Resource => ({
  resourceType: 'Patient',
  id,
  name: [{ family }],
  birthDate,
});

export function observation(
  id: string | undefined,
  patient: string,
  more: Partial<Observation> & { readonly kind?: string } = {},
): Observation {
  const { kind = 'imaging', ...rest } = more;
  return {
    resourceType: 'Observation',
    ...(id ? { id } : {}),
    status: 'final',
    category: [{ coding: [{ system: CATEGORY, code: kind }] }],
    code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
    subject: { reference: `Patient/${patient}` },
    valueQuantity: { value: 7, unit: '1', system: 'http://unitsofmeasure.org', code: '1' },
    ...rest,
  };
}

/** `Type/id` of every entry of a Bundle, sorted. */
export const idsIn = (answer: Answer): string[] =>
  ((answer.body as Bundle).entry ?? [])
    .flatMap(({ resource }) => (resource ? `${resource.resourceType}/${resource.id}` : []))
    .sort();
