import type { BulkFile, BulkJob } from './bulk-job.ts';

/** The answer of a job that has ended (Bulk Data Access IG, export.html#response---complete-status). An import has what it refused, and how many it wrote. */
export function manifest(job: BulkJob, files: readonly BulkFile[], status: string): object {
  const list = (kind: BulkFile['kind']) =>
    files
      .filter((file) => file.kind === kind && file.lines > 0)
      .map(({ number, type, lines }) => ({ type, url: `${status}/${number}.ndjson`, count: lines }));
  return {
    transactionTime: job.createdAt.toISOString(),
    request: job.request.url,
    requiresAccessToken: true,
    output: list('output'),
    ...(job.kind === 'export' ? { deleted: list('deleted') } : {}),
    error: list('error'),
    ...(job.kind === 'import' ? { extension: { imported: job.done, refused: job.failed } } : {}),
  };
}

/** For `X-Progress`: at most 100 characters, without anything of a patient. */
export function progressText(job: BulkJob): string {
  if (job.state === 'accepted') return 'accepted';
  if (job.kind === 'export') return `${job.done} resources written`;
  const { offset = 0, file = 0 } = job.position as { offset?: number; file?: number };
  const files = 'files' in job.request ? job.request.files : [];
  const total = files.reduce((sum, one) => sum + one.bytes, 0);
  const read = files.slice(0, file).reduce((sum, one) => sum + one.bytes, 0) + offset;
  const percent = total === 0 ? 100 : Math.floor((100 * read) / total);
  return `${percent} % read, ${job.done} resources imported, ${job.failed} lines refused`;
}
