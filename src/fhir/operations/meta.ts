import type { Coding, Meta, Parameters, Resource } from '@medplum/fhirtypes';
import type { Database, Transaction } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, demandAccess } from '../access-context.ts';
import { definitions } from '../definitions/definitions.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../operation-registry.ts';
import { copyWith } from '../resource-json.ts';
import type { ResourceStore } from '../resource-store.ts';
import { validateResource } from '../validate/validate-resource.ts';
import { readMetaInUse } from './meta.store.ts';
import { parametersOf } from './read-parameters.ts';

/** R4 resource-operation-meta.html, -meta-add.html, -meta-delete.html for one type (`$meta` for the whole system with type null). */
export function metaOperations(type: string | null, store: ResourceStore, database: Database): Operation[] {
  const inUse = (request: OperationRequest) => metaInUse(type, request, store, database);
  if (type === null) return [{ name: '$meta', level: 'system', parameters: [], get: true, run: inUse }];
  return [
    { name: '$meta', level: 'type', type, parameters: [], get: true, run: inUse },
    {
      name: '$meta',
      level: 'instance',
      type,
      parameters: [],
      get: true,
      run: (request) => metaOf(request, store),
    },
    {
      name: '$meta-add',
      level: 'instance',
      type,
      parameters: ['meta'],
      run: (request) => change(request, store, database, added),
    },
    {
      name: '$meta-delete',
      level: 'instance',
      type,
      parameters: ['meta'],
      run: (request) => {
        // A label guards a resource: whoever takes it off must also be allowed to remove the resource itself.
        if (labelsIn(request).security.length > 0) demandRelabel(request.access, type);
        return change(request, store, database, removed);
      },
    },
  ];
}

function demandRelabel(access: AccessContext, type: string): void {
  demandAccess(access, type, 'delete');
  if (access.relabels === false)
    throw new Failure('auth.scope', 'No role of this token may take a security label off.');
}

async function metaOf(
  { type, id, access }: OperationRequest,
  store: ResourceStore,
): Promise<OperationAnswer> {
  demandAccess(access, type ?? '', 'read');
  const stored = await store.read(type ?? '', id ?? '', undefined, access);
  if (!stored) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  if (stored.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
  return answer(stored.parse().meta ?? {});
}

/** What is used anywhere, without versions and times. Only of resources that the caller may search. */
async function metaInUse(
  type: string | null,
  { access }: OperationRequest,
  store: ResourceStore,
  database: Database,
): Promise<OperationAnswer> {
  if (type !== null) demandAccess(access, type, 'search');
  const types = (type === null ? definitions().resourceTypes : [type]).filter((one) =>
    access.allows(one, 'search'),
  );
  if (types.length === 0) return answer(NONE);
  // The same tag on resources of several types is one.
  return answer(union(NONE, await readMetaInUse(database, types, access, store.base)));
}

async function change(
  request: OperationRequest,
  store: ResourceStore,
  database: Database,
  apply: (old: Labels, given: Labels) => Labels,
): Promise<OperationAnswer> {
  const { type, id, access } = request;
  demandAccess(access, type ?? '', 'update');
  const given = labelsIn(request);
  const meta = await database.transaction(async (tx: Transaction) => {
    const stored = await store.read(type ?? '', id ?? '', tx, access);
    if (!stored) throw new Failure('fhir.not-found', 'There is no resource with this id.');
    if (stored.deleted) throw new Failure('fhir.deleted', 'The resource was deleted.');
    const old = stored.parse<Resource & { id: string }>();
    const { profile: _p, tag: _t, security: _s, ...rest } = old.meta ?? {};
    const meta = withoutEmpty({ ...rest, ...apply(labelsOf(old.meta ?? {}), given) });
    const resource = copyWith(old, { meta });
    const write = { kind: 'update', resource, ifVersion: stored.versionId, unchanged: 'skip' } as const;
    const [written] = await store.write(tx, [write], access);
    return written?.parse().meta ?? {};
  });
  return answer(meta);
}

interface Labels {
  readonly profile: readonly string[];
  readonly tag: readonly Coding[];
  readonly security: readonly Coding[];
}

const NONE: Labels = { profile: [], tag: [], security: [] };

/** The `meta` parameter, held to the rules of R4 like any Meta. */
function labelsIn(request: OperationRequest): Labels {
  const meta = parametersOf(request.body).find((one) => one.name === 'meta')?.valueMeta;
  if (!meta)
    throw new Failure('fhir.invalid', 'The operation needs a parameter meta with a valueMeta.', {
      issues: [{ text: 'must have one parameter meta (Meta)', at: 'Parameters.parameter', type: 'required' }],
    });
  validateResource({ resourceType: 'Basic', code: { text: 'meta' }, meta } as Resource);
  return labelsOf(meta);
}

const labelsOf = ({ profile = [], tag = [], security = [] }: Meta): Labels => ({ profile, tag, security });

/** R4 resource.html#meta: a coding is known by system and code; its display and version do not make another. */
const keyOf = (coding: Coding): string => `${coding.system ?? ''}|${coding.code ?? ''}`;

const added = (old: Labels, given: Labels): Labels => union(old, given);

function union(a: Labels, b: Labels): Labels {
  const codings = (first: readonly Coding[], second: readonly Coding[]): Coding[] => {
    const all = new Map(first.map((one) => [keyOf(one), one]));
    for (const one of second) if (!all.has(keyOf(one))) all.set(keyOf(one), one);
    return [...all.values()];
  };
  return {
    profile: [...new Set([...a.profile, ...b.profile])],
    tag: codings(a.tag, b.tag),
    security: codings(a.security, b.security),
  };
}

/** Labels that are not there are no fault. */
function removed(old: Labels, given: Labels): Labels {
  const without = (all: readonly Coding[], gone: readonly Coding[]): Coding[] => {
    const keys = new Set(gone.map(keyOf));
    return all.filter((one) => !keys.has(keyOf(one)));
  };
  return {
    profile: old.profile.filter((one) => !given.profile.includes(one)),
    tag: without(old.tag, given.tag),
    security: without(old.security, given.security),
  };
}

/** Empty arrays are not allowed in FHIR JSON. */
function withoutEmpty(meta: object): Meta {
  return Object.fromEntries(
    Object.entries(meta).filter(([, value]) => !Array.isArray(value) || value.length > 0),
  ) as Meta;
}

function answer(meta: Labels | Meta): OperationAnswer {
  const valueMeta = withoutEmpty(meta);
  const resource: Parameters = { resourceType: 'Parameters', parameter: [{ name: 'return', valueMeta }] };
  return { status: 200, resource };
}
