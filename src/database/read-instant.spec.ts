import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { readInstant } from './read-instant.ts';

const TIMESTAMPTZ = 1184;
const byPg = pg.types.getTypeParser(TIMESTAMPTZ) as (text: string) => unknown;
const refused = (): never => {
  throw new Error('left to the other parser');
};

describe('readInstant', () => {
  it.each([
    ['2026-01-31 09:05:00+00', '2026-01-31T09:05:00.000Z'],
    ['2026-12-31 23:59:59.999+00', '2026-12-31T23:59:59.999Z'],
    ['2024-02-29 00:00:00.1+00', '2024-02-29T00:00:00.100Z'],
    ['2024-02-29 00:00:00.05+00', '2024-02-29T00:00:00.050Z'],
    ['2026-06-01 12:00:00.123456+00', '2026-06-01T12:00:00.123Z'],
    ['1000-01-01 00:00:00+00', '1000-01-01T00:00:00.000Z'],
    ['9999-12-31 23:59:59.999999+00', '9999-12-31T23:59:59.999Z'],
  ])('reads %s as pg does', (text, iso) => {
    const read = readInstant(text, refused) as Date;
    expect(read.toISOString()).toBe(iso);
    expect(read).toEqual(byPg(text));
  });

  it.each([
    '2026-01-31 09:05:00+01',
    '2026-01-31 09:05:00-03:30',
    '0044-03-15 12:00:00+00 BC',
    '0099-01-01 00:00:00+00',
    '10000-01-01 00:00:00+00',
    'infinity',
    '-infinity',
  ])('leaves %s to the parser of pg', (text) => {
    expect(readInstant(text, byPg)).toEqual(byPg(text));
    expect(() => readInstant(text, refused)).toThrow('left to the other parser');
  });
});
