import type { Patient } from '@medplum/fhirtypes';
import type { DicomJson } from '../../dicom/study-source.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { stableId } from '../../kernel/stable-id.ts';
import { metadataToPatient } from './metadata-to-patient.ts';

/** Whose study it is when no order says so; `create` is what to write first, or null when the Patient is there. */
export interface StudyPatient {
  readonly id: string;
  readonly create: (Patient & { id: string }) | null;
}

/**
 * The Patient of a study without an order. With a named issuer the number identifies: a stored Patient who has it is meant, unless
 * birth date or sex contradict. Without one, numbers of two hospitals may be the same, so only a Patient made from the very
 * same name and birth date is taken; two records of one person can be merged later, two persons in one record cannot be parted.
 */
export async function studyPatient(
  store: ResourceStore,
  first: DicomJson,
  studyInstanceUid: string,
): Promise<StudyPatient> {
  const patient = metadataToPatient(first);
  const number = patient.identifier?.find((identifier) => identifier.use === 'usual');
  if (number?.system && number.value) {
    const known = (await store.findByIdentifier('Patient', number.system, number.value))
      .filter((stored) => !stored.deleted)
      .map((stored) => stored.parse<Patient>());
    // One who was merged away has his number still, and the survivor has it as an old one: the survivor is meant.
    const alive = known.filter((one) => !one.link?.some(({ type }) => type === 'replaced-by'));
    const [only] = alive;
    if (only && alive.length === 1 && !contradicts(only, patient))
      return { id: String(only.id), create: null };
  }
  const id = number?.value
    ? stableId(
        'Patient',
        number.system ?? '',
        number.value,
        patient.name?.[0]?.text?.toUpperCase() ?? '',
        patient.birthDate ?? '',
      )
    : stableId('Patient', 'of-study', studyInstanceUid);
  const stored = await store.read('Patient', id);
  return { id, create: stored === null || stored.deleted ? { ...patient, id } : null };
}

function contradicts(known: Patient, found: Patient): boolean {
  const differ = (a: string | undefined, b: string | undefined) =>
    a !== undefined && b !== undefined && a !== b;
  const [shorter, longer] = [known.birthDate, found.birthDate].sort(
    (a, b) => (a?.length ?? 0) - (b?.length ?? 0),
  );
  return (
    differ(known.gender, found.gender) || (differ(shorter, longer) && !longer?.startsWith(shorter ?? ''))
  );
}
