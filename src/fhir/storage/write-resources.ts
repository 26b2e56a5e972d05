import { randomUUIDv7 } from 'node:crypto';
import { GUESS_FAILED_SQLSTATE, type Transaction } from '../../database/database.ts';
import type { Acting } from '../../kernel/acting.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { type AccessContext, accessCondition, demandAccess } from '../access-context.ts';
import { indexResource } from '../search/index-resource.ts';
import { type IndexRows, noIndexRows } from '../search/index-rows.ts';
import { mainDateOf } from '../search/main-date.ts';
import { solePatientOf } from '../search/sole-patient.ts';
import { SqlParameters } from '../sql-parameters.ts';
import { instantText, type ResourceRow, rowToStored } from '../stored-resource.ts';
import type { CurrentVersion, RecentVersions } from './recent-versions.ts';
import { searchDigest } from './search-digest.ts';
import { type Planned, planWrite, type ResourceWrite } from './write-plan.ts';
import {
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
  /** See `ResourceChange.acting`. */
  readonly acting?: Acting | null;
}

export interface WriteOptions {
  readonly clock: Clock;
  readonly base: string;
  /** Kept up to date with what is written. */
  readonly recent: RecentVersions;
  /** What is recent need not be locked; the transaction may fail with `OUTDATED_SQLSTATE`, and must then be tried again. */
  readonly guess: boolean;
}

/** Somebody else wrote a version between the look and the write. The second try looks again. */
export const OUTDATED_SQLSTATE = GUESS_FAILED_SQLSTATE;

/**
 * Writes all changes: locks what exists, which takes a round trip, then supersedes it and inserts what is new in up to three statements that go with
 * the next statement of the transaction or its commit. Creates alone lock nothing. Throws `fhir.version-conflict`, `fhir.conflict`, `auth.scope`;
 * then nothing is written.
 */
export async function writeResources(
  tx: Transaction,
  asked: readonly AskedWrite[],
  options: WriteOptions,
): Promise<Planned[]> {
  const keyed = asked.map((one) => ({ ...one, ...keyOf(one.write) }));
  if (new Set(keyed.map(({ key }) => key)).size !== keyed.length) {
    throw new Failure('fhir.invalid', 'One write must not change the same resource twice.');
  }
  for (const { write, access, type } of keyed) demandAccess(access, type, write.kind);
  const current = (options.guess ? guessed(keyed, options.recent) : null) ?? (await lock(tx, keyed));
  const now = options.clock.now();
  const changes: Indexed[] = [];
  const planned = keyed.map(({ write, access, acting, type, id, key }) => {
    const before = current.get(key) ?? null;
    if (!before && write.kind === 'update') demandUpsert(access, type);
    const plan = planWrite(write, id, before?.stored ?? null, now);
    if (!plan.change) return plan;
    if (acting) plan.change.acting = acting;
    const change = indexed(key, plan, before, options.base);
    demandWritten(access, change);
    changes.push(change);
    return plan;
  });
  for (const { statement, values } of statementsOf(changes)) {
    if (tx.later) tx.later(statement, values);
    else await tx.run(statement, values);
  }
  remember(tx, changes, options.recent);
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
  const same = old.filter((one) => one.digest === one.before?.digest);
  const other = old.filter((one) => one.digest !== one.before?.digest);
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
  /** `Type/id` */
  readonly key: string;
  readonly plan: Planned;
  readonly rows: IndexRows;
  readonly digest: string;
  /** The version that is superseded; null: there is none. */
  readonly before: CurrentVersion | null;
}

function indexed(key: string, plan: Planned, before: CurrentVersion | null, base: string): Indexed {
  const resource = plan.change?.resource;
  const rows = resource ? indexResource(resource, base) : noIndexRows();
  return { key, plan, rows, digest: searchDigest(rows), before };
}

function keyOf(write: ResourceWrite): { type: string; id: string; key: string } {
  const type = write.kind === 'delete' ? write.type : write.resource.resourceType;
  const id = write.kind === 'delete' ? write.id : (write.resource.id ?? newResourceId());
  return { type, id, key: `${type}/${id}` };
}

/** The current rows as far as they are known here; null when one is not, or its caller may not see all, or counts on another version. */
function guessed(keyed: readonly Keyed[], recent: RecentVersions): Map<string, CurrentVersion> | null {
  const known = new Map<string, CurrentVersion>();
  for (const one of keyed) {
    if (one.write.kind === 'create') continue;
    const version = recent.get(one.key);
    const { ifVersion } = one.write;
    if (!version || (ifVersion !== undefined && ifVersion !== version.stored.versionId)) return null;
    if (conditionOf(one, 'r', new SqlParameters()) !== null) return null;
    known.set(one.key, version);
  }
  return known;
}

/** More at once is an import: what it writes is not what is updated next. */
const REMEMBERED_MAX = 64;

function remember(tx: Transaction, changes: readonly Indexed[], recent: RecentVersions): void {
  tx.afterRollback(() => {
    for (const { key } of changes) recent.forget(key);
  });
  tx.afterCommit(() => {
    for (const { key, plan, digest } of changes) {
      if (changes.length > REMEMBERED_MAX || plan.stored.deleted) recent.forget(key);
      else recent.keep(key, { stored: plan.stored, digest });
    }
  });
}

/** The current rows of what exists, locked. Those that the caller may not change look as if they were not there. */
async function lock(tx: Transaction, keyed: readonly Keyed[]): Promise<Map<string, CurrentVersion>> {
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

const byKey = (rows: readonly LockedRow[]): Map<string, CurrentVersion> =>
  new Map(
    rows.map((row) => [`${row.type}/${row.id}`, { stored: rowToStored(row), digest: row.search_digest }]),
  );

const owned = (changes: readonly Indexed[]) =>
  changes.map(({ plan: { stored }, rows }) => ({ type: stored.type, id: stored.id, rows }));

function freshColumns(changes: readonly Indexed[]): unknown[][] {
  const stored = changes.map(({ plan }) => plan.stored);
  return [
    stored.map((one) => one.type),
    stored.map((one) => one.id),
    stored.map((one) => one.versionId),
    stored.map((one) => instantText(one.lastUpdated)),
    stored.map((one) => one.method),
    stored.map((one) => one.json),
    changes.map(({ rows }) => [...rows.tokens]),
    changes.map(({ digest }) => digest),
    changes.map(({ plan, rows }) => mainDateOf(plan.stored.type, rows)),
    changes.map(({ rows }) => solePatientOf(rows.tokens)),
  ];
}

function supersededColumns(changes: readonly Indexed[]): unknown[][] {
  const stored = changes.map(({ plan }) => plan.stored);
  return [
    stored.map((one) => one.type),
    stored.map((one) => one.id),
    changes.map(({ plan }) => plan.supersedes),
    changes.map(({ before }) => before?.stored.lastUpdated.toISOString()),
    changes.map(({ before }) => before?.digest),
    stored.map((one) => one.versionId),
    stored.map((one) => instantText(one.lastUpdated)),
    stored.map((one) => one.deleted),
    stored.map((one) => one.method),
    stored.map((one) => one.json),
    changes.map(({ digest }) => digest),
    changes.map(({ plan, rows }) => mainDateOf(plan.stored.type, rows)),
    changes.map(({ rows }) => solePatientOf(rows.tokens)),
    changes.map(({ rows }) => [...rows.tokens]),
  ];
}
