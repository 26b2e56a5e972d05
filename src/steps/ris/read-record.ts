import type {
  Device,
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  Observation,
  Patient,
  Reference,
  Resource,
  ServiceRequest,
} from '@medplum/fhirtypes';
import type { ResourceId, ResourceStore } from '../../fhir/resource-store.ts';
import { Failure } from '../../kernel/errors.ts';
import type { OruInput } from './oru-input.ts';

/** The record a report stands for: everything a message is made of. */
export type ReportRecord = Pick<
  OruInput,
  'report' | 'observations' | 'patient' | 'encounter' | 'serviceRequest' | 'imagingStudy' | 'device'
>;

/** Reads it as it stands now. Throws `ris.not-sendable` when a part that every message needs is gone. */
export async function readRecord(store: ResourceStore, report: DiagnosticReport): Promise<ReportRecord> {
  const parts = [report.subject, ...(report.imagingStudy ?? []), report.encounter, ...(report.basedOn ?? [])];
  const found = await readAll<Resource>(store, [...(report.result ?? []), ...parts]);
  const first = <T extends Resource>(type: T['resourceType']) =>
    found.find((one) => one.resourceType === type) as T | undefined;
  const observations = found.filter((one) => one.resourceType === 'Observation') as Observation[];
  const [device] = await readAll<Device>(store, [observations.find((one) => one.device)?.device]);
  const patient = first<Patient>('Patient');
  const imagingStudy = first<ImagingStudy>('ImagingStudy');
  const encounter = first<Encounter>('Encounter');
  const serviceRequest = first<ServiceRequest>('ServiceRequest');
  if (!patient) throw incomplete('patient');
  if (!imagingStudy) throw incomplete('imaging study');
  if (!device) throw incomplete('device');
  return {
    report,
    observations,
    patient,
    imagingStudy,
    device,
    ...(encounter ? { encounter } : {}),
    ...(serviceRequest ? { serviceRequest } : {}),
  };
}

async function readAll<T extends Resource>(
  store: ResourceStore,
  references: readonly (Reference | undefined)[],
): Promise<T[]> {
  const ids = references.flatMap((one) => idOf(one) ?? []);
  return ids.length === 0 ? [] : (await store.readMany(ids)).map((stored) => stored.parse<T>());
}

function idOf(reference: Reference | undefined): ResourceId | null {
  const match = /(?:^|\/)([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})$/.exec(reference?.reference ?? '');
  return match ? { type: match[1]!, id: match[2]! } : null;
}

function incomplete(part: string): Failure {
  return new Failure(
    'ris.not-sendable',
    `The record has no ${part}, and a result message cannot do without.`,
  );
}
