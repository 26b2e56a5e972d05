import type { Group } from '@medplum/fhirtypes';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Job, JobHandler, JobOutcome, Transaction } from '../../queue/job.ts';
import { accessOfGrant } from '../access-context.ts';
import { type Subset, subsetOf } from '../interactions/subset.ts';
import type { ResourceStore } from '../resource-store.ts';
import type { BulkFolder } from './bulk-folder.ts';
import {
  type BulkDue,
  type BulkFile,
  type BulkJob,
  EXPORT_QUEUE,
  type ExportRequest,
  SLICE_MS,
} from './bulk-job.ts';
import type { BulkParts } from './bulk-parts.ts';
import { endJob } from './end-job.ts';
import { chunksOf, type ExportLines, exportLines } from './export-lines.ts';
import { readExportPage } from './export-pages.store.ts';
import { type ExportUnit, exportUnits, membersOf } from './export-units.ts';

/** A file is closed at this size, so that a client can fetch several at once and repeat one. */
export const EXPORT_FILE_BYTES = 256 * 1024 * 1024;
/** A write takes its time first and its transaction number after it: by now every write of the time before has its number. */
export const EXPORT_SETTLE_MS = 1_000;
const SETTLE_LOOK_MS = 200;

/**
 * Writes an export, a slice at a time. Each step reads a page, appends it to a file, waits for the disk, and then keeps its position in a row: after
 * a crash it goes on behind the last step that was kept, and what the file has beyond is overwritten. In memory is never more than a page.
 */
export function exportHandler(parts: BulkParts): JobHandler<BulkDue> {
  return {
    queue: EXPORT_QUEUE,
    concurrency: 1,
    attemptsMax: 10,
    run: (job: Job<BulkDue>) => runSlice(job.payload.jobId, parts),
    buried: (job, why, tx) => endJob(parts, tx, job.payload.jobId, 'failed', why),
  };
}

async function runSlice(jobId: string, parts: BulkParts): Promise<JobOutcome> {
  const { jobs, clock = systemClock } = parts;
  const job = await jobs.find<ExportRequest>(jobId);
  if (!job || (job.state !== 'accepted' && job.state !== 'running')) return cleared(jobId, parts);
  const wait = await unsettledMs(job, parts, clock);
  if (wait > 0) return { kind: 'again', afterMs: wait, why: 'writes under way', free: true };
  const work = await prepare(job, parts);
  const until = clock.now().getTime() + SLICE_MS;
  let progress = await progressOf(job, parts);
  while (progress.unit < work.units.length) {
    if (clock.now().getTime() > until) return { kind: 'again', afterMs: 0, why: 'more to write', free: true };
    const next = await step(job, progress, work, parts);
    if (!next) return cleared(jobId, parts);
    progress = next;
  }
  return { kind: 'done', write: (tx: Transaction) => endJob(parts, tx, jobId, 'done', null) };
}

/** Cancelled or gone: nothing of it stays. */
async function cleared(jobId: string, { jobs, folder }: BulkParts): Promise<JobOutcome> {
  const job = await jobs.find(jobId);
  if (!job || job.state === 'cancelled') await folder.remove(jobId);
  return { kind: 'done' };
}

/** How long to wait until all that was written up to the point in time can be seen; 0: it can. */
async function unsettledMs(job: BulkJob, { jobs }: BulkParts, clock: Clock): Promise<number> {
  const early = job.createdAt.getTime() + EXPORT_SETTLE_MS - clock.now().getTime();
  if (job.settledAfter === null && early > 0) return early;
  const number = job.settledAfter ?? (await jobs.settleAfter(job.id));
  return number !== null && (await jobs.isSettled(number)) ? 0 : SETTLE_LOOK_MS;
}

interface Work {
  readonly units: readonly ExportUnit[];
  readonly chunkOf: ReadonlyMap<string, number> | null;
  readonly subset: Subset | null;
}

