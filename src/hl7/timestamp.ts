/**
 * HL7 TS/DTM (`YYYY[MM[DD[HH[MM[SS[.S…]]]]]][±ZZZZ]`, chapter 2A) ↔ FHIR date and dateTime. Precision is kept; FHIR wants a
 * zone with every time, so a time without one is taken as of the site's zone (IANA name). Where that is not known (null) only
 * the date is kept: a time in a guessed zone would be wrong by hours and look right.
 */

/** → FHIR dateTime; null when the text is no timestamp ("Aug 15, 1942"), which senders do send. */
export function timestampToDateTime(text: string, timeZone: string | null): string | null {
  const match = TIMESTAMP.exec(text.trim());
  const date = timestampToDate(text);
  if (match === null || date === null) return null;
  const [, , , , hour, minute = '00', second = '00', , offset] = match;
  if (hour === undefined) return date;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  if (offset !== undefined && !OFFSET.test(offset)) return null;
  const time = `${hour}:${minute}:${second}`;
  if (offset === undefined && timeZone === null) return date;
  const zone =
    offset === undefined
      ? zoneAt(timeZone ?? 'UTC', Date.parse(`${date}T${time}Z`))
      : `${offset.slice(0, 3)}:${offset.slice(3)}`;
  return `${date}T${time}${zone}`;
}

/** → FHIR date of the same precision, a time of day dropped; null when the text is no timestamp. */
export function timestampToDate(text: string): string | null {
  const match = TIMESTAMP.exec(text.trim());
  if (match === null) return null;
  const [, year, month, day] = match;
  if (year === '0000') return null;
  const date = [year, month, day].filter((part) => part !== undefined).join('-');
  const parsed = new Date(day === undefined ? `${year}-${month ?? '01'}-01` : date);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date) ? date : null;
}

export interface TimestampStyle {
  /** IANA name of the zone times are written in. */
  readonly timeZone: string;
  /** Write `+ZZZZ`; some receivers refuse it. */
  readonly zoneOffset: boolean;
}

/** A FHIR date, dateTime or instant as HL7 writes it, to the second; dates stay dates. '' for undefined. */
export function dateTimeToTimestamp(value: string | undefined, style: TimestampStyle): string {
  if (value === undefined) return '';
  if (!value.includes('T')) return value.replaceAll('-', '');
  const instant = Date.parse(value);
  if (Number.isNaN(instant)) return '';
  const minutes = offsetMinutes(style.timeZone, instant);
  const local = new Date(instant + minutes * 60_000).toISOString().slice(0, 19).replace(/[-:T]/g, '');
  return style.zoneOffset ? local + offsetText(minutes).replace(':', '') : local;
}

/** Year, month, day, hour, minute, second, fraction, offset. */
export const TIMESTAMP =
  /^(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(\.\d{1,6})?)?)?)?)?)?([+-]\d{4})?$/;

/** As FHIR has it: to 14 hours. */
const OFFSET = /^[+-](?:(?:0\d|1[0-3])[0-5]\d|1400)$/;

/** Offset of the zone at a local time given as if it were UTC; the second look is right at all but the hour of a change. */
function zoneAt(timeZone: string, localAsUtc: number): string {
  const guess = offsetMinutes(timeZone, localAsUtc);
  return offsetText(offsetMinutes(timeZone, localAsUtc - guess * 60_000));
}

/** Minutes before UTC by which a local time, given as if it were UTC, may be read: two in the hour that comes twice when clocks are put back. */
export function offsetsAt(timeZone: string, localAsUtc: number): readonly number[] {
  const near = [-DAY_MS, DAY_MS].map((ms) => offsetMinutes(timeZone, localAsUtc + ms));
  const real = near.filter((one) => offsetMinutes(timeZone, localAsUtc - one * 60_000) === one);
  return real.length > 0 ? real : near;
}

/** Clocks are changed by less than a day, and not twice within two. */
const DAY_MS = 86_400_000;

function offsetMinutes(timeZone: string, instant: number): number {
  if (timeZone === 'UTC') return 0;
  const name = formatterOf(timeZone)
    .formatToParts(instant)
    .find((part) => part.type === 'timeZoneName')?.value;
  const match = /([+-])(\d\d):(\d\d)/.exec(name ?? '');
  return match === null ? 0 : (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3]));
}

/** A formatter takes a tenth of a millisecond to make, and a message has dozens of times in one or two zones. */
const formatters = new Map<string, Intl.DateTimeFormat>();

function formatterOf(timeZone: string): Intl.DateTimeFormat {
  const known = formatters.get(timeZone);
  if (known) return known;
  const made = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  formatters.set(timeZone, made);
  return made;
}

function offsetText(minutes: number): string {
  const two = (n: number) => String(n).padStart(2, '0');
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(Math.abs(minutes) / 60))}:${two(Math.abs(minutes) % 60)}`;
}
