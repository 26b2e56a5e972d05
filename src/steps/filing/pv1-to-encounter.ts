import type { Encounter, Identifier } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import {
  cweToConcept,
  cxToIdentifier,
  mapRepetitions,
  plain,
  plToLocation,
  type SenderContext,
} from './datatype-to-fhir.ts';

/**
 * PV1 (and the account of PID-18) → Encounter (v2-to-FHIR, segment map PV1). Undefined without a visit or account number: such an
 * encounter could never be found again and would pile up.
 */
export function pv1ToEncounter(
  pv1: Hl7Segment | undefined,
  pid: Hl7Segment,
  context: SenderContext,
): Encounter | undefined {
  const identifier = identifiersOf(pv1, pid, context);
  if (pv1 === undefined || identifier.length === 0) return undefined;
  const patientClass = plain(pv1.get(2)).toUpperCase();
  const start = timestampToDateTime(plain(pv1.get(44)), context.timeZone);
  const end = timestampToDateTime(plain(pv1.get(45)), context.timeZone);
  const location = plToLocation(pv1.repetitions(3)[0]);
  const participant = Object.entries(PARTICIPANTS).flatMap(([field, code]) =>
    mapRepetitions(pv1, Number(field), (xcn) => xcnToReference(xcn, context.facility)).map((individual) => ({
      type: [{ coding: [{ system: PARTICIPATION, code }] }],
      individual: individual as NonNullable<Encounter['participant']>[number]['individual'],
    })),
  );
  return {
    resourceType: 'Encounter',
    identifier,
    status: end !== null ? 'finished' : (STATUSES[patientClass] ?? 'in-progress'),
    class: CLASSES[patientClass] ?? { system: PATIENT_CLASS, code: patientClass || 'U' },
    ...(participant.length > 0 ? { participant } : {}),
    ...(start || end ? { period: { ...(start ? { start } : {}), ...(end ? { end } : {}) } } : {}),
    ...kindOf(pv1),
    ...stayOf(pv1, context),
    ...(location
      ? {
          location: [
            {
              location: location as { display: string },
              status: patientClass === 'P' ? ('planned' as const) : ('active' as const),
            },
          ],
        }
      : {}),
  };
}

/** PV1-4 admission type, PV1-10 hospital service. */
function kindOf(pv1: Hl7Segment): Pick<Encounter, 'type' | 'serviceType'> {
  const type = cweToConcept(pv1.repetitions(4)[0]);
  const serviceType = cweToConcept(pv1.repetitions(10)[0]);
  return { ...(type ? { type: [type] } : {}), ...(serviceType ? { serviceType } : {}) };
}

/** PV1-5 number before admission, PV1-14 where he came from, PV1-36 where he went. */
function stayOf(pv1: Hl7Segment, context: SenderContext): Pick<Encounter, 'hospitalization'> {
  const [preAdmissionIdentifier] = mapRepetitions(pv1, 5, (cx) => cxToIdentifier(cx, 'visit', 'VN', context));
  const admitSource = cweToConcept(pv1.repetitions(14)[0]);
  const dischargeDisposition = cweToConcept(pv1.repetitions(36)[0]);
  const hospitalization = {
    ...(preAdmissionIdentifier ? { preAdmissionIdentifier } : {}),
    ...(admitSource ? { admitSource } : {}),
    ...(dischargeDisposition ? { dischargeDisposition } : {}),
  };
  return Object.keys(hospitalization).length > 0 ? { hospitalization } : {};
}

/** PV1-19 is the visit number; PID-18 the account, which many sites use in its place. PV1-50 is a further number of a visit that has one of these. */
function identifiersOf(pv1: Hl7Segment | undefined, pid: Hl7Segment, context: SenderContext): Identifier[] {
  const own = [
    ...mapRepetitions(pv1, 19, (cx) => cxToIdentifier(cx, 'visit', 'VN', context)),
    ...mapRepetitions(pid, 18, (cx) => cxToIdentifier(cx, 'account', 'AN', context)),
  ];
  if (own.length === 0) return [];
  const further = mapRepetitions(pv1, 50, (cx) => cxToIdentifier(cx, 'visit', null, context));
  return [
    ...own,
    ...further.filter(
      (one) => !own.some(({ system, value }) => system === one.system && value === one.value),
    ),
  ];
}

const ACT_CODE = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';
const PATIENT_CLASS = 'http://terminology.hl7.org/CodeSystem/v2-0004';
const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
/** PV1 field → participation. */
const PARTICIPANTS: Readonly<Record<number, string>> = {
  7: 'ATND',
  8: 'REF',
  9: 'CON',
  17: 'ADM',
  52: 'PART',
};
/** Table 0004 → v3 ActCode; others keep their v2 code. */
const CLASSES: Readonly<Record<string, Encounter['class']>> = {
  E: { system: ACT_CODE, code: 'EMER', display: 'emergency' },
  I: { system: ACT_CODE, code: 'IMP', display: 'inpatient encounter' },
  O: { system: ACT_CODE, code: 'AMB', display: 'ambulatory' },
  P: { system: ACT_CODE, code: 'PRENC', display: 'pre-admission' },
};
const STATUSES: Readonly<Record<string, Encounter['status']>> = { P: 'planned', U: 'unknown' };
