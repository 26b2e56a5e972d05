import { expect, it } from 'vitest';
import { lastKnown } from './last-known.ts';

it('works out a value once as long as the same is asked, and anew for another', () => {
  const asked: string[] = [];
  const upper = lastKnown((text: string) => {
    asked.push(text);
    return text.toUpperCase();
  });
  expect([upper('a'), upper('a'), upper('b'), upper('a')]).toEqual(['A', 'A', 'B', 'A']);
  expect(asked).toEqual(['a', 'b', 'a']);
});

it('tells two objects apart that look alike, and knows undefined as an answer', () => {
  let times = 0;
  const year = lastKnown((at: Date) => {
    times += 1;
    return at.getTime() === 0 ? undefined : at.getUTCFullYear();
  });
  const zero = new Date(0);
  expect([year(zero), year(zero), year(new Date(0)), year(new Date(1e12))]).toEqual([
    undefined,
    undefined,
    undefined,
    2001,
  ]);
  expect(times).toBe(3);
});
