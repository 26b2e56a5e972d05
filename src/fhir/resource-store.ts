import { Inject, Injectable } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import type { AuditEntry } from '../database/audit-sink.ts';
import { Database, type Sql, type Transaction } from '../database/database.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { type AccessContext, type AccessInteraction, FULL_ACCESS } from './access-context.ts';
import { definitions } from './definitions/definitions.ts';
import { buildMatch } from './search/build-search.ts';
import { parseQuery } from './search/parse-query.ts';
import { runSearch, type SearchResult } from './search/run-search.ts';
import type { SearchQuery } from './search/search-query.ts';
import { type HistoryAsked, readVersions } from './storage/read-history.ts';
import {
  type HistoryPage,
  identifierEntries,
  NO_IDENTIFIERS,
  type ResourceId,
  readByIdentifiers,
  readHistory,
  readResource,
  readResources,
  readVersion,
  type TypedIdentifier,
} from './storage/read-resources.ts';
import { RecentVersions } from './storage/recent-versions.ts';
import type { ResourceChange, ResourceWrite } from './storage/write-plan.ts';
import {
  type AskedWrite,
  newResourceId,
  OUTDATED_SQLSTATE,
  writeResources,
} from './storage/write-resources.ts';
import type { StoredResource } from './stored-resource.ts';

export type { AskedWrite, ResourceChange, ResourceId, ResourceWrite, SearchResult, TypedIdentifier };
export { newResourceId, OUTDATED_SQLSTATE };

/** Called inside the transaction, when rows and search rows are written. Throwing rolls the write back. */
export type ChangeListener = (
  tx: Transaction,
  changes: readonly ResourceChange[],
  /** Who made them. */
  access: AccessContext,
  /** As the `guess` of `writeTogether`: a transaction that fails with `OUTDATED_SQLSTATE` is tried again. */
  guess: boolean,
) => Promise<void>;

/**
 * The door to stored resources for the rest of the server. Without an access context it acts for the server itself. Reads take an `sql`
 * to see what an open transaction has written. Nothing here validates: that is the door's work (`validate/`), steps write what their tests
 * have validated.
 */
@Injectable()
export class ResourceStore {
  /** Our FHIR base URL, no trailing slash. */
  readonly base: string;
  private readonly listeners: ChangeListener[] = [];
  private readonly clock: Clock = systemClock;
  private readonly recent = new RecentVersions();

  constructor(
    private readonly database: Database,
    @Inject(SETTINGS) settings: Pick<Settings, 'baseUrl'>,
  ) {
    this.base = `${settings.baseUrl}/fhir`;
  }

  /** The current version; null when there is none. A deleted resource comes back with `deleted`. */
  read(
    type: string,
    id: string,
    sql: Sql = this.database,
    access = FULL_ACCESS,
  ): Promise<StoredResource | null> {
    return readResource(sql, { type, id }, access);
  }

  /** Current versions in the order of `refs`; deleted and missing ones are left out. */
  async readMany(
    refs: readonly ResourceId[],
    sql: Sql = this.database,
    access = FULL_ACCESS,
  ): Promise<StoredResource[]> {
    const found = await readResources(sql, refs, access);
    const byKey = new Map(found.map((stored) => [`${stored.type}/${stored.id}`, stored]));
    return refs.flatMap(({ type, id }) => byKey.get(`${type}/${id}`) ?? []);
  }

  readVersion(
    type: string,
    id: string,
    version: number,
    sql: Sql = this.database,
    access = FULL_ACCESS,
  ): Promise<StoredResource | null> {
    return readVersion(sql, { type, id }, version, access, this.base);
  }

  /** Versions, newest first. */
  readHistory(
    type: string,
    id: string,
    page: HistoryPage,
    sql: Sql = this.database,
    access = FULL_ACCESS,
  ): Promise<StoredResource[]> {
    return readHistory(sql, { type, id }, page, access, this.base);
  }

  /** Versions of one resource, of a type or of several, newest first, with a place to go on from. */
  readVersions(
    asked: HistoryAsked,
    sql: Sql = this.database,
    access = FULL_ACCESS,
    interaction: AccessInteraction = 'read',
  ): Promise<StoredResource[]> {
    return readVersions(sql, asked, access, interaction, this.base);
  }

