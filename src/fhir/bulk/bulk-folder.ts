import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BulkFile } from './bulk-job.ts';

/** Where the files of bulk jobs lie: `<data>/bulk/<job>/<number>.ndjson`, an upload as `upload.ndjson`. They hold patient data. */
export class BulkFolder {
  constructor(private readonly data: string) {}

  of(jobId: string): string {
    return join(this.data, 'bulk', jobId);
  }

  pathOf(jobId: string, number: number): string {
    return join(this.of(jobId), `${number}.ndjson`);
  }

  uploadOf(jobId: string): string {
    return join(this.of(jobId), 'upload.ndjson');
  }

  async make(jobId: string): Promise<void> {
    await mkdir(this.of(jobId), { recursive: true, mode: 0o700 });
  }

  async remove(jobId: string): Promise<void> {
    await rm(this.of(jobId), { recursive: true, force: true });
  }

  /**
   * Writes lines behind what counts of the file and waits for the disk: only then may the row say that they are there. What a crash left
   * beyond is overwritten or cut off.
   */
  async append(jobId: string, file: BulkFile, lines: readonly string[]): Promise<BulkFile> {
    if (lines.length === 0) return file;
    await this.make(jobId);
    const bytes = Buffer.from(`${lines.join('\n')}\n`);
    const handle = await open(this.pathOf(jobId, file.number), file.bytes === 0 ? 'w' : 'r+', 0o600);
    try {
      await handle.truncate(file.bytes);
      await handle.write(bytes, 0, bytes.length, file.bytes);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    return { ...file, lines: file.lines + lines.length, bytes: file.bytes + bytes.length };
  }
}
