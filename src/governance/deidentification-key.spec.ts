import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { addDeidentificationKey, deidentificationKeysIn } from './deidentification-key.ts';

let data: string;
let file: string;
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'deidentification-'));
  file = join(data, 'keys', 'deidentification-key');
});
afterEach(() => rmSync(data, { recursive: true }));

test('The key is made once, for its owner only, and gives the same pseudonyms ever after', async () => {
  const first = await deidentificationKeysIn(data);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(readFileSync(file, 'latin1')).toMatch(/^[0-9a-f]{64}\n$/);
  const second = await deidentificationKeysIn(data);
  expect(second.newest.uid('1.2.3')).toBe(first.newest.uid('1.2.3'));
  expect(await readdir(join(data, 'keys'))).toEqual(['deidentification-key']);
});

test('Twenty that start at once end with one key', async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => deidentificationKeysIn(data)));
  expect(new Set(all.map(({ newest }) => newest.uid('1.2.3'))).size).toBe(1);
});

test('A new key gives other pseudonyms, and the one before still leads back', async () => {
  const before = (await deidentificationKeysIn(data)).newest.uid('1.2.3');
  await addDeidentificationKey(data);
  const { newest, all } = await deidentificationKeysIn(data);
  expect(newest.uid('1.2.3')).not.toBe(before);
  expect(all.map((key) => key.uid('1.2.3'))).toEqual([newest.uid('1.2.3'), before]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test.each([
  ['that others may read', () => chmodSync(file, 0o644)],
  ['that is empty', () => writeFileSync(file, '')],
  ['that was cut', () => writeFileSync(file, readFileSync(file, 'latin1').slice(0, 40))],
  ['with a line that is no key', () => writeFileSync(file, `${readFileSync(file, 'latin1')}secret\n`)],
])('A file %s is refused, and never replaced', async (_, spoil) => {
  await deidentificationKeysIn(data);
  spoil();
  const left = readFileSync(file, 'latin1');
  await expect(deidentificationKeysIn(data)).rejects.toMatchObject({ code: 'deidentify.key' });
  await expect(addDeidentificationKey(data)).rejects.toMatchObject({ code: 'deidentify.key' });
  expect(readFileSync(file, 'latin1')).toBe(left);
});
