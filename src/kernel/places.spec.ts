import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Places } from './places.ts';

/** Works that end when they are told to. */
function works(places: Places) {
  const begun: number[] = [];
  const ends: ((failed: boolean) => void)[] = [];
  const start = (n: number) =>
    places.run(() => {
      begun.push(n);
      return new Promise<number>((resolve, reject) => {
        ends[n] = (failed) => (failed ? reject(new Error('no')) : resolve(n));
      });
    });
  return { begun, ends, start };
}

describe('places', () => {
  it('are given in the order of coming, also after a failure', async () => {
    const { begun, ends, start } = works(new Places(2, 10_000));
    const all = [0, 1, 2, 3].map(start);
    expect(begun).toEqual([0, 1]);
    ends[1]?.(true);
    await expect(all[1]).rejects.toThrow('no');
    expect(begun).toEqual([0, 1, 2]);
    ends[0]?.(false);
    expect(await all[0]).toBe(0);
    expect(begun).toEqual([0, 1, 2, 3]);
    for (const n of [2, 3]) ends[n]?.(false);
    expect(await Promise.all([all[2], all[3]])).toEqual([2, 3]);
  });

  it('of those that take long go to the next, once', async () => {
    const { begun, ends, start } = works(new Places(1, 5));
    const all = [0, 1, 2].map(start);
    while (begun.length < 3) await sleep(5);
    for (const n of [0, 1, 2]) ends[n]?.(false);
    await Promise.all(all);
    const more = [3, 4].map(start);
    expect(begun).toEqual([0, 1, 2, 3]);
    ends[3]?.(false);
    await more[0];
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    ends[4]?.(false);
    await more[1];
  });
});
