import type { ConceptSet } from '../sets/concept-set.ts';

/** A concept as far as most questions need it. */
export interface Concept {
  /** Its number in the code system: its place in the order in which concepts are shown. */
  readonly id: number;
  readonly code: string;
  readonly display: string;
  readonly definition: string | null;
  readonly inactive: boolean;
  /** Not to be chosen by a user: it only groups others. */
  readonly abstract: boolean;
}

export interface Designation {
  readonly language: string | null;
  readonly use: { readonly system?: string; readonly code?: string; readonly display?: string } | null;
  readonly value: string;
}

export interface ConceptProperty {
  readonly code: string;
  readonly value: string;
  readonly type: PropertyType;
}

export type PropertyType = 'code' | 'Coding' | 'string' | 'integer' | 'boolean' | 'dateTime' | 'decimal';

/**
 * One version of a code system, wherever its concepts lie: in a resource, in the tables of an import, or listed by a value set because the
 * code system is not here. What selects concepts gives a set, so that value sets of any size are put together in memory.
 */
export interface CodeSystemView {
  readonly url: string;
  readonly version: string | null;
  readonly name: string;
  readonly caseSensitive: boolean;
  /** Has it all codes of the code system? If not, a code it does not have may be good all the same. */
  readonly complete: boolean;
  /** Number of concepts. */
  readonly size: number;
  /** By code; a code that is not there is not in the map. Keys as asked for. */
  find(codes: readonly string[]): Promise<ReadonlyMap<string, Concept>>;
  /** By number, in the order asked for. */
  read(ids: readonly number[]): Promise<Concept[]>;
  designations(ids: readonly number[]): Promise<ReadonlyMap<number, readonly Designation[]>>;
  /** Without `parent` and `child`. */
  properties(concept: Concept): Promise<readonly ConceptProperty[]>;
  parents(concept: Concept): Promise<readonly number[]>;
  children(concept: Concept): Promise<ConceptSet>;
  /** Everything above; not the concept itself. */
  ancestors(concept: Concept): Promise<ConceptSet>;
  /** Everything below; not the concept itself. */
  descendants(concept: Concept): Promise<ConceptSet>;
  /** Concepts with a name or synonym in which every word is begun by one asked for. */
  matching(words: readonly string[]): Promise<ConceptSet>;
  inactive(): Promise<ConceptSet>;
  abstract(): Promise<ConceptSet>;
  /** Concepts that have the property, with one of the values if any are given. Null: no such property is declared. */
  withProperty(property: string, values: readonly string[] | null): Promise<ConceptSet | null>;
}
