import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { Failure } from '../../kernel/errors.ts';
import { plain } from './datatype-to-fhir.ts';

/** One order of a message: its ORC with everything up to the next ORC. */
export interface OrderGroup {
  readonly orc: Hl7Segment;
  /** Absent in some cancellations. */
  readonly obr: Hl7Segment | undefined;
  /** All segments of the group in message order, ORC first, up to what is no part of the order any more. */
  readonly segments: readonly Hl7Segment[];
  /** What ended it before the next ORC: a second OBR, or a PID, with which earlier results begin whose ORC is left out (OMG^O19). */
  readonly end: 'OBR' | 'PID' | null;
  /** It shares its ORC with the order before, and has a number of its own in its OBR: those of the ORC are of the other. */
  readonly sharesOrc: boolean;
}

/** A visit has a handful; more is a fault, and each order is looked at beside all others of its message. */
export const ORDERS_MAX = 500;

/** Cuts ORM^O01, OMI^O23 and OMG^O19 into orders; results that come with an order for comparison (ORC-1 PR) are none. Throws `hl7.missing` when there is no ORC, `hl7.too-large` when there are too many. */
export function orderGroups(message: Hl7Message): OrderGroup[] {
  const all: Hl7Segment[][] = [];
  // Of the three only ORM^O01 has no earlier results, whose OBR may stand without an ORC.
  const sharing = new Set<Hl7Segment[]>();
  const maySpread = plain(message.get('MSH', 1, 9)) === 'ORM';
  for (const segment of message.segments) {
    const last = all.at(-1);
    if (segment.name === 'ORC') all.push([segment]);
    else if (maySpread && last !== undefined && isFurtherOrder(segment, last)) {
      const further = [last[0]!, ...last.filter(({ name }) => name === 'TQ1'), segment];
      sharing.add(further);
      all.push(further);
    } else last?.push(segment);
  }
  const groups = all.filter(([orc]) => !isPriorResult(orc));
  if (groups.length === 0) {
    throw new Failure('hl7.missing', 'The message holds no order: send at least one ORC segment.', {
      issues: [{ at: 'ORC', text: 'is missing' }],
    });
  }
  if (groups.length > ORDERS_MAX) {
    throw new Failure(
      'hl7.too-large',
      `A message holds at most ${ORDERS_MAX} orders: send the others apart.`,
      {
        issues: [{ at: 'ORC', text: 'stands too often' }],
      },
    );
  }
  return groups.map((group) => toGroup(group, sharing.has(group)));
}

/** A second OBR under one ORC, with a placer or filler number that neither the ORC nor the OBR before has: some send an order for each, and the ORC once. */
function isFurtherOrder(segment: Hl7Segment, group: readonly Hl7Segment[]): boolean {
  const before = group.findLast(({ name }) => name === 'OBR');
  if (segment.name !== 'OBR' || before === undefined) return false;
  return [2, 3].some((field) => {
    const own = plain(segment.get(field));
    return own !== '' && ![group[0], before].some((one) => plain(one?.get(field)) === own);
  });
}

function toGroup(all: readonly Hl7Segment[], sharesOrc: boolean): OrderGroup {
  const obr = all.find((segment) => segment.name === 'OBR');
  const at = all.findIndex(
    (segment) => segment.name === 'PID' || (segment.name === 'OBR' && segment !== obr),
  );
  const end = at < 0 ? null : all[at]!.name === 'PID' ? 'PID' : 'OBR';
  return { orc: all[0]!, obr, segments: at < 0 ? all : all.slice(0, at), end, sharesOrc };
}

export const segmentsOf = (group: OrderGroup, name: string): Hl7Segment[] =>
  group.segments.filter((segment) => segment.name === name);

/** "Previous results with new order" (table 0119): of OMG^O19 and ORM^O01, for the one who does the new order. */
export const isPriorResult = (orc: Hl7Segment | undefined): boolean =>
  orc?.get(1).trim().toUpperCase() === 'PR';
