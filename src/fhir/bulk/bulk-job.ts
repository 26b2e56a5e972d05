import type { Caller } from '../fhir-request.ts';

/** What an export was asked for; kept with the job. */
export interface ExportRequest {
  readonly level: 'system' | 'patient' | 'group';
  /** Id of the Group (level `group`). */
  readonly group: string | null;
  /** Ids of the patients to export (parameter `patient`), sorted; null or absent: all, or all of the group. */
  readonly patients?: readonly string[] | null;
  /** The types to export, sorted. */
  readonly types: readonly string[];
  /** Only what changed at or after this instant (ISO). */
  readonly since: string | null;
  /** `Type?search`: of these types only what any of its searches finds. */
  readonly typeFilters: readonly string[];
  /** `_elements` as given; null: whole resources. */
  readonly elements: string | null;
  /** The URL of the kick-off, for the manifest. */
  readonly url: string;
}

export interface ImportRequest {
  /** `upload`: what came as a body. `folder`: files of BULK_IMPORT_FOLDER. */
  readonly source: 'upload' | 'folder';
  readonly files: readonly { readonly name: string; readonly type: string | null; readonly bytes: number }[];
  readonly url: string;
}

export type BulkState = 'accepted' | 'running' | 'done' | 'failed' | 'cancelled';

/** A row of `bulk_job`. */
export interface BulkJob<R = ExportRequest | ImportRequest> {
  readonly id: string;
  readonly kind: 'export' | 'import';
  /** Whose it is, with the rights that it runs under. */
  readonly caller: Caller;
  readonly request: R;
  /** The point in time that an export shows. */
  readonly createdAt: Date;
  readonly settledAfter: string | null;
  readonly state: BulkState;
  readonly step: string;
  readonly position: Readonly<Record<string, unknown>>;
  /** Resources written. */
  readonly done: number;
  /** Lines refused. */
  readonly failed: number;
  readonly fault: string | null;
  readonly expiresAt: Date | null;
}

/** A row of `bulk_file`. */
export interface BulkFile {
  readonly number: number;
  readonly kind: 'output' | 'error' | 'deleted';
  readonly type: string;
  readonly lines: number;
  /** As many bytes of the file count. */
  readonly bytes: number;
}

export const EXPORT_QUEUE = 'bulk-export';
export const IMPORT_QUEUE = 'bulk-import';
export const EXPIRE_QUEUE = 'bulk-expire';

/** What the outbox carries. */
export interface BulkDue {
  readonly jobId: string;
}

/**
 * How long one run of a job works before it lets others have the worker: short enough that a stop of the server (which waits 10 s) never
 * cuts one, long enough that the overhead of a run does not count.
 */
export const SLICE_MS = 3_000;