  /**
   * Makes all changes, in a handful of statements whatever their number, and tells the listeners. Gives back one stored version per write,
   * in their order (for a skipped one the version that is there). Throws `fhir.version-conflict` when `ifVersion` is not the
   * current version, `fhir.conflict` when a created id exists, `auth.scope`.
   */
  async write(
    tx: Transaction,
    writes: readonly ResourceWrite[],
    access: AccessContext = FULL_ACCESS,
  ): Promise<StoredResource[]> {
    return this.writeTogether(
      tx,
      writes.map((write) => ({ write, access })),
    );
  }

  /**
   * The same for changes that several callers ask for. `guess`: what this process wrote last is taken for the current version, which saves a round
   * trip; when it is not, the transaction fails with `OUTDATED_SQLSTATE`, and the next try looks.
   */
  async writeTogether(
    tx: Transaction,
    asked: readonly AskedWrite[],
    { guess = false }: { guess?: boolean } = {},
  ): Promise<StoredResource[]> {
    const { clock, base, recent } = this;
    const planned = await writeResources(tx, asked, { clock, base, recent, guess });
    const made = planned.flatMap(({ change }, at) => (change ? [{ change, access: asked[at]?.access }] : []));
    for (const [access, those] of Map.groupBy(made, (one) => one.access)) {
      const changes = those.map(({ change }) => change);
      for (const listener of this.listeners) await listener(tx, changes, access as AccessContext, guess);
    }
    return planned.map((plan) => plan.stored);
  }

  /** Runs a search such as `status=final&patient=1`. Throws `fhir.invalid` for a parameter or value it does not understand. */
  async search(
    type: string,
    query: string | URLSearchParams | SearchQuery,
    sql: Sql = this.database,
    access = FULL_ACCESS,
  ): Promise<SearchResult> {
    const parsed =
      typeof query === 'string' || query instanceof URLSearchParams ? parseQuery(type, query) : query;
    return runSearch(sql, parsed, access, this.base);
  }

  /** Resources with this identifier; two at most are needed to know that it is not unique, ten are given. */
  async findByIdentifier(
    type: string,
    system: string,
    value: string,
    sql: Sql = this.database,
  ): Promise<StoredResource[]> {
    return (await this.findByIdentifiers([{ type, system, value }], sql)).slice(0, 10);
  }

  /**
   * Resources that have any of the identifiers, in no special order and for the server itself, in one round trip; deleted ones are left
   * out. Identifiers longer than `TOKEN_CHARACTERS_MAX` are found by their beginning: who must be sure looks at what comes.
   */
  findByIdentifiers(
    identifiers: readonly TypedIdentifier[],
    sql: Sql = this.database,
  ): Promise<StoredResource[]> {
    return readByIdentifiers(sql, identifiers);
  }

  /** That nothing has any of the identifiers goes with the next statement of the transaction, or its commit, which fails with `GUESS_FAILED_SQLSTATE` when something has. */
  guessNoIdentifiers(identifiers: readonly TypedIdentifier[], tx: Transaction): void {
    tx.later?.(NO_IDENTIFIERS, [identifierEntries(identifiers)]);
  }

  /** Does the resource, as it stands in this transaction, meet the criteria (`status=available&modality=CT`)? Same SQL as a search. */
  async matches(tx: Sql, type: string, id: string, criteria: string): Promise<boolean> {
    const built = buildMatch(parseQuery(type, criteria), id, FULL_ACCESS, this.base);
    return (await tx.run({ text: built.text }, built.values)).length > 0;
  }

  /** Throws `fhir.invalid` when `matches` could not be asked with these criteria: no such type, no such search parameter, a value that means nothing. */
  checkCriteria(type: string, criteria: string): void {
    if (!definitions().resourceTypes.includes(type))
      throw new Failure('fhir.invalid', 'The criteria name no resource type of FHIR R4.');
    buildMatch(parseQuery(type, criteria), 'none', FULL_ACCESS, this.base);
  }

  /**
   * Records what is neither a read nor a write of a resource: a model run, a delivery. With `tx` it commits with the transaction, else it is
   * committed when this resolves. Does nothing where this process does not audit.
   */
  async record(entry: AuditEntry, tx?: Transaction): Promise<void> {
    const { audit } = this.database;
    await (tx ? audit?.recordIn(tx, [entry]) : audit?.record(entry));
  }

  /** From now on `listener` hears of every change, inside its transaction, in the order of registration. */
  onChange(listener: ChangeListener): void {
    this.listeners.push(listener);
  }
}
