import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PrelimServer } from '../peers/prelim-server.ts';
import { expectExactlyOnce, outboxEmpty, stow, until } from './flow-world.ts';
import { tinyStudy } from './studies.ts';
import { makeTinyModel } from './tiny-model.ts';
import { analyse, tinyWorld } from './tiny-world.ts';

/** Lines of the log with this message. */
const logged = (server: PrelimServer, msg: string) =>
  server.lines.flatMap((line) => {
    if (!line.includes(`"msg":"${msg}"`)) return [];
    return [JSON.parse(line) as Record<string, unknown>];
  });

describe('what an operator sees', () => {
  const world = tinyWorld();

  const check = async (name: string) => {
    const { status, body } = await world.server.ask('GET', '/health/ready');
    return { status, ...body.checks.find((one: { name: string }) => one.name === name) };
  };
  const dead = async () =>
    (await world.server.ask('GET', '/jobs/dead')).body.jobs as {
      id: string;
      queue: string;
      reason: string;
      attempts: number;
    }[];
  const outbound = async () =>
    (await world.sql.query('SELECT state FROM hl7_outbound ORDER BY created_at')).rows.map(
      (row) => row.state,
    );

  it('the address alone leads to the worklist', async () => {
    const answer = await fetch(`${world.server.url}/`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([302, '/worklist/']);
  });

  it('a rejected message is a dead letter: named in the log, in readiness and under /jobs/dead, and replayed from there', async () => {
    world.ris.script({ do: 'reject' });
    const study = tinyStudy();
    await analyse(world, study);
    await until(async () => (await dead()).length === 1);
    const [job] = await dead();
    expect(job).toEqual({
      id: expect.any(String),
      queue: 'ris-send',
      reason: expect.stringContaining('AR'),
      created_at: expect.any(String),
      attempts: 1,
    });
    expect(await check('queue')).toMatchObject({
      status: 200,
      ok: false,
      detail: expect.stringContaining('1 dead letters'),
    });
    await until(() => logged(world.server, 'job given up: a dead letter').length === 1);
    expect(logged(world.server, 'job given up: a dead letter')[0]).toMatchObject({
      level: 'warn',
      queue: 'ris-send',
      job: job?.id,
      code: 'given-up',
    });
    expect((await world.server.ask('GET', '/metrics')).text).toContain(
      'prelim_step_ends_total{step="ris-send",end="given-up"} 1',
    );

    const replay = (id: string | undefined, headers = {}) =>
      world.server.ask('POST', `/jobs/${id}/replay`, undefined, headers);
    expect((await replay(job?.id, { authorization: '' })).status).toBe(401);
    expect(
      (await replay(job?.id, { authorization: `Bearer ${await world.server.issue('system/Task.r')}` }))
        .status,
    ).toBe(403);
    expect((await replay(job?.id)).body).toEqual({ id: job?.id, queue: 'ris-send' });
    await until(async () => (await outbound()).every((state) => state === 'acknowledged'));
    await outboxEmpty(world);
    for (const id of [job?.id, '999999999', '9223372036854775808', '0', 'x', '1e3', '-1']) {
      const { status, body } = await replay(id);
      expect([status, body.issue[0].details.coding[0].code]).toEqual([404, 'job.unknown']);
    }
    expect(await dead()).toEqual([]);
    expect(await check('queue')).toMatchObject({ ok: true });
    expect(await check('ris')).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/^no message waits; last ACK 20/),
    });
  }, 60_000);

  it('a RIS that is away is logged once, its messages are counted as later, and its return is logged once', async () => {
    await world.ris.goDown();
    const study = tinyStudy();
    await analyse(world, study);
    await until(
      async () =>
        Number(
          (await world.sql.query(`SELECT max(attempts) AS n FROM hl7_outbound WHERE state = 'waiting'`))
            .rows[0].n,
        ) >= 2,
    );
    expect(await check('ris')).toMatchObject({
      status: 200,
      ok: true,
      detail: expect.stringMatching(/^1 messages waiting, oldest \d+ s; last ACK/),
    });
    // The log is append-only, by a trigger: only a replica's session may make a row older than it is.
    await world.sql.query(`SET session_replication_role = replica;
      UPDATE hl7_outbound SET created_at = now() - interval '6 minutes' WHERE state = 'waiting';
      UPDATE hl7_unacknowledged SET created_at = now() - interval '6 minutes' WHERE state = 'waiting';
      SET session_replication_role = DEFAULT`);
    expect(await check('ris')).toMatchObject({ status: 200, ok: false });
    const waiting = (await world.sql.query(`SELECT id FROM outbox WHERE queue = 'ris-send'`)).rows[0].id;
    const { status, body } = await world.server.ask('POST', `/jobs/${waiting}/replay`);
    expect([status, body.issue[0].details.coding[0].code]).toEqual([409, 'job.not-dead']);
    await world.ris.comeBack();
    await expectExactlyOnce(world, study);
    await outboxEmpty(world);
    await until(() => logged(world.server, 'the RIS answers again').length === 1);
    expect(logged(world.server, 'the RIS does not take messages; they wait')).toMatchObject([
      { level: 'warn', code: 'hl7.connection' },
    ]);
    expect((await world.server.ask('GET', '/metrics')).text).toMatch(
      /prelim_step_ends_total\{step="ris-send",end="later"\} [1-9]/,
    );
  }, 60_000);

  it('a message whose job was buried after its attempts is dead itself, and goes out when the job is replayed', async () => {
    await world.sql.query(`
      CREATE FUNCTION no_sending() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk'; END $$;
      CREATE TRIGGER no_sending BEFORE UPDATE OF attempts ON hl7_outbound FOR EACH ROW EXECUTE FUNCTION no_sending();`);
    const study = tinyStudy();
    await analyse(world, study);
    await until(
      async () =>
        (
          await world.sql.query(
            `SELECT 1 FROM outbox WHERE queue = 'ris-send' AND attempt > 0 AND state = 'waiting'`,
          )
        ).rows.length === 1,
    );
    await world.sql.query(`UPDATE outbox SET attempt = 99, not_before = now() WHERE queue = 'ris-send'`);
    await until(async () => (await dead()).length === 1);
    const [job] = await dead();
    expect(job).toMatchObject({ queue: 'ris-send', attempts: 100 });
    expect((await outbound()).filter((state) => state !== 'acknowledged')).toEqual(['dead']);
    await world.sql.query('DROP TRIGGER no_sending ON hl7_outbound');
    expect((await world.server.ask('POST', `/jobs/${job?.id}/replay`)).status).toBe(200);
    await expectExactlyOnce(world, study);
    await outboxEmpty(world);
  }, 60_000);
});

