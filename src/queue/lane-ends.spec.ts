import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Database } from '../database/database.ts';
import type { Job } from './job.ts';
import { GATHER_MS_MAX, LaneEnds } from './lane-ends.ts';

describe('lanes that end together', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const turns = async () => {
    for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };

  /** Commits that take so long on the clock of the test, after each of which all lanes go on. Gives how many there were. */
  function ending(commitMs: number) {
    let commits = 0;
    const next = new Map(['a', 'b'].map((lane) => [lane, {} as Job]));
    const transaction = async () => {
      commits += 1;
      vi.advanceTimersByTime(commitMs);
      return next;
    };
    const ends = new LaneEnds({ transaction } as unknown as Database, () => undefined);
    const end = (lane: string) =>
      ends.end({ id: lane } as unknown as Job, lane, {
        runner: 1,
        goOn: true,
        write: undefined,
        ahead: undefined,
      });
    return { end, commits: () => commits };
  }

  it.each([
    ['a slow commit: the bound', 10 * GATHER_MS_MAX, GATHER_MS_MAX],
    ['a quick one: as long as it takes', GATHER_MS_MAX - 3, GATHER_MS_MAX - 3],
  ])('wait for one that is late, after %s', async (_name, commitMs, waitedMs) => {
    const { end, commits } = ending(commitMs);
    await Promise.all([end('a'), end('b')]);
    expect(commits()).toBe(1);
    const again = end('a');
    await turns();
    vi.advanceTimersByTime(waitedMs - 1);
    await turns();
    expect(commits()).toBe(1);
    vi.advanceTimersByTime(1);
    await again;
    expect(commits()).toBe(2);
  });

  it('do not wait when all are there', async () => {
    const { end, commits } = ending(10 * GATHER_MS_MAX);
    await Promise.all([end('a'), end('b')]);
    await Promise.all([end('a'), end('b')]);
    expect(commits()).toBe(2);
  });
});
