import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import { badParameter } from '../at-parameter.ts';
import { definitions } from '../definitions/definitions.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../operation-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import { instants } from '../search/kinds/date.ts';
import { compartmentFilter, typesInCompartment } from '../search/parse-compartment.ts';
import { parseFilter } from '../search/parse-filter.ts';
import type { Filter } from '../search/search-query.ts';
import type { ResourceId } from '../storage/read-resources.ts';
import type { StoredResource } from '../stored-resource.ts';
import { careDateFilters } from './care-dates.ts';
import { type EverythingCursor, readAcrossTypes, type TypeFilters } from './everything.store.ts';
import { readParameters } from './read-parameters.ts';

/** Entries of a page without `_count`; what they refer to comes on top. */
export const EVERYTHING_ENTRIES = 200;
/** A page is joined in memory: a thousand resources of usual size are 2 MB. */
export const EVERYTHING_ENTRIES_MAX = 1_000;
/** Resources of one page that are only referred to. */
export const REFERRED_MAX = 1_000;

export type CompartmentCode = 'Patient' | 'Encounter';

/** Where the operation reads: the pool, or a database in tests. */
type Reads = Parameters<typeof readAcrossTypes>[0];

/**
 * R4 patient-operation-everything.html and encounter-operation-everything.html: the resource, all that is in its compartment, and what these
 * refer to (practitioners, organizations, devices, Binaries, …). References into other patients' compartments are not followed. Pages
 * are cut by type and id, so they stay complete while data change; a resource that is only referred to may come on several pages.
 */
export function everythingOperation(
  compartment: CompartmentCode,
  store: ResourceStore,
  sql: Reads,
): Operation {
  return {
    name: '$everything',
    level: 'instance',
    type: compartment,
    parameters: NAMES[compartment],
    get: true,
    run: (request) => everything(compartment, request, store, sql),
  };
}

