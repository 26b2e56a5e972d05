import type { BundleEntry, Resource } from '@medplum/fhirtypes';
import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import type { FhirRequest } from '../fhir-request.ts';
import type { KnownProfiles } from '../profiles/known-profiles.ts';
import { copyWith } from '../resource-json.ts';
import { newResourceId } from '../resource-store.ts';
import { validateWrite } from '../validate/validate-resource.ts';
import { identifiedResourceOf, resourceOf } from './body-resource.ts';
import { entryRequest } from './bundle-entry.ts';
import { withClientMeta } from './client-meta.ts';
import { conditionalReferencesOf, withPlainReferences } from './conditional-references.ts';
import { typeAndIdOf, typeOf } from './interaction.ts';
import { type Patch, patchOf } from './patch-body.ts';

/** One entry of a transaction as understood, before anything is asked of the database. */
export interface Step {
  /** Position in the Bundle. */
  readonly at: number;
  readonly kind: 'delete' | 'create' | 'update' | 'patch' | 'read';
  readonly request: FhirRequest;
  readonly fullUrl: string | null;
  readonly type: string;
  /** Known from the URL, or made for a create; null where criteria decide. */
  readonly id: string | null;
  /** `identifier=…` of a conditional entry; null for one that is none. */
  readonly criteria: string | null;
  /** Of create and update; validated. */
  readonly resource: Resource | null;
  /** The conditional references in it. */
  readonly links: ReadonlySet<string>;
  readonly change: Patch | null;
}

/** What an entry is read and validated with: `brought` are the profiles and value sets of the transaction itself. */
export interface Beside {
  /** Our own address. */
  readonly base: string;
  readonly sql: Sql;
  readonly brought: KnownProfiles | null;
}

/** Reads and validates an entry. No lock is held meanwhile. Throws what the interaction sent alone would throw. */
export async function stepOf(
  entry: BundleEntry,
  outer: FhirRequest,
  at: number,
  beside: Beside,
): Promise<Step> {
  const request = entryRequest(entry, outer, beside.base);
  const fullUrl = typeof entry.fullUrl === 'string' ? entry.fullUrl : null;
  const common = { ...NOTHING, at, request, fullUrl };
  switch (request.method) {
    case 'POST':
      return createStep(request, common, beside);
    case 'PUT': {
      const target = targetOf(request);
      const resource =
        target.id === null
          ? resourceOf(request, target.type)
          : identifiedResourceOf(request, target.type, target.id);
      return { ...common, ...target, kind: 'update', resource, links: await validated(resource, beside) };
    }
    case 'PATCH':
      return { ...common, ...targetOf(request), kind: 'patch', change: patchOf(request) };
    case 'DELETE':
      return { ...common, ...targetOf(request), kind: 'delete' };
    default:
      return { ...common, kind: 'read' };
  }
}

const NOTHING = {
  type: '',
  id: null,
  criteria: null,
  resource: null,
  links: new Set<string>(),
  change: null,
};

async function createStep(request: FhirRequest, common: Omit<Step, 'kind'>, beside: Beside): Promise<Step> {
  const type = typeOf(request);
  if (request.path.length !== 1 || request.query.size > 0) {
    throw new Failure(
      'fhir.unsupported',
      'In a transaction POST takes a plain type; send operations and searches alone or in a batch.',
    );
  }
  const id = newResourceId();
  const resource = copyWith(withClientMeta(resourceOf(request, type)), { id });
  const criteria = request.headers['if-none-exist'] ?? null;
  return {
    ...common,
    kind: 'create',
    type,
    id,
    criteria,
    resource,
    links: await validated(resource, beside),
  };
}

/** `Patient/1`, or `Patient?identifier=…`. */
function targetOf(request: FhirRequest): Pick<Step, 'type' | 'id' | 'criteria'> {
  const { path, query } = request;
  if (path.length === 1 && query.size > 0)
    return { type: typeOf(request), id: null, criteria: String(query) };
  if (path.length === 2 && query.size === 0) return { ...typeAndIdOf(request), criteria: null };
  throw new Failure('fhir.invalid', 'PUT, PATCH and DELETE take Type/id, or Type?criteria.');
}

async function validated(resource: Resource, { sql, brought }: Beside): Promise<Set<string>> {
  const links = conditionalReferencesOf(resource);
  await validateWrite(links.size > 0 ? withPlainReferences(resource) : resource, sql, brought);
  return links;
}
