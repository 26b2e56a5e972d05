import type { Identifier, Patient } from '@medplum/fhirtypes';
import { systemOfAuthority } from '../../hl7/assigning-authority.ts';
import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { Failure, type FailureCode } from '../../kernel/errors.ts';
import { mapRepetitions, type SenderContext, xpnToName } from './datatype-to-fhir.ts';
import { patientDeletions } from './delete-marks.ts';
import type { FilingPlan } from './filing-plan.ts';
import { movePatient } from './move-patient.ts';
import { hasNumber, idOf, type Kept, keysOf, type OpenRecord } from './open-record.ts';
import { of } from './order-plan.ts';
import { mrnOf, patientNumbers, pidToPatient } from './pid-to-patient.ts';
import { type FoundPatient, findPatient, takePatient } from './place-patient.ts';
import type { Said } from './take-said.ts';

/** One PID with its MRG: who stays, and who is merged away. */
interface Merge {
  readonly survivor: Said<Patient>;
  /** Numbers and name of MRG; all numbers are of one patient. */
  readonly retired: Patient;
  /** PID takes back (`""`) what cannot be. */
  readonly isDeleteIgnored: boolean;
}

/**
 * ADT^A40 (structure ADT_A39, PID [PD1] MRG [PV1] repeated): the patient of MRG-1 is merged into that of PID-3. He becomes inactive with a link
 * `replaced-by`, his numbers become old ones of the survivor, and what was recorded for him moves. All groups of a message are merged, or none.
 */
export function mergePlan(messageType: string, message: Hl7Message, context: SenderContext): FilingPlan {
  const merges = mergesOf(message, context);
  const patients = merges.flatMap(({ survivor, retired }) => [survivor.resource, retired]);
  return {
    messageType,
    mrn: mrnOf(merges[0]!.survivor.resource).value ?? null,
    accession: null,
    flags: merges.some(({ isDeleteIgnored }) => isDeleteIgnored) ? ['delete-ignored'] : [],
    keys: keysOf(patients),
    alone: true,
    lookups: of(
      'Patient',
      patients.flatMap((one) => one.identifier ?? []),
    ),
    place: async (record) => {
      for (const one of merges) await mergeOne(record, one);
    },
  };
}

function mergesOf(message: Hl7Message, context: SenderContext): Merge[] {
  const groups: { pid: Hl7Segment; mrg?: Hl7Segment }[] = [];
  for (const segment of message.segments) {
    const last = groups.at(-1);
    if (segment.name === 'PID') groups.push({ pid: segment });
    else if (segment.name === 'MRG' && last) last.mrg ??= segment;
  }
  if (groups.length === 0)
    throw missing('PID', 'The message has no PID segment: send the patient who stays.');
  return groups.map(({ pid, mrg }, at) => {
    const sent = mrg ? patientNumbers(mrg, 1, context) : [];
    if (!mrg || sent.length === 0)
      throw missing(`MRG^${at + 1}^1`, 'MRG-1 is empty: send the number that is merged away.');
    const survivor = pidToPatient(pid, context);
    const numbers = withAuthority(sent, mrnOf(survivor), context);
    const name = mapRepetitions(mrg, 7, xpnToName);
    const retired: Patient = {
      resourceType: 'Patient',
      identifier: numbers,
      ...(name.length > 0 ? { name } : {}),
    };
    if (hasNumber(retired, mrnOf(survivor))) {
      throw refused(
        'merge.same-patient',
        at,
        'PID-3 and MRG-1 name the same number; a merge needs two patients.',
      );
    }
    // A number that PID-3 has too (of an index over hospitals, of the person) tells who stays, not who goes.
    retired.identifier = numbers.filter((one) => !hasNumber(survivor, one));
    const { elements: deleted, ignored } = patientDeletions(pid);
    return { survivor: { resource: survivor, deleted }, retired, isDeleteIgnored: ignored };
  });
}

/**
 * Older senders write MRG-1 as a number alone, and the authority in PID-3 only: then it is a number of that authority, as it would be in the PID of the one who goes. It stands
 * first; the number without an authority stays beside it, for who is known by it.
 */
