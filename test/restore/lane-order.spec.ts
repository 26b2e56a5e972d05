import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { expect, inject, it } from 'vitest';
import { Hl7LaneOrder1763700000046 } from '../../migrations/0046-hl7-lane-order.ts';
import { MIGRATIONS } from '../../migrations/all.ts';
import { migrate, openDataSource } from '../../src/database/data-source.ts';

const BEFORE = MIGRATIONS.slice(0, MIGRATIONS.indexOf(Hl7LaneOrder1763700000046));

/** Name, lane, state, and minutes since it was made. */
const MESSAGES = [
  ['sent again', 'ris:a:1', 'waiting', 90],
  ['rejected', 'ris:a:1', 'rejected', 80],
  ['first', 'ris:a:1', 'waiting', 60],
  ['second', 'ris:a:1', 'waiting', 50],
  ['other', 'ris:a:2', 'waiting', 40],
  ['acknowledged', 'ris:a:2', 'acknowledged', 30],
] as const;
/** In the order of their numbers, as an older server left them: one that is being sent, those behind it, and a dead letter. */
const JOBS = [
  ['first', 'running'],
  ['other', 'waiting'],
  ['second', 'held'],
  ['sent again', 'held'],
  ['rejected', 'dead'],
] as const;

it('results that wait when the server is renewed keep their order, and each lane gets one job; and back', async () => {
  const template = inject('templateUrl');
  const name = `m_${randomBytes(6).toString('hex')}`;
  const admin = new pg.Client({ connectionString: template.replace('/prelim?', '/postgres?') });
  await admin.connect();
  await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`).finally(() => admin.end());
  const url = template.replace('/prelim?', `/${name}?`);
  const early = await openDataSource(url, 2, BEFORE);
  await migrate(early);
  for (const [id, lane, state, minutes] of MESSAGES)
    await early.query(
      `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, state, report_id, report_version, message_time, created_at)
       VALUES (gen_random_uuid(), 'a', $2, $1, '', $3, $1, 1, now(), now() - make_interval(mins => $4))`,
      [id, lane, state, minutes],
    );
  for (const [id, state] of JOBS)
    await early.query(
      `INSERT INTO outbox (queue, payload, lane, state, runner)
       SELECT 'ris-send@a', jsonb_build_object('messageId', id, 'lane', lane, 'destination', 'a'), CASE WHEN $2 <> 'dead' THEN lane END, $2,
         CASE WHEN $2 = 'running' THEN 1 END FROM hl7_outbound WHERE control_id = $1`,
      [id, state],
    );
  await early.query(`INSERT INTO outbox (queue, payload, state) VALUES ('ris-message', '{}', 'waiting')`);
  await early.destroy();

  const now = await openDataSource(url, 2);
  await migrate(now);
  const waiting = `SELECT m.control_id AS name FROM hl7_unacknowledged u JOIN hl7_outbound m USING (id) WHERE u.state = 'waiting' AND u.lane = $1 ORDER BY seq`;
  const names = async (lane: string) =>
    (await now.query(waiting, [lane])).map((row: { name: string }) => row.name);
  expect(await names('ris:a:1')).toEqual(['first', 'second', 'sent again']);
  const jobs = 'SELECT queue, key, lane, state, payload FROM outbox ORDER BY state, id';
  const lane = (key: string) => ({
    ...{ queue: 'ris-send@a', key, lane: null, state: 'waiting' },
    payload: { lane: key, destination: 'a' },
  });
  const dead = { queue: 'ris-send@a', state: 'dead', payload: expect.objectContaining({ lane: 'ris:a:1' }) };
  expect(await now.query(jobs)).toEqual([
    expect.objectContaining(dead),
    expect.objectContaining({ queue: 'ris-message' }),
    lane('ris:a:1'),
    lane('ris:a:2'),
  ]);
  // What is made from now on comes behind all of them.
  await now.query(
    `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time)
     VALUES (gen_random_uuid(), 'a', 'ris:a:1', 'new', '', 'new', 1, now())`,
  );
  expect(await names('ris:a:1')).toEqual(['first', 'second', 'sent again', 'new']);

  await now.undoLastMigration();
  const old = `SELECT m.control_id AS name, o.state FROM outbox o JOIN hl7_outbound m ON m.id = (o.payload ->> 'messageId')::uuid
    WHERE o.lane = 'ris:a:1' ORDER BY o.id`;
  expect(await now.query(old)).toEqual([
    { name: 'first', state: 'waiting' },
    { name: 'second', state: 'held' },
    { name: 'sent again', state: 'held' },
    { name: 'new', state: 'held' },
  ]);
  await now.destroy();
});
