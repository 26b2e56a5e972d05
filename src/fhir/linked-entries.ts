import type { Entries } from './match-criteria.ts';
import { indexedParametersOf } from './search/search-parameters.ts';
import type { StoredResource } from './stored-resource.ts';

/** A version and what is searched of it. */
export interface KnownVersion {
  readonly versionId: string;
  readonly lastUpdated: Date;
  readonly entries: Entries;
}

interface Kept extends KnownVersion {
  /** What it was indexed by: a loaded SearchParameter makes other entries of the same version. */
  readonly parameters: unknown;
  readonly characters: number;
}

/** Some thousand patients. What is parsed and indexed takes about ten times this in memory. */
export const LINKED_CHARACTERS_MAX = 2 ** 20;
/** A larger one would push out many. */
const ONE_CHARACTERS_MAX = 2 ** 16;
/** One that was not what it was taken for is read for so long: somebody changes it often. */
export const SHUNNED_MS = 1_000;

/**
 * What resources that others refer to were when they were last read here. Only ever a guess: who goes by it has the version compared in the same
 * transaction, and looks again when it is another one.
 */
export class LinkedEntries {
  private readonly kept = new Map<string, Kept>();
  private readonly shunned = new Map<string, number>();
  private characters = 0;

  constructor(
    private readonly now: () => number = Date.now,
    private readonly charactersMax = LINKED_CHARACTERS_MAX,
  ) {}

  get(type: string, id: string): KnownVersion | undefined {
    const found = this.kept.get(`${type}/${id}`);
    return found?.parameters === indexedParametersOf(type) ? found : undefined;
  }

  keep({ type, id, versionId, lastUpdated, json: { length } }: StoredResource, entries: Entries): void {
    const key = `${type}/${id}`;
    this.drop(key);
    const until = this.shunned.get(key);
    if (length > ONE_CHARACTERS_MAX || (until !== undefined && this.now() < until)) return;
    this.shunned.delete(key);
    const parameters = indexedParametersOf(type);
    this.kept.set(key, { versionId, lastUpdated, entries, parameters, characters: length });
    this.characters += length;
    for (const oldest of this.kept.keys()) {
      if (this.characters <= this.charactersMax) break;
      this.drop(oldest);
    }
  }

  /** It was, or may have been, another version. */
  shun(keys: Iterable<string>): void {
    if (this.shunned.size > SHUNNED_MAX) this.shunned.clear();
    for (const key of keys) {
      this.drop(key);
      this.shunned.set(key, this.now() + SHUNNED_MS);
    }
  }

  /** It is being changed here. */
  drop(key: string): void {
    this.characters -= this.kept.get(key)?.characters ?? 0;
    this.kept.delete(key);
  }
}

/** More changed within a second are no patients whose results come in. */
const SHUNNED_MAX = 1_000;
