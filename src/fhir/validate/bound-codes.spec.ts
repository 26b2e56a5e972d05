import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sql } from '../../database/database.ts';
import { registeredTerminology, registerTerminology, type Terminology } from '../terminology-registry.ts';
import { askInRounds, ROUNDS_MAX } from './ask-in-rounds.ts';
import { ANSWERS_KEPT_MS, ANSWERS_MAX, AskedCodes, KnownCodes } from './bound-codes.ts';

const SET = 'https://prelim.example/fhir/ValueSet/any';
const NO_SQL = {} as Sql;
const NOTHING_BESIDE = {} as never;

/** Every code is in every value set; what was asked is counted. */
let asked = 0;
const terminology = {
  holds: async (_set: string, codes: readonly unknown[]) => {
    asked += codes.length;
    return codes.map(() => true);
  },
} as unknown as Terminology;

describe('what is known of codes', () => {
  const before = registeredTerminology();
  beforeAll(() => registerTerminology(terminology));
  afterAll(() => registerTerminology(before));

  const ask = async (known: KnownCodes, codes: readonly string[]) => {
    const questions = new AskedCodes(known, false);
    questions.anyIn(
      SET,
      codes.map((code) => ({ code })),
    );
    await questions.answer(NO_SQL, NOTHING_BESIDE);
  };

  it('is kept for a time, and asked anew after it', async () => {
    let now = 1_000;
    const known = new KnownCodes(() => now);
    await ask(known, ['a']);
    now += ANSWERS_KEPT_MS - 1;
    expect(new AskedCodes(known, false).anyIn(SET, [{ code: 'a' }])).toBe(true);
    now += 1;
    expect(new AskedCodes(known, false).anyIn(SET, [{ code: 'a' }])).toBeUndefined();
  });

  it('is forgotten when it has grown too large, and not one answer earlier', async () => {
    const known = new KnownCodes(() => 0);
    const codes = Array.from({ length: ANSWERS_MAX }, (_, at) => `c${at}`);
    await ask(known, codes.slice(1));
    expect(new AskedCodes(known, false).anyIn(SET, [{ code: 'c1' }])).toBe(true);
    await ask(known, ['c0']);
    expect(new AskedCodes(known, false).anyIn(SET, [{ code: 'c1' }])).toBeUndefined();
  });

  it('is asked in so many rounds at most, once for all items of a round', async () => {
    const codes = new AskedCodes(new KnownCodes(() => 0), false);
    // The short one needs two answers, each known only after the one before; the long one never has enough.
    const looks: string[] = [];
    const look = (name: string) => {
      looks.push(name);
      const depth = name === 'short' ? 2 : ROUNDS_MAX + 1;
      for (let n = 1; n <= depth; n += 1)
        if (codes.anyIn(SET, [{ code: `${name}${n}` }]) === undefined) return;
    };
    asked = 0;
    await askInRounds(['short', 'long'], codes, NO_SQL, look);
    expect(looks.filter((name) => name === 'short')).toHaveLength(3);
    expect(looks.filter((name) => name === 'long')).toHaveLength(ROUNDS_MAX);
    expect(asked).toBe(2 + ROUNDS_MAX - 1);
  });
});
