import { jsonString, jsonStrings } from '../dicom/json-values.ts';
import type { DicomJson, PatientStudiesAsked, PatientStudy } from '../dicom/study-source.ts';
import { isUid } from '../dicom/uid.ts';
import { callDicomweb } from './dicomweb-client.ts';
import type { DicomwebConnection } from './dicomweb-connection.ts';
import { dicomJsonRows } from './query-rows.ts';

/** Rows of one question. Who has more earlier studies of one modality is served by the newest. */
export const PATIENT_STUDIES_MAX = 50;
/** Nobody waits for the answer, and a PACS serves people first: what takes longer is not known. */
export const PATIENT_STUDIES_MS_MAX = 5_000;

/**
 * Studies of one patient by QIDO-RS (PS3.18 10.6), one question and one page. What the server was asked for it is held to: rows of another
 * patient id, issuer, birth date or modality are left out, for some servers take a filter and do not use it. A row that confirms neither issuer nor
 * birth date is left out too: numbers of two hospitals may be the same. Throws `dicomweb.*`.
 */
export async function queryPatientStudies(
  connection: DicomwebConnection,
  asked: PatientStudiesAsked,
): Promise<readonly PatientStudy[]> {
  const { patientId, issuer, modality, from, to } = asked;
  // A star would ask for everybody (PS3.4 C.2.2.2.4).
  if (/[*?\\]/.test(patientId) || patientId.trim() === '') return [];
  const times = { ...connection.times, queryMs: PATIENT_STUDIES_MS_MAX, silenceMs: PATIENT_STUDIES_MS_MAX };
  const answer = await callDicomweb({ ...connection, times }, 'query', (client, request) =>
    client.searchForStudies({
      request,
      queryParams: {
        PatientID: patientId,
        ...(issuer && !/[*?\\]/.test(issuer) ? { IssuerOfPatientID: issuer } : {}),
        ModalitiesInStudy: modality,
        StudyDate: `${from}-${to}`,
        [FIELDS_BEFORE]: ISSUER,
        limit: PATIENT_STUDIES_MAX,
      },
    }),
  );
  const rows = dicomJsonRows(answer).slice(0, PATIENT_STUDIES_MAX);
  return rows.flatMap((row) => {
    const study = { uid: jsonString(row, '0020000D') ?? '', date: dateOf(row) };
    const fits = isUid(study.uid) && study.date >= from && study.date <= to && isOfPatient(row, asked);
    return fits
      ? [{ studyInstanceUid: study.uid, date: study.date, description: jsonString(row, DESCRIPTION) }]
      : [];
  });
}

const ISSUER = '00100021';
const DESCRIPTION = '00081030';
/** Two fields, each with its own parameter: the client encodes the comma of a list, and Orthanc then knows neither. It leaves names as they are. */
const FIELDS_BEFORE = `includefield=${DESCRIPTION}&includefield`;

const dateOf = (row: DicomJson): string => (jsonString(row, '00080020') ?? '').replaceAll('.', '');

function isOfPatient(
  row: DicomJson,
  { patientId, issuer, birthDate, modality }: PatientStudiesAsked,
): boolean {
  if (jsonString(row, '00100020')?.trim() !== patientId.trim()) return false;
  const modalities = jsonStrings(row, '00080061');
  if (modalities.length > 0 && !modalities.includes(modality)) return false;
  const agrees = (stated: string | null, known: string | null) =>
    stated === null || known === null ? null : stated === known;
  const verdicts = [agrees(jsonString(row, ISSUER), issuer), agrees(jsonString(row, '00100030'), birthDate)];
  return verdicts.includes(true) && !verdicts.includes(false);
}
