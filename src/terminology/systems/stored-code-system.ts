import { ConceptSet } from '../sets/concept-set.ts';
import { addIds, readIds } from '../sets/id-list.ts';
import { PREFIX_CHARACTERS_MAX } from '../sets/words.ts';
import type {
  CodeSystemView,
  Concept,
  ConceptProperty,
  Designation,
  PropertyType,
} from './code-system-view.ts';
import type { ConceptRow, ConceptStore, ImportedSystem } from './concept.store.ts';

/** An imported code system: every question is one look into an index. */
export class StoredCodeSystem implements CodeSystemView {
  readonly url: string;
  readonly version: string;
  readonly caseSensitive: boolean;
  readonly complete = true;
  readonly size: number;
  private readonly system: number;

  constructor(
    private readonly store: ConceptStore,
    private readonly imported: ImportedSystem,
    readonly name: string,
  ) {
    this.url = imported.url;
    this.version = imported.version;
    this.caseSensitive = imported.caseSensitive;
    this.size = imported.concepts;
    this.system = imported.id;
  }

  async find(codes: readonly string[]): Promise<ReadonlyMap<string, ConceptRow>> {
    if (this.caseSensitive) {
      const rows = await this.store.byCodes(this.system, codes);
      return new Map(rows.map((row) => [row.code, row]));
    }
    const lower = codes.map((code) => code.toLowerCase());
    const rows = await this.store.byLowerCodes(this.system, lower);
    const found = new Map(rows.map((row) => [row.code.toLowerCase(), row]));
    return new Map(
      codes.flatMap((code) => {
        const row = found.get(code.toLowerCase());
        return row ? [[code, row] as const] : [];
      }),
    );
  }

  async read(ids: readonly number[]): Promise<ConceptRow[]> {
    if (ids.length === 0) return [];
    const rows = await this.store.byIds(this.system, ids);
    const byId = new Map(rows.map((row) => [row.id, row]));
    return ids.flatMap((id) => byId.get(id) ?? []);
  }

  async designations(ids: readonly number[]): Promise<ReadonlyMap<number, readonly Designation[]>> {
    const found = new Map<number, Designation[]>();
    for (const row of await this.store.designations(this.system, ids)) {
      const { use_system: system, use_code: code, use_display: display } = row;
      const use = {
        ...(system ? { system } : {}),
        ...(code ? { code } : {}),
        ...(display ? { display } : {}),
      };
      const one = { language: row.language, use: code ? use : null, value: row.value };
      found.set(row.concept, [...(found.get(row.concept) ?? []), one]);
    }
    return found;
  }

  async properties(concept: Concept): Promise<readonly ConceptProperty[]> {
    const rows = await this.store.properties(this.system, concept.id);
    return rows.map(({ property, value }) => ({
      code: property,
      value,
      type: (this.imported.properties[property] ?? 'string') as PropertyType,
    }));
  }

  async parents(concept: Concept): Promise<readonly number[]> {
    return [...readIds((await this.row(concept)).parents)];
  }

  children(concept: Concept): Promise<ConceptSet> {
    return this.list('c', String(concept.id));
  }

  async ancestors(concept: Concept): Promise<ConceptSet> {
    return ConceptSet.of(this.size, readIds((await this.row(concept)).ancestors));
  }

  descendants(concept: Concept): Promise<ConceptSet> {
    return this.list('d', String(concept.id));
  }

  async matching(words: readonly string[]): Promise<ConceptSet> {
    const sets = await Promise.all(words.map((word) => this.beginning(word)));
    return sets.reduce((all, set) => all.intersection(set), ConceptSet.all(this.size));
  }

  inactive(): Promise<ConceptSet> {
    return this.list('s', 'inactive');
  }

  abstract(): Promise<ConceptSet> {
    return this.list('s', 'abstract');
  }

  async withProperty(property: string, values: readonly string[] | null): Promise<ConceptSet | null> {
    if (!Object.hasOwn(this.imported.properties, property)) return null;
    return ConceptSet.of(this.size, await this.store.withProperty(this.system, property, values));
  }

  /** Short beginnings have a list of their own; a longer one is begun by few words. */
  private async beginning(start: string): Promise<ConceptSet> {
    if (start.length <= PREFIX_CHARACTERS_MAX) return this.list('p', start);
    const set = new ConceptSet(this.size);
    for (const ids of await this.store.listsFrom(this.system, start)) addIds(ids, set);
    return set;
  }

  private async list(kind: 'p' | 'd' | 'c' | 's', term: string): Promise<ConceptSet> {
    const set = new ConceptSet(this.size);
    const ids = (await this.store.lists(this.system, kind, [term])).get(term);
    if (ids) addIds(ids, set);
    return set;
  }

  /** A concept of this system came from a row of it. */
  private async row(concept: Concept): Promise<ConceptRow> {
    return 'ancestors' in concept
      ? (concept as ConceptRow)
      : ((await this.read([concept.id]))[0] as ConceptRow);
  }
}
