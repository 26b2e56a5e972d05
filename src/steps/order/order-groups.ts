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

/** Cuts ORM^O01, OMI^O23 and OMG^O19 into orders. Throws `hl7.missing` when there is no ORC. */
export function orderGroups(message: Hl7Message): OrderGroup[] {
  const groups: Hl7Segment[][] = [];
  for (const segment of message.segments) {
    if (segment.name === 'ORC') groups.push([segment]);
    else groups.at(-1)?.push(segment);
  }
  if (groups.length === 0) {
    throw new Failure('hl7.missing', 'The message holds no order: send at least one ORC segment.', {
      issues: [{ at: 'ORC', text: 'is missing' }],
    });
  }
  return groups.map((segments) => ({
    orc: segments[0]!,
    obr: segments.find((segment) => segment.name === 'OBR'),
    segments,
  }));
}

export const segmentsOf = (group: OrderGroup, name: string): Hl7Segment[] =>
  group.segments.filter((segment) => segment.name === name);
