import type {
  Device,
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  Observation,
  Patient,
  Practitioner,
  Reference,
  Resource,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { type AccessContext, FULL_ACCESS } from '../../fhir/access-context.ts';
import { referenceToId } from '../../fhir/reference-to-id.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { deviceId } from '../../governance/manifest-to-device.ts';
import { namedReference } from '../../hl7/xcn-reference.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { OruInput } from './oru-input.ts';

/** The record a report stands for: everything a message is made of. */
export type ReportRecord = Pick<
  OruInput,
  'report' | 'observations' | 'patient' | 'encounter' | 'serviceRequest' | 'imagingStudy' | 'device'
>;

/** Reads it as it stands now. Throws `ris.not-sendable` when a part that every message needs is gone. */
export async function readRecord(
  store: ResourceStore,
  report: DiagnosticReport,
  access: AccessContext = FULL_ACCESS,
): Promise<ReportRecord> {
  const parts = [report.subject, ...(report.imagingStudy ?? []), report.encounter, ...(report.basedOn ?? [])];
  const found = await readAll<Resource>(store, [...(report.result ?? []), ...parts], access);
  const first = <T extends Resource>(type: T['resourceType']) =>
    found.find((one) => one.resourceType === type) as T | undefined;
  const observations = found.filter((one) => one.resourceType === 'Observation') as Observation[];
  const serviceRequest = first<ServiceRequest>('ServiceRequest');
  const model = observations.find((one) => one.device)?.device ?? modelOf(report);
  const [requester, reader] = [serviceRequest?.requester, report.resultsInterpreter?.[0]];
  const people = [requester, reader].filter(isUnnamed);
  const more = await readAll<Device | Practitioner>(store, [model, ...people], access);
  const device = more.find((one) => one.resourceType === 'Device');
  const patient = await survivor(store, first<Patient>('Patient'), access);
  const imagingStudy = first<ImagingStudy>('ImagingStudy');
  const encounter = first<Encounter>('Encounter');
  if (!patient) throw incomplete('patient', 'DiagnosticReport.subject');
  if (!imagingStudy) throw incomplete('imaging study', 'DiagnosticReport.imagingStudy');
  if (!device) throw incomplete('device', 'Observation.device');
  const named = nameOf(more.filter((one) => one.resourceType === 'Practitioner'));
  const interpreters = report.resultsInterpreter?.map(named);
  return {
    report: interpreters ? { ...report, resultsInterpreter: interpreters } : report,
    observations,
    patient,
    imagingStudy,
    device,
    ...(encounter ? { encounter } : {}),
    ...(serviceRequest
      ? { serviceRequest: requester ? { ...serviceRequest, requester: named(requester) } : serviceRequest }
      : {}),
  };
}

/** A person who is a resource of his own, and of whom the reference has no number. */
const isUnnamed = (reference: Reference | undefined): reference is Reference =>
  reference?.identifier === undefined && referenceToId(reference)?.type === 'Practitioner';

/** Number and name of the person beside the reference, as an order over HL7 has them. */
const nameOf =
  (people: readonly Practitioner[]) =>
  <R extends Reference>(reference: R): R => {
    const id = isUnnamed(reference) ? referenceToId(reference)?.id : undefined;
    const person = people.find((one) => one.id === id);
    return id === undefined || person === undefined ? reference : namedReference(reference, person);
  };

/** A report whose last finding was taken out of it must still be corrected: the number of its analysis names the model too. */
function modelOf(report: DiagnosticReport): Reference | undefined {
  const analysis = report.identifier?.find(({ system }) => system === IDENTIFIER_SYSTEMS.analysis)?.value;
  const [, id, version] = /^[^|]*\|([^|@]+)@([^|]+)/.exec(analysis ?? '') ?? [];
  return id && version ? { reference: `Device/${deviceId({ id, version })}` } : undefined;
}

/** A report of a patient who was merged away goes out under the number of the survivor. One whom the asker may not see is as if not there. */
async function survivor(
  store: ResourceStore,
  patient: Patient | undefined,
  access: AccessContext,
): Promise<Patient | undefined> {
  let found = patient;
  for (let step = 0; step < MERGES_FOLLOWED_MAX; step += 1) {
    const id = survivorOf(found);
    if (id === undefined) return found;
    const next = await store.read('Patient', id, undefined, access);
    if (!next || next.deleted) return found;
    found = next.parse<Patient>();
  }
  return found;
}

/** Merges that follow each other are few; more is a circle. */
const MERGES_FOLLOWED_MAX = 10;

/** Was the first patient merged into the second (ADT A40), over however many steps? */
export async function wasMergedInto(store: ResourceStore, from: string, into: string): Promise<boolean> {
  let id: string | undefined = from;
  for (let step = 0; step < MERGES_FOLLOWED_MAX && id !== undefined; step += 1) {
    if (id === into) return true;
    id = survivorOf((await store.read('Patient', id))?.parse<Patient>());
  }
  return false;
}

/** Id of the patient that a report is about. */
export const patientIdOf = (report: DiagnosticReport): string | undefined => {
  const reference = referenceToId(report.subject);
  return reference?.type === 'Patient' ? reference.id : undefined;
};

const survivorOf = (patient: Patient | undefined): string | undefined => {
  const link = patient?.link?.find((one) => one.type === 'replaced-by');
  return referenceToId(link?.other)?.id;
};

async function readAll<T extends Resource>(
  store: ResourceStore,
  references: readonly (Reference | undefined)[],
  access: AccessContext,
): Promise<T[]> {
  const ids = references.flatMap((one) => referenceToId(one) ?? []);
  return ids.length === 0
    ? []
    : (await store.readMany(ids, undefined, access)).map((stored) => stored.parse<T>());
}

function incomplete(part: string, at: string): Failure {
  return new Failure(
    'ris.not-sendable',
    `The record has no ${part}, and a result message cannot do without.`,
    { issues: [{ at, text: 'is missing' }] },
  );
}
