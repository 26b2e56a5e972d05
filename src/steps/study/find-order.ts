import type { ImagingStudy, Patient, ServiceRequest } from '@medplum/fhirtypes';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { matchOrder, type OrderCandidate, type OrderMatch, type StudyKeys } from './match-order.ts';
import { imagingStudyId } from './metadata-to-imaging-study.ts';

/** Orders with one number are few; more than so many and a person has to choose anyway. */
const CANDIDATES_MAX = 20;

/** Looks up every order that has a number of the study, with its patient as it stands now, and decides (`matchOrder`). */
export async function findOrder(store: ResourceStore, study: StudyKeys): Promise<OrderMatch> {
  const values = [`${IDENTIFIER_SYSTEMS.dicomUid}|${escaped(`urn:oid:${study.studyInstanceUid}`)}`];
  if (study.accession?.value) values.push(escaped(study.accession.value));
  const query = new URLSearchParams({ identifier: values.join(','), _count: String(CANDIDATES_MAX) });
  const found = await store.search('ServiceRequest', query);
  const candidates: OrderCandidate[] = [];
  for (const stored of found.matches) {
    const order = stored.parse<ServiceRequest>();
    candidates.push({ order, patient: await currentPatient(store, order) });
  }
  return matchOrder(study, candidates);
}

/** The numbers of a study as its ImagingStudy and its Patient have them; null when it is not recorded. */
export async function recordedKeys(
  store: ResourceStore,
  studyInstanceUid: string,
): Promise<StudyKeys | null> {
  const stored = await store.read('ImagingStudy', imagingStudyId(studyInstanceUid));
  if (stored === null || stored.deleted) return null;
  const study = stored.parse<ImagingStudy>();
  const patient = await readPatient(store, study.subject.reference);
  const accession = study.identifier?.find((one) =>
    one.type?.coding?.some((coding) => coding.code === 'ACSN'),
  );
  return {
    studyInstanceUid,
    accession: accession ?? null,
    patientIds: patient?.identifier ?? [],
    birthDate: patient?.birthDate ?? null,
    gender: patient?.gender ?? null,
  };
}

/** Whose record it is now: after a merge (link `replaced-by`) that of the one who took over. */
export async function currentPatient(
  store: ResourceStore,
  { subject }: Pick<ImagingStudy | ServiceRequest, 'subject'>,
): Promise<Patient | null> {
  const patient = await readPatient(store, subject?.reference);
  const survivor = patient?.link?.find((link) => link.type === 'replaced-by')?.other.reference;
  return survivor ? await readPatient(store, survivor) : patient;
}

async function readPatient(store: ResourceStore, reference: string | undefined): Promise<Patient | null> {
  const id = /(?:^|\/)Patient\/([A-Za-z0-9.-]{1,64})$/.exec(reference ?? '')?.[1];
  const stored = id === undefined ? null : await store.read('Patient', id);
  return stored === null || stored.deleted ? null : stored.parse<Patient>();
}

/** FHIR search: backslash before what has a meaning in a value. */
function escaped(value: string): string {
  return value.replace(/[\\,$|]/g, '\\$&');
}
