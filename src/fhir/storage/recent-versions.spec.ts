import { describe, expect, it } from 'vitest';
import { StoredResource } from '../stored-resource.ts';
import { RecentVersions } from './recent-versions.ts';

const version = (characters: number) => ({
  stored: new StoredResource('Patient', 'x', '1', new Date(0), false, 'x'.repeat(characters), 'PUT'),
  digest: '0',
});

describe('the versions that were written last', () => {
  it('hold so many characters; what was written longest ago goes first', () => {
    const recent = new RecentVersions(250);
    for (const key of ['a', 'b']) recent.keep(key, version(100));
    recent.keep('a', version(100));
    recent.keep('c', version(100));
    expect(['a', 'b', 'c'].map((key) => recent.get(key) !== undefined)).toEqual([true, false, true]);
    recent.forget('a');
    recent.keep('d', version(150));
    expect(['c', 'd'].map((key) => recent.get(key) !== undefined)).toEqual([true, true]);
  });

  it('do not hold one that would push out many, nor the version before it', () => {
    const recent = new RecentVersions();
    recent.keep('a', version(10));
    recent.keep('a', version(70_000));
    expect(recent.get('a')).toBeUndefined();
  });
});