describe('a start', () => {
  it('names both ports that are taken', async () => {
    const server = await PrelimServer.make();
    const listeners = await Promise.all(
      [server.port, server.mllpPort].map(async (port) => {
        const listener = createServer().listen(port, '127.0.0.1');
        await once(listener, 'listening');
        return listener;
      }),
    );
    try {
      const { code, said } = await server.startAndEnd();
      expect(code).toBe(1);
      expect(said).toContain('There are 2 faults');
      expect(said).toContain(`PORT: another program listens on 127.0.0.1:${server.port}`);
      expect(said).toContain(`HL7_PORT: another program listens on 127.0.0.1:${server.mllpPort}`);
    } finally {
      for (const listener of listeners) listener.close();
      await server.close();
    }
  }, 60_000);
});

describe('the embedded database of a running server', () => {
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    model = await makeTinyModel();
  });
  afterAll(() => model.remove());

  it('that is killed is 503 with Retry-After, then started again, and jobs go on', async () => {
    const server = await PrelimServer.start({ PRELIM_MODELS: model.folder });
    try {
      const [before, after] = [tinyStudy(), tinyStudy()];
      expect((await stow(server, before.files)).status).toBe(200);
      process.kill(
        Number((await readFile(join(server.folder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]),
        'SIGKILL',
      );
      const seen = new Set<string>();
      await until(async () => {
        const answer = await server.ask('GET', '/fhir/Patient');
        seen.add(
          `${answer.status} ${answer.headers.get('retry-after')} ${answer.body?.issue?.[0]?.details?.coding?.[0]?.code ?? ''}`.trim(),
        );
        return answer.status === 200 && seen.size > 1;
      });
      // The token is fine, the database is not; and what is read a moment before it dies cannot be audited.
      seen.delete('503 5 audit.unavailable');
      expect(seen).toEqual(new Set(['503 5 database.unavailable', '200 null']));
      // Who watches over it may say so a moment after it answers.
      await until(() => logged(server, 'the embedded PostgreSQL had died and was started again').length > 0);
      expect(logged(server, 'the embedded PostgreSQL had died and was started again')).toHaveLength(1);
      expect(logged(server, 'a request failed')).toEqual([]);
      expect((await stow(server, after.files)).status).toBe(200);
      await until(
        async () => (await server.ask('GET', '/fhir/Task?status=completed&_summary=count')).body?.total === 2,
      );
      expect((await server.ask('GET', '/jobs/dead')).body).toEqual({ jobs: [], more: false });
      const ready = await server.ask('GET', '/health/ready');
      expect([ready.status, ready.body.checks.filter((check: { ok: boolean }) => !check.ok)]).toEqual([
        200,
        [],
      ]);
    } finally {
      await server.close();
    }
  }, 90_000);

  it('shared with a worker outlives the first that stops; a worker serves health and metrics and nothing else', async () => {
    const server = await PrelimServer.start({ PRELIM_MODELS: model.folder });
    const worker = await PrelimServer.make({
      PRELIM_DATA: server.folder,
      PRELIM_ROLES: 'worker',
      PRELIM_MODELS: model.folder,
    });
    try {
      await worker.start();
      const authorization = `Bearer ${server.token}`;
      const status = async (path: string, headers = {}) =>
        (await fetch(`${worker.url}${path}`, { headers, redirect: 'manual' })).status;
      expect([
        await status('/health/live'),
        await status('/metrics'),
        await status('/metrics', { authorization }),
      ]).toEqual([200, 401, 200]);
      for (const path of [
        '/',
        '/worklist/',
        '/fhir/metadata',
        '/fhir/Patient',
        '/dicomweb/studies',
        '/auth/jwks',
        '/jobs/dead',
        '/health',
        '/health/live/',
        '/metrics/x',
        '//metrics',
      ])
        expect([path, await status(path, { authorization })]).toEqual([path, 404]);
      expect(await server.stop()).toBe(0);
      expect(await status('/health/ready')).toBe(200);
      expect(await worker.stop()).toBe(0);
      await expect(readFile(join(server.folder, 'postgres', 'postmaster.pid'))).rejects.toMatchObject({
        code: 'ENOENT',
      });
    } finally {
      await worker.close();
      await server.close();
    }
  }, 60_000);
});