function withAuthority(
  numbers: readonly Identifier[],
  mrn: Identifier,
  { facility }: SenderContext,
): Identifier[] {
  const none = systemOfAuthority(
    'patient',
    { namespace: '', universalId: '', universalIdType: '' },
    facility,
  );
  if (mrn.system === none) return [...numbers];
  const { system, assigner, extension } = mrn;
  const named = { system, ...(assigner ? { assigner } : {}), ...(extension ? { extension } : {}) };
  return numbers.flatMap((one) => (one.system === none ? [{ ...one, ...named } as Identifier, one] : [one]));
}

/** Looks at who is known, and does what the table of cases in `docs/interface-engineer.md` says. */
async function mergeOne(record: OpenRecord, { survivor: said, retired: gone }: Merge): Promise<void> {
  const mrn = mrnOf(said.resource);
  const target = await findPatient(record, [mrn]);
  const source = await findPatient(record, gone.identifier ?? []);
  if (source && target && source.survivor.id === target.survivor.id) {
    return sameAlready(record, source, target, gone);
  }
  if (source?.retired) {
    throw refused(
      'merge.already-merged',
      0,
      'The patient of MRG-1 was merged into another one before; a person must decide.',
    );
  }
  if (target?.retired) record.flags.push('patient-merged');
  const kept =
    target?.retired === true ? target.survivor : takePatient(record, target?.survivor ?? null, said);
  if (source === null) record.flags.push('merged-unknown');
  const retired = source?.survivor ?? { ...gone, id: idOf('Patient', mrnOf(gone)) };
  record.put(withOldNumbers(linked(kept, 'replaces', retired.id), retired, gone));
  record.put({ ...linked(retired, 'replaced-by', kept.id), active: false });
  if (source === null) await record.flush();
  else await movePatient(record, retired.id, kept.id);
}

/** Both numbers lead to one patient: a repeat, a merge the other way round, or one record that has both numbers. */
function sameAlready(record: OpenRecord, source: FoundPatient, target: FoundPatient, gone: Patient): void {
  if (target.retired && !source.retired) {
    throw refused(
      'merge.reversed',
      0,
      'This merge is the reverse of one that was made before; a person must decide which patient stays.',
    );
  }
  record.flags.push('merge-repeated');
  record.put(withOldNumbers(source.survivor, gone, gone));
}

function linked(patient: Kept<Patient>, type: 'replaces' | 'replaced-by', id: string): Kept<Patient> {
  const reference = `Patient/${id}`;
  const others = (patient.link ?? []).filter(
    (one) => one.type !== 'replaced-by' && !(one.type === type && one.other.reference === reference),
  );
  return { ...patient, link: [...others, { other: { reference }, type }] };
}

/** The survivor keeps every number of the retired one; those that were given up, as old ones: images under them still find him. */
function withOldNumbers(survivor: Kept<Patient>, retired: Patient, gone: Patient): Kept<Patient> {
  const identifier = (survivor.identifier ?? []).map((one) =>
    gone.identifier?.some((other) => hasNumber({ identifier: [one] }, other)) ? asOld(one) : one,
  );
  for (const one of [...(retired.identifier ?? []), ...(gone.identifier ?? [])]) {
    if (!hasNumber({ identifier }, one)) identifier.push(isPersonal(one) ? one : asOld(one));
  }
  return { ...survivor, identifier };
}

const asOld = (one: Identifier): Identifier => ({ ...one, use: 'old' });

/** Numbers of the person, whatever hospital numbers he has: table 0203. */
const isPersonal = (one: Identifier) =>
  ['SS', 'NI', 'NNxxx', 'PPN', 'DL', 'HC'].includes(one.type?.coding?.[0]?.code ?? '');

function missing(at: string, text: string): Failure {
  return new Failure('hl7.missing', text, { issues: [{ at, text: 'is missing' }] });
}

function refused(code: FailureCode, group: number, text: string): Failure {
  return new Failure(code, text, { issues: [{ at: `MRG^${group + 1}^1`, text: 'cannot be merged' }] });
}
