/** Whose study a phantom pretends to be, and the attributes that CT and DX have in common (PS3.3 C.7). */
import { phantomUid } from './phantom-uid.ts';

export interface PhantomIdentity {
  /** As in DICOM: family^given. */
  readonly patientName: string;
  readonly patientId: string;
  readonly issuerOfPatientId: string;
  /** YYYYMMDD. */
  readonly birthDate: string;
  readonly sex: 'F' | 'M' | 'O';
  /** Years at the study's date, as PatientAge (three digits). */
  readonly ageYears: number;
  readonly accessionNumber: string;
  readonly studyId: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly frameOfReferenceUid: string;
  readonly studyDate: string;
  readonly studyTime: string;
  readonly studyDescription: string;
  readonly seriesDescription: string;
  readonly seriesNumber: number;
  readonly bodyPart: string;
  readonly institution: string;
  readonly referringPhysician: string;
  /** AXIAL, or LOCALIZER for a scout view. */
  readonly imageFlavor: 'AXIAL' | 'LOCALIZER';
}

/** Who and what by seed, with what is given put over it. Names say that it is a phantom; another description is another study. */
export function phantomIdentity(
  seed: number,
  kind: 'chest' | 'head' | 'radiograph',
  given: Partial<PhantomIdentity>,
): PhantomIdentity {
  const { studyDescription } = { ...DESCRIPTIONS[kind], ...given };
  const key = `${studyDescription} ${seed}`;
  const chest = kind !== 'head';
  return {
    patientName: `PHANTOM^${chest ? 'CHEST' : 'HEAD'} ${seed}`,
    patientId: `PHANTOM-${seed}`,
    issuerOfPatientId: 'PRELIM-PHANTOM',
    birthDate: '19600229',
    sex: seed % 2 === 0 ? 'F' : 'M',
    ageYears: 65,
    accessionNumber: `P${kind.charAt(0).toUpperCase()}${String(seed).padStart(6, '0')}`,
    studyId: String(seed),
    studyInstanceUid: phantomUid(`study ${key}`),
    seriesInstanceUid: phantomUid(`series ${key}`),
    frameOfReferenceUid: phantomUid(`frame of reference ${key}`),
    studyDate: '20260115',
    studyTime: '101500',
    ...DESCRIPTIONS[kind],
    bodyPart: chest ? 'CHEST' : 'HEAD',
    institution: 'PHANTOM HOSPITAL',
    referringPhysician: 'PHANTOM^REFERRER',
    imageFlavor: 'AXIAL',
    ...given,
  };
}

const DESCRIPTIONS = {
  chest: {
    studyDescription: 'CT CHEST WITHOUT CONTRAST',
    seriesDescription: 'CHEST AXIAL LUNG',
    seriesNumber: 2,
  },
  head: { studyDescription: 'CT HEAD WITHOUT CONTRAST', seriesDescription: 'HEAD AXIAL', seriesNumber: 2 },
  radiograph: { studyDescription: 'XR CHEST PA', seriesDescription: 'CHEST PA', seriesNumber: 1 },
} as const;

/** Patient, study, series and equipment, the same for all instances of a series. */
export function generalAttributes(
  identity: PhantomIdentity,
  sopClassUid: string,
  modality: 'CT' | 'DX',
): Readonly<Record<string, unknown>> {
  return {
    SpecificCharacterSet: 'ISO_IR 192',
    SOPClassUID: sopClassUid,
    StudyDate: identity.studyDate,
    SeriesDate: identity.studyDate,
    AcquisitionDate: identity.studyDate,
    ContentDate: identity.studyDate,
    StudyTime: identity.studyTime,
    SeriesTime: identity.studyTime,
    AcquisitionTime: identity.studyTime,
    ContentTime: identity.studyTime,
    AccessionNumber: identity.accessionNumber,
    Modality: modality,
    Manufacturer: 'Prelim',
    ManufacturerModelName: 'Phantom generator',
    DeviceSerialNumber: 'PHANTOM-1',
    SoftwareVersions: '1.0.0',
    InstitutionName: identity.institution,
    ReferringPhysicianName: identity.referringPhysician,
    StudyDescription: identity.studyDescription,
    SeriesDescription: identity.seriesDescription,
    PatientName: identity.patientName,
    PatientID: identity.patientId,
    IssuerOfPatientID: identity.issuerOfPatientId,
    PatientBirthDate: identity.birthDate,
    PatientSex: identity.sex,
    PatientAge: `${String(identity.ageYears).padStart(3, '0')}Y`,
    BodyPartExamined: identity.bodyPart,
    StudyInstanceUID: identity.studyInstanceUid,
    SeriesInstanceUID: identity.seriesInstanceUid,
    StudyID: identity.studyId,
    SeriesNumber: identity.seriesNumber,
  };
}
