/**
 * Where studies come from: the embedded archive or any DICOMweb server. Steps know this interface only.
 * `DicomJson` is one data set in the DICOM JSON model (PS3.18 Annex F): `{ "00100010": { vr, Value } }`.
 */
export type DicomJson = Readonly<
  Record<string, { readonly vr: string; readonly Value?: readonly unknown[] }>
>;

export interface SeenStudy {
  readonly studyInstanceUid: string;
  readonly numberOfInstances: number;
  /** Digest of patient id, birth date, sex and accession number as they are listed: another one is a correction. Left out where none can be made. */
  readonly identity?: string;
}

export interface LocalInstance {
  readonly sopInstanceUid: string;
  /** Path of a DICOM Part 10 file on this machine. */
  readonly path: string;
}

export interface FetchedInstances {
  /** In the order asked for. */
  readonly instances: readonly LocalInstance[];
  /** Removes what was fetched only for this use; nothing to do where the files are the archive's own. */
  release(): Promise<void>;
}

/** Instances on their way. */
export interface ArrivingInstances {
  /** In the order asked for; each is there when its file is whole. When the retrieval fails, all that are not there yet reject. */
  readonly paths: readonly Promise<string>[];
  /** Ends the retrieval when it is still going on, and removes what it fetched. */
  release(): Promise<void>;
}

/** Which studies of a patient are asked for. Dates as `YYYYMMDD`, both included. */
export interface PatientStudiesAsked {
  readonly patientId: string;
  /** Issuer of Patient ID, as DICOM writes it; null when it is not known. */
  readonly issuer: string | null;
  /** `YYYYMMDD`; a second witness beside the number. */
  readonly birthDate: string | null;
  readonly modality: string;
  readonly from: string;
  readonly to: string;
}

export interface PatientStudy {
  readonly studyInstanceUid: string;
  /** `YYYYMMDD` */
  readonly date: string;
  /** Study Description; null when the answer has none. */
  readonly description: string | null;
}

export interface StudySource {
  /** `/dicomweb` root as others reach it, for Endpoint.address. */
  readonly endpoint: string;
  /** Studies of the last hours with their instance counts, counted, not taken from (0020,1208). */
  recentStudies(sinceHours: number): Promise<readonly SeenStudy[]>;
  /** Instances the study has now; 0 when it does not exist. */
  countInstances(studyInstanceUid: string): Promise<number>;
  /** More of it is on its way right now, as far as this process knows. Left out: the source cannot tell. */
  isGrowing?(studyInstanceUid: string): boolean;
  /** Absent where every study is announced anyway (the embedded archive): then there is nothing to ask. */
  studiesOfPatient?(asked: PatientStudiesAsked): Promise<readonly PatientStudy[]>;
  /** Every instance's data set without bulk data. */
  metadata(studyInstanceUid: string): Promise<readonly DicomJson[]>;
  /** The instances as files. Fails as a whole: no half series is given out. */
  fetch(
    studyInstanceUid: string,
    seriesInstanceUid: string,
    sopInstanceUids: readonly string[],
  ): Promise<FetchedInstances>;
  /** The same, each instance as it arrives, so that reading begins meanwhile. Absent where the files are on this machine anyway. */
  fetchEach?(
    studyInstanceUid: string,
    seriesInstanceUid: string,
    sopInstanceUids: readonly string[],
  ): ArrivingInstances;
}

/** Injection token of the one `StudySource` of a process. */
export const STUDY_SOURCE = Symbol('StudySource');
