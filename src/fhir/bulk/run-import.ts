import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as letOthers } from 'node:timers/promises';
import type { Sql } from '../../database/database.ts';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Job, JobHandler, JobOutcome, Transaction } from '../../queue/job.ts';
import { type AccessContext, accessOfGrant } from '../access-context.ts';
import type { ResourceWrite } from '../resource-store.ts';
import { askInRounds } from '../validate/ask-in-rounds.ts';
import { AskedCodes, knownCodes } from '../validate/bound-codes.ts';
import {
  type BulkDue,
  type BulkFile,
  type BulkJob,
  IMPORT_QUEUE,
  type ImportRequest,
  SLICE_MS,
} from './bulk-job.ts';
import type { BulkParts } from './bulk-parts.ts';
import { endJob } from './end-job.ts';
import { type ReadLine, readImportLine, refusal } from './read-import-line.ts';
import { type NdjsonLine, readLines } from './read-lines.ts';

/** Parsing and validating hold the event loop: after so long a request gets its turn. */
const TURN_MS = 5;
/** Written at once within the transaction of a batch: their index is worked out in one go, some 0.05 ms each. */
export const IMPORT_WRITE_LINES = 100;

/**
 * An import of so many lines has the statistics gathered at its end: PostgreSQL does it by itself only minutes later, and until then a search by a common
 * code is planned as if nobody had it. Takes a second or two whatever the size of the tables.
 */
export const IMPORT_ANALYSE_LINES = 5_000;

/**
 * Imports NDJSON, a slice at a time. Every batch is one transaction that writes its resources, what changes cause (subscriptions), and how far the file
 * is read: after a crash it goes on with the line behind, and no line counts twice. While a batch is written the next one is read.
 */
export function importHandler(parts: BulkParts & { readonly importFolder: string }): JobHandler<BulkDue> {
  return {
    queue: IMPORT_QUEUE,
    concurrency: 1,
    attemptsMax: 20,
    run: (job: Job<BulkDue>) => runSlice(job.payload.jobId, parts),
    buried: (job, why, tx) => endJob(parts, tx, job.payload.jobId, 'failed', why),
  };
}

type Parts = BulkParts & { readonly importFolder: string };

/** A type, not an interface: it is kept as JSON. */
type Position = { readonly file: number; readonly offset: number; readonly line: number };

interface Progress {
  readonly position: Position;
  readonly step: string;
  readonly done: number;
  readonly failed: number;
  readonly files: readonly BulkFile[];
}

async function runSlice(jobId: string, parts: Parts): Promise<JobOutcome> {
  const { jobs, folder, clock = systemClock } = parts;
  const job = await jobs.find<ImportRequest>(jobId);
  if (!job || (job.state !== 'accepted' && job.state !== 'running')) {
    if (!job || job.state === 'cancelled') await folder.remove(jobId);
    return { kind: 'done' };
  }
  const { file = 0, offset = 0, line = 0 } = job.position as Partial<Position>;
  let progress: Progress | null = {
    position: { file, offset, line },
    step: job.step,
    done: job.done,
    failed: job.failed,
    files: await jobs.files(jobId),
  };
  const until = clock.now().getTime() + SLICE_MS;
  while (progress && progress.position.file < job.request.files.length) {
    progress = await importFile(job, progress, parts, clock, until);
    if (progress && clock.now().getTime() > until)
      return { kind: 'again', afterMs: 0, why: 'more to read', free: true };
  }
  if (!progress) return { kind: 'done' };
  if (progress.done >= IMPORT_ANALYSE_LINES) await jobs.analyse();
  return { kind: 'done', write: (tx: Transaction) => endJob(parts, tx, jobId, 'done', null) };
}

/** Batches of one file until its end or the end of the slice. Null: the job is not ours any more. */
async function importFile(
  job: BulkJob<ImportRequest>,
  start: Progress,
  parts: Parts,
  clock: Clock,
  until: number,
): Promise<Progress | null> {
  const handle = await openFile(job, start.position.file, parts);
  const access = accessOfGrant(job.caller);
  const type = job.request.files[start.position.file]?.type ?? null;
  try {
    let progress: Progress = start;
    let batch = await readBatch(handle, progress.position, type, access, parts.database);
    while (batch !== null && clock.now().getTime() <= until) {
      const written = writeBatch(job, progress, batch, access, parts);
      // Looked at below; a failure meanwhile must not count as unhandled.
      written.catch(() => undefined);
      const next = await readBatch(handle, batch.position, type, access, parts.database);
      const after = await written;
      if (!after) return null;
      progress = after;
      batch = next;
    }
    if (batch !== null) return progress;
    const position = { file: progress.position.file + 1, offset: 0, line: 0 };
    return advanceOnly(job, { ...progress, position }, parts);
  } finally {
    await handle.close();
  }
}

/** A name of the folder cannot lead out of it: no separators are allowed in it, and links are not followed. */
async function openFile(job: BulkJob<ImportRequest>, at: number, parts: Parts): Promise<FileHandle> {
  const { source, files } = job.request;
  const path =
    source === 'upload' ? parts.folder.uploadOf(job.id) : join(parts.importFolder, files[at]?.name ?? '');
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (cause) {
    throw new Failure('fhir.not-found', 'A file of the import cannot be read any more.', { cause });
  }
}

type Placed<T> = T & { readonly line: number; readonly end: number };

interface Batch {
  readonly writes: readonly Placed<{ readonly write: ResourceWrite }>[];
  readonly refused: readonly Placed<{ readonly refused: string }>[];
  readonly position: Position;
}

