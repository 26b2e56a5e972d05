import { randomUUIDv7 } from 'node:crypto';
import type { Transaction } from '../../database/database.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition, demandAccess } from '../access-context.ts';
import { indexResource } from '../search/index-resource.ts';
import { type IndexRows, noIndexRows } from '../search/index-rows.ts';
import { mainDateOf } from '../search/main-date.ts';
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

/** A change with the access of who asks for it. */
export interface AskedWrite {
  readonly write: ResourceWrite;
  readonly access: AccessContext;
}

/**
 * Writes all changes: locks what exists, which takes a round trip, then supersedes it and inserts what is new in up to three statements that go with
 * the next statement of the transaction or its commit. Creates alone lock nothing. Throws `fhir.version-conflict`, `fhir.conflict`, `auth.scope`;
 * then nothing is written.
 */
export async function writeResources(
  tx: Transaction,
  asked: readonly AskedWrite[],
  options: { clock: Clock; base: string },
): Promise<Planned[]> {
  const keyed = asked.map(({ write, access }) => ({ write, access, ...keyOf(write) }));
  if (new Set(keyed.map(({ key }) => key)).size !== keyed.length) {
    throw new Failure('fhir.invalid', 'One write must not change the same resource twice.');
  }
  for (const { write, access, type } of keyed) demandAccess(access, type, write.kind);
  const current = await lock(tx, keyed);
  const now = options.clock.now();
  const changes: Indexed[] = [];
  const planned = keyed.map(({ write, id, key }) => {
    const before = current.get(key) ?? null;
    const plan = planWrite(write, id, before?.stored ?? null, now);
    if (plan.change) changes.push(indexed(plan, before?.digest ?? null, options.base));
    return plan;
  });
  for (const { statement, values } of statementsOf(changes)) {
    if (tx.later) tx.later(statement, values);
    else await tx.run(statement, values);
  }
  return planned;
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

interface Keyed extends AskedWrite {
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

/** The current rows of what exists, locked. Those that the caller may not change look as if they were not there. */
async function lock(tx: Transaction, keyed: readonly Keyed[]): Promise<Map<string, Current>> {
  const existing = keyed.filter(({ write }) => write.kind !== 'create');
  const [only] = existing;
  if (!only) return new Map();
  const limited = existing.filter((one) => conditionOf(one, 'r', new SqlParameters()) !== null);
  if (existing.length === 1 && limited.length === 0)
    return byKey(await tx.run<LockedRow>(LOCK_ONE, [only.type, only.id]));
  const parameters = new SqlParameters();
  parameters.add(existing.map(({ type }) => type));
  parameters.add(existing.map(({ id }) => id));
  const conditions = alike(limited).map((those) => {
    const type = parameters.add(those[0]?.type, 'text');
    const ids = parameters.add(
      those.map((one) => one.id),
      'text[]',
    );
    return `(r.type <> ${type} OR r.id <> ALL(${ids}) OR (${conditionOf(those[0] as Keyed, 'r', parameters)}))`;
  });
  const where = conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
  const text = `${LOCK_TEXT}${where}${LOCK_ORDER}`;
  return byKey(
    await tx.run<LockedRow>(where === '' ? { name: 'fhir-lock', text } : { text }, parameters.values),
  );
}

/** Those that meet one condition. */
function alike(keyed: readonly Keyed[]): Keyed[][] {
  const byAccess = [...Map.groupBy(keyed, ({ access }) => access).values()];
  return byAccess.flatMap((those) => [
    ...Map.groupBy(those, ({ type, write }) => `${type} ${write.kind}`).values(),
  ]);
}

const conditionOf = ({ access, type, write }: Keyed, alias: string, parameters: SqlParameters) =>
  accessCondition(access, type, write.kind as 'update' | 'delete', alias, parameters);

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
    changes.map(({ plan, rows }) => mainDateOf(plan.stored.type, rows)),
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
    changes.map(({ plan, rows }) => mainDateOf(plan.stored.type, rows)),
  ];
}
