import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabaseUrl } from '../database.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

describe('a start that cannot be', () => {
  let server: PrelimServer;
  let occupied: Server | null = null;
  beforeEach(async () => {
    server = await PrelimServer.make();
  });
  afterEach(async () => {
    await server.close();
    occupied?.close();
    occupied = null;
  });
  const occupy = (port: number) =>
    new Promise<void>((resolve) => {
      occupied = createServer().listen(port, '127.0.0.1', resolve);
    });
  const ownDatabase = async () => ({ DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/') });

  it('names all faults of the settings at once, without the values of secrets, and exits with 1', async () => {
    const { code, said } = await server.startAndEnd({
      PORT: 'http',
      LOG_LEVEL: 'loud',
      DATABASE_URL: 'mysql://root:sesame@db/x',
      PRELIM_ROLS: 'api',
      RIS_URL: 'localhost:2575',
      STUDY_QUIET_MS: '-1',
      DICOMWEB_TOKEN_FILE: '/no/such/file',
    });
    expect(code).toBe(1);
    expect(said).toContain('7 fault(s)');
    for (const name of [
      'PORT',
      'LOG_LEVEL',
      'DATABASE_URL',
      'PRELIM_ROLS',
      'RIS_URL',
      'STUDY_QUIET_MS',
      'DICOMWEB_TOKEN',
    ])
      expect(said).toMatch(new RegExp(`^ {2}${name}: `, 'm'));
    expect(said).not.toMatch(/sesame| {4}at /);
  });

  it('says that PORT is taken, and leaves no database running', async () => {
    await occupy(server.port);
    const { code, said } = await server.startAndEnd();
    expect(code).toBe(1);
    expect(said).toMatch(/Prelim did not start\. PORT: another program listens on 127\.0\.0\.1:\d+/);
    expect(await postmaster(server)).toBeNull();
  }, 60_000);

  it('says that the MLLP port is taken', async () => {
    await occupy(server.mllpPort);
    const { code, said } = await server.startAndEnd(await ownDatabase());
    expect(code).toBe(1);
    expect(said).toMatch(/Prelim did not start\. .*HL7_PORT/);
    expect(said).not.toMatch(/ {4}at /);
  });

  it('says that the database does not answer, without its password', async () => {
    const { code, said } = await server.startAndEnd({
      DATABASE_URL: `postgres://prelim:sesame@127.0.0.1:${server.port}/x`,
    });
    expect(code).toBe(1);
    expect(said).toContain('DATABASE_URL');
    expect(said).not.toMatch(/sesame| {4}at /);
  });

  it('says that AUTH_CLIENTS is no list of clients, without showing it', async () => {
    const { code, said } = await server.startAndEnd({
      ...(await ownDatabase()),
      AUTH_CLIENTS: '[{"id":"ehr","secret":"sesame"}]',
    });
    expect(code).toBe(1);
    expect(said).toContain('AUTH_CLIENTS');
    expect(said).not.toMatch(/sesame| {4}at /);
  });

  it('says that PRELIM_DATA is no folder', async () => {
    const file = join(server.folder, 'a-file');
    await writeFile(file, '');
    const { code, said } = await server.startAndEnd({
      ...(await ownDatabase()),
      PRELIM_DATA: join(file, 'data'),
    });
    expect(code).toBe(1);
    expect(said).toMatch(/Prelim did not start\. PRELIM_DATA: /);
  });

  it('says that PRELIM_DATA cannot be written to', async () => {
    const file = join(server.folder, 'a-file');
    await writeFile(file, '');
    // Nobody, root included, can make a folder in a file.
    const { code, said } = await server.startAndEnd({ PRELIM_DATA: join(file, 'data') });
    expect(code).toBe(1);
    expect(said).toMatch(/Prelim did not start\. PRELIM_DATA: /);
  });

  it('starts without a model that is faulty, and readiness names the refusal', async () => {
    await writeFile(join(server.folder, 'manifest.yaml'), 'schema: imaging-model/1\nid: Broken Model\n');
    await server.start({ ...(await ownDatabase()), PRELIM_MODELS: server.folder });
    const ready = await server.ask('GET', '/health/ready');
    expect(ready.status).toBe(200);
    expect(ready.body.checks).toContainEqual(
      expect.objectContaining({ name: 'models', ok: false, detail: expect.stringContaining('1 refused') }),
    );
  });
});

describe('a model that is loaded', () => {
  it('reports nothing about itself: ONNX Runtime leaves no telemetry files in the home folder', async () => {
    const server = await PrelimServer.make({
      DATABASE_URL: (await freshDatabaseUrl()).replace('@/', '@localhost/'),
    });
    try {
      const home = join(server.folder, 'home');
      await mkdir(home);
      await server.start({ HOME: home });
      const models = (await server.ask('GET', '/health/ready')).body.checks.find(
        (check: { name: string }) => check.name === 'models',
      );
      expect(models.detail).toMatch(/^[1-9]\d* loaded/);
      expect(await readdir(home, { recursive: true })).toEqual([]);
    } finally {
      await server.close();
    }
  }, 60_000);
});

describe('the embedded database', () => {
  it('is there again after a stop, after a kill that leaves it running, and after a kill of both', async () => {
    const server = await PrelimServer.start();
    try {
      const kept: string[] = [];
      const keep = async () => {
        const answer = await server.ask('POST', '/fhir/Patient', {
          resourceType: 'Patient',
          name: [{ family: `Life ${kept.length}` }],
        });
        expect(answer.status).toBe(201);
        kept.push(String(answer.body.id));
      };
      const expectKept = async () => {
        for (const id of kept) expect((await server.ask('GET', `/fhir/Patient/${id}`)).status).toBe(200);
      };
      await keep();
      expect(await server.stop()).toBe(0);
      expect(await postmaster(server)).toBeNull();

      await server.start();
      await expectKept();
      await keep();
      const left = await postmaster(server);
      await server.kill('SIGKILL');
      expect(await postmaster(server)).toBe(left);

      await server.start();
      expect(await postmaster(server)).toBe(left);
      await expectKept();
      await keep();
      await server.kill('SIGKILL');
      process.kill(Number(left), 'SIGKILL');

      await server.start();
      expect(await postmaster(server)).not.toBe(left);
      await expectKept();
      expect(await server.stop()).toBe(0);
      expect(await postmaster(server)).toBeNull();
    } finally {
      await server.close();
    }
  }, 120_000);
});

/** Process id of the embedded PostgreSQL of this data folder while it lives. */
async function postmaster(server: PrelimServer): Promise<number | null> {
  const pid = Number(
    (await readFile(join(server.folder, 'postgres', 'postmaster.pid'), 'utf8').catch(() => '')).split(
      '\n',
    )[0],
  );
  if (!(pid > 1)) return null;
  try {
    process.kill(pid, 0);
    return pid;
  } catch {
    return null;
  }
}
