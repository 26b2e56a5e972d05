import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { textArray } from './text-array.ts';

let database: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ database, close } = await freshDatabase());
});
afterAll(() => close());

it('is the list that was sent, for every text that PostgreSQL can hold', async () => {
  const lists = [
    [],
    [''],
    ['a', '{"b":"c\\\\d, \\"e\\""}', '{', '}', ',', 'NULL', ' ', '\n\t'],
    ['ü', '漢字', '😀', '\u{10ffff}', 'é'.repeat(5_000)],
  ];
  for (const list of lists) {
    const [row] = await database.run<{ list: string[] }>({ text: 'SELECT $1::text[] AS list' }, [
      textArray(list),
    ]);
    expect(row?.list).toEqual(list);
  }
});

it('with half a character has the mark for it, as everywhere', async () => {
  const [row] = await database.run<{ list: string[] }>({ text: 'SELECT $1::text[] AS list' }, [
    textArray(['\ud800x']),
  ]);
  expect(row?.list).toEqual(['\ufffdx']);
});
