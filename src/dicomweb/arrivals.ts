import type { LocalInstance } from '../dicom/study-source.ts';
import { Failure } from '../kernel/errors.ts';
import type { RetrievalTaker } from './retrieve-instances.ts';

/** Promises of the files of a retrieval, kept one by one as they arrive. Each instance is taken once, however often the PACS gives it. */
export class Arrivals implements RetrievalTaker {
  /** Not begun to arrive yet. */
  readonly wanted: Set<string>;
  /** Where the files go; null until there is one. */
  folder: string | null = null;
  private readonly files: ReadonlyMap<string, PromiseWithResolvers<string>>;
  private stopped = false;

  constructor(sopInstanceUids: readonly string[]) {
    this.wanted = new Set(sopInstanceUids);
    this.files = new Map(sopInstanceUids.map((uid) => [uid, Promise.withResolvers<string>()]));
    // Whoever waits for the first one to fail need not wait for the others.
    for (const { promise } of this.files.values()) promise.catch(() => undefined);
  }

  path(sopInstanceUid: string): Promise<string> {
    return this.files.get(sopInstanceUid)!.promise;
  }

  wants(sopInstanceUid: string): boolean {
    if (this.stopped) throw new Failure('dicomweb.incomplete', 'The retrieval was ended before its end.');
    return this.wanted.delete(sopInstanceUid);
  }

  arrived({ sopInstanceUid, path }: LocalInstance): void {
    this.files.get(sopInstanceUid)?.resolve(path);
  }

  /** Nothing more comes; what is there stays. */
  fail(error: unknown): void {
    for (const { reject } of this.files.values()) reject(error);
  }

  /** Nobody wants the rest. */
  stop(): void {
    this.stopped = true;
  }
}
