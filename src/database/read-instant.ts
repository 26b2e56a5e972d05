/**
 * A `timestamptz` as PostgreSQL prints it (datatype-datetime.html, DateStyle ISO) as a Date, to the millisecond as everywhere in JavaScript. Each row of
 * a resource has one: the usual form, `2026-01-31 09:05:00.123+00`, is read by its places, a tenth of the time of `pg`'s parser, which `others` is.
 */
export function readInstant(text: string, others: (text: string) => unknown): unknown {
  if (!isUsual(text)) return others(text);
  return new Date(
    Date.UTC(
      number(text, 0, 4),
      number(text, 5, 2) - 1,
      number(text, 8, 2),
      number(text, 11, 2),
      number(text, 14, 2),
      number(text, 17, 2),
      thousandths(text),
    ),
  );
}

/** The seconds end at 19; a fraction of one to six digits may follow, then `+00`. Years before 1000 have their own rules in `Date`. */
function isUsual(text: string): boolean {
  return (
    text.length >= SHORTEST &&
    text.endsWith('+00') &&
    text.charCodeAt(0) > ZERO &&
    text.charCodeAt(0) <= NINE &&
    text.charCodeAt(4) === MINUS &&
    text.charCodeAt(10) === BLANK &&
    (text.length === SHORTEST || text.charCodeAt(19) === POINT)
  );
}

const SHORTEST = '2026-01-31 09:05:00+00'.length;
const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const BLANK = 0x20;
const POINT = 0x2e;

function number(text: string, start: number, digits: number): number {
  let value = 0;
  for (let at = start; at < start + digits; at++) value = value * 10 + text.charCodeAt(at) - ZERO;
  return value;
}

/** PostgreSQL leaves zeros at the end of the fraction out. */
function thousandths(text: string): number {
  const digits = Math.min(3, text.length - SHORTEST - 1);
  return digits <= 0 ? 0 : number(text, 20, digits) * 10 ** (3 - digits);
}
