import { expect, it } from 'vitest';
import { checkKey, cursorKey } from './sort-key.ts';

it.each([
  ['1767258300.123456', '2026-01-01T09:05:00.123456Z'],
  ['1767258300.000000', '2026-01-01T09:05:00.000000Z'],
  ['0', '1970-01-01T00:00:00.000000Z'],
  ['-0.000001', '1969-12-31T23:59:59.999999Z'],
  ['-62135596799.500000', '0001-01-01T00:00:00.500000Z'],
  ['253402300799.999999', '9999-12-31T23:59:59.999999Z'],
  ['Infinity', 'infinity'],
  ['-Infinity', '-infinity'],
])('the instant at %s seconds is %s in a cursor, which takes it back', (seconds, instant) => {
  expect(cursorKey(seconds, 'timestamptz')).toBe(instant);
  expect(checkKey(instant, 'timestamptz')).toBe(instant);
});

it('other keys, and what has none, are as they came', () => {
  expect(cursorKey('17.50', 'numeric')).toBe('17.50');
  expect(cursorKey('17', 'text')).toBe('17');
  expect(cursorKey(null, 'timestamptz')).toBeNull();
});
