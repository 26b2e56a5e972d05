import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkStart } from './check-start.ts';
import { readSettings } from './config/settings.ts';

let folder: string;
const taken: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prelim-start-'));
});
afterEach(async () => {
  for (const server of taken.splice(0)) server.close();
  await rm(folder, { recursive: true, force: true });
});

async function takePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  taken.push(server);
  await once(server, 'listening');
  return String((server.address() as { port: number }).port);
}

const check = (env: Record<string, string>) =>
  checkStart(readSettings({ PRELIM_DATA: folder, PORT: '0', HL7_PORT: '0', ...env }));

test('a good place starts, and the folder is made', async () => {
  await expect(check({ PRELIM_DATA: join(folder, 'a', 'b') })).resolves.toBeUndefined();
});

test('a folder that its file system will not make is refused at once, and for root too', async () => {
  for (const data of ['/proc/prelim/data', '/proc']) {
    if (!existsSync('/proc/self')) return;
    await expect(check({ PRELIM_DATA: data })).rejects.toMatchObject({
      code: 'data.unwritable',
      message: expect.stringMatching(
        /^PRELIM_DATA: the folder \/proc\S* cannot be written to \(E[A-Z]+\)\. /,
      ),
    });
  }
}, 5_000);

test('nothing is left in the folder that was tried', async () => {
  await check({});
  expect(await readdir(folder)).toEqual([]);
});

test('a folder to import from that is not there, or is none, is named', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const from = (place: string, more = {}) => check({ BULK_IMPORT_FOLDER: place, ...more });
  await expect(from(join(folder, 'none'))).rejects.toMatchObject({
    code: 'config.invalid',
    message: expect.stringMatching(/^BULK_IMPORT_FOLDER: the folder .*none is not there\. /),
  });
  await expect(from(file)).rejects.toMatchObject({ message: expect.stringContaining('is no folder') });
  await expect(from(folder)).resolves.toBeUndefined();
  await expect(from(file, { PRELIM_ROLES: 'listener' })).resolves.toBeUndefined();
});

test('both ports taken and a folder that cannot be written to are named in one message', async () => {
  const file = join(folder, 'file');
  writeFileSync(file, '');
  const [port, mllp] = [await takePort(), await takePort()];
  const failure = await check({ PORT: port, HL7_PORT: mllp, PRELIM_DATA: join(file, 'data') }).catch(
    (error: unknown) => error,
  );
  expect(failure).toMatchObject({
    code: 'config.invalid',
    issues: [{ at: 'PRELIM_DATA' }, { at: 'PORT' }, { at: 'HL7_PORT' }],
  });
  for (const part of [
    '3 faults',
    `PORT: another program listens on 127.0.0.1:${port}`,
    `HL7_PORT: another program listens on 127.0.0.1:${mllp}`,
    'cannot be written to',
  ])
    expect((failure as Error).message).toContain(part);
});

test('one fault is one sentence with the code it always had', async () => {
  const port = await takePort();
  await expect(check({ PORT: port })).rejects.toMatchObject({
    code: 'config.invalid',
    message: `PORT: another program listens on 127.0.0.1:${port}. Stop it, or set PORT.`,
  });
  await expect(check({ PORT: port, HL7_PORT: port })).rejects.toMatchObject({
    issues: [{ at: 'PORT' }, { at: 'HL7_PORT' }],
  });
  const file = join(folder, 'file');
  writeFileSync(file, '');
  await expect(check({ PRELIM_DATA: file })).rejects.toMatchObject({ code: 'data.unwritable' });
});

test('an address that is none of this machine is named by its setting', async () => {
  await expect(check({ HOST: '192.0.2.1' })).rejects.toMatchObject({ issues: [{ at: 'HOST' }] });
});

test('a process that does not listen for orders needs no port for them', async () => {
  const port = await takePort();
  await expect(check({ HL7_PORT: port, PRELIM_ROLES: 'api,worker' })).resolves.toBeUndefined();
});

test('PORT and HL7_PORT that are the same are both named', async () => {
  const port = await takePort();
  for (const server of taken.splice(0)) await new Promise((resolve) => server.close(resolve));
  await expect(check({ PORT: port, HL7_PORT: port })).rejects.toMatchObject({ issues: [{ at: 'HL7_PORT' }] });
});
