import type { ValueSetComposeIncludeConcept } from '@medplum/fhirtypes';
import { ConceptSet } from '../sets/concept-set.ts';
import { wordsFit, wordsOf } from '../sets/words.ts';
import type { CodeSystemView, Concept, ConceptProperty, Designation } from './code-system-view.ts';

/**
 * The codes that value sets list of a code system that is not here: all that is known of it. It grows while a value set is put together,
 * and knows no hierarchy, no properties and nothing of what is inactive.
 */
export class ListedCodes implements CodeSystemView {
  readonly name: string;
  readonly caseSensitive = true;
  readonly complete = false;
  private readonly concepts: Concept[] = [];
  private readonly names: (readonly Designation[])[] = [];
  private readonly byCode = new Map<string, Concept>();

  constructor(
    readonly url: string,
    readonly version: string | null,
  ) {
    this.name = url;
  }

  get size(): number {
    return this.concepts.length;
  }

  /** Gives the number of each concept. */
  list(concepts: readonly ValueSetComposeIncludeConcept[]): number[] {
    return concepts.map((listed) => {
      const code = listed.code ?? '';
      const known = this.byCode.get(code);
      if (known) return known.id;
      const id = this.concepts.length;
      const concept = { id, code, display: listed.display ?? code, ...UNKNOWN };
      this.concepts.push(concept);
      this.names.push(
        (listed.designation ?? []).map(({ language, use, value }) => ({
          language: language ?? null,
          use: use ?? null,
          value: value ?? '',
        })),
      );
      this.byCode.set(code, concept);
      return id;
    });
  }

  async find(codes: readonly string[]): Promise<ReadonlyMap<string, Concept>> {
    const found = new Map<string, Concept>();
    for (const code of codes) {
      const concept = this.byCode.get(code);
      if (concept) found.set(code, concept);
    }
    return found;
  }

  async read(ids: readonly number[]): Promise<Concept[]> {
    return ids.map((id) => this.concepts[id] as Concept);
  }

  async designations(ids: readonly number[]): Promise<ReadonlyMap<number, readonly Designation[]>> {
    return new Map(ids.map((id) => [id, this.names[id] ?? []]));
  }

  async matching(words: readonly string[]): Promise<ConceptSet> {
    const fitting = this.concepts.filter(({ id, code, display }) =>
      wordsFit(words, [
        code.toLowerCase(),
        ...wordsOf(display),
        ...(this.names[id] ?? []).flatMap(({ value }) => wordsOf(value)),
      ]),
    );
    return ConceptSet.of(
      this.size,
      fitting.map(({ id }) => id),
    );
  }

  properties = async (): Promise<readonly ConceptProperty[]> => [];
  parents = async (): Promise<readonly number[]> => [];
  children = async (): Promise<ConceptSet> => new ConceptSet(this.size);
  ancestors = async (): Promise<ConceptSet> => new ConceptSet(this.size);
  descendants = async (): Promise<ConceptSet> => new ConceptSet(this.size);
  inactive = async (): Promise<ConceptSet> => new ConceptSet(this.size);
  abstract = async (): Promise<ConceptSet> => new ConceptSet(this.size);
  withProperty = async (): Promise<ConceptSet | null> => null;
}

const UNKNOWN = { definition: null, inactive: false, abstract: false } as const;
