import type { CodeSystem, ConceptMap, ValueSet } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '../database/database.ts';
import { type AccessContext, demandAccess } from '../fhir/access-context.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import type { StoredResource } from '../fhir/stored-resource.ts';
import { PublishedResources } from './published/published-resources.ts';
import { implicitValueSet } from './sets/implicit-value-set.ts';
import type { CodeSystemView } from './systems/code-system-view.ts';
import { ConceptStore } from './systems/concept.store.ts';
import { MemoryCodeSystem } from './systems/memory-code-system.ts';
import { RecentlyUsed } from './systems/recently-used.ts';
import { StoredCodeSystem } from './systems/stored-code-system.ts';

/** Code systems out of resources that are kept ready, by the characters of their JSON; in memory they take some six times that. */
export const SYSTEMS_KEPT_CHARACTERS_MAX = 6_000_000;
/** Parsed value sets, code systems and maps that are kept ready. */
export const RESOURCES_KEPT_CHARACTERS_MAX = 6_000_000;
/** What a code system that R4 publishes is counted as: most are far smaller. */
const PUBLISHED_CHARACTERS = 50_000;
/** Resources of one URL, in different versions, that are looked at. */
export const VERSIONS_MAX = 50;

type Canonical = CodeSystem | ValueSet | ConceptMap;

/**
 * Finds terminology by URL: what was written over FHIR or imported first, then what R4 itself publishes. Everything of the store is looked up
 * as the caller, so nobody gets an answer out of a resource he may not read; what is kept ready is kept by id and version.
 */
@Injectable()
export class TerminologySources {
  private readonly published = new PublishedResources();
  private readonly systems = new RecentlyUsed<CodeSystemView>(SYSTEMS_KEPT_CHARACTERS_MAX);
  private readonly parsed = new RecentlyUsed<Canonical>(RESOURCES_KEPT_CHARACTERS_MAX);

  constructor(
    readonly store: ResourceStore,
    private readonly database: Database,
  ) {}

  /** Null: not here, or without its concepts. */
  async codeSystem(
    canonical: string,
    access: AccessContext,
    sql: Sql = this.database,
  ): Promise<CodeSystemView | null> {
    const [url, version] = splitCanonical(canonical);
    for (const stored of await this.find('CodeSystem', url, version, access, sql)) {
      const view = await this.viewOf(stored, sql);
      if (view) return view;
    }
    const key = `published ${canonical}`;
    const published = await this.published.read('CodeSystem', url, version);
    return published && this.systems.get(key, PUBLISHED_CHARACTERS, () => new MemoryCodeSystem(published));
  }

  async codeSystemById(id: string, access: AccessContext): Promise<CodeSystemView | null> {
    const stored = await this.readAs<CodeSystem>('CodeSystem', id, access);
    return stored && this.viewOf(stored, this.database);
  }

  /** One that came with the request. */
  codeSystemOf(resource: CodeSystem): CodeSystemView {
    return new MemoryCodeSystem(resource);
  }

  async valueSet(
    canonical: string,
    access: AccessContext,
    sql: Sql = this.database,
  ): Promise<ValueSet | null> {
    const [url, version] = splitCanonical(canonical);
    const implicit = implicitValueSet(url);
    if (implicit) return implicit;
    const [stored] = await this.find('ValueSet', url, version, access, sql);
    return stored ? this.parse<ValueSet>(stored) : this.published.read('ValueSet', url, version);
  }

  async valueSetById(id: string, access: AccessContext, sql: Sql = this.database): Promise<ValueSet | null> {
    const stored = await this.readAs('ValueSet', id, access, sql);
    return stored && this.parse<ValueSet>(stored);
  }

  async conceptMap(canonical: string, access: AccessContext): Promise<ConceptMap | null> {
    const [url, version] = splitCanonical(canonical);
    const [stored] = await this.find('ConceptMap', url, version, access, this.database);
    return stored ? this.parse<ConceptMap>(stored) : this.published.read('ConceptMap', url, version);
  }

  async conceptMapById(id: string, access: AccessContext): Promise<ConceptMap | null> {
    const stored = await this.readAs('ConceptMap', id, access);
    return stored && this.parse<ConceptMap>(stored);
  }

  /** Active concept maps that translate from or to a code system, newest first. */
  async conceptMaps(
    parameter: 'source-system' | 'target-system',
    system: string,
    access: AccessContext,
  ): Promise<ConceptMap[]> {
    const query = `${parameter}=${searchValue(system)}&status=active&_sort=-_lastUpdated&_count=${VERSIONS_MAX}`;
    const found = await this.store.search('ConceptMap', query, this.database, access);
    return found.matches.map((stored) => this.parse<ConceptMap>(stored));
  }

  private parse<T extends Canonical>(stored: StoredResource): T {
    return this.parsed.get(keyOf(stored), stored.json.length, () => stored.parse<T>()) as T;
  }

  /** The version asked for, else the one that was written last, active ones first. */
  private async find(
    type: Canonical['resourceType'],
    url: string,
    version: string | null,
    access: AccessContext,
    sql: Sql,
  ): Promise<StoredResource[]> {
    const query = `url=${searchValue(url)}&_sort=-_lastUpdated&_count=${VERSIONS_MAX}`;
    const { matches } = await this.store.search(type, query, sql, access);
    const ofVersion = matches.filter((stored) => version === null || this.parse(stored).version === version);
    const active = (stored: StoredResource) => (this.parse(stored).status === 'active' ? 0 : 1);
    return ofVersion.sort((a, b) => active(a) - active(b));
  }

  private async readAs<T extends Canonical>(
    type: T['resourceType'],
    id: string,
    access: AccessContext,
    sql: Sql = this.database,
  ): Promise<StoredResource | null> {
    demandAccess(access, type, 'read');
    const stored = await this.store.read(type, id, sql, access);
    return stored && !stored.deleted ? stored : null;
  }

  /** A supplement has no concepts of its own; one without concepts may have been imported. */
  private async viewOf(stored: StoredResource, sql: Sql): Promise<CodeSystemView | null> {
    const resource = this.parse<CodeSystem>(stored);
    if (resource.content === 'supplement') return null;
    if (resource.concept)
      return this.systems.get(keyOf(stored), stored.json.length, () => new MemoryCodeSystem(resource));
    // Inside a transaction its own connection is asked: one that waits for another could wait for ever.
    const concepts = new ConceptStore(sql);
    const imported = await concepts.system(resource.url ?? '', resource.version ?? null);
    return imported && new StoredCodeSystem(concepts, imported, resource.name ?? imported.url);
  }
}

const keyOf = ({ type, id, versionId, lastUpdated }: StoredResource): string =>
  `${type}/${id}/${versionId}/${lastUpdated.getTime()}`;

/** R4 references.html#canonical: `url|version`. */
export function splitCanonical(canonical: string): [url: string, version: string | null] {
  const bar = canonical.indexOf('|');
  return bar === -1 ? [canonical, null] : [canonical.slice(0, bar), canonical.slice(bar + 1) || null];
}

/** R4 search.html#escaping, then as part of a query. */
const searchValue = (text: string): string => encodeURIComponent(text.replace(/[\\,$|]/g, '\\$&'));
