import type { Encounter, Identifier } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import {
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
    ...(location ? { location: [{ location: location as { display: string } }] } : {}),
  };
}

/** PV1-19 is the visit number; PID-18 the account, which many sites use in its place. */
function identifiersOf(pv1: Hl7Segment | undefined, pid: Hl7Segment, context: SenderContext): Identifier[] {
  return [
    ...mapRepetitions(pv1, 19, (cx) => cxToIdentifier(cx, 'visit', 'VN', context)),
    ...mapRepetitions(pid, 18, (cx) => cxToIdentifier(cx, 'account', 'AN', context)),
  ];
}

const ACT_CODE = 'http://terminology.hl7.org/CodeSystem/v3-ActCode';
const PATIENT_CLASS = 'http://terminology.hl7.org/CodeSystem/v2-0004';
const PARTICIPATION = 'http://terminology.hl7.org/CodeSystem/v3-ParticipationType';
/** PV1 field → participation. */
const PARTICIPANTS: Readonly<Record<number, string>> = { 7: 'ATND', 8: 'REF', 9: 'CON', 17: 'ADM' };
/** Table 0004 → v3 ActCode; others keep their v2 code. */
const CLASSES: Readonly<Record<string, Encounter['class']>> = {
  E: { system: ACT_CODE, code: 'EMER', display: 'emergency' },
  I: { system: ACT_CODE, code: 'IMP', display: 'inpatient encounter' },
  O: { system: ACT_CODE, code: 'AMB', display: 'ambulatory' },
  P: { system: ACT_CODE, code: 'PRENC', display: 'pre-admission' },
};
const STATUSES: Readonly<Record<string, Encounter['status']>> = { P: 'planned', U: 'unknown' };