async function everything(
  compartment: CompartmentCode,
  request: OperationRequest,
  store: ResourceStore,
  sql: Reads,
): Promise<OperationAnswer> {
  const { access, id = '' } = request;
  demandAccess(access, compartment, 'read');
  const asked = readAsked(request);
  const anchor = await store.read(compartment, id ?? '', undefined, access);
  if (!anchor) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  if (anchor.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
  const types = typeFilters(compartment, anchor.id, asked, access);
  const page = { after: asked.after, limit: asked.count + 1 };
  const found = await readAcrossTypes(sql, types, page, access, store.base);
  const shown = found.slice(0, asked.count).filter((one) => !isSame(one, anchor));
  const matches = asked.after === null ? [anchor, ...shown] : shown;
  const included = await referred(compartment, matches, store, access);
  const last = found.length > asked.count ? (found[asked.count - 1] ?? null) : null;
  return {
    status: 200,
    resource: null,
    json: bundleOf(request, asked.query, matches, included, last, store.base),
  };
}

interface Asked {
  /** All parameters, also those of a body: for the links. */
  readonly query: URLSearchParams;
  readonly count: number;
  readonly after: EverythingCursor | null;
  readonly types: ReadonlySet<string> | null;
  readonly since: string | null;
  readonly start: string | null;
  readonly end: string | null;
}

const NAMES: Readonly<Record<CompartmentCode, readonly string[]>> = {
  Patient: ['start', 'end', '_since', '_type', '_count', '_cursor'],
  Encounter: ['_since', '_type', '_count', '_cursor'],
};

function readAsked(request: OperationRequest): Asked {
  const values = readParameters(request);
  const one = (name: string): string | null => values.get(name)?.[0] ?? null;
  const count = one('_count') ?? String(EVERYTHING_ENTRIES);
  if (!/^[1-9]\d{0,5}$/.test(count)) throw badParameter('_count', '_count must be a whole number from 1.');
  const types = values.get('_type')?.flatMap((list) => list.split(',')) ?? null;
  if (types?.some((type) => !definitions().resourceTypes.includes(type)))
    throw badParameter('_type', '_type must name resource types of FHIR R4.');
  for (const name of ['start', 'end', '_since'])
    if (!isDate(plain(one(name)))) throw badParameter(name, `${name} must be a date or an instant.`);
  return {
    query: new URLSearchParams(
      [...values].flatMap(([name, all]) => all.map((value): [string, string] => [name, value])),
    ),
    count: Math.min(Number(count), EVERYTHING_ENTRIES_MAX),
    after: readCursor(one('_cursor')),
    types: types && new Set(types),
    since: plain(one('_since')),
    start: plain(one('start')),
    end: plain(one('end')),
  };
}

/** Looked at here, so that the refusal names what was sent and not the search parameter of a type; and so that no prefix and no comma comes in. */
const isDate = (text: string | null): boolean => text === null || instants(text) !== null;

/** A `+` in a query string arrives as a blank. */
const plain = (date: string | null): string | null => date?.replace(' ', '+') ?? null;

function typeFilters(
  compartment: CompartmentCode,
  id: string,
  asked: Asked,
  access: AccessContext,
): TypeFilters[] {
  return typesInCompartment(compartment).flatMap((type): TypeFilters[] => {
    if (asked.types && !asked.types.has(type)) return [];
    if (!access.allows(type, 'search')) return [];
    const inside = compartmentFilter({ type: compartment, ids: [id] }, type);
    if (!inside) return [];
    const since = asked.since === null ? null : parseFilter(type, '_lastUpdated', `ge${asked.since}`);
    const care = careDateFilters(type, asked.start, asked.end);
    const filters: Filter[] = [inside, ...(since ? [since] : []), ...care];
    return [{ type, filters }];
  });
}

const isSame = (a: StoredResource, b: StoredResource): boolean => a.type === b.type && a.id === b.id;

/** What the page refers to, found in the stored texts without parsing them. */
async function referred(
  compartment: CompartmentCode,
  matches: readonly StoredResource[],
  store: ResourceStore,
  access: AccessContext,
): Promise<StoredResource[]> {
  const own = definitions().compartments.get('Patient');
  const seen = new Set(matches.map(({ type, id }) => `${type}/${id}`));
  const wanted: ResourceId[] = [];
  for (const { json } of matches) {
    for (const [, type = '', id = ''] of json.matchAll(REFERENCE)) {
      const follow = !own?.has(type) || (compartment === 'Encounter' && type === 'Patient');
      if (!follow || seen.has(`${type}/${id}`) || !access.allows(type, 'read')) continue;
      if (!definitions().resourceTypes.includes(type) || wanted.length >= REFERRED_MAX) continue;
      seen.add(`${type}/${id}`);
      wanted.push({ type, id });
    }
  }
  return wanted.length === 0 ? [] : store.readMany(wanted, undefined, access);
}

const REFERENCE = /"(?:reference|url)":"([A-Z][A-Za-z]{1,63})\/([A-Za-z0-9\-.]{1,64})(?:\/_history\/\d+)?"/g;

function bundleOf(
  request: OperationRequest,
  query: URLSearchParams,
  matches: readonly StoredResource[],
  included: readonly StoredResource[],
  last: StoredResource | null,
  base: string,
): string {
  const url = `${base}/${request.type}/${request.id}/$everything`;
  const links = [link('self', url, query)];
  if (last) {
    const next = new URLSearchParams(query);
    next.set('_cursor', Buffer.from(JSON.stringify([last.type, last.id])).toString('base64url'));
    links.push(link('next', url, next));
  }
  const whole = last === null && !query.has('_cursor');
  const total = whole ? `"total":${matches.length},` : '';
  const entries = [
    ...matches.map((stored) => entryOf(stored, 'match', base)),
    ...included.map((stored) => entryOf(stored, 'include', base)),
  ];
  // Empty arrays are not allowed in FHIR JSON.
  const entry = entries.length === 0 ? '' : `,"entry":[${entries.join(',')}]`;
  return `{"resourceType":"Bundle","type":"searchset",${total}"link":[${links.join(',')}]${entry}}`;
}

const link = (relation: string, url: string, query: URLSearchParams): string =>
  `{"relation":"${relation}","url":${JSON.stringify(query.size > 0 ? `${url}?${query}` : url)}}`;

const entryOf = (stored: StoredResource, mode: 'match' | 'include', base: string): string =>
  `{"fullUrl":"${base}/${stored.type}/${stored.id}","resource":${stored.json},"search":{"mode":"${mode}"}}`;

/** A cursor holds no authority: changed by hand it only begins elsewhere. */
function readCursor(text: string | null): EverythingCursor | null {
  if (text === null) return null;
  try {
    const [type, id] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[];
    if (/^[A-Z][A-Za-z]{1,63}$/.test(String(type)) && /^[A-Za-z0-9\-.]{1,64}$/.test(String(id)))
      return { type: String(type), id: String(id) };
  } catch {
    // falls through to the refusal
  }
  throw badParameter('_cursor', 'The page link is damaged; start again.');
}
