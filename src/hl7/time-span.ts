import { offsetsAt, TIMESTAMP, timestampToDateTime } from './timestamp.ts';

/** What a timestamp covers, in milliseconds since 1970: from its first moment to the one after its last. `202601151015` is a whole minute. */
export interface TimeSpan {
  readonly from: number;
  readonly until: number;
  /** False: its zone is not known, and it is put as if it were UTC. It can be compared with others of the same clock alone. */
  readonly zoned: boolean;
}

/** What two local times of zones that are not known can be apart and still be the same moment: from UTC-12 to UTC+14. */
export const ZONES_APART_MS = 26 * 3_600_000;

/**
 * HL7 TS/DTM (chapter 2A) → the time it covers, by its precision: two times are told apart only where neither can be part of the other. A time without a zone is of the
 * site's, and in the hour that comes twice when clocks are put back it covers both. Null when the text is no timestamp.
 */
export function timestampToSpan(text: string, timeZone: string | null): TimeSpan | null {
  const match = TIMESTAMP.exec(text.trim());
  if (match === null || timestampToDateTime(text, 'UTC') === null) return null;
  const [, year = '', month = '01', day = '01', hour = '00', minute = '00', second = '00', , offset] = match;
  const fraction = (match[7] ?? '').slice(0, 4);
  const start = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction}Z`);
  const [first, last] = [start, endOf(start, match)];
  if (offset !== undefined) {
    const sign = offset.startsWith('-') ? -1 : 1;
    const ms = sign * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(3))) * 60_000;
    return { from: first - ms, until: last - ms, zoned: true };
  }
  if (timeZone === null) return { from: first, until: last, zoned: false };
  const minutes = (local: number) => offsetsAt(timeZone, local);
  return {
    from: first - Math.max(...minutes(first)) * 60_000,
    until: last - Math.min(...minutes(last)) * 60_000,
    zoned: true,
  };
}

/** The moment after the last that the timestamp covers. */
function endOf(start: number, match: RegExpExecArray): number {
  const end = new Date(start);
  if (match[2] === undefined) return end.setUTCFullYear(end.getUTCFullYear() + 1);
  if (match[3] === undefined) return end.setUTCMonth(end.getUTCMonth() + 1);
  if (match[4] === undefined) return start + 86_400_000;
  if (match[5] === undefined) return start + 3_600_000;
  if (match[6] === undefined) return start + 60_000;
  return start + (match[7] === undefined ? 1_000 : 1);
}
