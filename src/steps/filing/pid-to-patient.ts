import type { Address, ContactPoint, HumanName, Identifier, Patient } from '@medplum/fhirtypes';
import { systemOfAuthority } from '../../hl7/assigning-authority.ts';
import type { Hl7Message, Hl7Repetition, Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDate, timestampToDateTime } from '../../hl7/timestamp.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import {
  cweToConcept,
  cxToIdentifier,
  mapRepetitions,
  plain,
  type SenderContext,
  xadToAddress,
  xpnToName,
  xtnToContact,
} from './datatype-to-fhir.ts';
import { pidExtensions } from './pid-extensions.ts';

/**
 * PID → Patient (v2-to-FHIR, segment map PID). Needs a number in PID-3, else `hl7.missing`: a patient without a
 * number would be made anew with every message.
 */
export function pidToPatient(pid: Hl7Segment, context: SenderContext): Patient {
  const identifier = identifiersOf(pid, context);
  const name = [...mapRepetitions(pid, 5, xpnToName), ...mapRepetitions(pid, 9, xpnToName).map(asAlias)];
  const birthDate = timestampToDate(plain(pid.get(7)));
  const gender = GENDERS[plain(pid.get(8)).toUpperCase()];
  const address = withCounty(mapRepetitions(pid, 11, xadToAddress), plain(pid.get(12)));
  const telecom = telecomOf(pid);
  const maritalStatus = cweToConcept(pid.repetitions(16)[0]);
  const language = cweToConcept(pid.repetitions(15)[0]);
  const extension = pidExtensions(pid);
  return {
    resourceType: 'Patient',
    ...(extension.length > 0 ? { extension } : {}),
    identifier,
    ...(name.length > 0 ? { name } : {}),
    ...(telecom.length > 0 ? { telecom } : {}),
    ...(gender ? { gender } : {}),
    ...(birthDate ? { birthDate, ...birthTimeOf(pid, context) } : {}),
    ...deceasedOf(pid, context),
    ...multipleBirthOf(pid),
    ...(address.length > 0 ? { address } : {}),
    ...(maritalStatus ? { maritalStatus } : {}),
    ...(language ? { communication: [{ language }] } : {}),
  };
}

/** Throws `hl7.missing` for a message without patient. */
export function pidOf(message: Hl7Message): Hl7Segment {
  const pid = message.segment('PID');
  if (pid !== undefined) return pid;
  throw new Failure('hl7.missing', 'The message has no PID segment: send the patient with his number.', {
    issues: [{ at: 'PID', text: 'is missing' }],
  });
}

/** The number a patient is known by: the first medical record number. */
export function mrnOf(patient: Patient): Identifier {
  const isMrn = (one: Identifier) => one.type?.coding?.some((coding) => coding.code === 'MR');
  return patient.identifier?.find(isMrn) ?? patient.identifier![0]!;
}

/** PID-3 or MRG-1: a list of numbers. One without a type is the MRN when no other says so. */
export function patientNumbers(segment: Hl7Segment, field: number, context: SenderContext): Identifier[] {
  const listed = mapRepetitions(segment, field, (cx) => cxToIdentifier(cx, 'patient', null, context));
  const untyped = listed.find((one) => one.type === undefined);
  const hasMrn = listed.some((one) => one.type?.coding?.[0]?.code === 'MR');
  if (!hasMrn && untyped !== undefined)
    untyped.type = { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'MR' }] };
  return listed;
}

/** PID-13 home, PID-14 work where they do not say otherwise; PID-40 says so itself. One that stands in two fields is one. */
function telecomOf(pid: Hl7Segment): ContactPoint[] {
  const all = [
    ...mapRepetitions(pid, 13, (one) => xtnToContact(one, 'home')),
    ...mapRepetitions(pid, 14, (one) => xtnToContact(one, 'work')),
    ...mapRepetitions(pid, 40, (one) => xtnToContact(one, undefined)),
  ];
  return all.filter(
    (one, at) => all.findIndex(({ system, value }) => system === one.system && value === one.value) === at,
  );
}

