import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EndTogether, GATHER_MS_MAX } from './end-together.ts';

interface End {
  readonly lane: string;
  readonly fault?: string;
}

const turns = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('lanes that end together', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Commits that take so long on the clock of the test, after each of which all lanes go on. Gives how many there were. */
  function ending(commitMs: number) {
    let commits = 0;
    const ends = new EndTogether<End, string>(
      async (group) => {
        commits += 1;
        vi.advanceTimersByTime(commitMs);
        const lanes = group.map(({ lane }) => lane);
        return new Map(lanes.map((lane) => [lane, lane]));
      },
      () => true,
    );
    return { end: (lane: string) => ends.end({ lane }), commits: () => commits };
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

describe('a group that fails', () => {
  /** Fails for whatever has a fault in it. Gives the groups that were tried. */
  function failing(isUndone: boolean) {
    const tried: string[] = [];
    const ends = new EndTogether<End, string>(
      async (group) => {
        tried.push(group.map(({ lane }) => lane).join(''));
        const fault = group.find((one) => one.fault);
        if (fault) throw new Error(fault.fault);
        return new Map(group.map(({ lane }) => [lane, `after ${lane}`]));
      },
      () => isUndone,
    );
    const group = () => [
      ends.end({ lane: 'a' }),
      ends.end({ lane: 'b', fault: 'not ours' }),
      ends.end({ lane: 'c' }),
    ];
    return { tried, group };
  }

  it('is tried one by one, and only who is at fault hears of it', async () => {
    const { tried, group } = failing(true);
    expect(await Promise.allSettled(group())).toEqual([
      { status: 'fulfilled', value: 'after a' },
      { status: 'rejected', reason: new Error('not ours') },
      { status: 'fulfilled', value: 'after c' },
    ]);
    expect(tried).toEqual(['abc', 'a', 'b', 'c']);
  });

  it('is not tried again where it may have been written: all of them look anew', async () => {
    const { tried, group } = failing(false);
    expect((await Promise.allSettled(group())).map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
    ]);
    expect(tried).toEqual(['abc']);
  });
});
