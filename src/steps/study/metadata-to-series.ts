import type {
  Coding,
  ImagingStudySeries,
  ImagingStudySeriesInstance,
  ImagingStudySeriesPerformer,
} from '@medplum/fhirtypes';
import {
  jsonItems,
  jsonNumber,
  jsonPersonName,
  jsonString,
  jsonStrings,
  jsonValues,
} from '../../dicom/json-values.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { timestampToDate, timestampToDateTime } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { BODY_PART_CODES } from './body-part-codes.ts';
import { codeItemToCoding } from './code-item-to-coding.ts';

/** The instances of one series → ImagingStudy.series. Instances stand by number, then UID: the order does not depend on arrival. */
export function metadataToSeries(
  instances: readonly DicomJson[],
  timeZone: string | null,
): ImagingStudySeries {
  const first = instances[0] ?? {};
  const number = wholeNumber(first, '00200011');
  const description = jsonString(first, '0008103E');
  const bodySite = bodySiteOf(first);
  const laterality = LATERALITIES[jsonString(first, '00200060') ?? jsonString(first, '00200062') ?? ''];
  const started = dicomDateTime(first, '00080021', '00080031', timeZone);
  const performer = performers(first);
  const specimen = [...new Set(instances.flatMap(specimens))].map((display) => ({ display }));
  return {
    uid: jsonString(first, '0020000E') ?? '',
    ...(number === null ? {} : { number }),
    modality: { system: CODE_SYSTEMS.dcm, code: jsonString(first, '00080060') ?? 'OT' },
    ...(description ? { description } : {}),
    numberOfInstances: instances.length,
    ...(bodySite ? { bodySite } : {}),
    ...(laterality ? { laterality } : {}),
    ...(specimen.length > 0 ? { specimen } : {}),
    ...(started ? { started } : {}),
    ...(performer.length > 0 ? { performer } : {}),
    instance: instances.map(toInstance).sort(byNumberThenUid),
  };
}

/**
 * DA and TM as a FHIR dateTime. Without Timezone Offset From UTC (0008,0201) the time is of the site's zone; where that is
 * not known either, only the date is given, because FHIR has no time without a zone and a wrong one moves the study.
 */
export function dicomDateTime(
  instance: DicomJson,
  dateTag: string,
  timeTag: string,
  timeZone: string | null,
): string | null {
  const date = (jsonString(instance, dateTag) ?? '').replaceAll('.', '');
  const time = (jsonString(instance, timeTag) ?? '').replaceAll(':', '');
  const stated = jsonString(instance, '00080201') ?? '';
  const offset = /^[+-](0\d|1[0-4])[0-5]\d$/.test(stated) ? stated : '';
  const day = date.length === 8 ? timestampToDate(date) : null;
  if (day === null || (offset === '' && timeZone === null) || !/^\d{4}/.test(time)) return day;
  return timestampToDateTime(date + time + offset, timeZone ?? 'UTC') ?? day;
}

/** IS → unsignedInt; null for what is none. */
function wholeNumber(instance: DicomJson, tag: string): number | null {
  const number = jsonNumber(instance, tag);
  return number !== null && Number.isInteger(number) && number >= 0 && number <= 2_147_483_647
    ? number
    : null;
}

/** The text of every person name of an attribute, components in speaking order. */
export function personNames(instance: DicomJson, tag: string): string[] {
  return jsonValues(instance, tag).flatMap((value) => {
    const name = jsonPersonName({ [tag]: { vr: 'PN', Value: [value] } }, tag);
    const text = name ? [name.prefix, ...name.given, name.family, name.suffix].filter(Boolean).join(' ') : '';
    return text === '' ? [] : [text];
  });
}

/** The code of Anatomic Region Sequence when it is there, else that of Body Part Examined (PS3.16 Annex L), else its text. */
function bodySiteOf(instance: DicomJson): Coding | null {
  const [region] = jsonItems(instance, '00082218');
  const coded = region && codeItemToCoding(region);
  if (coded?.system === CODE_SYSTEMS.sct) return coded;
  const bodyPart = jsonString(instance, '00180015');
  if (bodyPart === null) return coded ?? null;
  const known = BODY_PART_CODES[bodyPart.toUpperCase().replaceAll(/[\s_-]/g, '')];
  return known ? { system: CODE_SYSTEMS.sct, code: known[0], display: known[1] } : { display: bodyPart };
}

function performers(instance: DicomJson): ImagingStudySeriesPerformer[] {
  const people = (tag: string, code: string) =>
    personNames(instance, tag).map((display) => ({
      function: { coding: [{ system: PARTICIPATION, code }] },
      actor: { display },
    }));
  return [...people('00081050', 'PRF'), ...people('00081070', 'SPRF')];
}

const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';

const LATERALITIES: Readonly<Record<string, Coding>> = {
  R: { system: CODE_SYSTEMS.sct, code: '24028007', display: 'Right' },
  L: { system: CODE_SYSTEMS.sct, code: '7771000', display: 'Left' },
};

/** Container and specimen identifiers. */
function specimens(instance: DicomJson): string[] {
  const described = jsonItems(instance, '00400560').flatMap((item) => jsonString(item, '00400551') ?? []);
  return described.length > 0 ? described : jsonStrings(instance, '00400551');
}

function toInstance(instance: DicomJson): ImagingStudySeriesInstance {
  const number = wholeNumber(instance, '00200013');
  const title = titleOf(instance);
  return {
    uid: jsonString(instance, '00080018') ?? '',
    sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${jsonString(instance, '00080016') ?? ''}` },
    ...(number === null ? {} : { number }),
    ...(title ? { title } : {}),
  };
}

/** Title of a document, name of a report, label of a presentation, kind of an image: the first that is there. */
function titleOf(instance: DicomJson): string | null {
  const [concept] = jsonItems(instance, '0040A043');
  const imageType = jsonStrings(instance, '00080008').join('\\');
  return (
    jsonString(instance, '00420010') ??
    (concept && jsonString(concept, '00080104')) ??
    jsonString(instance, '00700080') ??
    (imageType || null)
  );
}

function byNumberThenUid(a: ImagingStudySeriesInstance, b: ImagingStudySeriesInstance): number {
  const order = (a.number ?? Number.MAX_SAFE_INTEGER) - (b.number ?? Number.MAX_SAFE_INTEGER);
  return order || (a.uid < b.uid ? -1 : 1);
}
