import { Inject, Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '../../database/database.ts';
import type { StudyWatch } from './decide-completeness.ts';

/** Rows of unmatched studies looked at in one go. */
const UNMATCHED_ROWS = 200;

/** As many as a large hospital makes in two days. */
const COMPLETED_ROWS = 10_000;

export interface CompletedStudy {
  readonly uid: string;
  readonly count: number;
  readonly identity: string | null;
}

/** What is remembered of each study between two looks. */
@Injectable()
export class StudyWatchStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  async read(studyInstanceUid: string, sql: Sql = this.database): Promise<StudyWatch | null> {
    const [row] = await sql.run<StudyWatch>(READ, [studyInstanceUid]);
    return row ?? null;
  }

  /** Keeps a look. Looks are no facts anyone waits for: no transaction with anything else. */
  async keepLook(watch: StudyWatch): Promise<void> {
    await this.database.run(KEEP_LOOK, [
      watch.studyInstanceUid,
      watch.instanceCount,
      watch.looks,
      watch.firstSeen,
      watch.lastChange,
    ]);
  }

  /** The ImagingStudy was written with so many instances. */
  async complete(
    tx: Transaction,
    watch: StudyWatch,
    unmatchedReason: string | null,
    now: Date,
  ): Promise<void> {
    const values = [
      watch.studyInstanceUid,
      watch.instanceCount,
      watch.looks,
      watch.firstSeen,
      watch.lastChange,
    ];
    await tx.run(KEEP_LOOK, values);
    const { studyInstanceUid, instanceCount, listedIdentity } = watch;
    await tx.run(COMPLETE, [studyInstanceUid, instanceCount, now, unmatchedReason, listedIdentity]);
  }

  /** How these studies were when they were last complete; absent: never seen. */
  async completed(studyInstanceUids: readonly string[]): Promise<Map<string, CompletedStudy>> {
    const rows = await this.database.run<CompletedStudy>(COMPLETED, [studyInstanceUids]);
    return new Map(rows.map((row) => [row.uid, row]));
  }

  /** Keeps how complete studies are listed, where that is not known yet. */
  async keepIdentities(listed: readonly (readonly [uid: string, identity: string])[]): Promise<void> {
    if (listed.length === 0) return;
    await this.database.run(KEEP_IDENTITIES, [listed.map(([uid]) => uid), listed.map(([, one]) => one)]);
  }

  /** Studies completed since then, newest first. */
  async completedSince(since: Date): Promise<string[]> {
    const rows = await this.database.run<{ uid: string }>(COMPLETED_SINCE, [since]);
    return rows.map((row) => row.uid);
  }

  /** Studies completed since then that still have no order. */
  async unmatchedSince(since: Date): Promise<string[]> {
    const rows = await this.database.run<{ uid: string }>(UNMATCHED, [since]);
    return rows.map((row) => row.uid);
  }
}

const READ = {
  name: 'study-watch-read',
  text: `SELECT study_instance_uid AS "studyInstanceUid", instance_count AS "instanceCount", looks,
    first_seen AS "firstSeen", last_change AS "lastChange", completed_count AS "completedCount",
    unmatched_reason AS "unmatchedReason", listed_identity AS "listedIdentity" FROM study_watch WHERE study_instance_uid = $1`,
};
const KEEP_LOOK = {
  name: 'study-watch-keep',
  text: `INSERT INTO study_watch (study_instance_uid, instance_count, looks, first_seen, last_change)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (study_instance_uid) DO UPDATE SET instance_count = $2, looks = $3, last_change = $5`,
};
const COMPLETE = {
  name: 'study-watch-complete',
  text: `UPDATE study_watch SET completed_count = $2, completed_at = $3, unmatched_reason = $4, listed_identity = $5
    WHERE study_instance_uid = $1`,
};
const COMPLETED = {
  name: 'study-watch-completed',
  text: `SELECT study_instance_uid AS uid, completed_count AS count, listed_identity AS identity
    FROM study_watch WHERE study_instance_uid = ANY($1)`,
};
const KEEP_IDENTITIES = {
  name: 'study-watch-identities',
  text: `UPDATE study_watch w SET listed_identity = listed.identity
    FROM unnest($1::text[], $2::text[]) AS listed (uid, identity)
    WHERE w.study_instance_uid = listed.uid AND w.listed_identity IS NULL`,
};
const COMPLETED_SINCE = {
  name: 'study-watch-completed-since',
  text: `SELECT study_instance_uid AS uid FROM study_watch
    WHERE completed_count > 0 AND completed_at >= $1 ORDER BY completed_at DESC LIMIT ${COMPLETED_ROWS}`,
};
const UNMATCHED = {
  name: 'study-watch-unmatched',
  text: `SELECT study_instance_uid AS uid FROM study_watch
    WHERE unmatched_reason IS NOT NULL AND completed_at >= $1 ORDER BY completed_at DESC LIMIT ${UNMATCHED_ROWS}`,
};
