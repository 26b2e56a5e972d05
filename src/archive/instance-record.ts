import { jsonPersonName, jsonString } from '../dicom/json-values.ts';
import type { DicomJson } from '../dicom/study-source.ts';

/** One instance as the index keeps it. */
export interface InstanceRecord {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** Of the file, relative to the archive's folder. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** DICOM JSON without bulk data. */
  readonly metadata: DicomJson;
}

export type Level = 'study' | 'series' | 'instance';

export interface LevelAttribute {
  readonly tag: string;
  readonly keyword: string;
  readonly level: Level;
  /** Column that holds it and how it is matched (PS3.4 C.2.2.2); null: given back, not matched. */
  readonly column: string | null;
  readonly matching: 'uid' | 'text' | 'name' | 'range' | null;
}

/** What the archive gives for a study, series or instance (PS3.18 10.6.3.3) and what it can be asked by. */
export const LEVEL_ATTRIBUTES: readonly LevelAttribute[] = [
  attribute('study', '0020000D', 'StudyInstanceUID', 'study_instance_uid', 'uid'),
  attribute('study', '00080005', 'SpecificCharacterSet'),
  attribute('study', '00080020', 'StudyDate', 'study_date', 'range'),
  attribute('study', '00080030', 'StudyTime', 'study_time', 'range'),
  attribute('study', '00080050', 'AccessionNumber', 'accession_number', 'text'),
  attribute('study', '00080051', 'IssuerOfAccessionNumberSequence'),
  attribute('study', '00080090', 'ReferringPhysicianName', 'referring_physician', 'name'),
  attribute('study', '00080201', 'TimezoneOffsetFromUTC'),
  attribute('study', '00081030', 'StudyDescription', 'study_description', 'text'),
  attribute('study', '00100010', 'PatientName', 'patient_name', 'name'),
  attribute('study', '00100020', 'PatientID', 'patient_id', 'text'),
  attribute('study', '00100021', 'IssuerOfPatientID'),
  attribute('study', '00100030', 'PatientBirthDate', 'patient_birth_date', 'range'),
  attribute('study', '00100040', 'PatientSex'),
  attribute('study', '00200010', 'StudyID', 'study_id', 'text'),
  attribute('series', '0020000E', 'SeriesInstanceUID', 'series_instance_uid', 'uid'),
  attribute('series', '00080060', 'Modality', 'modality', 'text'),
  attribute('series', '00200011', 'SeriesNumber', 'series_number', 'text'),
  attribute('series', '0008103E', 'SeriesDescription', 'series_description', 'text'),
  attribute('series', '00180015', 'BodyPartExamined', 'body_part', 'text'),
  attribute('series', '00400244', 'PerformedProcedureStepStartDate'),
  attribute('series', '00400245', 'PerformedProcedureStepStartTime'),
  attribute('series', '00400275', 'RequestAttributesSequence'),
  attribute('instance', '00080018', 'SOPInstanceUID', 'sop_instance_uid', 'uid'),
  attribute('instance', '00080016', 'SOPClassUID', 'sop_class_uid', 'uid'),
  attribute('instance', '00200013', 'InstanceNumber', 'instance_number', 'text'),
  attribute('instance', '00280008', 'NumberOfFrames'),
  attribute('instance', '00280010', 'Rows'),
  attribute('instance', '00280011', 'Columns'),
  attribute('instance', '00280100', 'BitsAllocated'),
];

/** The attributes of one level of a data set, for the index. */
export function attributesOf(metadata: DicomJson, level: Level): DicomJson {
  const found = LEVEL_ATTRIBUTES.filter(
    (known) => known.level === level && metadata[known.tag] !== undefined,
  );
  return Object.fromEntries(found.map(({ tag }) => [tag, metadata[tag]!]));
}

/** Value of an index column: text of the first value; of a name its alphabetic form. '' when there is none. */
export function columnValue(metadata: DicomJson, column: string): string {
  const tag = LEVEL_ATTRIBUTES.find((known) => known.column === column)?.tag ?? '';
  const text = jsonString(metadata, tag) ?? jsonPersonName(metadata, tag)?.text ?? '';
  // PostgreSQL has no text with U+0000 or half a surrogate pair.
  return text.replaceAll('\0', '').toWellFormed();
}

function attribute(
  level: Level,
  tag: string,
  keyword: string,
  column: string | null = null,
  matching: LevelAttribute['matching'] = null,
): LevelAttribute {
  return { level, tag, keyword, column, matching };
}
