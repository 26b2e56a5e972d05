import { Inject, Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '../../database/database.ts';
import type { Caller } from '../fhir-request.ts';
import { ANALYSE } from '../search/entry-statistics.ts';
import type { BulkFile, BulkJob, BulkState } from './bulk-job.ts';

/** What one step of a job has done; the files as they are after it. */
export interface StepDone {
  readonly position: Readonly<Record<string, unknown>>;
  readonly done: number;
  readonly failed: number;
  readonly files: readonly BulkFile[];
}

interface JobRow {
  readonly id: string;
  readonly kind: 'export' | 'import';
  readonly client_id: string;
  readonly scopes: Caller['scopes'];
  readonly rights: Omit<Caller, 'clientId' | 'scopes'> | null;
  readonly request: BulkJob['request'];
  readonly created_at: Date;
  readonly settled_after: string | null;
  readonly state: BulkState;
  readonly step: string;
  readonly position: Record<string, unknown>;
  readonly done: string;
  readonly failed: string;
  readonly fault: string | null;
  readonly expires_at: Date | null;
}

/** Bulk jobs and their files, as rows. */
@Injectable()
export class BulkJobsStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  async insert(
    tx: Transaction,
    job: {
      id: string;
      kind: 'export' | 'import';
      caller: Caller;
      request: BulkJob['request'];
      createdAt: Date;
    },
  ): Promise<void> {
    const { id, kind, caller, request, createdAt } = job;
    const scopes = JSON.stringify(
      caller.scopes.map((one) => ({ ...one, permissions: [...one.permissions] })),
    );
    const { subject, patient, fhirUser, roles, purposeOfUse } = caller;
    const rights = JSON.stringify({ subject, patient, fhirUser, roles, purposeOfUse });
    await tx.run(INSERT, [id, kind, caller.clientId, scopes, JSON.stringify(request), createdAt, rights]);
  }

  /** Jobs of the client that are not at their end. */
  async openOf(sql: Sql, clientId: string): Promise<number> {
    const [row] = await sql.run<{ open: number }>(OPEN, [clientId]);
    return row?.open ?? 0;
  }

  async find<R extends BulkJob['request']>(id: string, sql: Sql = this.database): Promise<BulkJob<R> | null> {
    const [row] = await sql.run<JobRow>(FIND, [id]);
    if (!row) return null;
    return {
      id: row.id,
      kind: row.kind,
      caller: { clientId: row.client_id, scopes: row.scopes, ...row.rights },
      request: row.request as R,
      createdAt: row.created_at,
      settledAfter: row.settled_after,
      state: row.state,
      step: row.step,
      position: row.position,
      done: Number(row.done),
      failed: Number(row.failed),
      fault: row.fault,
      expiresAt: row.expires_at,
    };
  }

  async files(id: string): Promise<BulkFile[]> {
    const rows = await this.database.run<
      Omit<BulkFile, 'lines' | 'bytes'> & { lines: string; bytes: string }
    >(FILES, [id]);
    return rows.map((row) => ({ ...row, lines: Number(row.lines), bytes: Number(row.bytes) }));
  }

  /** Notes which transactions must have ended before an export looks. Gives the number kept, also when it was noted before. */
  async settleAfter(id: string): Promise<string | null> {
    const [row] = await this.database.run<{ settled_after: string | null }>(SETTLE, [id]);
    return row?.settled_after ?? null;
  }

  /** Have all transactions below the number ended? */
  async isSettled(number: string): Promise<boolean> {
    const [row] = await this.database.run<{ settled: boolean }>(IS_SETTLED, [number]);
    return row?.settled === true;
  }

  /** Keeps what a step has done. False when the job was cancelled, or another process got on with it: then nothing of the step counts. */
  async advance(tx: Transaction, job: { id: string; step: string }, did: StepDone): Promise<boolean> {
    const rows = await tx.run(ADVANCE, [
      job.id,
      job.step,
      JSON.stringify(did.position),
      did.done,
      did.failed,
    ]);
    if (rows.length === 0) return false;
    for (const { number, kind, type, lines, bytes } of did.files)
      await tx.run(KEEP_FILE, [job.id, number, kind, type, lines, bytes]);
    return true;
  }

  /** Ends a job that is not at its end. False when it is. */
  async end(
    sql: Sql,
    id: string,
    state: 'done' | 'failed' | 'cancelled',
    expiresAt: Date,
    fault: string | null = null,
  ): Promise<boolean> {
    return (await sql.run(END, [id, state, expiresAt, fault])).length > 0;
  }

  /** Statistics of the tables that searches are planned by, as they are now. */
  async analyse(): Promise<void> {
    await this.database.run(ANALYSE);
  }

  async remove(sql: Sql, id: string): Promise<void> {
    await sql.run(REMOVE, [id]);
  }
}

const INSERT = {
  name: 'bulk-insert',
  text: `INSERT INTO bulk_job (id, kind, client_id, scopes, request, created_at, rights) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
};

const OPEN = {
  name: 'bulk-open',
  text: `SELECT count(*)::int AS open FROM bulk_job WHERE client_id = $1 AND state IN ('accepted', 'running')`,
};

const FIND = {
  name: 'bulk-find',
  text: `SELECT id, kind, client_id, scopes, rights, request, created_at, settled_after, state, step, position, done, failed, fault, expires_at
    FROM bulk_job WHERE id = $1`,
};

const FILES = {
  name: 'bulk-files',
  text: 'SELECT number, kind, type, lines, bytes FROM bulk_file WHERE job = $1 ORDER BY number',
};

const SETTLE = {
  name: 'bulk-settle',
  text: `UPDATE bulk_job SET settled_after = coalesce(settled_after, pg_snapshot_xmax(pg_current_snapshot())::text)
    WHERE id = $1 RETURNING settled_after`,
};

const IS_SETTLED = {
  name: 'bulk-is-settled',
  text: 'SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::xid8 AS settled',
};

const ADVANCE = {
  name: 'bulk-advance',
  text: `UPDATE bulk_job SET state = 'running', step = step + 1, position = $3, done = $4, failed = $5
    WHERE id = $1 AND step = $2 AND state IN ('accepted', 'running') RETURNING id`,
};

const KEEP_FILE = {
  name: 'bulk-keep-file',
  text: `INSERT INTO bulk_file (job, number, kind, type, lines, bytes) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (job, number) DO UPDATE SET lines = excluded.lines, bytes = excluded.bytes`,
};

const END = {
  name: 'bulk-end',
  text: `UPDATE bulk_job SET state = $2, expires_at = $3, fault = $4
    WHERE id = $1 AND state IN ('accepted', 'running') RETURNING id`,
};

const REMOVE = { name: 'bulk-remove', text: 'DELETE FROM bulk_job WHERE id = $1' };
