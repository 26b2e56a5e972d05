import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import { badParameter } from '../at-parameter.ts';
import { definitions } from '../definitions/definitions.ts';
import { preferLenient } from '../fhir-request.ts';
import { subsetOf } from '../interactions/subset.ts';
import type { OperationRequest } from '../operation-registry.ts';
import { parametersOf, readParameters } from '../operations/read-parameters.ts';
import { instants } from '../search/kinds/date.ts';
import { typesInCompartment } from '../search/parse-compartment.ts';
import { parseQuery } from '../search/parse-query.ts';
import type { ExportRequest } from './bulk-job.ts';

/** A kick-off with more searches than this is several exports. */
export const TYPE_FILTERS_MAX = 50;

export const EXPORT_PARAMETERS = [
  '_outputFormat',
  '_since',
  '_type',
  '_typeFilter',
  '_elements',
  'includeAssociatedData',
];

/**
 * The kick-off of an export (Bulk Data Access IG 2.0, export.html#bulk-data-kick-off-request). Throws `fhir.invalid`, `fhir.unsupported`, `auth.scope`. Types that are
 * not named are those that the caller may search.
 */
export function readExportRequest(
  level: ExportRequest['level'],
  request: OperationRequest,
  base: string,
): ExportRequest {
  const patients = patientsAsked(level, request);
  const values = readParameters({ ...request, body: withoutPatients(request.body) });
  const one = (name: string): string | null => values.get(name)?.[0] ?? null;
  const lenient = preferLenient(request);
  if (!/(?:^|[,;\s])respond-async\b/.test(request.headers['prefer'] ?? ''))
    throw badParameter('Prefer', 'An export needs the header "Prefer: respond-async".');
  if (!FORMATS.has(one('_outputFormat')?.replace(' ', '+') ?? 'application/fhir+ndjson'))
    throw badParameter('_outputFormat', '_outputFormat may be application/fhir+ndjson.', 'fhir.unsupported');
  if (values.has('includeAssociatedData') && !lenient)
    throw badParameter(
      'includeAssociatedData',
      'includeAssociatedData is not supported; leave it out, or send Prefer: handling=lenient.',
      'fhir.unsupported',
    );
  const types = typesOf(level, values.get('_type'), request.access, lenient);
  const elements = one('_elements');
  if (elements !== null) subsetOf(new URLSearchParams({ _elements: elements }), types, { lenient });
  const path = [request.type, request.id, '$export'].filter((part) => part !== null).join('/');
  return {
    level,
    group: level === 'group' ? request.id : null,
    patients,
    types,
    since: sinceOf(one('_since')),
    typeFilters: typeFiltersOf(values.get('_typeFilter') ?? [], types, lenient),
    elements,
    url: request.query.size > 0 ? `${base}/${path}?${request.query}` : `${base}/${path}`,
  };
}

const FORMATS: ReadonlySet<string> = new Set(['application/fhir+ndjson', 'application/ndjson', 'ndjson']);

function typesOf(
  level: ExportRequest['level'],
  asked: readonly string[] | undefined,
  access: AccessContext,
  lenient: boolean,
): string[] {
  const known = definitions().resourceTypes;
  const possible = level === 'system' ? [...known].sort() : typesInCompartment('Patient');
  if (asked === undefined) {
    const types = possible.filter((type) => access.allows(type, 'search'));
    if (types.length === 0) throw new Failure('auth.scope', 'The token has no scope to search any type.');
    return types;
  }
  const named = [...new Set(asked.flatMap((list) => list.split(',')).map((type) => type.trim()))];
  if (named.some((type) => !known.includes(type)))
    throw badParameter('_type', '_type must name resource types of FHIR R4.');
  const types = named.filter((type) => possible.includes(type)).sort();
  if (types.length < named.length && !lenient)
    throw badParameter(
      '_type',
      'A type in _type is in no patient compartment; export it at [base]/$export.',
      'fhir.unsupported',
    );
  if (types.length === 0) throw badParameter('_type', '_type leaves nothing to export.');
  for (const type of types) demandAccess(access, type, 'search');
  return types;
}

/** Patients of one export by `patient`; more are a Group. */
export const EXPORT_PATIENTS_MAX = 1_000;

/** The parameter `patient`, a Reference each, which only a POST can hold. Null: none is named. In the URL it is refused: read over, everybody would be exported. */
function patientsAsked(level: ExportRequest['level'], request: OperationRequest): string[] | null {
  if (request.query.has('patient'))
    throw badParameter('patient', 'patient goes into the Parameters of a POST, as a valueReference.');
  const named = parametersOf(request.body).filter(({ name }) => name === 'patient');
  if (named.length === 0) return null;
  if (level === 'system')
    throw new Failure('fhir.unsupported', 'patient goes with Patient/$export or Group/[id]/$export.');
  if (named.length > EXPORT_PATIENTS_MAX)
    throw badParameter('patient', `patient may be given ${EXPORT_PATIENTS_MAX} times; use a Group for more.`);
  const ids = named.map(({ valueReference }) => {
    const id = /^Patient\/([A-Za-z0-9\-.]{1,64})$/.exec(valueReference?.reference ?? '')?.[1];
    if (!id)
      throw badParameter('patient', 'patient must be a valueReference to Patient/[id] on this server.');
    return id;
  });
  return [...new Set(ids)].sort();
}

function withoutPatients(body: OperationRequest['body']): OperationRequest['body'] {
  const kept = parametersOf(body).filter(({ name }) => name !== 'patient');
  return body === null ? null : { resourceType: 'Parameters', parameter: kept };
}

/** Read here so that a search that means nothing is refused at once, and kept as text. */
function typeFiltersOf(given: readonly string[], types: readonly string[], lenient: boolean): string[] {
  const all = given.flatMap((list) => splitFilters(list));
  if (all.length > TYPE_FILTERS_MAX)
    throw badParameter('_typeFilter', `_typeFilter may hold ${TYPE_FILTERS_MAX} searches at most.`);
  return all.filter((filter) => {
    const { type, search } = splitTypeFilter(filter);
    if (!types.includes(type)) {
      if (lenient) return false;
      throw badParameter(
        '_typeFilter',
        'A search in _typeFilter must be for one of the types that are exported.',
      );
    }
    parseQuery(type, new URLSearchParams(search));
    return true;
  });
}

/** IG 1.0 and many clients put several into one parameter: a comma that begins the next `Type?`. */
const splitFilters = (list: string): string[] => list.split(/,(?=[A-Z][A-Za-z]*\?)/);

/** `Observation?status=final` in two. Throws `fhir.invalid`. */
export function splitTypeFilter(filter: string): { type: string; search: string } {
  const match = /^([A-Z][A-Za-z]{1,63})\?(.+)$/s.exec(filter);
  if (!match?.[1] || !match[2]) throw badParameter('_typeFilter', '_typeFilter must be Type?search.');
  return { type: match[1], search: match[2] };
}

function sinceOf(text: string | null): string | null {
  if (text === null) return null;
  // A `+` in a query string arrives as a blank. Without a zone it is UTC, as in a search.
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) ? instants(text.replace(' ', '+')) : null;
  if (!at || Number.isNaN(Date.parse(at.lo)))
    throw badParameter('_since', '_since must be an instant, such as 2026-01-31T08:00:00Z.');
  return at.lo;
}
