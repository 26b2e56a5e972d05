import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readKeyFile } from './read-key-file.ts';
import { signingKeyIn } from './signing-key.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-keys-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('a file that is not there is null', async () => {
  expect(await readKeyFile(join(folder, 'none'))).toBeNull();
});

it('keys that are there and cannot be read are named, and no other key is made in their place', async () => {
  // Root reads whatever its rights are: a folder in the place of the file cannot be read by anybody.
  const place = join(folder, 'keys', 'signing-keys.json');
  await mkdir(place, { recursive: true });
  await expect(signingKeyIn(folder)).rejects.toMatchObject({
    code: 'data.unwritable',
    message: `${place} cannot be read (EISDIR). Correct its owner and rights.`,
  });
  expect(await readdir(join(folder, 'keys'))).toEqual(['signing-keys.json']);
});
