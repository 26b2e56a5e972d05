/** Values in place of others; text in, text out, several values with backslashes between them. */

/** YYYYMMDD (or YYYY.MM.DD of ACR-NEMA) moved by whole days. What is no date becomes empty. */
export function shiftedDates(text: string, vr: string, days: number): string {
  if (vr === 'TM') return eachValue(text, (value) => (TIME.test(value) ? value : ''));
  return eachValue(text, (value) => {
    const [, year, month, day, rest = ''] = (vr === 'DA' ? DATE : DATE_TIME).exec(value) ?? [];
    if (year === undefined) return '';
    const moved = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day) + days));
    if (Number.isNaN(moved.getTime()) || moved.getUTCFullYear() < 1000) return '';
    return `${moved.toISOString().slice(0, 10).replaceAll('-', '')}${rest}`;
  });
}

const TIME = /^[0-9:]{2,8}(\.[0-9]{1,6})?$/;
const DATE = /^([0-9]{4})\.?(0[1-9]|1[0-2])\.?([0-3][0-9])$/;
/** Without the offset from UTC, which tells where: the time stays as the clock showed it. */
const DATE_TIME = /^([0-9]{4})(0[1-9]|1[0-2])([0-3][0-9])([0-9]{0,6}(?:\.[0-9]{1,6})?)(?:[+-][0-9]{4})?$/;

/** Ages above 89 years are rare enough to tell who it is; they become 90 years. What is no age becomes empty. */
export function cappedAge(text: string): string {
  if (!/^[0-9]{3}[DWMY]$/.test(text)) return '';
  return text.endsWith('Y') && Number(text.slice(0, 3)) > AGE_YEARS_MAX ? '090Y' : text;
}

const AGE_YEARS_MAX = 89;

/** Something that has the form of the VR and says nothing. */
export function dummyOf(vr: string): string | null {
  return DUMMIES[vr] ?? null;
}

const DUMMIES: Readonly<Record<string, string>> = {
  AE: 'REMOVED',
  AS: '000Y',
  CS: 'REMOVED',
  DA: '19000101',
  DS: '0',
  DT: '19000101000000',
  IS: '0',
  LO: 'REMOVED',
  LT: 'REMOVED',
  PN: 'REMOVED',
  SH: 'REMOVED',
  ST: 'REMOVED',
  TM: '000000',
  UC: 'REMOVED',
  UR: 'urn:removed',
  UT: 'REMOVED',
};

/** The form of VRs that are copied as text and could hold anything in a careless file (PS3.5 6.2). */
export function hasForm(vr: string, value: string): boolean {
  if (vr === 'CS') return /^[A-Z0-9_ ]{0,16}$/.test(value);
  if (vr === 'UI') return /^[0-9.]{0,64}$/.test(value);
  if (vr === 'IS') return /^[+-]?[0-9]{0,12}$/.test(value);
  if (vr === 'DS') return value === '' || (value.length <= DS_LENGTH_MAX && /^[0-9+\-.Ee]+$/.test(value));
  return true;
}

/** 16 by the standard; writers print a double in full. */
const DS_LENGTH_MAX = 26;

const eachValue = (text: string, change: (value: string) => string): string =>
  text
    .split('\\')
    .map((value) => change(value.trim()))
    .join('\\');
