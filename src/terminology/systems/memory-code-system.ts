import type { CodeSystem, CodeSystemConcept, CodeSystemConceptProperty } from '@medplum/fhirtypes';
import { ConceptSet } from '../sets/concept-set.ts';
import { wordsFit, wordsOf } from '../sets/words.ts';
import type {
  CodeSystemView,
  Concept,
  ConceptProperty,
  Designation,
  PropertyType,
} from './code-system-view.ts';
import { meaningOf } from './property-meaning.ts';

/**
 * A code system whose concepts stand in its resource (R4 codesystem.html). The hierarchy is the nesting of concepts and the properties `parent`,
 * `child` and `subsumedBy`; `notSelectable`, `inactive` and `status` are read as R4 codesystem-concept-properties.html defines them.
 */
export class MemoryCodeSystem implements CodeSystemView {
  readonly url: string;
  readonly version: string | null;
  readonly name: string;
  readonly caseSensitive: boolean;
  readonly complete: boolean;
  readonly size: number;
  private readonly concepts: readonly MemoryConcept[];
  private readonly byCode = new Map<string, MemoryConcept>();
  private readonly declared: ReadonlyMap<string, string>;
  private names: readonly (readonly string[][])[] | null = null;

  constructor(resource: CodeSystem) {
    this.url = resource.url ?? '';
    this.version = resource.version ?? null;
    this.name = resource.name ?? resource.title ?? this.url;
    this.caseSensitive = resource.caseSensitive !== false;
    this.complete = resource.content === 'complete';
    this.declared = new Map((resource.property ?? []).map((one) => [one.code ?? '', one.uri ?? '']));
    this.concepts = flatten(resource.concept ?? []);
    this.size = this.concepts.length;
    for (const concept of this.concepts) this.byCode.set(this.keyOf(concept.code), concept);
    for (const concept of this.concepts) this.link(concept);
  }

  async find(codes: readonly string[]): Promise<ReadonlyMap<string, Concept>> {
    return new Map(
      codes.flatMap((code) => {
        const found = this.byCode.get(this.keyOf(code));
        return found ? [[code, found] as const] : [];
      }),
    );
  }

  async read(ids: readonly number[]): Promise<Concept[]> {
    return ids.map((id) => this.at(id));
  }

  async designations(ids: readonly number[]): Promise<ReadonlyMap<number, readonly Designation[]>> {
    return new Map(ids.map((id) => [id, this.at(id).names]));
  }

  async properties(concept: Concept): Promise<readonly ConceptProperty[]> {
    return this.at(concept.id).properties;
  }

  async parents(concept: Concept): Promise<readonly number[]> {
    return [...this.at(concept.id).parents].sort((a, b) => a - b);
  }

  async children(concept: Concept): Promise<ConceptSet> {
    return ConceptSet.of(this.size, this.at(concept.id).children);
  }

  async ancestors(concept: Concept): Promise<ConceptSet> {
    return this.reach(concept.id, (at) => at.parents);
  }

  async descendants(concept: Concept): Promise<ConceptSet> {
    return this.reach(concept.id, (at) => at.children);
  }

  async matching(words: readonly string[]): Promise<ConceptSet> {
    this.names ??= this.concepts.map((concept) => [
      wordsOf(concept.display),
      ...concept.names.map((name) => wordsOf(name.value)),
      [concept.code.toLowerCase()],
    ]);
    const names = this.names;
    return this.where((concept) => wordsFit(words, (names[concept.id] ?? []).flat()));
  }

  async inactive(): Promise<ConceptSet> {
    return this.where((concept) => concept.inactive);
  }

  async abstract(): Promise<ConceptSet> {
    return this.where((concept) => concept.abstract);
  }

  async withProperty(property: string, values: readonly string[] | null): Promise<ConceptSet | null> {
    const known =
      this.declared.has(property) || this.concepts.some((one) => hasProperty(one, property, null));
    return known ? this.where((concept) => hasProperty(concept, property, values)) : null;
  }