async function prepare(job: BulkJob<ExportRequest>, { store }: BulkParts): Promise<Work> {
  const { request } = job;
  const members =
    request.patients ?? (request.group === null ? null : await readMembers(job, request.group, store));
  const elements =
    request.elements === null ? new URLSearchParams() : new URLSearchParams({ _elements: request.elements });
  return {
    units: exportUnits(request, members),
    chunkOf: members && chunksOf(members),
    subset: subsetOf(elements, request.types, { lenient: true }),
  };
}

/** The members at the point in time, so that they are the same in every slice. */
async function readMembers(job: BulkJob, id: string, store: ResourceStore): Promise<string[]> {
  const access = accessOfGrant(job.caller);
  const now = await store.read('Group', id, undefined, access);
  const versions =
    now && now.lastUpdated > job.createdAt
      ? await store.readHistory(
          'Group',
          id,
          { count: 100, before: 2_147_483_647, since: null },
          undefined,
          access,
        )
      : [now];
  const then = versions.find((one) => one && one.lastUpdated <= job.createdAt);
  if (!then || then.deleted) throw new Failure('fhir.not-found', 'The group is not there any more.');
  return membersOf(then.parse<Group>());
}

interface Progress {
  readonly unit: number;
  readonly after: string;
  readonly step: string;
  readonly done: number;
  readonly files: readonly BulkFile[];
}

async function progressOf(job: BulkJob, { jobs }: BulkParts): Promise<Progress> {
  const { unit = 0, after = '' } = job.position as { unit?: number; after?: string };
  return { unit, after, step: job.step, done: job.done, files: await jobs.files(job.id) };
}

/** One page. Null: the job is not ours any more. */
async function step(
  job: BulkJob<ExportRequest>,
  progress: Progress,
  work: Work,
  parts: BulkParts,
): Promise<Progress | null> {
  const unit = work.units[progress.unit] as ExportUnit;
  const { since } = job.request;
  const source = {
    ...unit,
    after: progress.after,
    until: job.createdAt,
    since: since === null ? null : new Date(since),
  };
  const page = await readExportPage(parts.database, source, accessOfGrant(job.caller), parts.store.base);
  const lines = exportLines(page.resources, unit, {
    request: job.request,
    chunkOf: work.chunkOf,
    subset: work.subset,
  });
  const files = await writeLines(job.id, unit.type, lines, progress.files, parts.folder);
  const position =
    page.next === null ? { unit: progress.unit + 1, after: '' } : { unit: progress.unit, after: page.next };
  const done = progress.done + lines.output.length;
  const kept = await parts.database.transaction((tx) =>
    parts.jobs.advance(
      tx,
      { id: job.id, step: progress.step },
      { position, done, failed: 0, files: changed(files, progress.files) },
    ),
  );
  return kept ? { ...position, step: String(BigInt(progress.step) + 1n), done, files } : null;
}

const changed = (files: readonly BulkFile[], before: readonly BulkFile[]): BulkFile[] =>
  files.filter((file) => !before.includes(file));

export async function writeLines(
  jobId: string,
  type: string,
  lines: ExportLines,
  before: readonly BulkFile[],
  folder: BulkFolder,
): Promise<BulkFile[]> {
  let files = [...before];
  const write = async (
    kind: 'output' | 'deleted',
    fileType: string,
    all: readonly string[],
  ): Promise<void> => {
    if (all.length === 0) return;
    const open = files.findLast(
      (one) => one.kind === kind && one.type === fileType && one.bytes < EXPORT_FILE_BYTES,
    );
    const file = open ?? { number: files.length + 1, kind, type: fileType, lines: 0, bytes: 0 };
    const written = await folder.append(jobId, file, all);
    files = [...files.filter((one) => one.number !== file.number), written].sort(
      (a, b) => a.number - b.number,
    );
  };
  await write('output', type, lines.output);
  await write('deleted', 'Bundle', lines.deleted);
  return files;
}
