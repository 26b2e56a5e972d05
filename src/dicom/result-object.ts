import { codeItem, cutText, dcm, OWN_SCHEME } from './dicom-code.ts';
import { jsonItems, jsonString, jsonStrings, jsonValues } from './json-values.ts';
import { PRELIM_DEVICE_UID, PRELIM_MANUFACTURER, PRELIM_MODEL_NAME } from './own-objects.ts';
import type { DicomJson } from './study-source.ts';
import { IMPLEMENTATION_VERSION_NAME, type NaturalizedDataset } from './write-part10.ts';

/** What every object of one report has in common. */
export interface ResultContext {
  /** Metadata of one instance of the study: patient and study are said as the images say them, or the PACS would file them apart. */
  readonly source: DicomJson;
  readonly algorithm: Algorithm;
  /** When the content was made: of the record, never the clock, so that a repeat gives the same bytes. */
  readonly moment: DicomMoment;
}

/** Date `YYYYMMDD` and time `HHMMSS`, in the zone of the study's own times. */
export interface DicomMoment {
  readonly date: string;
  readonly time: string;
}

/** The model, as IHE AIR has it described: one Device UID per version. */
export interface Algorithm {
  readonly deviceUid: string;
  readonly manufacturer: string;
  readonly model: string;
  /** For people: "CT lung density". */
  readonly name: string;
  readonly version: string;
}

export interface InstanceReference {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
}

/** UIDs, numbers and words of one object. */
export interface ResultIdentity {
  readonly sopClassUid: string;
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly modality: 'SR' | 'SEG' | 'OT' | 'KO';
  readonly seriesNumber: number;
  readonly seriesDescription: string;
  readonly instanceNumber: number;
}

/** Series numbers beyond those of modalities; one per kind, so that viewers list them together and last. */
export const SERIES_NUMBERS = { sr: 9901, seg: 9902, sc: 9903, ko: 9904 } as const;

/** Patient, study, series, equipment and SOP common modules of a result, with the model as contributing equipment (IHE AIR 6.5.3.1). */
export function resultHeader(context: ResultContext, identity: ResultIdentity): NaturalizedDataset {
  const { source, algorithm, moment } = context;
  return {
    ...copied(source),
    ...issuerOfAccession(source),
    SOPClassUID: identity.sopClassUid,
    SOPInstanceUID: identity.sopInstanceUid,
    InstanceCreationDate: moment.date,
    InstanceCreationTime: moment.time,
    SeriesInstanceUID: identity.seriesInstanceUid,
    Modality: identity.modality,
    SeriesNumber: String(identity.seriesNumber),
    SeriesDescription: cutText(identity.seriesDescription, 64),
    InstanceNumber: String(identity.instanceNumber),
    ContentDate: moment.date,
    ContentTime: moment.time,
    Manufacturer: PRELIM_MANUFACTURER,
    ManufacturerModelName: PRELIM_MODEL_NAME,
    DeviceSerialNumber: '1',
    SoftwareVersions: IMPLEMENTATION_VERSION_NAME,
    DeviceUID: PRELIM_DEVICE_UID,
    ContributingEquipmentSequence: [
      {
        PurposeOfReferenceCodeSequence: [
          codeItem({ value: 'Newcode1', scheme: '99IHE', meaning: 'Processing Algorithm' }),
        ],
        ...algorithmAttributes(algorithm),
      },
    ],
    CodingSchemeIdentificationSequence: [
      {
        CodingSchemeDesignator: OWN_SCHEME,
        CodingSchemeName: 'Prelim findings, masks and scores',
        CodingSchemeResponsibleOrganization: PRELIM_MANUFACTURER,
      },
    ],
  };
}

function algorithmAttributes(algorithm: Algorithm): NaturalizedDataset {
  return {
    Manufacturer: cutText(algorithm.manufacturer, 64),
    ManufacturerModelName: cutText(algorithm.model, 64),
    SoftwareVersions: cutText(algorithm.version, 64),
    DeviceUID: algorithm.deviceUid,
  };
}

