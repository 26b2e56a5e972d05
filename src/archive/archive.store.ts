import { Inject, Injectable } from '@nestjs/common';
import { Database, type Transaction } from '../database/database.ts';
import type { DicomJson, SeenStudy } from '../dicom/study-source.ts';
import { attributesOf, columnValue, type InstanceRecord } from './instance-record.ts';
import { allStudies, type StudiesSeen } from './studies-seen.ts';

/** Where an instance lies and in which encoding. */
export interface StoredFile {
  readonly sopInstanceUid: string;
  /** Relative to the archive's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly transferSyntaxUid: string;
}

export interface KnownInstance {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sha256: string;
}

/** A study, series or instance, as far as it is given. */
export interface Place {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid?: string;
  readonly sopInstanceUid?: string;
}

/** Rows of metadata read at once: about 2 MB of CT headers. */
const METADATA_ROWS = 200;

/** The index of the archive. */
@Injectable()
export class ArchiveStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.database.transaction(work);
  }

  async known(sopInstanceUids: readonly string[], tx: Transaction): Promise<Map<string, KnownInstance>> {
    const rows = await tx.run<KnownInstance>(KNOWN, [sopInstanceUids]);
    return new Map(rows.map((row) => [row.sopInstanceUid, row]));
  }

  /**
   * Writes the rows of new instances and gives the UIDs of those that were written; another process may have been first with
   * the rest. Rows go in UID order, so that two requests with the same instances wait for each other instead of deadlocking.
   */
  async insert(records: readonly InstanceRecord[], tx: Transaction): Promise<Set<string>> {
    const sorted = [...records].sort((a, b) => (a.sopInstanceUid < b.sopInstanceUid ? -1 : 1));
    const studies = firstOf(sorted, (record) => record.studyInstanceUid);
    await tx.run(INSERT_STUDIES, [
      JSON.stringify(
        studies.map(({ metadata, studyInstanceUid }) => ({
          study_instance_uid: studyInstanceUid,
          ...columns(metadata, STUDY_COLUMNS),
          attributes: JSON.stringify(attributesOf(metadata, 'study')),
        })),
      ),
    ]);
    const series = firstOf(sorted, (record) => `${record.studyInstanceUid}/${record.seriesInstanceUid}`);
    await tx.run(INSERT_SERIES, [
      JSON.stringify(
        series.map(({ metadata, studyInstanceUid, seriesInstanceUid }) => ({
          study_instance_uid: studyInstanceUid,
          series_instance_uid: seriesInstanceUid,
          ...columns(metadata, SERIES_COLUMNS),
          attributes: JSON.stringify(attributesOf(metadata, 'series')),
        })),
      ),
    ]);
    const written = await tx.run<{ uid: string }>(INSERT_INSTANCES, [
      JSON.stringify(sorted.map(instanceRow)),
    ]);
    return new Set(written.map((row) => row.uid));
  }

  /** `studies`: those the caller may see. */
  async files(place: Place, studies: StudiesSeen = allStudies): Promise<StoredFile[]> {
    const values = placeValues(place);
    const seen = studies('archive_instance.study_instance_uid', values.length + 1);
    const rows = await this.database.run<StoredFile & { bytes: string }>(
      seen ? { text: filesText(seen.text) } : FILES,
      seen ? [...values, ...seen.values] : values,
    );
    return rows.map((row) => ({ ...row, bytes: Number(row.bytes) }));
  }

  /** The metadata of a place as JSON texts, some at a time, in the order of `files`. */
  async *metadata(place: Place): AsyncGenerator<string[], void, undefined> {
    const uids = (await this.files(place)).map((file) => file.sopInstanceUid);
    for (let at = 0; at < uids.length; at += METADATA_ROWS) {
      const rows = await this.database.run<{ metadata: string }>(METADATA, [
        uids.slice(at, at + METADATA_ROWS),
      ]);
      yield rows.map((row) => row.metadata);
    }
  }

  async count(studyInstanceUid: string): Promise<number> {
    const [row] = await this.database.run<{ count: string }>(COUNT, [studyInstanceUid]);
    return Number(row?.count ?? 0);
  }

  async storedSince(since: Date): Promise<SeenStudy[]> {
    const rows = await this.database.run<{ uid: string; count: string }>(STORED_SINCE, [since]);
    return rows.map((row) => ({ studyInstanceUid: row.uid, numberOfInstances: Number(row.count) }));
  }
}

