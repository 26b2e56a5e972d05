import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Database, type Sql } from '../database/database.ts';
import { Failure } from '../kernel/errors.ts';

export interface KeptFile {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/**
 * Bytes that one step makes and a later one uses, too large for a handoff: the key picture. They are kept in the transaction of
 * the step that made them, so a handoff never names a file that is not there.
 */
@Injectable()
export class KeptFileStore {
  constructor(private readonly database: Database) {}

  /** Keeps `bytes` and gives back their id. Throws `queue.file-too-large` beyond `KEPT_FILE_BYTES_MAX`. */
  async keep(sql: Sql, bytes: Uint8Array, mediaType: string): Promise<string> {
    if (bytes.byteLength > KEPT_FILE_BYTES_MAX) {
      throw new Failure(
        'queue.file-too-large',
        `A kept file may have ${KEPT_FILE_BYTES_MAX} bytes; this one has ${bytes.byteLength}.`,
      );
    }
    const id = randomUUID();
    await sql.run(KEEP, [id, mediaType, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)]);
    return id;
  }

  /** Throws `queue.file-missing` when the id is unknown, dropped or swept. */
  async read(id: string, sql: Sql = this.database): Promise<KeptFile> {
    const [row] = UUID.test(id) ? await sql.run<{ media_type: string; content: Buffer }>(READ, [id]) : [];
    if (!row)
      throw new Failure('queue.file-missing', 'The kept file is gone: it was dropped or has become too old.');
    return { bytes: row.content, mediaType: row.media_type };
  }

  /** Forgets a file that was used up; nothing happens when it is gone already. */
  async drop(sql: Sql, id: string): Promise<void> {
    if (UUID.test(id)) await sql.run(DROP, [id]);
  }

  /** Forgets files older than `days`, whose way ended before they were used, and says how many there were. */
  async sweep(days: number): Promise<number> {
    let swept = 0;
    for (;;) {
      const rows = await this.database.run<{ id: string }>(SWEEP, [days, SWEEP_ROWS_MAX]);
      swept += rows.length;
      if (rows.length < SWEEP_ROWS_MAX) return swept;
    }
  }
}

/** A key picture has at most 768 × 768 RGB pixels, 1.8 MB without any compression. */
export const KEPT_FILE_BYTES_MAX = 4 * 1024 * 1024;

/** One statement deletes so many: short locks, and a long sweep does not hold back vacuum. */
const SWEEP_ROWS_MAX = 500;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const KEEP = {
  name: 'kept_file_keep',
  text: 'INSERT INTO kept_file (id, media_type, content) VALUES ($1, $2, $3)',
};
const READ = { name: 'kept_file_read', text: 'SELECT media_type, content FROM kept_file WHERE id = $1' };
const DROP = { name: 'kept_file_drop', text: 'DELETE FROM kept_file WHERE id = $1' };
const SWEEP = {
  name: 'kept_file_sweep',
  text: `DELETE FROM kept_file WHERE id IN (
           SELECT id FROM kept_file WHERE created_at < now() - make_interval(days => $1)
           ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ) RETURNING id`,
};
