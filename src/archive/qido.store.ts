import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.ts';
import type { DicomJson } from '../dicom/study-source.ts';
import type { Level } from './instance-record.ts';
import { MODALITIES_IN_STUDY, type QidoFilter, type QidoQuery } from './qido-query.ts';
import { allStudies, type StudiesSeen } from './studies-seen.ts';

interface Row {
  readonly study: string;
  readonly series: string | null;
  readonly instance: string | null;
  readonly study_uid: string;
  readonly series_uid: string | null;
  readonly sop_uid: string | null;
  readonly modalities: string[] | null;
  readonly series_count: string | null;
  readonly instance_count: string | null;
  readonly metadata: string | null;
}

/** Searches of the archive (PS3.18 10.6). Counts are counted, for the rows given only. */
@Injectable()
export class QidoStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** `root`: service root of the archive, for the Retrieve URLs. `studies`: those the caller may see. */
  async search(query: QidoQuery, root: string, studies: StudiesSeen = allStudies): Promise<DicomJson[]> {
    const values: unknown[] = [query.limit, query.offset];
    const where = query.filters.map((filter) => condition(filter, values));
    const seen = studies('s.study_instance_uid', values.length + 1);
    if (seen) {
      where.push(seen.text);
      values.push(...seen.values);
    }
    const more = query.include === 'all' || query.include.length > 0;
    const text = `SELECT ${SELECT[query.level]}, ${more ? SOME_METADATA[query.level] : 'NULL'} AS metadata
      FROM ${FROM[query.level]} ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
      ORDER BY ${ORDER[query.level]} LIMIT $1 OFFSET $2`;
    const rows = await this.database.run<Row>({ text }, values);
    return rows.map((row) => answerRow(query, row, root));
  }
}

const SERIES_OF = 'archive_series cr WHERE cr.study_instance_uid = s.study_instance_uid';
const INSTANCES_OF = 'archive_instance ci WHERE ci.study_instance_uid = s.study_instance_uid';

const SELECT: Record<Level, string> = {
  study: `s.attributes AS study, NULL AS series, NULL AS instance, s.study_instance_uid AS study_uid, NULL AS series_uid, NULL AS sop_uid,
    ARRAY(SELECT DISTINCT modality FROM ${SERIES_OF} AND modality <> '' ORDER BY modality) AS modalities,
    (SELECT count(*) FROM ${SERIES_OF}) AS series_count, (SELECT count(*) FROM ${INSTANCES_OF}) AS instance_count`,
  series: `s.attributes AS study, r.attributes AS series, NULL AS instance, s.study_instance_uid AS study_uid,
    r.series_instance_uid AS series_uid, NULL AS sop_uid, NULL AS modalities, NULL AS series_count,
    (SELECT count(*) FROM ${INSTANCES_OF} AND ci.series_instance_uid = r.series_instance_uid) AS instance_count`,
  instance: `s.attributes AS study, r.attributes AS series, i.attributes AS instance, s.study_instance_uid AS study_uid,
    r.series_instance_uid AS series_uid, i.sop_instance_uid AS sop_uid, NULL AS modalities, NULL AS series_count, NULL AS instance_count`,
};
const FROM: Record<Level, string> = {
  study: 'archive_study s',
  series: 'archive_series r JOIN archive_study s USING (study_instance_uid)',
  instance: `archive_instance i JOIN archive_series r USING (study_instance_uid, series_instance_uid)
    JOIN archive_study s USING (study_instance_uid)`,
};
/** Newest first, then by UID: a total order, so that pages do not overlap. */
const ORDER: Record<Level, string> = {
  study: 's.study_date DESC, s.study_instance_uid',
  series:
    's.study_date DESC, s.study_instance_uid, length(r.series_number), r.series_number, r.series_instance_uid',
  instance: `s.study_date DESC, s.study_instance_uid, length(r.series_number), r.series_number, r.series_instance_uid,
    length(i.instance_number), i.instance_number, i.sop_instance_uid`,
};
const SOME_METADATA: Record<Level, string> = {
  study: `(SELECT ci.metadata FROM ${INSTANCES_OF} LIMIT 1)`,
  series: `(SELECT ci.metadata FROM ${INSTANCES_OF} AND ci.series_instance_uid = r.series_instance_uid LIMIT 1)`,
  instance: 'i.metadata',
};
const ALIAS: Record<Level, string> = { study: 's', series: 'r', instance: 'i' };

/** Column names come from our own table; values only ever as parameters. */
function condition({ attribute, value }: QidoFilter, values: unknown[]): string {
  const parameter = (bound: unknown) => `$${values.push(bound)}`;
  if (attribute === MODALITIES_IN_STUDY) {
    return `EXISTS (SELECT FROM ${SERIES_OF} AND ${textCondition('cr.modality', value, 'LIKE', parameter)})`;
  }
  const column = `${ALIAS[attribute.level]}.${attribute.column}`;
  if (attribute.matching === 'uid') return `${column} = ANY(${parameter(value.split(/[,\\]/))})`;
  if (attribute.matching === 'name') return textCondition(column, value, 'ILIKE', parameter);
  if (attribute.matching !== 'range' || !value.includes('-'))
    return textCondition(column, value, 'LIKE', parameter);
  const [from = '', to = ''] = value.split('-');
  // A value shorter than the bound still compares rightly as text: DA and TM are written big end first.
  const bounds = [
    from && `${column} >= ${parameter(from)}`,
    to && `left(${column}, ${to.length}) <= ${parameter(to)}`,
  ].filter(Boolean);
  return `(${[`${column} <> ''`, ...bounds].join(' AND ')})`;
}

/** Wild cards of PS3.4 C.2.2.2.4: `*` any, `?` one character. Names match without regard to case, everything else exactly. */
function textCondition(
  column: string,
  value: string,
  like: 'LIKE' | 'ILIKE',
  parameter: (value: unknown) => string,
): string {
  if (like === 'LIKE' && !/[*?]/.test(value)) return `${column} = ${parameter(value)}`;
  const pattern = value
    .replace(/[\\%_]/g, '\\$&')
    .replaceAll('*', '%')
    .replaceAll('?', '_');
  return `${column} ${like} ${parameter(pattern)}`;
}

function answerRow(query: QidoQuery, row: Row, root: string): DicomJson {
  const levels = [row.study, row.series, row.instance].flatMap((text) =>
    text === null ? [] : [JSON.parse(text) as DicomJson],
  );
  const answer: Record<string, DicomJson[string]> = Object.assign({}, ...levels);
  const metadata = row.metadata === null ? {} : (JSON.parse(row.metadata) as DicomJson);
  const include =
    query.include === 'all' ? (query.level === 'instance' ? Object.keys(metadata) : []) : query.include;
  for (const tag of include) if (metadata[tag] !== undefined) answer[tag] = metadata[tag];
  const path = [
    '/studies/',
    row.study_uid,
    row.series_uid && `/series/${row.series_uid}`,
    row.sop_uid && `/instances/${row.sop_uid}`,
  ];
  answer['00080056'] = { vr: 'CS', Value: ['ONLINE'] };
  answer['00081190'] = { vr: 'UR', Value: [root + path.filter(Boolean).join('')] };
  if (row.modalities !== null) answer['00080061'] = { vr: 'CS', Value: row.modalities };
  if (row.series_count !== null) answer['00201206'] = { vr: 'IS', Value: [Number(row.series_count)] };
  if (row.instance_count !== null) {
    answer[query.level === 'study' ? '00201208' : '00201209'] = {
      vr: 'IS',
      Value: [Number(row.instance_count)],
    };
  }
  return answer;
}
