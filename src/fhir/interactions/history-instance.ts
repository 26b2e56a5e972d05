import { Failure } from '../../kernel/errors.ts';
import { demandAccess } from '../access-context.ts';
import { instants } from '../search/kinds/date.ts';
import { PAGE_ENTRIES, PAGE_ENTRIES_MAX } from '../search/parse-query.ts';
import type { StoredResource } from '../stored-resource.ts';
import { type Interaction, typeAndIdOf } from './interaction.ts';

/**
 * R4 http.html#history: `GET [base]/[type]/[id]/_history`, newest first, with `_count` and `_since`. Pages go on below the version the one
 * before ended with.
 */
export const historyInstance: Interaction = async (request, { store }) => {
  const { type, id } = typeAndIdOf(request);
  demandAccess(request.access, type, 'read');
  const count = whole(request.query.get('_count'), '_count', PAGE_ENTRIES);
  const before = whole(request.query.get('_before'), '_before', VERSION_MAX);
  const page = {
    count: Math.min(count, PAGE_ENTRIES_MAX) + 1,
    before,
    since: sinceOf(request.query.get('_since')),
  };
  const versions = await store.readHistory(type, id, page, request.sql, request.access);
  if (versions.length === 0 && !(await store.read(type, id, request.sql, request.access))) {
    throw new Failure('fhir.not-found', 'There is no resource with this id.');
  }
  const shown = versions.slice(0, page.count - 1);
  const url = `${store.base}/${type}/${id}/_history`;
  const links = [
    `{"relation":"self","url":${JSON.stringify(request.query.size > 0 ? `${url}?${request.query}` : url)}}`,
  ];
  const last = shown.at(-1);
  if (versions.length > shown.length && last) {
    const next = new URLSearchParams(request.query);
    next.set('_before', last.versionId);
    links.push(`{"relation":"next","url":${JSON.stringify(`${url}?${next}`)}}`);
  }
  const total = before === VERSION_MAX && versions.length === shown.length ? `"total":${shown.length},` : '';
  const entries = shown.map((stored) => entryOf(stored, store.base)).join(',');
  // Empty arrays are not allowed in FHIR JSON.
  const entry = entries === '' ? '' : `,"entry":[${entries}]`;
  const body = `{"resourceType":"Bundle","type":"history",${total}"link":[${links.join(',')}]${entry}}`;
  return { status: 200, body };
};

const VERSION_MAX = 2_147_483_647;

function whole(text: string | null, name: string, otherwise: number): number {
  if (text === null) return otherwise;
  if (!/^\d{1,9}$/.test(text)) throw new Failure('fhir.invalid', `${name} must be a whole number.`);
  return Number(text);
}

function sinceOf(text: string | null): Date | null {
  if (text === null) return null;
  const instant = instants(text.replace(' ', '+'));
  if (!instant || !/^\d/.test(instant.lo)) throw new Failure('fhir.invalid', '_since must be an instant.');
  return new Date(instant.lo);
}

function entryOf(stored: StoredResource, base: string): string {
  const path = `${stored.type}/${stored.id}`;
  const url = stored.method === 'POST' ? stored.type : path;
  const status = stored.method === 'DELETE' ? '204' : stored.versionId === '1' ? '201' : '200';
  const response = `{"status":"${status}","etag":"W/\\"${stored.versionId}\\"","lastModified":"${stored.lastUpdated.toISOString()}"}`;
  const resource = stored.deleted ? '' : `"resource":${stored.json},`;
  return `{"fullUrl":"${base}/${path}",${resource}"request":{"method":"${stored.method}","url":"${url}"},"response":${response}}`;
}
