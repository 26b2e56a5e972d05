import { randomUUIDv7 } from 'node:crypto';
import type { Transaction } from '../../database/database.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition, demandAccess } from '../access-context.ts';
import { indexResource } from '../search/index-resource.ts';
import { type IndexRows, noIndexRows } from '../search/index-rows.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';
import { searchDigest } from './search-digest.ts';
import { type Planned, planWrite, type ResourceWrite } from './write-plan.ts';
import {
  arrayLiteral,
  type Built,
  insertOf,
  LOCK_ONE,
  LOCK_ORDER,
  LOCK_TEXT,
  replaceOf,
  supersedeOf,
} from './write-statements.ts';

/** Ids grow with time, so new rows stand together in the index and unsorted pages come in the order of creation. */
export const newResourceId = (): string => randomUUIDv7();

/**
 * Writes all changes: locks what exists, which takes a round trip, then supersedes it and inserts what is new in up to three statements that go with
 * the next statement of the transaction or its commit. Creates alone lock nothing. Throws `fhir.version-conflict`, `fhir.conflict`, `auth.scope`;
 * then nothing is written.
 */
export async function writeResources(
  tx: Transaction,
  writes: readonly ResourceWrite[],
  options: { clock: Clock; base: string; access: AccessContext },
): Promise<Planned[]> {
  const keyed = writes.map((write) => ({ write, ...keyOf(write) }));
  if (new Set(keyed.map(({ key }) => key)).size !== keyed.length) {
    throw new Failure('fhir.invalid', 'One write must not change the same resource twice.');
  }
  for (const { write, type } of keyed) demandAccess(options.access, type, write.kind);
  const current = await lock(tx, keyed, options.access);
  const now = options.clock.now();
  const changes: Indexed[] = [];
  const planned = keyed.map(({ write, type, id, key }) => {
    const before = current.get(key) ?? null;
    if (!before && write.kind === 'update') demandUpsert(options.access, type);
    const plan = planWrite(write, id, before?.stored ?? null, now);
    if (plan.change) changes.push(indexed(plan, before?.digest ?? null, options.base));
    return plan;
  });
  for (const change of changes) demandWritten(options.access, change);
  for (const { statement, values } of statementsOf(changes)) {
    if (tx.later) tx.later(statement, values);
    else await tx.run(statement, values);
  }
  return planned;
}

/**
 * Who may see part of a type only creates nothing under an id of their own choice: whether there is such a resource that they may not see, or none, has
 * the same answer.
 */
function demandUpsert(access: AccessContext, type: string): void {
  if (accessCondition(access, type, 'update', 'r', new SqlParameters()) !== null)
    throw new Failure('fhir.not-found', 'There is no resource with this id.');
}

/** The new version must lie within the writer's rights as well: nobody moves a resource out of them, or makes one outside. */
function demandWritten(access: AccessContext, { plan, rows }: Indexed): void {
  const { change } = plan;
  if (!access.admits || !change || change.interaction === 'delete') return;
  if (access.admits(change.type, change.interaction, change.id, rows.tokens)) return;
  throw new Failure(
    'auth.scope',
    'The resource would lie outside of what the token may write: another patient, or not what its scopes are limited to.',
  );
}

function statementsOf(changes: readonly Indexed[]): Built[] {
  const fresh = changes.filter(({ plan }) => plan.supersedes === null);
  const old = changes.filter(({ plan }) => plan.supersedes !== null);
  const same = old.filter((one) => one.digest === one.digestBefore);
  const other = old.filter((one) => one.digest !== one.digestBefore);
  return [
    ...(same.length > 0 ? [supersedeOf(supersededColumns(same))] : []),
    ...(other.length > 0 ? [replaceOf(supersededColumns(other), owned(other))] : []),
    ...(fresh.length > 0 ? [insertOf(freshColumns(fresh), owned(fresh))] : []),
  ];
}

