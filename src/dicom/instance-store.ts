/** Where results are stored: the PACS the studies come from, or the embedded archive. Steps know this interface only. */
export interface InstanceStore {
  /**
   * Stores Part 10 files, all of one study. A refused instance is a value, not an error; what is there already with the same
   * content counts as stored. Throws `dicomweb.*` or `archive.*` when the request as a whole fails; storing again is safe.
   */
  store(studyInstanceUid: string, files: readonly Uint8Array[]): Promise<StoreResult>;
}

export interface StoreResult {
  /** SOP Instance UIDs that are there now, those that were there before included. */
  readonly stored: readonly string[];
  readonly failed: readonly StoreFailed[];
}

export interface StoreFailed {
  readonly sopInstanceUid: string;
  /** Failure Reason (0008,1197), PS3.18 Table I.2-2 and PS3.4 Annex B. */
  readonly reason: number;
}

/** Injection token of the one `InstanceStore` of a process. */
export const INSTANCE_STORE = Symbol('InstanceStore');
