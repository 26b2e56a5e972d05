import { afterAll, beforeAll, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import { type Database, GUESS_FAILED_SQLSTATE } from '../../database/database.ts';
import { WRITE_TRIES_MAX, writeOnce } from './write-once.ts';

let database: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await database.run({ text: 'CREATE TABLE tried (at integer)' });
});
afterAll(() => close());

const tried = async () =>
  (await database.run<{ at: number }>({ text: 'SELECT at FROM tried ORDER BY at' })).map(({ at }) => at);
const MARK = { name: 'spec-mark', text: 'INSERT INTO tried VALUES ($1)' };
const WRONG = { name: 'spec-wrong-guess', text: 'SELECT 1 / (NOT EXISTS (SELECT 1 FROM tried))::int' };

it('guesses at first; a guess that was wrong leaves nothing, and the next try looks', async () => {
  const guesses: (boolean | undefined)[] = [];
  await writeOnce({ database }, async (tx) => {
    guesses.push(tx.guessing);
    tx.later?.(MARK, [guesses.length]);
    if (tx.guessing) tx.later?.(WRONG);
  });
  expect(guesses).toEqual([true, false]);
  expect(await tried()).toEqual([2]);
});

it('has one try of a guess that was right, and none for a transaction that nobody tries again', async () => {
  await database.run({ text: 'TRUNCATE tried' });
  let tries = 0;
  await writeOnce({ database }, async (tx) => {
    tries += 1;
    tx.later?.(WRONG);
    tx.later?.(MARK, [tries]);
  });
  expect(tries).toBe(1);
  expect(await tried()).toEqual([1]);
  await database.transaction(async (tx) => expect(tx.guessing).toBe(false));
});

it('gives up in the end', async () => {
  let tries = 0;
  const failing = writeOnce({ database }, async (tx) => {
    tries += 1;
    tx.later?.(WRONG);
  });
  await expect(failing).rejects.toMatchObject({
    code: 'fhir.conflict',
    cause: { code: GUESS_FAILED_SQLSTATE },
  });
  expect(tries).toBe(WRITE_TRIES_MAX);
});
