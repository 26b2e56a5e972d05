import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { CodeSystem, ConceptMap, ValueSet } from '@medplum/fhirtypes';
import { PUBLISHED_FILES, type PublishedIndex, publishedFolder } from './published-files.ts';

interface ByType {
  readonly CodeSystem: CodeSystem;
  readonly ValueSet: ValueSet;
  readonly ConceptMap: ConceptMap;
}

/** What R4 itself publishes, read when somebody asks for it. The index (some 2,000 addresses, 0.3 MB) is read at the first question. */
export class PublishedResources {
  private folder: string | null = null;
  private index: PublishedIndex = {};

  /** Null: there is none of this URL, or not in this version. */
  async read<Type extends keyof ByType>(
    type: Type,
    url: string,
    version: string | null,
  ): Promise<ByType[Type] | null> {
    const folder = this.open();
    const key = `${type} ${url}`;
    const place = Object.hasOwn(this.index, key) ? this.index[key] : undefined;
    if (!place || (version !== null && version !== place[0])) return null;
    const [, start, bytes] = place;
    const file = await open(join(folder, PUBLISHED_FILES.lines));
    try {
      const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, start);
      return JSON.parse(buffer.toString('utf8')) as ByType[Type];
    } finally {
      await file.close();
    }
  }

  private open(): string {
    if (this.folder !== null) return this.folder;
    this.folder = publishedFolder();
    this.index = JSON.parse(readFileSync(join(this.folder, PUBLISHED_FILES.index), 'utf8')) as PublishedIndex;
    return this.folder;
  }
}