/** (123110, DCM) of CID 7162: the family of every algorithm here. */
export const ARTIFICIAL_INTELLIGENCE = dcm('123110', 'Artificial Intelligence');

/** Instances by series, as evidence and reference sequences want them; each once, in the order given. */
export function bySeries(
  references: readonly InstanceReference[],
  itemOf: (reference: InstanceReference) => NaturalizedDataset = sopItem,
): { SeriesInstanceUID: string; items: NaturalizedDataset[] }[] {
  const once = new Map(references.map((reference) => [reference.sopInstanceUid, reference]));
  const series = Map.groupBy(once.values(), (reference) => reference.seriesInstanceUid);
  return [...series].map(([SeriesInstanceUID, group]) => ({ SeriesInstanceUID, items: group.map(itemOf) }));
}

export const sopItem = (reference: InstanceReference): NaturalizedDataset => ({
  ReferencedSOPClassUID: reference.sopClassUid,
  ReferencedSOPInstanceUID: reference.sopInstanceUid,
});

/** Attributes of patient and study as they stand in the images; type 2 ones are written empty where they are absent. */
const COPIED = {
  PatientID: ['00100020', true],
  IssuerOfPatientID: ['00100021', false],
  PatientBirthDate: ['00100030', true],
  PatientSex: ['00100040', true],
  PatientAge: ['00101010', false],
  PatientIdentityRemoved: ['00120062', false],
  DeidentificationMethod: ['00120063', false],
  StudyInstanceUID: ['0020000D', true],
  StudyDate: ['00080020', true],
  StudyTime: ['00080030', true],
  AccessionNumber: ['00080050', true],
  StudyID: ['00200010', true],
  StudyDescription: ['00081030', false],
  TimezoneOffsetFromUTC: ['00080201', false],
} as const;

const DATE = /^[0-9]{8}$/;
const TIME = /^[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?$/;
/** PS3.5 6.2. A value that has not the form of its VR (an age of "54") would make every object of ours invalid: it counts as absent. */
const FORMS: Readonly<Partial<Record<keyof typeof COPIED, RegExp>>> = {
  PatientBirthDate: DATE,
  PatientSex: /^[A-Z0-9_ ]{1,16}$/,
  PatientAge: /^[0-9]{3}[DWMY]$/,
  StudyDate: DATE,
  StudyTime: TIME,
  TimezoneOffsetFromUTC: /^[+-][0-9]{4}$/,
};

function copied(source: DicomJson): NaturalizedDataset {
  const attributes: Record<string, unknown> = {
    PatientName: personName(source, '00100010'),
    ReferringPhysicianName: personName(source, '00080090'),
  };
  for (const [keyword, rule] of Object.entries(COPIED)) {
    const [tag, always] = rule;
    const form = FORMS[keyword as keyof typeof COPIED];
    const values = jsonStrings(source, tag).filter((value) => form?.test(value) ?? true);
    if (values.length > 0) attributes[keyword] = values.length === 1 ? values[0] : values;
    else if (always) attributes[keyword] = '';
  }
  return attributes;
}

/** All component groups, as a file has them: `Alphabetic=Ideographic=Phonetic`. */
function personName(source: DicomJson, tag: string): string {
  const value = jsonValues(source, tag)[0];
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  const groups = value as Readonly<Record<string, unknown>>;
  const text = (name: string) => (typeof groups[name] === 'string' ? (groups[name] as string) : '');
  return [text('Alphabetic'), text('Ideographic'), text('Phonetic')].join('=').replace(/=+$/, '');
}

function issuerOfAccession(source: DicomJson): NaturalizedDataset {
  const [issuer] = jsonItems(source, '00080051');
  if (!issuer) return {};
  const item = {
    LocalNamespaceEntityID: jsonString(issuer, '00400031') ?? undefined,
    UniversalEntityID: jsonString(issuer, '00400032') ?? undefined,
    UniversalEntityIDType: jsonString(issuer, '00400033') ?? undefined,
  };
  return Object.values(item).some(Boolean) ? { IssuerOfAccessionNumberSequence: [item] } : {};
}