const STUDY_COLUMNS = [
  'patient_id',
  'patient_name',
  'patient_birth_date',
  'accession_number',
  'study_id',
  'study_date',
  'study_time',
  'study_description',
  'referring_physician',
] as const;
const SERIES_COLUMNS = ['modality', 'series_number', 'body_part', 'series_description'] as const;

function columns(metadata: DicomJson, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, columnValue(metadata, name)]));
}

function instanceRow(record: InstanceRecord): Record<string, unknown> {
  return {
    sop_instance_uid: record.sopInstanceUid,
    study_instance_uid: record.studyInstanceUid,
    series_instance_uid: record.seriesInstanceUid,
    sop_class_uid: record.sopClassUid,
    transfer_syntax_uid: record.transferSyntaxUid,
    instance_number: columnValue(record.metadata, 'instance_number'),
    path: record.path,
    bytes: record.bytes,
    sha256: record.sha256,
    attributes: JSON.stringify(attributesOf(record.metadata, 'instance')),
    metadata: JSON.stringify(record.metadata),
  };
}

function firstOf<T>(items: readonly T[], key: (item: T) => string): T[] {
  const first = new Map<string, T>();
  for (const item of items) if (!first.has(key(item))) first.set(key(item), item);
  return [...first.keys()].sort().map((name) => first.get(name)!);
}

function placeValues(place: Place): (string | null)[] {
  return [place.studyInstanceUid, place.seriesInstanceUid ?? null, place.sopInstanceUid ?? null];
}

const KNOWN = {
  name: 'archive-known',
  text: `SELECT sop_instance_uid AS "sopInstanceUid", study_instance_uid AS "studyInstanceUid",
    series_instance_uid AS "seriesInstanceUid", sha256 FROM archive_instance WHERE sop_instance_uid = ANY($1)`,
};
const INSERT_STUDIES = {
  name: 'archive-insert-studies',
  text: `INSERT INTO archive_study (study_instance_uid, ${STUDY_COLUMNS.join(', ')}, attributes)
    SELECT study_instance_uid, ${STUDY_COLUMNS.join(', ')}, attributes
    FROM json_populate_recordset(NULL::archive_study, $1::json)
    ON CONFLICT (study_instance_uid) DO UPDATE SET last_stored_at = now()`,
};
const INSERT_SERIES = {
  name: 'archive-insert-series',
  text: `INSERT INTO archive_series (study_instance_uid, series_instance_uid, ${SERIES_COLUMNS.join(', ')}, attributes)
    SELECT study_instance_uid, series_instance_uid, ${SERIES_COLUMNS.join(', ')}, attributes
    FROM json_populate_recordset(NULL::archive_series, $1::json) ON CONFLICT DO NOTHING`,
};
const INSTANCE_COLUMNS = `sop_instance_uid, study_instance_uid, series_instance_uid, sop_class_uid, transfer_syntax_uid,
  instance_number, path, bytes, sha256, attributes, metadata`;
const INSERT_INSTANCES = {
  name: 'archive-insert-instances',
  text: `INSERT INTO archive_instance (${INSTANCE_COLUMNS})
    SELECT ${INSTANCE_COLUMNS} FROM json_populate_recordset(NULL::archive_instance, $1::json)
    ON CONFLICT DO NOTHING RETURNING sop_instance_uid AS uid`,
};
const filesText = (
  seen: string,
) => `SELECT sop_instance_uid AS "sopInstanceUid", path, bytes, transfer_syntax_uid AS "transferSyntaxUid"
    FROM archive_instance
    WHERE study_instance_uid = $1 AND ($2::text IS NULL OR series_instance_uid = $2)
      AND ($3::text IS NULL OR sop_instance_uid = $3) AND ${seen}
    ORDER BY series_instance_uid, length(instance_number), instance_number, sop_instance_uid`;
const FILES = { name: 'archive-files', text: filesText('TRUE') };
const METADATA = {
  name: 'archive-metadata',
  text: `SELECT metadata FROM unnest($1::text[]) WITH ORDINALITY AS asked (uid, place)
    JOIN archive_instance ON sop_instance_uid = uid ORDER BY place`,
};
const COUNT = {
  name: 'archive-count',
  text: 'SELECT count(*) FROM archive_instance WHERE study_instance_uid = $1',
};
const STORED_SINCE = {
  name: 'archive-stored-since',
  text: `SELECT study_instance_uid AS uid,
      (SELECT count(*) FROM archive_instance i WHERE i.study_instance_uid = s.study_instance_uid) AS count
    FROM archive_study s WHERE last_stored_at >= $1`,
};
