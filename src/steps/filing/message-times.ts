import type { Hl7Message } from '../../hl7/codec.ts';
import { type TimeSpan, timestampToSpan, ZONES_APART_MS } from '../../hl7/time-span.ts';
import { plain, type SenderContext } from './datatype-to-fhir.ts';

/** What a message says of its own time. */
export interface MessageTimes {
  /** EVN-2, when the event was recorded; of an order ORC-9. */
  readonly event?: TimeSpan;
  /** MSH-7, when the message was made. */
  readonly sent?: TimeSpan;
}

/** A time by the clock of the one who wrote it. */
export interface ClockTime extends TimeSpan {
  readonly sender: string;
}

/** When something was said, by the message that said it. */
export interface Moment {
  readonly event?: ClockTime;
  readonly sent?: ClockTime;
}

/** Clocks of two systems, and theirs and ours, may differ by so much: closer times of two senders count in the order in which they arrive. */
export const CLOCKS_APART_MS = 5 * 60_000;

export function messageTimes(message: Hl7Message, { timeZone }: SenderContext): MessageTimes {
  const event = timestampToSpan(plain(message.get('EVN', 1, 2)), timeZone);
  const sent = timestampToSpan(plain(message.get('MSH', 1, 7)), timeZone);
  return { ...(event ? { event } : {}), ...(sent ? { sent } : {}) };
}

/** A time that our clock has not reached is wrong. If it counted, nothing could be newer for as long. */
export const isAhead = ({ from, zoned }: TimeSpan, nowMs: number): boolean =>
  from > nowMs + CLOCKS_APART_MS + (zoned ? 0 : ZONES_APART_MS);

type Order = 'older' | 'same' | 'newer';

/** Is what is said now older than what was said last? Where the times do not tell them apart it is not: then what comes later is. */
export type IsLate = (now: Moment, last: Moment) => boolean;

/** By when it happened; where that is not known of both, or the same, by when it was sent: an engine may send an old event as a new message. */
export const isOlder: IsLate = (now, last) => orderOf(now, last) === 'older';

/** Of a change of an order: many senders repeat in its ORC-9 when the order was placed, so that alone does not make a cancellation older than what it cancels. */
export const isOlderChange: IsLate = (now, last) => {
  const [event, sent] = [compare(now.event, last.event), compare(now.sent, last.sent)];
  return (event === 'older' && sent !== 'newer') || (sent === 'older' && event !== 'newer');
};

/**
 * Of an order that comes after its own change, hold or cancellation: it is the one these were about, unless it was placed after them. The same ORC-9, to the minute or better,
 * is the same order, whenever the message was made.
 */
export const isNotNewer: IsLate = (now, last) => {
  const isSameEvent = compare(now.event, last.event) === 'same' && isFine(now.event) && isFine(last.event);
  return isSameEvent || orderOf(now, last) !== 'newer';
};

function orderOf(now: Moment, last: Moment): Order | null {
  const event = compare(now.event, last.event);
  return event === null || event === 'same' ? compare(now.sent, last.sent) : event;
}

/** Null: one of them is not known. */
function compare(now: ClockTime | undefined, last: ClockTime | undefined): Order | null {
  if (now === undefined || last === undefined) return null;
  const isOneClock = now.sender === last.sender;
  const isOneScale = (now.zoned && last.zoned) || (isOneClock && now.zoned === last.zoned);
  const apart = (isOneClock ? 0 : CLOCKS_APART_MS) + (isOneScale ? 0 : ZONES_APART_MS);
  if (now.until + apart <= last.from) return 'older';
  return last.until + apart <= now.from ? 'newer' : 'same';
}

const isFine = (time: ClockTime | undefined): boolean =>
  time !== undefined && time.until - time.from <= 60_000;
