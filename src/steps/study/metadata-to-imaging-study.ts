import type { CodeableConcept, Identifier, ImagingStudy, Reference } from '@medplum/fhirtypes';
import { jsonItems, jsonString } from '../../dicom/json-values.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { isUid } from '../../dicom/uid.ts';
import { STUDY_NUMBER_SYSTEMS, systemOfAuthority } from '../../hl7/assigning-authority.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { stableId } from '../../kernel/stable-id.ts';
import { codesToConcepts } from './code-item-to-coding.ts';
import { patientIdentifiers } from './metadata-to-patient.ts';
import { dicomDateTime, metadataToSeries, personNames } from './metadata-to-series.ts';

export interface StudySurroundings {
  /** IANA zone of the site, for times without an offset; null when it is not known. */
  readonly timeZone: string | null;
  readonly subject: Reference & ImagingStudy['subject'];
  readonly endpoint: NonNullable<ImagingStudy['endpoint']>[number];
}

/** One study has always the same resource. */
export function imagingStudyId(studyInstanceUid: string): string {
  return stableId('ImagingStudy', studyInstanceUid);
}

/**
 * The metadata of all instances of one study → ImagingStudy, status `available` (the "dicom" mapping of FHIR R4 ImagingStudy).
 * What is the study's own is taken from the first instance by UID; series and instances are in an order of their own, so
 * the same instances give the same resource however they arrived. Counts are counted. Throws `study.contradictory` when the
 * instances are of several studies or name several patients.
 */
export function metadataToImagingStudy(
  metadata: readonly DicomJson[],
  around: StudySurroundings,
): ImagingStudy {
  const instances = [...metadata].sort((a, b) =>
    (jsonString(a, SOP) ?? '') < (jsonString(b, SOP) ?? '') ? -1 : 1,
  );
  checkOneStudy(instances);
  const first = instances[0]!;
  const series = [...Map.groupBy(instances, (instance) => jsonString(instance, '0020000E') ?? '').values()]
    .map((group) => metadataToSeries(group, around.timeZone))
    .sort((a, b) => (a.number ?? 1e9) - (b.number ?? 1e9) || (a.uid < b.uid ? -1 : 1));
  const codes = [...new Set(series.map((one) => one.modality.code ?? ''))].sort();
  const modalities = codes.filter((code) => !DERIVED.has(code));
  const started =
    dicomDateTime(first, '00080020', '00080030', around.timeZone) ??
    series
      .map((one) => one.started ?? '')
      .filter(Boolean)
      .sort()[0];
  const studyInstanceUid = jsonString(first, '0020000D')!;
  return {
    resourceType: 'ImagingStudy',
    id: imagingStudyId(studyInstanceUid),
    identifier: identifiersOf(first, studyInstanceUid),
    status: 'available',
    modality: (modalities.length > 0 ? modalities : codes).map((code) => ({
      system: CODE_SYSTEMS.dcm,
      code,
    })),
    subject: around.subject,
    ...(started ? { started } : {}),
    ...peopleOf(first),
    endpoint: [around.endpoint],
    numberOfSeries: series.length,
    numberOfInstances: instances.length,
    ...contextOf(first),
    series,
  };
}

/** Accession number (0008,0050) with its issuer (0008,0051); null when the study has none. */
export function accessionIdentifier(instance: DicomJson): Identifier | null {
  const value = jsonString(instance, '00080050');
  if (value === null) return null;
  const [issuer] = jsonItems(instance, '00080051');
  const namespace = (issuer && jsonString(issuer, '00400031')) ?? '';
  const universalId = (issuer && jsonString(issuer, '00400032')) ?? '';
  const universalIdType = (issuer && jsonString(issuer, '00400033')) ?? '';
  // A bare name makes no system: orders write all accession numbers under one, and the name stays readable beside it.
  const universal =
    universalId === ''
      ? ''
      : systemOfAuthority('filler', { namespace: '', universalId, universalIdType }, '');
  return {
    type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'ACSN' }] },
    system:
      /^urn:|^https?:/.test(universal) && universalIdType !== '' ? universal : STUDY_NUMBER_SYSTEMS.accession,
    value,
    ...(namespace ? { assigner: { display: namespace } } : {}),
  };
}

const SOP = '00080018';

/** Not in CID 29: series made from images, not by a modality. A study of nothing else keeps them. */
const DERIVED = new Set(
  'ANN AU DOC FID HD KO M3D OPTENF PLAN PR REG RESP RTDOSE RTPLAN RTRECORD RTSTRUCT SEG SMR SR SRF STAIN TEXTUREMAP'.split(
    ' ',
  ),
);

function checkOneStudy(instances: readonly DicomJson[]): void {
  const studies = new Set(instances.map((instance) => jsonString(instance, '0020000D')));
  const patients = new Set(
    instances.map((instance) =>
      JSON.stringify(patientIdentifiers(instance).filter((id) => id.use === 'usual')),
    ),
  );
  const named = instances.every(
    (instance) => isUid(jsonString(instance, SOP)) && isUid(jsonString(instance, '0020000E')),
  );
  if (studies.size !== 1 || !isUid([...studies][0]) || !named) {
    throw new Failure(
      'study.contradictory',
      'The instances are not of one study, or one of them has no usable UIDs. Correct them in the PACS.',
    );
  }
  if (patients.size > 1) {
    throw new Failure(
      'study.contradictory',
      'The instances of the study carry different patient ids. Correct them in the PACS.',
    );
  }
}

function identifiersOf(first: DicomJson, studyInstanceUid: string): Identifier[] {
  const accession = accessionIdentifier(first);
  const studyId = jsonString(first, '00200010');
  return [
    { use: 'official', system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${studyInstanceUid}` },
    ...(accession ? [accession] : []),
    ...(studyId ? [{ use: 'secondary' as const, type: { text: 'Study ID' }, value: studyId }] : []),
  ];
}

function peopleOf(first: DicomJson): Pick<ImagingStudy, 'referrer' | 'interpreter'> {
  const [referrer] = personNames(first, '00080090');
  const interpreter = personNames(first, '00081060').map((display) => ({ display }));
  return {
    ...(referrer ? { referrer: { display: referrer } } : {}),
    ...(interpreter.length > 0 ? { interpreter } : {}),
  };
}

function contextOf(
  first: DicomJson,
): Pick<ImagingStudy, 'procedureCode' | 'location' | 'reasonCode' | 'description'> {
  const procedureCode = codesToConcepts(first, '00081032');
  const location = jsonString(first, '00400243') ?? jsonString(first, '00081040');
  const reasonCode = reasonsOf(first);
  const description = jsonString(first, '00081030');
  return {
    ...(procedureCode.length > 0 ? { procedureCode } : {}),
    ...(location ? { location: { display: location } } : {}),
    ...(reasonCode.length > 0 ? { reasonCode } : {}),
    ...(description ? { description } : {}),
  };
}

/** Reason for the requested procedure, coded (0040,100A) and as text (0040,1002); also from Request Attributes Sequence. */
function reasonsOf(first: DicomJson): CodeableConcept[] {
  return [first, ...jsonItems(first, '00400275')].flatMap((item) => {
    const text = jsonString(item, '00401002');
    return [...codesToConcepts(item, '0040100A'), ...(text ? [{ text }] : [])];
  });
}
