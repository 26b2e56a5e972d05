import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { Failure } from '../../kernel/errors.ts';

/** One order of a message: its ORC with everything up to the next ORC. */
export interface OrderGroup {
  readonly orc: Hl7Segment;
  /** Absent in some cancellations. */
  readonly obr: Hl7Segment | undefined;
  /** All segments of the group in message order, ORC first. */
  readonly segments: readonly Hl7Segment[];
}

/** A visit has a handful; more is a fault, and each order is looked at beside all others of its message. */
export const ORDERS_MAX = 500;

/** Cuts ORM^O01, OMI^O23 and OMG^O19 into orders; results that come with an order for comparison (ORC-1 PR) are none. Throws `hl7.missing` when there is no ORC, `hl7.too-large` when there are too many. */
export function orderGroups(message: Hl7Message): OrderGroup[] {
  const all: Hl7Segment[][] = [];
  for (const segment of message.segments) {
    if (segment.name === 'ORC') all.push([segment]);
    else all.at(-1)?.push(segment);
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
  return groups.map((segments) => ({
    orc: segments[0]!,
    obr: segments.find((segment) => segment.name === 'OBR'),
    segments,
  }));
}

export const segmentsOf = (group: OrderGroup, name: string): Hl7Segment[] =>
  group.segments.filter((segment) => segment.name === name);

/** "Previous results with new order" (table 0119): of OMG^O19 and ORM^O01, for the one who does the new order. */
export const isPriorResult = (orc: Hl7Segment | undefined): boolean =>
  orc?.get(1).trim().toUpperCase() === 'PR';
