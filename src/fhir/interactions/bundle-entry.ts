import type { BundleEntry, Resource } from '@medplum/fhirtypes';
import { Failure } from '../../kernel/errors.ts';
import { definitions } from '../definitions/definitions.ts';
import type { FhirAnswer, FhirRequest } from '../fhir-request.ts';
import { SUCCESS } from './answer-resource.ts';

const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * R4 bundle.html: `entry.request` as a request of its own, with the rights of the one that brought the Bundle. The URL is relative
 * (`Patient/1`, `Observation?code=x`), or absolute below `base`, our own address; anything that leaves it is refused.
 */
export function entryRequest(entry: BundleEntry, outer: FhirRequest, base: string): FhirRequest {
  const { method, url, ifMatch, ifNoneExist, ifNoneMatch, ifModifiedSince } = entry?.request ?? {};
  const texts = [url, ifMatch, ifNoneExist, ifNoneMatch, ifModifiedSince];
  if (typeof method !== 'string' || !METHODS.has(method) || texts.some((text) => !isText(text)) || !url) {
    throw new Failure(
      'fhir.invalid',
      'An entry needs request.method (GET, HEAD, POST, PUT, PATCH or DELETE) and request.url.',
    );
  }
  const relative = ABSOLUTE.test(url) ? belowBase(url, base) : url;
  const [path = '', query = ''] = split(relative, '?');
  const segments = path.split('/').filter((segment) => segment !== '');
  const safe =
    !/^[a-z][a-z0-9+.-]*:|^\/|\\|%/i.test(path) && !segments.some((one) => one === '.' || one === '..');
  // Without a path it is a search of the whole server: `?_type=Patient,Observation`.
  const isSearch = relative.startsWith('?') && (method === 'GET' || method === 'HEAD');
  if (!safe || (segments.length === 0 && !isSearch)) {
    throw new Failure('fhir.invalid', 'request.url of an entry must be a relative URL such as Patient/1.');
  }
  return {
    method,
    path: segments,
    query: new URLSearchParams(query),
    headers: {
      prefer: outer.headers['prefer'],
      'if-match': ifMatch,
      'if-none-exist': ifNoneExist,
      'if-none-match': ifNoneMatch,
      'if-modified-since': ifModifiedSince,
    },
    body: undefined,
    ...(entry.resource ? { resource: resourceIn(entry) } : {}),
    access: outer.access,
    ...(outer.sql ? { sql: outer.sql } : {}),
  };
}

const ABSOLUTE = /^https?:\/\//i;

/** `http://host/fhir/Patient/1` without what is our base; host and port are compared as URLs are (RFC 3986 section 6.2). */
function belowBase(url: string, base: string): string {
  const [, server = '', rest = ''] = /^(https?:\/\/[^/?#@\\]+)(.*)$/is.exec(url) ?? [];
  const own = new URL(base);
  const place = own.pathname;
  const after = rest[place.length];
  const isOwn =
    server !== '' &&
    URL.canParse(server) &&
    new URL(server).origin === own.origin &&
    rest.startsWith(place) &&
    (after === '/' || after === '?');
  if (isOwn) return rest.slice(place.length).replace(/^\//, '');
  throw new Failure(
    'fhir.invalid',
    `request.url of an entry names another address than this server's, ${base}. Write it below that, or relative: Patient/1.`,
  );
}

/** It was parsed with the Bundle; only what `parseResource` would have said of it alone is checked. */
function resourceIn({ resource }: BundleEntry): Resource {
  const type: unknown = (resource as { resourceType?: unknown } | undefined)?.resourceType;
  if (typeof type === 'string' && definitions().resourceTypes.includes(type)) return resource as Resource;
  throw new Failure('fhir.invalid', 'The resource of an entry needs a resourceType that FHIR R4 knows.');
}

function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

const REASONS: Readonly<Record<number, string>> = {
  200: '200 OK',
  201: '201 Created',
  204: '204 No Content',
  304: '304 Not Modified',
};

const isText = (value: unknown): boolean => value === undefined || typeof value === 'string';

/** An entry of the answer, as text. Failed entries carry their OperationOutcome in `response.outcome`. */
function entryAnswer(answer: FhirAnswer): string {
  const { location, etag, 'last-modified': modified } = answer.headers ?? {};
  const response: Record<string, string> = { status: REASONS[answer.status] ?? String(answer.status) };
  if (location) response['location'] = location;
  if (etag) response['etag'] = etag;
  if (modified) response['lastModified'] = modified;
  const printed = JSON.stringify(response);
  if (answer.body === null) return `{"response":${printed}}`;
  // A success that is told in words (`Prefer: return=OperationOutcome`) is an outcome too, no resource.
  if (answer.status >= 400 || answer.body === SUCCESS)
    return `{"response":${printed.slice(0, -1)},"outcome":${answer.body}}}`;
  return `{"resource":${answer.body},"response":${printed}}`;
}

export function answerBundle(
  type: 'batch-response' | 'transaction-response',
  answers: readonly FhirAnswer[],
): FhirAnswer {
  const entry = answers.length === 0 ? '' : `,"entry":[${answers.map(entryAnswer).join(',')}]`;
  return { status: 200, body: `{"resourceType":"Bundle","type":"${type}"${entry}}` };
}