  private at(id: number): MemoryConcept {
    return this.concepts[id] as MemoryConcept;
  }

  private keyOf(code: string): string {
    return this.caseSensitive ? code : code.toLowerCase();
  }

  private where(fits: (concept: MemoryConcept) => boolean): ConceptSet {
    return ConceptSet.of(
      this.size,
      this.concepts.filter(fits).map(({ id }) => id),
    );
  }

  /** A loop in the hierarchy ends where it began. */
  private reach(from: number, next: (concept: MemoryConcept) => ReadonlySet<number>): ConceptSet {
    const reached = new ConceptSet(this.size);
    const open = [...next(this.at(from))];
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      if (id === from || reached.has(id)) continue;
      reached.add(id);
      open.push(...next(this.at(id)));
    }
    return reached;
  }

  private link(concept: MemoryConcept): void {
    for (const { code, value } of concept.properties) {
      const meaning = meaningOf(code, this.declared.get(code));
      if (meaning === 'inactive' && value === 'true') concept.inactive = true;
      if (meaning === 'status' && /^(inactive|retired)$/.test(value)) concept.inactive = true;
      if (meaning === 'abstract' && value === 'true') concept.abstract = true;
      const other =
        meaning === 'parent' || meaning === 'child' ? this.byCode.get(this.keyOf(value)) : undefined;
      if (!other) continue;
      const [parent, child] = meaning === 'parent' ? [other, concept] : [concept, other];
      parent.children.add(child.id);
      child.parents.add(parent.id);
    }
  }
}

interface MemoryConcept extends Concept {
  inactive: boolean;
  abstract: boolean;
  readonly names: readonly Designation[];
  readonly properties: readonly ConceptProperty[];
  readonly parents: Set<number>;
  readonly children: Set<number>;
}

/** In the order of the resource: a parent before what is nested in it. Not recursive: nesting may be deep. */
function flatten(roots: readonly CodeSystemConcept[]): MemoryConcept[] {
  const found: MemoryConcept[] = [];
  const open = roots.map((concept) => ({ concept, parent: null as MemoryConcept | null })).reverse();
  for (let next = open.pop(); next; next = open.pop()) {
    const { concept, parent } = next;
    const made = toConcept(concept, found.length);
    found.push(made);
    if (parent) {
      made.parents.add(parent.id);
      parent.children.add(made.id);
    }
    for (const nested of [...(concept.concept ?? [])].reverse()) open.push({ concept: nested, parent: made });
  }
  return found;
}

function toConcept(concept: CodeSystemConcept, id: number): MemoryConcept {
  return {
    id,
    code: concept.code ?? '',
    display: concept.display ?? concept.code ?? '',
    definition: concept.definition ?? null,
    inactive: false,
    abstract: false,
    names: (concept.designation ?? []).map(({ language, use, value }) => ({
      language: language ?? null,
      use: use ?? null,
      value: value ?? '',
    })),
    properties: (concept.property ?? []).flatMap(toProperty),
    parents: new Set(),
    children: new Set(),
  };
}

/** R4 CodeSystem.concept.property.value[x]. A Coding is kept as `system|code`. */
export function toProperty(property: CodeSystemConceptProperty): ConceptProperty[] {
  for (const [key, value] of Object.entries(property)) {
    if (!key.startsWith('value') || key === 'value' || value === undefined) continue;
    const type = key.slice('value'.length);
    const known = TYPES.find((one) => one.toLowerCase() === type.toLowerCase());
    if (!known) continue;
    const text = known === 'Coding' ? `${value.system ?? ''}|${value.code ?? ''}` : String(value);
    return [{ code: property.code ?? '', type: known, value: text }];
  }
  return [];
}

const TYPES: readonly PropertyType[] = [
  'code',
  'Coding',
  'string',
  'integer',
  'boolean',
  'dateTime',
  'decimal',
];

function hasProperty(concept: MemoryConcept, property: string, values: readonly string[] | null): boolean {
  return concept.properties.some(
    ({ code, value }) => code === property && (values === null || values.includes(value)),
  );
}
