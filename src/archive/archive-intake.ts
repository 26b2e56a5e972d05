import { resolve } from 'node:path';
import type { Transaction } from '../database/database.ts';
import { parseMediaTypes } from '../dicom/media-type.ts';
import type { MultipartPart } from '../dicom/read-multipart.ts';
import { elementsAllowed } from '../dicom/read-part10.ts';
import { Failure } from '../kernel/errors.ts';
import { ArchiveStore, type KnownInstance } from './archive.store.ts';
import {
  discardIncoming,
  type IncomingFile,
  instancePath,
  moveIntoPlace,
  syncIncoming,
  writeIncoming,
} from './instance-file.ts';
import type { InstanceRecord } from './instance-record.ts';
import { FAILURE_REASONS, type FailureReason, type ReadInstance, readInstance } from './read-instance.ts';
import type { ReceivingStudies } from './receiving-studies.ts';

/** How it went with one instance. */
export interface InstanceOutcome {
  readonly studyInstanceUid: string | null;
  readonly seriesInstanceUid: string | null;
  readonly sopInstanceUid: string | null;
  readonly sopClassUid: string | null;
  /** null: it is in the archive now. */
  readonly failure: FailureReason | null;
}

/** Called in the transaction that commits index rows, with the studies that grew. */
export type StoredListener = (tx: Transaction, studyInstanceUids: string[]) => Promise<void>;

/**
 * Instances per transaction. Their headers are in memory until it commits (about 1 MB), and whoever waits for the study
 * sees it grow in such steps (`ReceivingStudies` says that it does).
 */
export const BATCH_INSTANCES = 64;
/** Elements that the headers of a batch may have together: 64 ordinary ones, or 6 of large enhanced objects. */
export const BATCH_ELEMENTS_MAX = BATCH_INSTANCES * elementsAllowed(0);

interface Arrived {
  readonly file: IncomingFile;
  readonly read: ReadInstance;
}

/** Takes instances into the archive: file by file to disk, batch by batch into the index. */
export class ArchiveIntake {
  private readonly listeners: StoredListener[] = [];
  private readonly folder: string;

  constructor(
    private readonly store: ArchiveStore,
    folder: string,
    private readonly receiving: ReceivingStudies,
  ) {
    this.folder = resolve(folder);
  }

  onStored(listener: StoredListener): void {
    this.listeners.push(listener);
  }

  /**
   * Stores every part of a STOW request and says how each went. An instance is on disk and in the index when this returns; of a
   * request that breaks off, whole batches stay, and sending it again is success.
   */
  async take(parts: AsyncIterable<MultipartPart>, expectedStudy: string | null): Promise<InstanceOutcome[]> {
    const outcomes: InstanceOutcome[] = [];
    let batch: Promise<Arrived>[] = [];
    let elements = 0;
    const request = this.receiving.begin();
    try {
      for await (const part of parts) {
        const file = await writeIncoming(this.folder, part.body);
        const allowed = elementsAllowed(file.bytes);
        // The disk and the header are waited for together, once per batch.
        const arrived = this.examine(file, part, expectedStudy);
        arrived.then(
          ({ read }) => read.uids && request.bring(read.uids.studyInstanceUid),
          () => undefined,
        );
        batch.push(arrived);
        elements += allowed;
        if (batch.length >= BATCH_INSTANCES || elements > BATCH_ELEMENTS_MAX - allowed) {
          outcomes.push(...(await this.commit(batch)));
          batch = [];
          elements = 0;
        }
      }
      outcomes.push(...(await this.commit(batch)));
      batch = [];
      return outcomes;
    } catch (error) {
      throw unwritable(error) ?? error;
    } finally {
      request.end();
      const left = await Promise.allSettled(batch);
      await discardIncoming(
        left.flatMap((entry) => (entry.status === 'fulfilled' ? [entry.value.file] : [])),
      );
    }
  }

