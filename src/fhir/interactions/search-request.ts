import { badParameter } from '../at-parameter.ts';
import { type FhirRequest, preferLenient } from '../fhir-request.ts';
import { checkMediaTypes } from '../media-types.ts';
import type { SearchQuery } from '../search/search-query.ts';
import type { FhirServer } from './interaction.ts';
import { searchset } from './searchset.ts';
import { subsetOf } from './subset.ts';

/**
 * R4 http.html#search: the parameters stand in the URL, for `POST …/_search` also in a form; both count. Throws `fhir.media-type` for a body
 * that is no form.
 */
export function searchParametersIn(request: FhirRequest): URLSearchParams {
  if (request.method !== 'POST') return request.query;
  const type = request.headers['content-type'] ?? '';
  if (request.body && request.body.length > 0 && !type.startsWith('application/x-www-form-urlencoded')) {
    throw badParameter(
      'Content-Type',
      'POST _search takes application/x-www-form-urlencoded.',
      'fhir.media-type',
    );
  }
  const form = new URLSearchParams(request.body?.toString('utf8') ?? '');
  // The door has seen the URL only.
  if (form.get('_format')) checkMediaTypes({ ...request, query: form, body: undefined });
  return new URLSearchParams([...request.query, ...form]);
}

/** Runs a search as parsed and answers with its Bundle. `path`: the address of the search below the base, for the links. */
export async function answerSearch(
  request: FhirRequest,
  { store }: FhirServer,
  { path, parameters, query }: { path: string; parameters: URLSearchParams; query: SearchQuery },
): Promise<string> {
  const types = query.searches.map(({ type }) => type);
  const subset = subsetOf(parameters, types, { lenient: preferLenient(request) });
  const result = await store.search(query.type ?? '', query, request.sql, request.access);
  return searchset({ path, query, result, base: store.base, subset });
}
