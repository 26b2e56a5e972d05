import { expect, it } from 'vitest';
import { RecentlyUsed } from './recently-used.ts';

it('what was used longest ago goes first, and a single thing may weigh more than all may', () => {
  const kept = new RecentlyUsed<string>(10);
  let made = 0;
  const get = (key: string, weight: number) =>
    kept.get(key, weight, () => {
      made += 1;
      return key;
    });
  get('a', 4);
  get('b', 4);
  get('a', 4);
  expect(made).toBe(2);
  get('c', 4);
  get('a', 4);
  expect(made).toBe(3);
  get('b', 4);
  expect(made).toBe(4);
  expect(get('large', 99)).toBe('large');
  get('large', 99);
  expect(made).toBe(5);
  get('a', 4);
  expect(made).toBe(6);
});
