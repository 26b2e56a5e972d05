import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { readSettings } from '../../src/config/settings.ts';
import type { Database } from '../../src/database/database.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { type AckOutcome, acknowledgements } from '../../src/hl7/ack.ts';
import { MllpServer } from '../../src/hl7/mllp-server.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { BullEngine } from '../../src/queue/bull-engine.ts';
import { claimNext } from '../../src/queue/claim.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { runJob } from '../../src/queue/run-job.ts';
import { Runner } from '../../src/queue/runner.ts';
import { ForsakenLanes } from '../../src/steps/ris/forsaken-lanes.ts';
import { OutboundMessageStore } from '../../src/steps/ris/outbound-message.store.ts';
import { RisDestinations } from '../../src/steps/ris/ris-destinations.ts';
import { RisProfiles } from '../../src/steps/ris/ris-profiles.ts';
import { RisSendStep } from '../../src/steps/ris/ris-send.step.ts';
import { freshDatabase } from '../database.ts';
import { startRedis } from '../peers/redis.ts';
import { type LaneRuns, laneHandler } from './lane-handler.ts';

const LANES = 8;
const EACH = 30;
const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
const SILENT = pino({ level: 'silent' });

let database: Database;
let close: () => Promise<void>;
let ris: Receiver;
let destinations: RisDestinations;
const running: { runner: Runner; step: RisSendStep }[] = [];

/** Notes the order of what comes in each lane (the control ids are `lane-number`), and how many of one lane were in flight at once. */
class Receiver {
  readonly received = new Map<string, number[]>();
  mostInFlight = 0;
  private readonly open = new Map<string, number>();
  /** How long it takes to answer. */
  answerMs = () => Math.random() * 3;
  /** Control ids that are answered AR. */
  readonly rejects = new Set<string>();
  private readonly server = new MllpServer({
    host: '127.0.0.1',
    port: 0,
    onMessage: async (bytes) => {
      const [lane = '', number = ''] = bytes.toString('latin1').split('|')[9]?.split('-') ?? [];
      const open = (this.open.get(lane) ?? 0) + 1;
      this.open.set(lane, open);
      this.mostInFlight = Math.max(this.mostInFlight, open);
      this.received.set(lane, [...(this.received.get(lane) ?? []), Number(number)]);
      const ms = this.answerMs();
      if (ms > 0) await sleep(ms);
      this.open.set(lane, (this.open.get(lane) ?? 0) - 1);
      const outcome: AckOutcome = this.rejects.has(`${lane}-${number}`)
        ? { kind: 'reject' }
        : { kind: 'accept' };
      return acknowledgements(bytes, outcome, { now: new Date(0), controlId: '1' });
    },
  });

  listen = () => this.server.listen();
  close = () => this.server.close();
}

