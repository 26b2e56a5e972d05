/**
 * R4 datatypes.html#primitive: one check per primitive type. Each takes the JSON value and gives the fault in words, or null. Values are never
 * repeated. All patterns are linear.
 */
export type CheckPrimitive = (value: unknown) => string | null;

const pattern =
  (regex: RegExp, fault: string): CheckPrimitive =>
  (value) =>
    typeof value !== 'string' ? NOT_A_STRING : regex.test(value) ? null : fault;

const NOT_A_STRING = 'The value must be a JSON string.';
const NOT_A_NUMBER = 'The value must be a JSON number.';
const BLANK = 'A string must have more than white space.';

/** R4 datatypes.html#string allows no control characters but tab, line feed and carriage return; and 1 MB at most. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000B\u000C\u000E-\u001F]/;
export const STRING_CHARACTERS_MAX = 1024 * 1024;

const text: CheckPrimitive = (value) => {
  if (typeof value !== 'string') return NOT_A_STRING;
  if (value.length > STRING_CHARACTERS_MAX) return 'A string may have 1 MB at most.';
  if (CONTROL.test(value)) return 'A string must not have control characters but tab, CR and LF.';
  return /\S/.test(value) ? null : BLANK;
};

const INTEGER_MAX = 2_147_483_647;

const integerFrom =
  (least: number): CheckPrimitive =>
  (value) => {
    if (typeof value !== 'number') return NOT_A_NUMBER;
    return Number.isInteger(value) && value >= least && value <= INTEGER_MAX
      ? null
      : `The value must be a whole number from ${least} to ${INTEGER_MAX}.`;
  };

export const PRIMITIVES: Readonly<Record<string, CheckPrimitive>> = {
  boolean: (value) => (typeof value === 'boolean' ? null : 'The value must be true or false.'),
  decimal: (value) => (typeof value === 'number' && Number.isFinite(value) ? null : NOT_A_NUMBER),
  integer: integerFrom(-INTEGER_MAX - 1),
  unsignedInt: integerFrom(0),
  positiveInt: integerFrom(1),
  string: text,
  markdown: text,
  // The narrative has a check of its own (check-narrative.ts).
  xhtml: (value) => (typeof value === 'string' ? null : NOT_A_STRING),
  id: pattern(/^[A-Za-z0-9\-.]{1,64}$/, 'An id has 1 to 64 of A-Z, a-z, 0-9, - and .'),
  code: pattern(/^[^\s]+(?:\s[^\s]+)*$/, 'A code has no white space at its ends and no double spaces.'),
  uri: pattern(/^\S+$/, 'A uri has no white space.'),
  url: pattern(/^\S+$/, 'A url has no white space.'),
  canonical: pattern(/^\S+$/, 'A canonical has no white space.'),
  oid: pattern(/^urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+$/, 'An oid looks like urn:oid:1.2.3.'),
  uuid: pattern(/^urn:uuid:[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i, 'A uuid looks like urn:uuid:<uuid>.'),
  base64Binary: base64,
  date: (value) => dated(value, DATE, 'A date is YYYY, YYYY-MM or YYYY-MM-DD, and a day that exists.'),
  dateTime: (value) =>
    dated(
      value,
      DATE_TIME,
      'A dateTime is YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm), and a day that exists.',
    ),
  instant: (value) =>
    dated(
      value,
      INSTANT,
      'An instant is YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm), and a day that exists.',
    ),
  time: pattern(/^(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d{1,9})?$/, 'A time is hh:mm:ss.'),
};

function base64(value: unknown): string | null {
  if (typeof value !== 'string') return NOT_A_STRING;
  if (value === '') return BLANK;
  const plain = /\s/.test(value) ? value.replace(/\s/g, '') : value;
  return plain.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(plain) ? null : 'The value is not base64.';
}

const DATE = /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?$/;
const TIME = String.raw`T(\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:Z|[+-](\d\d):(\d\d))`;
const DATE_TIME = new RegExp(String.raw`^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:${TIME})?)?)?$`);
const INSTANT = new RegExp(String.raw`^(\d{4})-(\d\d)-(\d\d)${TIME}$`);

function dated(value: unknown, regex: RegExp, fault: string): string | null {
  if (typeof value !== 'string') return NOT_A_STRING;
  const match = regex.exec(value);
  if (!match) return fault;
  const [, year, month = '1', day = '1', hour = '0', minute = '0', second = '0', zone = '0', more = '0'] =
    match;
  // There is no year 0, and a leap second counts as the first instant of the next minute.
  const real =
    Number(year) >= 1 &&
    Number(month) >= 1 &&
    Number(month) <= 12 &&
    Number(day) >= 1 &&
    Number(day) <= daysIn(Number(year), Number(month)) &&
    Number(hour) <= 23 &&
    Number(minute) <= 59 &&
    Number(second) <= 60 &&
    Number(more) <= 59 &&
    Number(zone) * 60 + Number(more) <= ZONE_MINUTES_MAX;
  return real ? null : fault;
}

/** R4 datatypes.html#dateTime: no zone is further from UTC than 14:00. */
const ZONE_MINUTES_MAX = 14 * 60;

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}
