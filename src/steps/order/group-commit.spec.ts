import { describe, expect, it } from 'vitest';
import { GROUP_ITEMS_MAX, GroupCommit } from './group-commit.ts';

/** Keeps every group that was run; an item `bad` fails the whole group it is in. */
function recorder() {
  const groups: string[][] = [];
  const commit = new GroupCommit<string, string>(async (items) => {
    groups.push([...items]);
    await new Promise((resolve) => setImmediate(resolve));
    if (items.includes('bad')) throw new Error('bad');
    return items.map((item) => `${item}!`);
  });
  return { groups, commit };
}

describe('Work done in groups', () => {
  it('starts a lone item at once, and does together what came meanwhile, each with its own result', async () => {
    const { groups, commit } = recorder();
    const results = await Promise.all(['a', 'b', 'c'].map((item) => commit.add(item, [item])));
    expect(results).toEqual(['a!', 'b!', 'c!']);
    expect(groups).toEqual([['a'], ['b', 'c']]);
  });

  it('keeps items of one key apart and in order', async () => {
    const { groups, commit } = recorder();
    const add = (item: string, ...keys: string[]) => commit.add(item, keys);
    await Promise.all([add('0'), add('a1', 'a'), add('a2', 'a', 'b'), add('b3', 'b'), add('c1', 'c')]);
    expect(groups).toEqual([['0'], ['a1', 'c1'], ['a2'], ['b3']]);
  });

  it('fails the bad item of a group alone', async () => {
    const { groups, commit } = recorder();
    const all = await Promise.allSettled(['0', 'a', 'bad', 'c'].map((item) => commit.add(item, [item])));
    expect(all.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(groups).toEqual([['0'], ['a', 'bad', 'c'], ['a'], ['bad'], ['c']]);
  });

  it('goes on after a failure', async () => {
    const { commit } = recorder();
    await expect(commit.add('bad', [])).rejects.toThrow('bad');
    expect(await commit.add('a', [])).toBe('a!');
  });

  it('gathers senders who were answered together into one group again', async () => {
    const { groups, commit } = recorder();
    const sender = async (name: string) => {
      for (const n of [1, 2, 3]) await commit.add(`${name}${n}`, [name]);
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(sender));
    expect(groups.map((group) => group.length)).toEqual([1, 3, 4, 4]);
  });

  it('makes no group larger than its limit', async () => {
    const { groups, commit } = recorder();
    const items = Array.from({ length: GROUP_ITEMS_MAX * 2 + 2 }, (_, at) => String(at));
    await Promise.all(items.map((item) => commit.add(item, [item])));
    expect(groups.map((group) => group.length)).toEqual([1, GROUP_ITEMS_MAX, GROUP_ITEMS_MAX, 1]);
  });
});