/** PID-3 first, then PID-2, PID-4, PID-19 and PID-20. */
function identifiersOf(pid: Hl7Segment, context: SenderContext): Identifier[] {
  const listed = patientNumbers(pid, 3, context);
  if (listed.length === 0) {
    throw new Failure('hl7.missing', 'PID-3 holds no patient number: send the medical record number.', {
      issues: [{ at: 'PID^1^3', text: 'is missing' }],
    });
  }
  const others = [
    ...mapRepetitions(pid, 2, (cx) => cxToIdentifier(cx, 'patient', 'PT', context)),
    ...mapRepetitions(pid, 4, (cx) => cxToIdentifier(cx, 'patient', 'PT', context)),
    ...mapRepetitions(pid, 19, (cx) => cxToIdentifier(cx, 'patient', 'SS', { ...context, facility: 'SSA' })),
    ...mapRepetitions(pid, 20, (dln) => licenceOf(dln, context)),
  ];
  const all = [...listed, ...others];
  return all.filter(
    (one, at) => all.findIndex((other) => other.system === one.system && other.value === one.value) === at,
  );
}

/** DLN: number, who issued it, until when. */
function licenceOf(dln: Hl7Repetition, context: SenderContext): Identifier | null {
  const value = plain(dln.get(1));
  if (value === '') return null;
  const namespace = plain(dln.get(2));
  const end = timestampToDate(plain(dln.get(3)));
  return {
    type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'DL' }] },
    system: systemOfAuthority(
      'licence',
      { namespace, universalId: '', universalIdType: '' },
      context.facility,
    ),
    value,
    ...(end ? { period: { end } } : {}),
    ...(namespace ? { assigner: { display: namespace } } : {}),
  };
}

function birthTimeOf(pid: Hl7Segment, context: SenderContext): object {
  const time = timestampToDateTime(plain(pid.get(7)), context.timeZone);
  if (!time?.includes('T')) return {};
  return { _birthDate: { extension: [{ url: BIRTH_TIME, valueDateTime: time }] } };
}

/** PID-9: a name by which he was known; never the one by which he is. */
const asAlias = (name: HumanName): HumanName =>
  name.use === undefined || name.use === 'official' ? { ...name, use: 'old' } : name;

/** PID-12 is the county of the first address that names none. */
function withCounty(addresses: readonly Address[], county: string): Address[] {
  const at = county === '' ? -1 : addresses.findIndex(({ district }) => district === undefined);
  return addresses.map((one, n) => (n === at ? { ...one, district: county } : one));
}

/** PID-25 says which of the children; PID-24 only that there were several. */
function multipleBirthOf(pid: Hl7Segment): Pick<Patient, 'multipleBirthInteger' | 'multipleBirthBoolean'> {
  const order = plain(pid.get(25));
  if (/^[1-9]\d?$/.test(order)) return { multipleBirthInteger: Number(order) };
  const flag = plain(pid.get(24));
  return flag === 'Y' || flag === 'N' ? { multipleBirthBoolean: flag === 'Y' } : {};
}

/** PID-30 counts only where PID-29 is empty. */
function deceasedOf(
  pid: Hl7Segment,
  context: SenderContext,
): Pick<Patient, 'deceasedDateTime' | 'deceasedBoolean'> {
  const time = timestampToDateTime(plain(pid.get(29)), context.timeZone);
  if (time !== null) return { deceasedDateTime: time };
  const flag = plain(pid.get(30));
  return flag === 'Y' || flag === 'N' ? { deceasedBoolean: flag === 'Y' } : {};
}

const BIRTH_TIME = 'http://hl7.org/fhir/StructureDefinition/patient-birthTime';
/** Table 0001; A (ambiguous) and N (not applicable) have no code of their own in FHIR. */
const GENDERS: Readonly<Record<string, Patient['gender']>> = {
  F: 'female',
  M: 'male',
  O: 'other',
  A: 'other',
  N: 'other',
  U: 'unknown',
};
