import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { Failure } from '../../kernel/errors.ts';
import { mapRepetitions, plain } from './datatype-to-fhir.ts';
import { isPriorResult } from './order-groups.ts';

/**
 * Throws `hl7.value` where a later PID names somebody else and content of his follows: PATIENT_RESULT of ORU^R01 repeats (HL7 v2.5.1 chapter 7.3.1), and
 * what stands under the second patient must not be filed for the first. Earlier results of an order may stand under a PID of their own, which is left out with them.
 */
export function refuseSecondPatient(message: Hl7Message, kind: 'order' | 'result' | 'visit'): void {
  const [first, ...others] = message.all('PID');
  if (first === undefined || others.length === 0) return;
  const known = new Map(numbersOf(first));
  const isOther = (pid: Hl7Segment) =>
    !numbersOf(pid).some(([value, authority]) => {
      const other = known.get(value);
      return other !== undefined && (other === authority || other === '' || authority === '');
    });
  let at = 0;
  let isForeign = false;
  for (const segment of message.segments) {
    if (segment.name === 'PID') {
      at += 1;
      isForeign = isOther(segment);
      if (isForeign && kind !== 'order') throw secondPatient(at);
    } else if (isForeign && segment.name === 'ORC' && !isPriorResult(segment)) throw secondPatient(at);
  }
}

/** Each number of PID-3 with its authority, which a copy of the PID may leave out. */
const numbersOf = (pid: Hl7Segment): [value: string, authority: string][] =>
  mapRepetitions(pid, 3, (one) => {
    const value = plain(one.get(1));
    return value === '' ? null : [value, plain(one.get(4)) || plain(one.get(4, 2))];
  });

const secondPatient = (at: number) =>
  new Failure('hl7.value', 'The message is about several patients: send one message for each.', {
    issues: [{ at: `PID^${at}^3`, text: 'names another patient' }],
  });
