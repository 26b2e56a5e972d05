import type { StoredResource } from '../stored-resource.ts';

/** A current row: what a write must know of it. */
export interface CurrentVersion {
  readonly stored: StoredResource;
  /** See `search-digest.ts`. */
  readonly digest: string;
}

/** Some thousand resources of ordinary size: what is updated was mostly written not long ago. */
export const RECENT_CHARACTERS_MAX = 8 * 2 ** 20;
/** A larger one would push out many. */
const ONE_CHARACTERS_MAX = 2 ** 16;

/**
 * The versions that this process wrote last. A write of one of them need not fetch and lock it first: it says which version it takes for the
 * current one, and fails when another one is there (somebody else has written), to be done again with a look. What stands here is only ever a guess.
 */
export class RecentVersions {
  private readonly versions = new Map<string, CurrentVersion>();
  private characters = 0;

  constructor(private readonly charactersMax = RECENT_CHARACTERS_MAX) {}

  get(key: string): CurrentVersion | undefined {
    return this.versions.get(key);
  }

  keep(key: string, version: CurrentVersion): void {
    this.forget(key);
    const { length } = version.stored.json;
    if (length > ONE_CHARACTERS_MAX) return;
    this.versions.set(key, version);
    this.characters += length;
    for (const oldest of this.versions.keys()) {
      if (this.characters <= this.charactersMax) break;
      this.forget(oldest);
    }
  }

  forget(key: string): void {
    this.characters -= this.versions.get(key)?.stored.json.length ?? 0;
    this.versions.delete(key);
  }
}
