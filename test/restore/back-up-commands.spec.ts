import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stow } from '../flow/flow-world.ts';
import { chestStudy } from '../flow/studies.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const run = promisify(execFile);
const PROGRAM = resolve(import.meta.dirname, '../../dist/scripts/backup.js');

let folder: string;
let before: PrelimServer;
let after: PrelimServer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-commands-'));
  before = await PrelimServer.start({ PACS_OBJECTS: 'none' });
  after = await PrelimServer.make({ PACS_OBJECTS: 'none' });
});
afterAll(async () => {
  await before.close();
  await after.close();
  await rm(folder, { recursive: true, force: true });
});

/** As `npm run backup` and `npm run restore` do. */
async function command(name: 'backup' | 'restore', file: string, server: PrelimServer) {
  const { PATH = '', HOME = '' } = process.env;
  return run(process.execPath, [PROGRAM, name, file], { env: { PATH, HOME, PRELIM_DATA: server.folder } });
}

// No SR and SEG come into the old archive while the new one is looked at.
it('brings a whole server with its embedded database to another folder, while it is written to', async () => {
  const made = await before.ask('POST', '/fhir/Patient', {
    resourceType: 'Patient',
    name: [{ family: 'Kept' }],
  });
  expect(made.status).toBe(201);
  const place = `/fhir/Patient/${made.body.id}`;
  await before.ask('PUT', place, { ...made.body, active: true });
  const study = chestStudy();
  expect((await stow(before, study.files)).status).toBe(200);
  let writing = true;
  const writer = (async () => {
    while (writing) await before.ask('POST', '/fhir/Patient', { resourceType: 'Patient' });
  })();
  const file = join(folder, 'prelim.backup');
  const backedUp = await command('backup', file, before);
  writing = false;
  await writer;
  expect(backedUp.stdout).toMatch(/^backup: \d+ rows, \d+ files, [\d.]+ MB in [\d.]+ s\n$/);
  expect(await readdir(folder)).toEqual(['prelim.backup']);

  await command('restore', file, after);
  await after.start();
  // The keys came along: a token of the old server is one of the new.
  after.token = before.token;
  expect((await after.ask('GET', place)).text).toBe((await before.ask('GET', place)).text);
  expect((await after.ask('GET', `${place}/_history?_count=10`)).body.entry.length).toBe(2);
  expect((await after.ask('GET', '/fhir/Patient?family=kept')).body.entry.length).toBe(1);
  const uids = async (server: PrelimServer): Promise<string[]> =>
    (await server.ask('GET', '/dicomweb/studies')).body.map(
      (one: { '0020000D': { Value: string[] } }) => one['0020000D'].Value[0],
    );
  const [uid = ''] = await uids(after);
  expect(await uids(after)).toEqual(await uids(before));
  const images = await after.ask('GET', `/dicomweb/studies/${uid}`);
  expect(images.status).toBe(200);
  expect(images.text.length).toBe((await before.ask('GET', `/dicomweb/studies/${uid}`)).text.length);
  expect((await after.ask('POST', '/fhir/Patient', { resourceType: 'Patient' })).status).toBe(201);
}, 120_000);

it('a restore into a folder that is in use is refused and changes nothing', async () => {
  const file = join(folder, 'prelim.backup');
  const count = async () => (await before.ask('GET', '/fhir/Patient?_summary=count')).body.total;
  const there = await count();
  await expect(command('restore', file, before)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('backup.refused'),
  });
  expect(await count()).toBe(there);
}, 60_000);

it('says how it is called', async () => {
  const wrong = run(process.execPath, [PROGRAM, 'backup'], { env: { PATH: process.env['PATH'] ?? '' } });
  await expect(wrong).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('npm run backup -- <file>'),
  });
});
