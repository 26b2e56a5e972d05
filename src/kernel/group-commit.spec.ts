import { describe, expect, it, vi } from 'vitest';
import { GROUP_BYTES_MAX, GROUP_ITEMS_MAX, GroupCommit, type GroupOptions } from './group-commit.ts';

/** Keeps every group that was run; an item `bad` fails the whole group it is in. */
function recorder(options: GroupOptions = {}) {
  const groups: string[][] = [];
  const commit = new GroupCommit<string, string>(async (items) => {
    groups.push([...items]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (items.includes('bad')) throw new Error('bad');
    return items.map((item) => `${item}!`);
  }, options);
  return { groups, commit };
}

describe('Work done in groups', () => {
  it('starts a lone item at once, and does together what came meanwhile, each with its own result', async () => {
    const { groups, commit } = recorder();
    const first = commit.add('a', ['a']);
    await vi.waitFor(() => expect(groups).toEqual([['a']]), { interval: 1 });
    const rest = ['b', 'c'].map((item) => commit.add(item, [item]));
    expect(await Promise.all([first, ...rest])).toEqual(['a!', 'b!', 'c!']);
    expect(groups).toEqual([['a'], ['b', 'c']]);
  });

  it('does together what came in one turn', async () => {
    const { groups, commit } = recorder();
    await Promise.all(['a', 'b', 'c'].map((item) => commit.add(item, [item])));
    expect(groups).toEqual([['a', 'b', 'c']]);
  });

  it('keeps items of one key apart and in order', async () => {
    const { groups, commit } = recorder();
    const add = (item: string, ...keys: string[]) => commit.add(item, keys);
    await Promise.all([add('0'), add('a1', 'a'), add('a2', 'a', 'b'), add('b3', 'b'), add('c1', 'c')]);
    expect(groups).toEqual([['0', 'a1', 'c1'], ['a2'], ['b3']]);
  });

  it('takes what fits in the bytes of a group; a larger item goes alone', async () => {
    const { groups, commit } = recorder();
    const half = GROUP_BYTES_MAX / 2;
    const sizes = [half, half, half, half + 1, GROUP_BYTES_MAX + 1, 0];
    await Promise.all(sizes.map((bytes, at) => commit.add(String(at), [], bytes)));
    expect(groups).toEqual([['0', '1', '5'], ['2'], ['3'], ['4']]);
  });

  it('fails the bad item of a group alone', async () => {
    const { groups, commit } = recorder();
    const all = await Promise.allSettled(['0', 'a', 'bad', 'c'].map((item) => commit.add(item, [item])));
    expect(all.map((one) => one.status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
    expect(groups).toEqual([['0', 'a', 'bad', 'c'], ['0'], ['a'], ['bad'], ['c']]);
  });

  it('does not try again what may have been done', async () => {
    const { groups, commit } = recorder({ mayTryAlone: () => false });
    const all = await Promise.allSettled(['0', 'a', 'bad'].map((item) => commit.add(item, [item])));
    expect(all.map((one) => one.status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(groups).toEqual([['0', 'a', 'bad']]);
  });

  it('begins a second group while one is under way, without the keys of the first', async () => {
    const groups: string[][] = [];
    const ends: (() => void)[] = [];
    const commit = new GroupCommit<string, string>(
      async (items) => {
        groups.push([...items]);
        await new Promise<void>((resolve) => ends.push(resolve));
        return items.map((item) => `${item}!`);
      },
      { groupsMax: 2 },
    );
    const all = [commit.add('a1', ['a']), commit.add('b1', ['b'])];
    await vi.waitFor(() => expect(groups).toEqual([['a1', 'b1']]));
    all.push(commit.add('a2', ['a']), commit.add('c1', ['c']), commit.add('a3', ['a']));
    await vi.waitFor(() => expect(groups).toEqual([['a1', 'b1'], ['c1']]));
    ends[0]?.();
    await vi.waitFor(() => expect(groups).toEqual([['a1', 'b1'], ['c1'], ['a2']]));
    ends[2]?.();
    await vi.waitFor(() => expect(groups).toEqual([['a1', 'b1'], ['c1'], ['a2'], ['a3']]));
    for (const end of ends) end();
    expect(await Promise.all(all)).toEqual(['a1!', 'b1!', 'a2!', 'c1!', 'a3!']);
  });

  it('leaves a group that takes too long to itself, and keeps what shares a key with it waiting', async () => {
    let release = () => {};
    const stuck = new Promise<void>((resolve) => {
      release = resolve;
    });
    const groups: string[][] = [];
    const commit = new GroupCommit<string, string>(
      async (items) => {
        groups.push([...items]);
        if (items.includes('stuck')) await stuck;
        return items.map((item) => `${item}!`);
      },
      { patienceMs: 5 },
    );
    const held = [commit.add('stuck', ['a'])];
    await vi.waitFor(() => expect(groups).toEqual([['stuck']]), { interval: 1 });
    held.push(commit.add('a2', ['a']));
    expect(await commit.add('b', ['b'])).toBe('b!');
    expect(groups).toEqual([['stuck'], ['b']]);
    release();
    expect(await Promise.all(held)).toEqual(['stuck!', 'a2!']);
    expect(groups).toEqual([['stuck'], ['b'], ['a2']]);
  });

  it('keeps a key to one item while another of a group that failed is still tried', async () => {
    let release = () => {};
    const stuck = new Promise<void>((resolve) => {
      release = resolve;
    });
    let both = 0;
    let most = 0;
    const commit = new GroupCommit<string, string>(
      async (items) => {
        if (items.includes('a1') && items.length > 1) throw new Error('together');
        if (items.includes('stuck')) await stuck;
        const ofKey = items.filter((item) => item.startsWith('a')).length;
        both += ofKey;
        most = Math.max(most, both);
        if (items.includes('a2')) release();
        await new Promise((resolve) => setTimeout(resolve, items.includes('a2') ? 40 : 5));
        both -= ofKey;
        return items.map((item) => `${item}!`);
      },
      { groupsMax: 3, patienceMs: 1 },
    );
    const all = [
      commit.add('a1', ['a']),
      commit.add('stuck', ['s']),
      commit.add('a2', ['a']),
      commit.add('a3', ['a']),
    ];
    expect(await Promise.all(all)).toEqual(['a1!', 'stuck!', 'a2!', 'a3!']);
    expect(most).toBe(1);
  });

  it('goes on after a failure', async () => {
    const { commit } = recorder();
    await expect(commit.add('bad', [])).rejects.toThrow('bad');
    expect(await commit.add('a', [])).toBe('a!');
  });

  it('makes no group larger than its limit', async () => {
    const { groups, commit } = recorder();
    const items = Array.from({ length: GROUP_ITEMS_MAX * 2 + 1 }, (_, at) => String(at));
    await Promise.all(items.map((item) => commit.add(item, [item])));
    expect(groups.map((group) => group.length)).toEqual([GROUP_ITEMS_MAX, GROUP_ITEMS_MAX, 1]);
  });
});
