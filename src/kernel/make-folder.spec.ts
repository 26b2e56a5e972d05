import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder } from './make-folder.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-folder-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('makes what is missing on the way, for this account alone, twice over and several at once', async () => {
  const deep = join(folder, 'a', 'b', 'c');
  await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(join(folder, 'a', 'd'))]);
  await makeFolder(deep);
  expect((await stat(deep)).mode & 0o777).toBe(0o700);
});

it('says what the file system says where a file is in the way', async () => {
  const file = join(folder, 'file');
  await writeFile(file, '');
  await expect(makeFolder(join(file, 'below'))).rejects.toMatchObject({ code: 'ENOTDIR' });
});

it.skipIf(!existsSync('/proc/self'))(
  'comes to an end where nothing can be made',
  async () => {
    await expect(makeFolder('/proc/prelim/keys')).rejects.toMatchObject({ code: 'ENOENT' });
  },
  5_000,
);