beforeAll(async () => {
  ({ database, close } = await freshDatabase({ connections: 12 }));
});
afterAll(() => close());
beforeEach(async () => {
  ris = new Receiver();
  const profile = join(mkdtempSync(join(tmpdir(), 'prelim-lanes-')), 'profile.json');
  writeFileSync(profile, JSON.stringify({ connectionsMax: LANES }));
  const settings = readSettings({ RIS_URL: `mllp://127.0.0.1:${await ris.listen()}`, RIS_PROFILE: profile });
  const profiles = new RisProfiles(new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' }));
  destinations = new RisDestinations(settings, profiles, SILENT);
});
afterEach(async () => {
  await stop();
  destinations.onModuleDestroy();
  await ris.close();
  await database.transaction(async (tx) => {
    await tx.run({ text: `SET LOCAL prelim.retention = 'on'` });
    await tx.run({ text: 'TRUNCATE outbox, hl7_outbound, hl7_attempt' });
  });
});

async function stop(): Promise<void> {
  for (const { runner, step } of running.splice(0)) {
    step.beforeApplicationShutdown();
    await runner.stop();
  }
}

/** Messages in lanes, and the jobs that send them. */
async function fill(name: string, lanes: number, each: number): Promise<void> {
  await database.run(
    {
      text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time, patient_id)
        SELECT gen_random_uuid(), $3, $4 || lane, $4 || lane || '-' || n,
          convert_to(E'MSH|^~\\\\&|A|B|C|D|20260115||ORU^R01|' || $4 || lane || '-' || n || E'|P|2.5.1\\r', 'UTF8'), $4 || lane || '-' || n, 1, now(), 'p'
        FROM generate_series(0, $2::int - 1) AS n, generate_series(0, $1::int - 1) AS lane ORDER BY n, lane`,
    },
    [lanes, each, destinations.simple?.name, name],
  );
  await database.run(
    {
      text: `INSERT INTO outbox (queue, key, payload) SELECT DISTINCT 'ris-send', lane, jsonb_build_object('lane', lane)
        FROM hl7_outbound WHERE lane LIKE $1 || '%'`,
    },
    [name],
  );
}

async function start(on: Database = database, concurrency = LANES): Promise<LaneRuns> {
  const outbox = new Outbox();
  const step = new RisSendStep(on, new OutboundMessageStore(on), destinations, outbox, SILENT);
  const runs = laneHandler(step, concurrency);
  const runner = new Runner(on, outbox, [runs.handler], SILENT);
  running.push({ runner, step });
  await runner.start();
  return runs;
}

const left = async () => (await database.run({ text: 'SELECT 1 FROM outbox' })).length;
const unacknowledged = async () => (await database.run({ text: 'SELECT 1 FROM hl7_unacknowledged' })).length;
const drained = () => expect.poll(left, { timeout: 30_000, interval: 20 }).toBe(0);

const counting = (count: number) => Array.from({ length: count }, (_unused, n) => n);

/** Each message was received, in order, with none between that had been received and answered before. */
async function expectAllInOrder(name: string, lanes: number, each: number): Promise<void> {
  for (let lane = 0; lane < lanes; lane += 1) {
    const received = ris.received.get(`${name}${lane}`) ?? [];
    expect(received.filter((n, at) => n !== received[at - 1])).toEqual(counting(each));
  }
  expect(await unacknowledged()).toBe(0);
  const tries = await database.run({
    text: `SELECT 1 FROM hl7_outbound m WHERE state <> 'acknowledged' OR attempts < 1
      OR (SELECT count(*) FROM hl7_attempt a WHERE a.message_id = m.id AND a.outcome = 'AA') <> 1`,
  });
  expect(tries).toEqual([]);
}

/** A database whose transactions can be watched, or go wrong after their commit. */
const watched = (after: () => void): Database =>
  Object.create(database, {
    transaction: {
      value: async (...args: Parameters<Database['transaction']>) => {
        const result = await database.transaction(...args);
        after();
        return result;
      },
    },
  });

describe('Lanes of results', () => {
  it('keep their order, one message in flight in each, and each goes once', async () => {
    await fill('a', LANES, EACH);
    await start();
    await drained();
    await expectAllInOrder('a', LANES, EACH);
    expect(ris.mostInFlight).toBe(1);
    expect([...ris.received.values()].flat()).toHaveLength(LANES * EACH);
  });

  it('share most of their commits when the receiver answers at once', async () => {
    ris.answerMs = () => 0;
    await fill('b', LANES, EACH);
    let groups = 0;
    await start(watched(() => (groups += 1)));
    await drained();
    // Eight in each, but where the machine was busy elsewhere; and a first look and an end for each lane.
    expect(groups).toBeLessThan((LANES * EACH) / 3 + 2 * LANES);
  });

  it('let other lanes come to their turn while one is long', async () => {
    await fill('long', 1, 200);
    await fill('short', LANES * 3, 2);
    await start(database, 2);
    const ofOthers = () => [...ris.received].filter(([lane]) => lane !== 'long0').length;
    await expect.poll(ofOthers, { timeout: 30_000, interval: 5 }).toBeGreaterThan(LANES);
    expect(ris.received.get('long0')?.length ?? 0).toBeLessThan(200);
    await drained();
    await expectAllInOrder('long', 1, 200);
  });

  it('lose nothing to one whose job somebody else has taken: that one is sent again from where it was', async () => {
    ris.answerMs = () => 20;
    await fill('d', LANES, 6);
    const { results } = await start();
    await expect.poll(() => ris.received.get('d3')?.length ?? 0, { interval: 2 }).toBeGreaterThan(1);
    // Under the number of a process that is not there: it waits again with the next sweep.
    await database.run({ text: `UPDATE outbox SET runner = 5 WHERE key = 'd3'` });
    await drained();
    await expectAllInOrder('d', LANES, 6);
    expect(ris.received.get('d3')?.length).toBe(7);
    expect(results).toContainEqual(expect.objectContaining({ why: 'the claim was lost' }));
    expect(ris.received.get('d2')?.length).toBe(6);
  });

  it('stand still nowhere, and repeat nothing, when the answer to a commit is lost', async () => {
    await fill('e', LANES, EACH);
    let commits = 0;
    await start(
      watched(() => {
        commits += 1;
        if (commits % 6 === 0 && commits < 20)
          throw new Failure('database.unavailable', 'The database does not answer.', {
            cause: new Error('Connection terminated unexpectedly'),
          });
      }),
    );
    await drained();
    expect(commits).toBeGreaterThan(18);
    await expectAllInOrder('e', LANES, EACH);
    expect([...ris.received.values()].flat()).toHaveLength(LANES * EACH);
  });

  it('leave the rest to whoever comes after when the process stops', async () => {
    await fill('f', 2, 40);
    await start();
    await expect.poll(() => ris.received.get('f0')?.length ?? 0, { interval: 2 }).toBeGreaterThan(3);
    await stop();
    expect(await unacknowledged()).toBeGreaterThan(0);
    await start();
    await drained();
    await expectAllInOrder('f', 2, 40);
    expect([...ris.received.values()].flat()).toHaveLength(80);
  });

  it('count a try without an answer for what may have left when a process died', async () => {
    await fill('g', 1, 3);
    // Claimed once by a process that is not there any more.
    await database.run({ text: `UPDATE outbox SET state = 'running', runner = 5, attempt = 1` });
    await start();
    await drained();
    const text = `SELECT control_id AS id, attempts, (SELECT count(*)::int FROM hl7_attempt a WHERE a.message_id = m.id) AS answered
      FROM hl7_outbound m ORDER BY control_id`;
    expect(await database.run({ text })).toEqual([
      { id: 'g0-0', attempts: 2, answered: 1 },
      { id: 'g0-1', attempts: 1, answered: 1 },
      { id: 'g0-2', attempts: 1, answered: 1 },
    ]);
  });

  it('have all attempts again after each message that went: only what cannot go is given up', async () => {
    await fill('h', 1, 5);
    let sent = 0;
    const { send } = destinations.simple!;
    destinations.simple!.send = async (...args) => {
      sent += 1;
      if (sent % 2 === 0) throw new Error('once in a while');
      return send.apply(destinations.simple, args);
    };
    // One attempt of ten is left.
    await database.run({ text: 'UPDATE outbox SET attempt = 9' });
    await start();
    await drained();
    await expectAllInOrder('h', 1, 5);
  });

  it('that were left without a job get one, and no other does', async () => {
    await fill('i', 3, 2);
    await database.run({ text: `DELETE FROM outbox WHERE key <> 'i1'` });
    const warned: unknown[] = [];
    const net = new ForsakenLanes(database, new Outbox(), {
      warn: (what: unknown) => void warned.push(what),
    });
    expect([await net.look(), await net.look()]).toEqual([2, 0]);
    expect(warned).toEqual([{ lanes: 2 }]);
    await start();
    await drained();
    await expectAllInOrder('i', 3, 2);
  });

  it('say nothing of a refusal of what was discarded while it was on its way', async () => {
    ris.answerMs = () => 100;
    ris.rejects.add('k0-0').add('k0-1');
    await fill('k', 1, 3);
    await start();
    await expect.poll(() => ris.received.get('k0')?.length ?? 0, { interval: 2 }).toBe(1);
    await database.run({ text: `UPDATE hl7_outbound SET state = 'discarded' WHERE control_id = 'k0-0'` });
    await expect
      .poll(async () => (await database.run({ text: `SELECT 1 FROM outbox WHERE state <> 'dead'` })).length, {
        timeout: 10_000,
      })
      .toBe(0);
    const states = await database.run({
      text: 'SELECT state, attempts FROM hl7_outbound ORDER BY control_id',
    });
    expect(states).toEqual([
      { state: 'discarded', attempts: 1 },
      { state: 'rejected', attempts: 1 },
      { state: 'acknowledged', attempts: 1 },
    ]);
    // The other refusal is a dead letter.
    const dead = await database.run({
      text: `SELECT m.control_id AS id, o.reason FROM outbox o JOIN hl7_outbound m ON m.id = (o.payload ->> 'messageId')::uuid`,
    });
    expect(dead).toEqual([{ id: 'k0-1', reason: expect.stringContaining('AR') }]);
  });

  it('whose claim was lost are left to whoever has it, and keep their job', async () => {
    await fill('j', 1, 2);
    const [job] = await claimNext(database, 'ris-send', 1, 5);
    const outbox = new Outbox();
    const step = new RisSendStep(database, new OutboundMessageStore(database), destinations, outbox, SILENT);
    const claim = { runner: 5, isHeld: () => false };
    await runJob(database, laneHandler(step).handler, job!, claim, SILENT);
    expect(ris.received.size).toBe(0);
    expect(await left()).toBe(1);
  });
});

describe.skipIf(!hasRedis)(`Lanes of two workers${hasRedis ? '' : ' (skipped: no redis-server)'}`, () => {
  it('keep their order, one message in flight in each, also when one of the workers loses its life sign', async () => {
    const redis = await startRedis();
    const place = { host: '127.0.0.1', port: Number(new URL(redis.url).port), db: 0 };
    const engines: BullEngine[] = [];
    onTestFinished(async () => {
      await Promise.all(engines.map((engine) => engine.stop()));
      await redis.stop();
    });
    await fill('w', 3 * LANES, EACH);
    for (let n = 0; n < 2; n += 1) {
      const outbox = new Outbox();
      const messages = new OutboundMessageStore(database);
      const step = new RisSendStep(database, messages, destinations, outbox, SILENT);
      const engine = new BullEngine(database, outbox, [laneHandler(step).handler], place, SILENT);
      engines.push(engine);
      await engine.start({ work: true });
    }
    await expect.poll(() => ris.received.size, { timeout: 20_000, interval: 5 }).toBeGreaterThan(LANES);
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE application_name = 'prelim presence' AND datname = current_database() LIMIT 1`;
    await database.run({ text: cut });
    await drained();
    await expectAllInOrder('w', 3 * LANES, EACH);
    // What was on its way when the life sign was lost may have gone twice: of each lane of that worker no more than one.
    expect([...ris.received.values()].flat().length).toBeLessThanOrEqual(3 * LANES * EACH + LANES);
  }, 60_000);
});
