import { badParameter } from '../at-parameter.ts';
import { type FhirRequest, preferLenient } from '../fhir-request.ts';
import { instants } from '../search/kinds/date.ts';
import { PAGE_ENTRIES, PAGE_ENTRIES_MAX } from '../search/parse-query.ts';
import type { HistoryAsked, HistoryPlace } from '../storage/read-history.ts';
import type { StoredResource } from '../stored-resource.ts';
import { type Subset, subsetJson, subsetOf } from './subset.ts';

/** What a request for a history asks, apart from whose. */
export interface HistoryRequest extends Pick<HistoryAsked, 'since' | 'at' | 'after'> {
  /** Versions on a page. */
  readonly count: number;
  readonly subset: Subset | null;
}

/**
 * R4 http.html#history: `_count`, `_since`, `_at`, and our own `_cursor` of a page link. Throws `fhir.invalid` for another parameter (unless the
 * client is lenient) and for values that mean nothing.
 */
export function historyRequestOf(request: FhirRequest, types: readonly string[]): HistoryRequest {
  const { query } = request;
  const lenient = preferLenient(request);
  for (const name of query.keys()) {
    if (!KNOWN.has(name) && !lenient)
      throw badParameter(
        /^[\w-]{1,40}$/.test(name) ? name : '',
        'A history takes _count, _since, _at, _summary, _elements and _format only.',
      );
  }
  if (query.get('_summary') === 'count')
    throw badParameter(
      '_summary',
      'Versions are not counted; read the pages of the history.',
      'fhir.unsupported',
    );
  const subset = subsetOf(query, types, { lenient });
  const since = query.get('_since');
  const at = query.get('_at');
  return {
    count: countOf(query.get('_count')),
    since: since === null ? null : interval(since, '_since').lo,
    at: at === null ? null : atInterval(at),
    after: placeOf(query.get('_cursor')),
    subset,
  };
}

const KNOWN: ReadonlySet<string> = new Set([
  '_count',
  '_since',
  '_at',
  '_cursor',
  '_summary',
  '_elements',
  '_format',
  '_pretty',
]);

function countOf(text: string | null): number {
  if (text === null) return PAGE_ENTRIES;
  if (!/^\d{1,9}$/.test(text)) throw badParameter('_count', '_count must be a whole number.');
  return Math.min(Number(text), PAGE_ENTRIES_MAX);
}

/** A `+` in a query string arrives as a blank; in an instant only the zone can be meant. */
function interval(text: string, name: string): { lo: Date; hi: Date } {
  const found = instants(text.replace(' ', '+'));
  if (!found || !/^\d/.test(found.lo) || !/^\d/.test(found.hi))
    throw badParameter(name, `${name} must be a date or an instant.`);
  return { lo: new Date(found.lo), hi: new Date(found.hi) };
}

function atInterval(text: string): HistoryAsked['at'] {
  const found = interval(text, '_at');
  return { ...found, isRecent: Date.now() - found.lo.getTime() < AT_RECENT_MS };
}

/** Thirty days: a server that is a year old has written most of its versions before. */
const AT_RECENT_MS = 30 * 86_400_000;

export interface HistoryAnswer {
  /** Below the base: `Patient/1`, `Patient`, or '' for the whole system. */
  readonly path: string;
  readonly asked: HistoryRequest;
  /** One more than the page holds, when there is more. */
  readonly versions: readonly StoredResource[];
  readonly request: FhirRequest;
  readonly base: string;
}

/** R4 bundle.html#history, joined from the stored texts without parsing them. */
export function historyBundle({ path, asked, versions, request, base }: HistoryAnswer): string {
  const shown = versions.slice(0, asked.count);
  const url = `${base}/${path === '' ? '' : `${path}/`}_history`;
  const link = (relation: string, query: URLSearchParams) =>
    JSON.stringify({ relation, url: query.size > 0 ? `${url}?${query}` : url });
  const links = [link('self', request.query)];
  const last = shown.at(-1);
  if (last && versions.length > shown.length) {
    const next = new URLSearchParams(request.query);
    next.set('_cursor', printPlace(last));
    links.push(link('next', next));
  }
  const isWhole = asked.after === null && versions.length === shown.length;
  const total = isWhole ? `"total":${shown.length},` : '';
  const entries = shown.map((stored) => entryOf(stored, base, asked.subset)).join(',');
  // Empty arrays are not allowed in FHIR JSON.
  const entry = entries === '' ? '' : `,"entry":[${entries}]`;
  return `{"resourceType":"Bundle","type":"history",${total}"link":[${links.join(',')}]${entry}}`;
}

function entryOf(stored: StoredResource, base: string, subset: Subset | null): string {
  const path = `${stored.type}/${stored.id}`;
  const url = stored.method === 'POST' ? stored.type : path;
  const status = stored.method === 'DELETE' ? '204' : stored.versionId === '1' ? '201' : '200';
  const response = `{"status":"${status}","etag":"W/\\"${stored.versionId}\\"","lastModified":"${stored.lastUpdated.toISOString()}"}`;
  const resource = stored.deleted ? '' : `"resource":${subsetJson(stored, subset)},`;
  return `{"fullUrl":"${base}/${path}",${resource}"request":{"method":"${stored.method}","url":"${url}"},"response":${response}}`;
}

/** A cursor says where a page ended. It holds no authority: changed by hand it only begins elsewhere. */
const printPlace = ({ lastUpdated, type, id }: StoredResource): string =>
  Buffer.from(JSON.stringify([lastUpdated.getTime(), type, id])).toString('base64url');

function placeOf(text: string | null): HistoryPlace | null {
  if (text === null) return null;
  try {
    const [time, type, id]: unknown[] = JSON.parse(Buffer.from(text, 'base64url').toString());
    if (isTime(time) && isWord(type) && isWord(id)) return { lastUpdated: new Date(time), type, id };
  } catch {
    // falls through to the refusal
  }
  throw badParameter('_cursor', 'The page link is damaged; start the history again.');
}

/** Up to the year 9999, in milliseconds. */
const isTime = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 253_402_300_800_000;

const isWord = (value: unknown): value is string =>
  typeof value === 'string' && /^[A-Za-z0-9\-.]{1,64}$/.test(value);
