import { Failure } from '../../kernel/errors.ts';
import { type FhirRequest, preferLenient } from '../fhir-request.ts';
import { parseQuery } from '../search/parse-query.ts';
import type { SearchResult } from '../search/run-search.ts';
import type { StoredResource } from '../stored-resource.ts';
import { type Interaction, typeOf } from './interaction.ts';

/** R4 http.html#search: `GET [base]/[type]?…` and `POST [base]/[type]/_search` with the same parameters as a form. */
export const searchType: Interaction = async (request, { store }) => {
  const type = typeOf(request);
  const query = parseQuery(type, parametersOf(request), { lenient: preferLenient(request) });
  const result = await store.search(type, query, request.sql, request.access);
  return { status: 200, body: searchset(type, query.used, result, store.base) };
};

function parametersOf(request: FhirRequest): URLSearchParams {
  if (request.method !== 'POST') return request.query;
  const type = request.headers['content-type'] ?? '';
  if (request.body && request.body.length > 0 && !type.startsWith('application/x-www-form-urlencoded')) {
    throw new Failure('fhir.media-type', 'POST _search takes application/x-www-form-urlencoded.');
  }
  // Parameters may also stand in the URL; both count.
  return new URLSearchParams([
    ...request.query,
    ...new URLSearchParams(request.body?.toString('utf8') ?? ''),
  ]);
}

/** The Bundle, joined from the stored texts without parsing them. */
function searchset(
  type: string,
  used: readonly (readonly [string, string])[],
  result: SearchResult,
  base: string,
): string {
  const url = (more: readonly (readonly [string, string])[]): string => {
    const query = new URLSearchParams(
      [...used, ...more].map(([name, value]): [string, string] => [name, value]),
    );
    return JSON.stringify(query.size > 0 ? `${base}/${type}?${query}` : `${base}/${type}`);
  };
  const links = [`{"relation":"self","url":${url([])}}`];
  if (result.next) links.push(`{"relation":"next","url":${url([['_cursor', result.next]])}}`);
  const entries = [
    ...result.matches.map((match) => entryOf(match, 'match', base)),
    ...result.included.map((included) => entryOf(included, 'include', base)),
  ].join(',');
  const total = result.total === null ? '' : `"total":${result.total},`;
  // Empty arrays are not allowed in FHIR JSON.
  const entry = entries === '' ? '' : `,"entry":[${entries}]`;
  return `{"resourceType":"Bundle","type":"searchset",${total}"link":[${links.join(',')}]${entry}}`;
}

const entryOf = (stored: StoredResource, mode: 'match' | 'include', base: string): string =>
  `{"fullUrl":"${base}/${stored.type}/${stored.id}","resource":${stored.json},"search":{"mode":"${mode}"}}`;