/** Null at the end of the file. */
async function readBatch(
  handle: FileHandle,
  from: Position,
  type: string | null,
  access: AccessContext,
  sql: Sql,
): Promise<Batch | null> {
  const lines = await readLines(handle, from);
  const last = lines.at(-1);
  if (!last) return null;
  const codes = new AskedCodes(knownCodes, false);
  const read = new Map<NdjsonLine, ReadLine>();
  const readOne = (line: NdjsonLine) => read.set(line, readImportLine(line, type, access, codes));
  await askInRounds(lines, codes, sql, readOne, { each: inTurns });
  const writes: Placed<{ write: ResourceWrite }>[] = [];
  const refused: Placed<{ refused: string }>[] = [];
  for (const line of lines) {
    const one = read.get(line);
    const place = { line: line.number, end: line.end };
    if (one && 'write' in one) writes.push({ ...one, ...place });
    else if (one) refused.push({ ...one, ...place });
  }
  return { writes, refused, position: { ...from, offset: last.end, line: last.number } };
}

/** Requests get their turn in between. */
async function inTurns<T>(all: readonly T[], work: (one: T) => void): Promise<void> {
  let turn = performance.now();
  for (const one of all) {
    work(one);
    if (performance.now() - turn > TURN_MS) {
      await letOthers();
      turn = performance.now();
    }
  }
}

async function writeBatch(
  job: BulkJob<ImportRequest>,
  progress: Progress,
  batch: Batch,
  access: AccessContext,
  parts: Parts,
): Promise<Progress | null> {
  try {
    return await commit(job, progress, batch, access, parts);
  } catch (error) {
    if (!isOfOneLine(error) || batch.writes.length === 0) throw error;
    return oneByOne(job, progress, batch, access, parts);
  }
}

/** The resources, the refusals and the position: all or nothing. */
async function commit(
  job: BulkJob<ImportRequest>,
  progress: Progress,
  batch: Batch,
  access: AccessContext,
  parts: Parts,
): Promise<Progress | null> {
  const files = await writeRefusals(
    job.id,
    batch.refused.map((one) => one.refused),
    progress.files,
    parts,
  );
  const next: Progress = {
    position: batch.position,
    step: String(BigInt(progress.step) + 1n),
    done: progress.done + batch.writes.length,
    failed: progress.failed + batch.refused.length,
    files,
  };
  const kept = await parts.database.transaction(async (tx) => {
    for (const writes of inWrites(batch.writes.map((one) => one.write))) {
      await parts.store.write(tx, writes, access);
      // A write that needs no answer waits for nothing: without this all of them would run in one go.
      await letOthers();
    }
    return parts.jobs.advance(tx, { id: job.id, step: progress.step }, next);
  });
  return kept ? next : null;
}

/** One write must not change a resource twice, as a file may; and what it works out must not hold others up for long. */
export function inWrites(all: readonly ResourceWrite[]): ResourceWrite[][] {
  const groups: ResourceWrite[][] = [[]];
  let seen = new Set<string>();
  for (const write of all) {
    const key = write.kind === 'update' ? `${write.resource.resourceType}/${write.resource.id}` : null;
    if ((key !== null && seen.has(key)) || groups.at(-1)?.length === IMPORT_WRITE_LINES) {
      groups.push([]);
      seen = new Set();
    }
    if (key !== null) seen.add(key);
    groups.at(-1)?.push(write);
  }
  return groups.filter((group) => group.length > 0);
}

/** Something in the batch cannot be stored: each line alone and in order, so that only that one is refused. */
async function oneByOne(
  job: BulkJob<ImportRequest>,
  start: Progress,
  batch: Batch,
  access: AccessContext,
  parts: Parts,
): Promise<Progress | null> {
  let progress: Progress = start;
  const all = [...batch.writes, ...batch.refused].sort((a, b) => a.line - b.line);
  for (const one of all) {
    let next: Progress | null;
    const position = { file: start.position.file, offset: one.end, line: one.line };
    const only = 'write' in one ? { writes: [one], refused: [] } : { writes: [], refused: [one] };
    try {
      next = await commit(job, progress, { ...only, position }, access, parts);
    } catch (error) {
      if (!isOfOneLine(error)) throw error;
      const refused = [{ refused: refusal(error, one.line), line: one.line, end: one.end }];
      next = await commit(job, progress, { writes: [], refused, position }, access, parts);
    }
    if (!next) return null;
    progress = next;
  }
  // Blank lines may follow the last one.
  return commit(job, progress, { writes: [], refused: [], position: batch.position }, access, parts);
}

/** A refusal that another try does not change: of the listeners, of the access, or of PostgreSQL (classes 22 data, 23 constraint, 54 limit). */
function isOfOneLine(error: unknown): boolean {
  if (error instanceof Failure) return !error.retry && error.code !== 'database.timeout';
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' && /^(22|23|54)/.test(code);
}

function advanceOnly(
  job: BulkJob<ImportRequest>,
  progress: Progress,
  parts: Parts,
): Promise<Progress | null> {
  return commit(
    job,
    progress,
    { writes: [], refused: [], position: progress.position },
    accessOfGrant(job.caller),
    parts,
  );
}

async function writeRefusals(
  jobId: string,
  lines: readonly string[],
  files: readonly BulkFile[],
  parts: Parts,
): Promise<readonly BulkFile[]> {
  if (lines.length === 0) return files;
  const file = files[0] ?? { number: 1, kind: 'error', type: 'OperationOutcome', lines: 0, bytes: 0 };
  return [await parts.folder.append(jobId, file, lines)];
}