  private async examine(
    file: IncomingFile,
    part: MultipartPart,
    expectedStudy: string | null,
  ): Promise<Arrived> {
    try {
      const type = parseMediaTypes(part.headers['content-type'] ?? 'application/dicom')[0]?.type;
      if (!file.part10 || type !== 'application/dicom') {
        return { file, read: { kind: 'failed', reason: FAILURE_REASONS.notDicom, uids: null } };
      }
      const [read] = await Promise.all([readInstance(file.path, expectedStudy), syncIncoming(file)]);
      return { file, read };
    } catch (error) {
      await discardIncoming([file]);
      throw error;
    }
  }

  private async commit(batch: readonly Promise<Arrived>[]): Promise<InstanceOutcome[]> {
    if (batch.length === 0) return [];
    const arrived = await Promise.all(batch);
    try {
      const records = arrived.map(recordOf);
      const kept = new Map<string, KnownInstance>();
      await this.store.transaction(async (tx) => {
        const wanted = distinct(records);
        for (const [uid, known] of await this.store.known([...wanted.keys()], tx)) kept.set(uid, known);
        const fresh = [...wanted.values()].filter((record) => !kept.has(record.sopInstanceUid));
        if (fresh.length === 0) return;
        const written = await this.store.insert(fresh, tx);
        const ours = fresh.filter((record) => written.has(record.sopInstanceUid));
        for (const record of ours) kept.set(record.sopInstanceUid, record);
        const rest = fresh
          .filter((record) => !written.has(record.sopInstanceUid))
          .map((record) => record.sopInstanceUid);
        for (const [uid, known] of rest.length === 0 ? [] : await this.store.known(rest, tx))
          kept.set(uid, known);
        await moveIntoPlace(
          this.folder,
          ours.map((record) => ({ from: arrived[records.indexOf(record)]!.file.path, to: record.path })),
        );
        const studies = [...new Set(ours.map((record) => record.studyInstanceUid))].sort();
        if (studies.length > 0) for (const listener of this.listeners) await listener(tx, studies);
      });
      return arrived.map(({ read }, at) => outcomeOf(read, records[at] ?? null, kept));
    } finally {
      await discardIncoming(arrived.map(({ file }) => file));
    }
  }
}

/** Disk full, read-only or not ours: nothing the sender can mend, and worth another try. */
function unwritable(error: unknown): Failure | null {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (
    code === undefined ||
    !['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EPERM', 'ENOTDIR', 'EEXIST'].includes(code)
  )
    return null;
  return new Failure(
    'archive.unwritable',
    'The archive cannot write its files. Check PRELIM_DATA, its free space and rights.',
    {
      cause: error,
    },
  );
}

function recordOf({ file, read }: Arrived): InstanceRecord | null {
  if (read.kind === 'failed') return null;
  return {
    ...read.uids,
    path: instancePath(read.uids),
    bytes: file.bytes,
    sha256: file.sha256,
    metadata: read.metadata,
  };
}

/** The first record of each SOP Instance UID. */
function distinct(records: readonly (InstanceRecord | null)[]): Map<string, InstanceRecord> {
  const first = new Map<string, InstanceRecord>();
  for (const record of records)
    if (record !== null && !first.has(record.sopInstanceUid)) first.set(record.sopInstanceUid, record);
  return first;
}

/** The same bytes twice are success; other bytes under the same UID are not, because one of the two would be lost in silence. */
function outcomeOf(
  read: ReadInstance,
  record: InstanceRecord | null,
  kept: ReadonlyMap<string, KnownInstance>,
): InstanceOutcome {
  const uids = {
    studyInstanceUid: read.uids?.studyInstanceUid ?? null,
    seriesInstanceUid: read.uids?.seriesInstanceUid ?? null,
    sopInstanceUid: read.uids?.sopInstanceUid ?? null,
    sopClassUid: read.uids?.sopClassUid ?? null,
  };
  if (read.kind === 'failed' || record === null) {
    return { ...uids, failure: read.kind === 'failed' ? read.reason : FAILURE_REASONS.processing };
  }
  const known = kept.get(record.sopInstanceUid);
  return { ...uids, failure: known?.sha256 === record.sha256 ? null : FAILURE_REASONS.duplicate };
}
