import { randomUUIDv7 } from 'node:crypto';
import type { Transaction } from '../../database/database.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition, demandAccess } from '../access-context.ts';
import { indexResource } from '../search/index-resource.ts';
import { type IndexRows, noIndexRows } from '../search/index-rows.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { type ResourceRow, rowToStored, type StoredResource } from '../stored-resource.ts';
import { type Planned, planWrite, type ResourceWrite } from './write-plan.ts';
import { INSERT, LOCK_ORDER, LOCK_TEXT, SUPERSEDE } from './write-statements.ts';

/** Ids grow with time, so new rows stand together in the index and unsorted pages come in the order of creation. */
export const newResourceId = (): string => randomUUIDv7();

/**
 * Writes all changes in three statements at most: lock what exists, supersede it, insert what is new together with all search rows. Creates
 * alone need one. Throws `fhir.version-conflict`, `fhir.conflict`, `auth.scope`; then nothing is written.
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
  const planned = keyed.map(({ write, id, key }) => planWrite(write, id, current.get(key) ?? null, now));
  const changes = planned.filter((plan) => plan.change !== null);
  const indexed = changes.map((plan) => ({
    plan,
    rows: plan.change?.resource ? indexResource(plan.change.resource, options.base) : noIndexRows(),
  }));
  await supersede(
    tx,
    indexed.filter(({ plan }) => plan.supersedes !== null),
  );
  await insert(tx, indexed);
  return planned;
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
): Promise<Map<string, StoredResource>> {
  const existing = keyed.filter(({ write }) => write.kind !== 'create');
  if (existing.length === 0) return new Map();
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
  const rows = await tx.run<ResourceRow>(
    where === '' ? { name: 'fhir-lock', text } : { text },
    parameters.values,
  );
  return new Map(rows.map((row) => [`${row.type}/${row.id}`, rowToStored(row)]));
}

async function supersede(tx: Transaction, indexed: readonly Indexed[]): Promise<void> {
  if (indexed.length === 0) return;
  const stored = indexed.map(({ plan }) => plan.stored);
  const rows = await tx.run(SUPERSEDE, [
    stored.map((one) => one.type),
    stored.map((one) => one.id),
    indexed.map(({ plan }) => plan.supersedes),
    stored.map((one) => Number(one.versionId)),
    stored.map((one) => one.lastUpdated.toISOString()),
    stored.map((one) => one.deleted),
    stored.map((one) => one.method),
    stored.map((one) => one.json),
    indexed.map(({ rows }) => arrayLiteral(rows.tokens)),
  ]);
  if (rows.length !== indexed.length) {
    throw new Failure('fhir.version-conflict', 'The resource was changed meanwhile; read it and try again.');
  }
}

async function insert(tx: Transaction, indexed: readonly Indexed[]): Promise<void> {
  if (!indexed.some(({ plan, rows }) => plan.supersedes === null || hasRows(rows))) return;
  const fresh = indexed.filter(({ plan }) => plan.supersedes === null);
  const stored = fresh.map(({ plan }) => plan.stored);
  const dates = ofAll(indexed, (rows) => rows.dates);
  const strings = ofAll(indexed, (rows) => rows.strings);
  const numbers = ofAll(indexed, (rows) => rows.numbers);
  const quantities = ofAll(indexed, (rows) => rows.quantities);
  await tx.run(INSERT, [
    stored.map((one) => one.type),
    stored.map((one) => one.id),
    stored.map((one) => Number(one.versionId)),
    stored.map((one) => one.lastUpdated.toISOString()),
    stored.map((one) => one.method),
    stored.map((one) => one.json),
    fresh.map(({ rows }) => arrayLiteral(rows.tokens)),
    ...columns(dates, ['lo', 'hi']),
    ...columns(strings, ['value', 'exact']),
    ...columns(numbers, ['lo', 'hi']),
    ...columns(quantities, ['lo', 'hi', 'system', 'code', 'unit']),
  ]);
}

const hasRows = (rows: IndexRows): boolean =>
  rows.dates.length + rows.strings.length + rows.numbers.length + rows.quantities.length > 0;

type Row<R> = R & { type: string; id: string; param: string };

function ofAll<R extends { param: string }>(
  indexed: readonly Indexed[],
  of: (rows: IndexRows) => readonly R[],
): Row<R>[] {
  return indexed.flatMap(({ plan, rows }) => {
    const { type, id } = plan.stored;
    return of(rows).map((row) => ({ ...row, type, id }));
  });
}

/** type, id, param and the named columns, each as one array. */
function columns<R extends object>(rows: readonly R[], names: readonly (keyof R)[]): unknown[][] {
  return [...(['type', 'id', 'param'] as (keyof R)[]), ...names].map((name) => rows.map((row) => row[name]));
}

/** A PostgreSQL array literal: `{"a","b\"c"}`. */
function arrayLiteral(entries: ReadonlySet<string>): string {
  return `{${[...entries].map((entry) => `"${entry.replace(/[\\"]/g, '\\$&')}"`).join(',')}}`;
}