interface Keyed {
  readonly write: ResourceWrite;
  readonly type: string;
  readonly id: string;
  readonly key: string;
}

interface Indexed {
  readonly plan: Planned;
  readonly rows: IndexRows;
  readonly digest: string;
  /** Of the version that is superseded; null: there is none. */
  readonly digestBefore: string | null;
}

function indexed(plan: Planned, digestBefore: string | null, base: string): Indexed {
  const resource = plan.change?.resource;
  const rows = resource ? indexResource(resource, base) : noIndexRows();
  return { plan, rows, digest: searchDigest(rows), digestBefore };
}

function keyOf(write: ResourceWrite): { type: string; id: string; key: string } {
  const type = write.kind === 'delete' ? write.type : write.resource.resourceType;
  const id = write.kind === 'delete' ? write.id : (write.resource.id ?? newResourceId());
  return { type, id, key: `${type}/${id}` };
}

async function lock(
  tx: Transaction,
  keyed: readonly Keyed[],
  access: AccessContext,
): Promise<Map<string, Current>> {
  const existing = keyed.filter(({ write }) => write.kind !== 'create');
  if (existing.length === 0) return new Map();
  const [only] = existing;
  if (
    existing.length === 1 &&
    only &&
    accessCondition(access, only.type, only.write.kind as 'update' | 'delete', 'r', new SqlParameters()) ===
      null
  )
    return byKey(await tx.run<LockedRow>(LOCK_ONE, [only.type, only.id]));
  const parameters = new SqlParameters();
  parameters.add(existing.map(({ type }) => type));
  parameters.add(existing.map(({ id }) => id));
  const conditions = [...new Set(existing.map(({ type, write }) => `${type} ${write.kind}`))].flatMap(
    (pair) => {
      const [type = '', kind] = pair.split(' ') as [string, 'update' | 'delete'];
      const condition = accessCondition(access, type, kind, 'r', parameters);
      return condition === null ? [] : [`(r.type <> ${parameters.add(type, 'text')} OR (${condition}))`];
    },
  );
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  const text = `${LOCK_TEXT}${where}${LOCK_ORDER}`;
  return byKey(
    await tx.run<LockedRow>(where === '' ? { name: 'fhir-lock', text } : { text }, parameters.values),
  );
}

type LockedRow = ResourceRow & { readonly search_digest: string };

const byKey = (rows: readonly LockedRow[]): Map<string, Current> =>
  new Map(
    rows.map((row) => [`${row.type}/${row.id}`, { stored: rowToStored(row), digest: row.search_digest }]),
  );

interface Current {
  readonly stored: StoredResource;
  readonly digest: string;
}

const owned = (changes: readonly Indexed[]) =>
  changes.map(({ plan: { stored }, rows }) => ({ type: stored.type, id: stored.id, rows }));

function freshColumns(changes: readonly Indexed[]): unknown[][] {
  const stored = changes.map(({ plan }) => plan.stored);
  return [
    stored.map((one) => one.type),
    stored.map((one) => one.id),
    stored.map((one) => one.versionId),
    stored.map((one) => one.lastUpdated.toISOString()),
    stored.map((one) => one.method),
    stored.map((one) => one.json),
    changes.map(({ rows }) => arrayLiteral(rows.tokens)),
    changes.map(({ digest }) => digest),
  ];
}

function supersededColumns(changes: readonly Indexed[]): unknown[][] {
  const stored = changes.map(({ plan }) => plan.stored);
  return [
    stored.map((one) => one.type),
    stored.map((one) => one.id),
    changes.map(({ plan }) => plan.supersedes),
    stored.map((one) => one.versionId),
    stored.map((one) => one.lastUpdated.toISOString()),
    stored.map((one) => one.deleted),
    stored.map((one) => one.method),
    stored.map((one) => one.json),
    changes.map(({ rows }) => arrayLiteral(rows.tokens)),
    changes.map(({ digest }) => digest),
  ];
}
