import { Injectable } from '@nestjs/common';
import { Database, type Statement, type Transaction } from '../../database/database.ts';
import type { RejectionNote } from '../../dicom/write-rejection-note.ts';

export type ObjectKind = 'sr' | 'seg' | 'sc' | 'ko';

/** One DICOM object made of a report. */
export interface MadeObject {
  readonly kind: ObjectKind;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly seriesInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly bytes: Uint8Array;
}

/** One that is known, with how it went; without its bytes. */
export interface KnownObject extends Omit<MadeObject, 'bytes'> {
  readonly reportVersion: number;
  readonly state: 'waiting' | 'stored' | 'refused';
  /** What a structured report says, as a digest; null for other kinds, and for those of older servers. */
  readonly contentDigest: string | null;
  /** SOP Instance UIDs that a rejection note names; null for other kinds, and for those of older servers. */
  readonly rejects: readonly string[] | null;
  /** Why it does. */
  readonly rejectsFor: RejectionNote['reason'] | null;
}

/** What is made of one version of a report. */
export interface MadeOfVersion {
  readonly reportId: string;
  readonly reportVersion: number;
  readonly objects: readonly MadeObject[];
  /** Of the structured report among them. */
  readonly contentDigest: string | null;
  /** What the rejection note among them names, and why. */
  readonly note: Pick<RejectionNote, 'rejected' | 'reason'> | null;
}

export interface WaitingObject extends Pick<MadeObject, 'kind' | 'sopInstanceUid' | 'studyInstanceUid'> {
  readonly bytes: Buffer;
  readonly attempts: number;
}

/** Table `pacs_object`: every object for the PACS, its bytes until it is there. */
@Injectable()
export class PacsObjectStore {
  constructor(private readonly database: Database) {}

  /** Everything ever made of this report, oldest version first. */
  async ofReport(reportId: string): Promise<KnownObject[]> {
    const rows = await this.database.run<KnownRow>(OF_REPORT, [reportId]);
    return rows.map((row) => ({
      kind: row.kind,
      sopInstanceUid: row.sop_instance_uid,
      sopClassUid: row.sop_class_uid,
      seriesInstanceUid: row.series_instance_uid,
      studyInstanceUid: row.study_instance_uid,
      reportVersion: row.report_version,
      state: row.state,
      contentDigest: row.content_digest,
      rejects: row.rejects,
      rejectsFor: row.rejects_for,
    }));
  }

  /**
   * An object that is there already (made by a run that died, or of an earlier version with the same pixels) stays as it is. What the PACS refused of the same
   * version, before a finding was edited, is not offered again.
   */
  async add(tx: Transaction, made: MadeOfVersion): Promise<void> {
    const { reportId, reportVersion, contentDigest, note } = made;
    const names = note?.rejected.map((one) => one.sopInstanceUid) ?? null;
    await tx.run(DROP_REFUSED, [reportId, reportVersion]);
    for (const one of made.objects) {
      await tx.run(INSERT, [
        one.sopInstanceUid,
        one.sopClassUid,
        one.seriesInstanceUid,
        one.studyInstanceUid,
        one.kind,
        reportId,
        reportVersion,
        Buffer.from(one.bytes.buffer, one.bytes.byteOffset, one.bytes.byteLength),
        one.kind === 'sr' ? contentDigest : null,
        one.kind === 'ko' ? names : null,
        one.kind === 'ko' ? (note?.reason ?? null) : null,
      ]);
    }
  }

  /** What of this version the PACS does not have yet: what is referred to before what refers to it. */
  async waiting(reportId: string, reportVersion: number): Promise<WaitingObject[]> {
    const rows = await this.database.run<WaitingRow>(WAITING, [reportId, reportVersion]);
    return rows.map((row) => ({
      kind: row.kind,
      sopInstanceUid: row.sop_instance_uid,
      studyInstanceUid: row.study_instance_uid,
      bytes: row.bytes,
      attempts: row.attempts,
    }));
  }

  /** Before the bytes leave: a crash in between shows as an attempt without an answer. */
  async sending(sopInstanceUids: readonly string[]): Promise<void> {
    await this.database.run(SENDING, [sopInstanceUids]);
  }

  async stored(tx: Pick<Transaction, 'run'>, sopInstanceUids: readonly string[]): Promise<void> {
    if (sopInstanceUids.length > 0) await tx.run(STORED, [sopInstanceUids]);
  }

  /** `why` is a code or a failure reason, never text of the PACS: that may hold patient data. */
  async failed(
    tx: Pick<Transaction, 'run'>,
    sopInstanceUids: readonly string[],
    state: 'waiting' | 'refused',
    why: string,
  ): Promise<void> {
    if (sopInstanceUids.length > 0) await tx.run(FAILED, [sopInstanceUids, state, why]);
  }
}

interface KnownRow {
  readonly kind: ObjectKind;
  readonly sop_instance_uid: string;
  readonly sop_class_uid: string;
  readonly series_instance_uid: string;
  readonly study_instance_uid: string;
  readonly report_version: number;
  readonly state: KnownObject['state'];
  readonly content_digest: string | null;
  readonly rejects: readonly string[] | null;
  readonly rejects_for: KnownObject['rejectsFor'];
}

interface WaitingRow {
  readonly kind: ObjectKind;
  readonly sop_instance_uid: string;
  readonly study_instance_uid: string;
  readonly bytes: Buffer;
  readonly attempts: number;
}

const OF_REPORT: Statement = {
  name: 'pacs-object-of-report',
  text: `SELECT kind, sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, report_version, state,
      content_digest, rejects, rejects_for
    FROM pacs_object WHERE report_id = $1 ORDER BY report_version, created_at, kind`,
};
const INSERT: Statement = {
  name: 'pacs-object-insert',
  text: `INSERT INTO pacs_object
      (sop_instance_uid, sop_class_uid, series_instance_uid, study_instance_uid, kind, report_id, report_version, bytes,
       content_digest, rejects, rejects_for)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (sop_instance_uid) DO NOTHING`,
};
const DROP_REFUSED: Statement = {
  name: 'pacs-object-drop-refused',
  text: `UPDATE pacs_object SET bytes = NULL WHERE report_id = $1 AND report_version = $2 AND state = 'refused'`,
};
const WAITING: Statement = {
  name: 'pacs-object-waiting',
  text: `SELECT kind, sop_instance_uid, study_instance_uid, bytes, attempts FROM pacs_object
    WHERE report_id = $1 AND report_version = $2 AND state <> 'stored' AND bytes IS NOT NULL
    ORDER BY array_position(ARRAY['seg', 'sc', 'sr', 'ko'], kind), sop_instance_uid`,
};
const SENDING: Statement = {
  name: 'pacs-object-sending',
  text: 'UPDATE pacs_object SET attempts = attempts + 1 WHERE sop_instance_uid = ANY($1)',
};
const STORED: Statement = {
  name: 'pacs-object-stored',
  text: `UPDATE pacs_object SET state = 'stored', stored_at = now(), bytes = NULL, last_error = NULL
    WHERE sop_instance_uid = ANY($1)`,
};
const FAILED: Statement = {
  name: 'pacs-object-failed',
  text: 'UPDATE pacs_object SET state = $2, last_error = $3 WHERE sop_instance_uid = ANY($1)',
};
