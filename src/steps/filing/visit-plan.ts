import type { Encounter } from '@medplum/fhirtypes';
import type { Hl7Message } from '../../hl7/codec.ts';
import { plain, type SenderContext } from './datatype-to-fhir.ts';
import { patientDeletions, visitDeletions } from './delete-marks.ts';
import type { FilingPlan } from './filing-plan.ts';
import { refuseSecondPatient } from './only-patient.ts';
import { keysOf } from './open-record.ts';
import { of } from './order-plan.ts';
import { mrnOf, pidOf, pidToPatient } from './pid-to-patient.ts';
import { placeEncounter } from './place-encounter.ts';
import { placePatient } from './place-patient.ts';
import { pv1ToEncounter } from './pv1-to-encounter.ts';

/**
 * ADT without a merge → patient, and the visit where it has a number. The event says what the visit is: A05 planned, A01 in progress, A03 finished,
 * A11 cancelled. An update (A08, A31, A02) leaves the status of a known visit as it is.
 */
export function visitPlan(messageType: string, message: Hl7Message, context: SenderContext): FilingPlan {
  const pid = pidOf(message);
  refuseSecondPatient(message, 'visit');
  const pv1 = message.segment('PV1');
  const patient = pidToPatient(pid, context);
  const visit = pv1ToEncounter(pv1, pid, context, message.segment('PV2'));
  const byEvent = STATUSES[messageType];
  const encounter: Encounter | undefined =
    visit && byEvent ? { ...visit, status: visit.status === 'finished' ? 'finished' : byEvent } : visit;
  const [ofPatient, ofVisit] = [patientDeletions(pid), visitDeletions(message)];
  const flags = [
    ...(plain(pid.get(7)) !== '' && patient.birthDate === undefined ? ['birth-date-unreadable'] : []),
    ...(pv1 !== undefined && encounter === undefined ? ['visit-without-number'] : []),
    ...(ofPatient.ignored || ofVisit.ignored ? ['delete-ignored'] : []),
  ];
  return {
    messageType,
    mrn: mrnOf(patient).value ?? null,
    accession: null,
    flags,
    keys: keysOf([patient, ...(encounter ? [encounter] : [])]),
    alone: false,
    lookups: [
      ...of('Patient', [mrnOf(patient)]),
      ...of('Encounter', encounter?.identifier?.slice(0, 1) ?? []),
    ],
    place: async (record) => {
      const said = { resource: patient, deleted: ofPatient.elements };
      const subject = { reference: `Patient/${await placePatient(record, said)}` };
      const status = byEvent ? 'says' : 'silent';
      if (encounter)
        await placeEncounter(record, { resource: encounter, deleted: ofVisit.elements }, { subject, status });
    },
  };
}

/** Events that say what a visit is (chapter 3.3); the others are silent on it. */
const STATUSES: Readonly<Record<string, Encounter['status']>> = {
  'ADT^A01': 'in-progress',
  'ADT^A03': 'finished',
  'ADT^A04': 'in-progress',
  'ADT^A05': 'planned',
  'ADT^A06': 'in-progress',
  'ADT^A07': 'in-progress',
  'ADT^A11': 'cancelled',
  'ADT^A13': 'in-progress',
  'ADT^A38': 'cancelled',
};
