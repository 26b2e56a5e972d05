import type { ServiceRequest } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { Failure } from '../../kernel/errors.ts';
import { plain } from './datatype-to-fhir.ts';

type Status = ServiceRequest['status'];

/** What ORC-1 and ORC-5 say of an order. */
export interface OrderControl {
  readonly status: Status;
  /** It is asked for with this message, and not changed. */
  readonly isNew: boolean;
  /** False: it is a change that says nothing of the status, so an order that is known keeps the one it has. */
  readonly saysStatus: boolean;
  /** This order is taken back for the one that follows with RO. */
  readonly isReplaced: boolean;
  /** This order takes the place of those before it that are replaced. */
  readonly replaces: boolean;
}

/**
 * ORC-1 (table 0119) and ORC-5 (table 0038) → status. The published map makes a cancel *request* (CA, DC) active. For a filler that must stop
 * its work a request to stop is a stop, and a request to hold a hold: they outrank ORC-5, which still says the state before. Else ORC-5
 * where it is a code of table 0038, else ORC-1. Throws `hl7.value` for a code that is no order.
 */
export function orderControl(orc: Hl7Segment): OrderControl {
  const code = plain(orc.get(1)).toUpperCase();
  const byControl = CONTROLS[code];
  if (byControl === undefined) throw noControl(code === '');
  const replacing = { isNew: NEW.has(code), isReplaced: REPLACED.has(code), replaces: code === 'RO' };
  if (OUTRANKS.has(code)) return { ...replacing, status: byControl, saysStatus: true };
  const byStatus = STATUSES[plain(orc.get(5)).toUpperCase()];
  const saysStatus = byStatus !== undefined || !SILENT.has(code);
  return { ...replacing, status: byStatus ?? byControl, saysStatus };
}

function noControl(isEmpty: boolean): Failure {
  const text = isEmpty ? 'ORC-1 is empty' : 'ORC-1 holds a code that is no order, change or cancellation';
  return new Failure('hl7.value', `${text}: send NW, XO, SC, HD, RL, CA, DC, or RP with RO.`, {
    issues: [{ at: 'ORC^1^1', text }],
  });
}

/**
 * Table 0119, the codes that make, change, hold, release, replace or stop an order, and the answers to them that some systems send on to others: what could not
 * be stopped, held or replaced (UC, UD, UH, UM) stands, what could not be accepted (UA) does not. Not here, and so refused: results (RE, CN), questions (SS), pharmacy.
 */
const CONTROLS: Readonly<Record<string, Status>> = {
  NW: 'active',
  SN: 'active',
  RO: 'active',
  XO: 'active',
  XX: 'active',
  XR: 'active',
  SC: 'active',
  SR: 'active',
  NA: 'active',
  OK: 'active',
  CH: 'active',
  PA: 'active',
  RL: 'active',
  OE: 'active',
  OR: 'active',
  HD: 'on-hold',
  OH: 'on-hold',
  HR: 'on-hold',
  CA: 'revoked',
  DC: 'revoked',
  OC: 'revoked',
  OD: 'revoked',
  CR: 'revoked',
  DR: 'revoked',
  RP: 'revoked',
  RQ: 'revoked',
  RU: 'revoked',
  UA: 'revoked',
  UC: 'active',
  UD: 'active',
  UH: 'active',
  UM: 'active',
  UR: 'on-hold',
  UX: 'active',
};

/** Asked for by the placer, made by the filler, in place of another. */
const NEW: ReadonlySet<string> = new Set(['NW', 'SN', 'RO']);

/** Requested by the placer, told by the filler, answered: the old order of a replacement. */
const REPLACED: ReadonlySet<string> = new Set(['RP', 'RQ', 'RU']);

/** Asked for by the placer, told by the filler, answered. */
const RELEASES: ReadonlySet<string> = new Set(['RL', 'OE', 'OR']);

/** A stop, a hold and a release say what shall be, while ORC-5 may still say what was. */
const OUTRANKS: ReadonlySet<string> = new Set(
  Object.keys(CONTROLS).filter((code) => CONTROLS[code] !== 'active' || RELEASES.has(code)),
);

/** Changes of something else than the status, and answers that leave it as it was. */
const SILENT: ReadonlySet<string> = new Set('XO XX XR SC SR CH PA NA OK UX'.split(' '));

/** Table 0038. */
const STATUSES: Readonly<Record<string, Status>> = {
  A: 'active',
  IP: 'active',
  SC: 'active',
  CM: 'completed',
  CA: 'revoked',
  DC: 'revoked',
  RP: 'revoked',
  HD: 'on-hold',
  ER: 'entered-in-error',
};
