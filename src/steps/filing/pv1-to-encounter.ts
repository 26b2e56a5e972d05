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
 * PV1 (and the account of PID-18, the reason of PV2-3) → Encounter (v2-to-FHIR, segment map PV1). Undefined without a visit or account number: such an
 * encounter could never be found again and would pile up.
 */
export function pv1ToEncounter(
  pv1: Hl7Segment | undefined,
  pid: Hl7Segment,
  context: SenderContext,
  pv2?: Hl7Segment,
): Encounter | undefined {
  const identifier = identifiersOf(pv1, pid, context);
  if (pv1 === undefined || identifier.length === 0) return undefined;
  const patientClass = plain(pv1.get(2)).toUpperCase();
  const start = timestampToDateTime(plain(pv1.get(44)), context.timeZone);
  const end = timestampToDateTime(plain(pv1.get(45)), context.timeZone);
  const location = locationsOf(pv1, patientClass);
  const reason = cweToConcept(pv2?.repetitions(3)[0]);
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
    ...(reason ? { reasonCode: [reason] } : {}),
    ...(location.length > 0 ? { location } : {}),
  };
}

/**
 * Where he is (PV1-3, PV1-11), where he will be (42) and where he was (6, 43). The first is what the message back repeats as PV1-3, so without it the others
 * are left out.
 */
function locationsOf(pv1: Hl7Segment, patientClass: string): NonNullable<Encounter['location']> {
  const at = (field: number, status: 'active' | 'planned' | 'reserved' | 'completed') => {
    const location = plToLocation(pv1.repetitions(field)[0]);
    return location ? [{ location: location as { display: string }, status }] : [];
  };
  const now = at(3, patientClass === 'P' ? 'planned' : 'active');
  if (now.length === 0) return [];
  return [...now, ...at(11, 'active'), ...at(42, 'reserved'), ...at(6, 'completed'), ...at(43, 'completed')];
}

/** PV1-4 admission type and PV1-18 patient type; PV1-10 hospital service. */
function kindOf(pv1: Hl7Segment): Pick<Encounter, 'type' | 'serviceType'> {
  const type = [4, 18].flatMap((field) => cweToConcept(pv1.repetitions(field)[0]) ?? []);
  const serviceType = cweToConcept(pv1.repetitions(10)[0]);
  return { ...(type.length > 0 ? { type } : {}), ...(serviceType ? { serviceType } : {}) };
}

/** PV1 fields of the stay: number before admission, where he came from and went, and what is to be kept in mind of him. */
function stayOf(pv1: Hl7Segment, context: SenderContext): Pick<Encounter, 'hospitalization'> {
  const [preAdmissionIdentifier] = mapRepetitions(pv1, 5, (cx) => cxToIdentifier(cx, 'visit', 'VN', context));
  const one = (field: number) => cweToConcept(pv1.repetitions(field)[0]) ?? undefined;
  const several = (field: number) => {
    const all = mapRepetitions(pv1, field, cweToConcept);
    return all.length > 0 ? all : undefined;
  };
  const destination = plain(pv1.text(37));
  const parts: Encounter['hospitalization'] = {
    ...{
      preAdmissionIdentifier,
      reAdmission: one(13),
      admitSource: one(14),
      specialArrangement: several(15),
    },
    ...{ specialCourtesy: several(16), dischargeDisposition: one(36), dietPreference: several(38) },
    destination: destination === '' ? undefined : { display: destination },
  };
  const said = Object.entries(parts).filter(([, value]) => value !== undefined);
  return said.length > 0 ? { hospitalization: Object.fromEntries(said) } : {};
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
