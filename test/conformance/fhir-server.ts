import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; null when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: a check reads whatever shape it expects, and fails when it is another
  readonly body: any;
}

// biome-ignore lint/suspicious/noExplicitAny: the same for what a check sends, wrong shapes among it
export type Json = any;

export const FHIR_JSON = 'application/fhir+json';

/** Any FHIR R4 server, known by nothing but its base URL. What the checks store carries a tag of this run, so that they can share a server. */
export class FhirServer {
  readonly tag = { system: 'urn:prelim:conformance', code: randomUUID() };
  private readonly base: string;
  private itself: Promise<string> | null = null;

  constructor(
    base: string,
    private readonly token: string | null,
  ) {
    this.base = base.replace(/\/$/, '');
  }

  /** `path` below the base, or an absolute URL of the server (a link of a Bundle). */
  async ask(
    method: string,
    path: string,
    body?: Json,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const url = /^https?:/.test(path) ? await this.reachable(path) : `${this.base}/${path}`;
    const raw = typeof body === 'string';
    const response = await fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        ...(this.token === null ? {} : { authorization: `Bearer ${this.token}` }),
        ...(body === undefined ? {} : { 'content-type': FHIR_JSON }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: jsonOf(text) };
  }

  get(path: string, headers?: Record<string, string>): Promise<Answer> {
    return this.ask('GET', path, undefined, headers);
  }

  /** Asks and demands the status. */
  async expect(
    status: number,
    method: string,
    path: string,
    body?: Json,
    headers?: Record<string, string>,
  ): Promise<Answer> {
    const answer = await this.ask(method, path, body, headers);
    assert.equal(answer.status, status, `${method} answered ${answer.status}: ${answer.text.slice(0, 400)}`);
    return answer;
  }

  /** Stores a resource under an id of the server's choice. What it refers to is stored first where the server keeps referential integrity. */
  async create(resource: Json): Promise<Json> {
    const { resourceType } = resource;
    const answer = await this.ask('POST', resourceType, this.tagged(resource));
    if (answer.status === 201) return answer.body;
    for (const target of targetsOf(resource))
      await this.ask('PUT', `${target.resourceType}/${target.id}`, this.tagged(target));
    return (await this.expect(201, 'POST', resourceType, this.tagged(resource))).body;
  }

  /** Links have the address under which the server knows itself: behind a proxy it is another one than ours. */
  private async reachable(url: string): Promise<string> {
    if (url.startsWith(`${this.base}/`) || url.startsWith(`${this.base}?`)) return url;
    this.itself ??= this.get('metadata').then(({ body }) => body?.implementation?.url ?? this.base);
    const itself = (await this.itself).replace(/\/$/, '');
    return url.startsWith(itself) ? this.base + url.slice(itself.length) : url;
  }

  tagged(resource: Json): Json {
    return { ...resource, meta: { ...resource.meta, tag: [...(resource.meta?.tag ?? []), this.tag] } };
  }

  /** Entries of a search that the query itself found, in the order of the answer; only resources of this run. */
  async search(type: string, query: string): Promise<Json[]> {
    const tag = encodeURIComponent(`${this.tag.system}|${this.tag.code}`);
    const answer = await this.expect(200, 'GET', `${type}?${query}${query ? '&' : ''}_tag=${tag}`);
    return (answer.body.entry ?? [])
      .filter((entry: Json) => (entry.search?.mode ?? 'match') === 'match')
      .map((entry: Json) => entry.resource);
  }

  async ids(type: string, query: string): Promise<string[]> {
    return (await this.search(type, query)).map((resource) => resource.id);
  }

  /** The refusal must be an OperationOutcome that says something. */
  async refused(
    statuses: number | readonly number[],
    method: string,
    path: string,
    body?: Json,
    headers?: Record<string, string>,
  ): Promise<Answer> {
    const answer = await this.ask(method, path, body, headers);
    const wanted = typeof statuses === 'number' ? [statuses] : statuses;
    assert.ok(
      wanted.includes(answer.status),
      `${answer.status} instead of ${wanted}: ${answer.text.slice(0, 400)}`,
    );
    assert.equal(answer.body?.resourceType, 'OperationOutcome');
    const [issue] = answer.body.issue;
    assert.ok(['error', 'fatal'].includes(issue.severity));
    assert.ok(issue.code);
    assert.ok((issue.details?.text ?? issue.diagnostics ?? '').length > 10, 'the outcome says nothing');
    return answer;
  }
}

/** What literal references name, as the least that is valid. */
function targetsOf(value: Json): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  if (typeof value.reference !== 'string') return Object.values(value).flatMap(targetsOf);
  const [, resourceType, id] = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]+)$/.exec(value.reference) ?? [];
  return resourceType ? [{ resourceType, id, ...LEAST[resourceType] }] : [];
}

const LEAST: Readonly<Record<string, Json>> = {
  Group: { type: 'person', actual: true },
  ImagingStudy: { status: 'available', subject: { display: 'x' } },
  Observation: { status: 'final', code: { text: 'x' } },
};

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
