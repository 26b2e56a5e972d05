import type { SearchResult } from '../search/run-search.ts';
import type { SearchQuery } from '../search/search-query.ts';
import type { StoredResource } from '../stored-resource.ts';
import { type Subset, subsetJson } from './subset.ts';

export interface Searchset {
  /** Below the FHIR base: `Patient`, `Patient/1/Observation`; '' for a search of the whole system. */
  readonly path: string;
  readonly query: Pick<SearchQuery, 'used' | 'ignored'>;
  readonly result: SearchResult;
  readonly base: string;
  /** Null: whole resources. */
  readonly subset: Subset | null;
}

/**
 * R4 bundle.html#searchset, joined from the stored texts without parsing them. A summary is made of included resources too; a list of elements is
 * about the matches only (R4 search.html#elements). What a lenient search ignored is said in an entry of its own at the end.
 */
export function searchset({ path, query, result, base, subset }: Searchset): string {
  const url = (more: readonly (readonly [string, string])[]): string => {
    const all = [...query.used, ...more].map(([name, value]): [string, string] => [name, value]);
    const address = path === '' ? base : `${base}/${path}`;
    return JSON.stringify(all.length > 0 ? `${address}?${new URLSearchParams(all)}` : address);
  };
  const links = [`{"relation":"self","url":${url([])}}`];
  if (result.next) links.push(`{"relation":"next","url":${url([['_cursor', result.next]])}}`);
  const included = subset?.kind === 'elements' ? null : subset;
  const entries = [
    ...result.matches.map((match) => entryOf(match, 'match', base, subset)),
    ...result.included.map((one) => entryOf(one, 'include', base, included)),
    ...(query.ignored.length + result.notes.length > 0 ? [outcomeEntry(query.ignored, result.notes)] : []),
  ].join(',');
  const total = result.total === null ? '' : `"total":${result.total},`;
  // Empty arrays are not allowed in FHIR JSON.
  const entry = entries === '' ? '' : `,"entry":[${entries}]`;
  return `{"resourceType":"Bundle","type":"searchset",${total}"link":[${links.join(',')}]${entry}}`;
}

const entryOf = (
  stored: StoredResource,
  mode: 'match' | 'include',
  base: string,
  subset: Subset | null,
): string =>
  `{"fullUrl":"${base}/${stored.type}/${stored.id}","resource":${subsetJson(stored, subset)},"search":{"mode":"${mode}"}}`;

/** Names of parameters only, as far as they are spelled like one: what else was sent may be a value. */
function outcomeEntry(ignored: readonly string[], notes: readonly string[]): string {
  const text = `Ignored, because this search has no such parameter: ${ignored.join(', ')}.`;
  const issues = notes.map((note) => ({
    severity: 'information',
    code: 'incomplete',
    details: { text: note },
  }));
  if (ignored.length > 0) issues.unshift({ severity: 'warning', code: 'not-supported', details: { text } });
  const outcome = { resourceType: 'OperationOutcome', issue: issues };
  return JSON.stringify({ resource: outcome, search: { mode: 'outcome' } });
}
