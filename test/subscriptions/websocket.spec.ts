import { once } from 'node:events';
import { get } from 'node:http';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { parseEvents } from '../../src/access/audit/audit-content.ts';
import { AuditTrail } from '../../src/access/audit-trail.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { UNBOUND_PER_ADDRESS_MAX } from '../../src/subscriptions/socket-hub.ts';
import {
  plainSubscription,
  type SubscriptionWorld,
  statusOf,
  subscribe,
  subscriptionWorld,
  topicSubscription,
  until,
} from './subscription-world.ts';

const TOPIC = 'https://prelim.example/fhir/SubscriptionTopic/report-available';

let world: SubscriptionWorld;
beforeAll(async () => {
  world = await subscriptionWorld({});
});
afterAll(() => world.close());

interface Client {
  readonly socket: WebSocket;
  readonly heard: string[];
}
const open: WebSocket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.terminate();
});

async function connect(headers: Record<string, string> = {}): Promise<Client> {
  const socket = new WebSocket(`${world.url.replace('http', 'ws')}/fhir/ws`, { headers });
  open.push(socket);
  const heard: string[] = [];
  socket.on('message', (data) => heard.push(String(data)));
  await once(socket, 'open');
  return { socket, heard };
}
const tokenFor = async (id: string, headers?: Record<string, string>) => {
  const { status, body } = await world.ask(
    'GET',
    `Subscription/${id}/$get-ws-binding-token`,
    undefined,
    headers,
  );
  const value = (name: string) => body.parameter?.find((one: { name: string }) => one.name === name);
  return { status, token: String(value('token')?.valueString), body, value };
};
const write = (id: string, subject?: string) =>
  world.ask('PUT', `DiagnosticReport/${id}`, {
    resourceType: 'DiagnosticReport',
    id,
    status: 'final',
    code: { text: 'x' },
    ...(subject === undefined ? {} : { subject: { reference: subject } }),
  });

describe('R4 websocket', () => {
  it('binds with a token in the header, and pings for each change', async () => {
    const id = await subscribe(
      world,
      plainSubscription('DiagnosticReport?status=final', { type: 'websocket' }),
    );
    const { token, value } = await tokenFor(id);
    expect(value('websocket-url').valueUrl).toBe('ws://127.0.0.1:8080/fhir/ws');
    expect(value('subscription').valueString).toBe(`Subscription/${id}`);
    const { socket, heard } = await connect({ authorization: `Bearer ${token}` });
    socket.send(`bind ${id}`);
    await until(() => heard.length === 1);
    expect(heard).toEqual([`bound ${id}`]);
    await write('ws-1');
    await until(() => heard.length === 2);
    expect(heard[1]).toBe(`ping ${id}`);
  });

  it('without a token, with a made-up one, or with one of another Subscription nothing is bound and nothing heard', async () => {
    const mine = await subscribe(world, plainSubscription('DiagnosticReport', { type: 'websocket' }));
    const other = await subscribe(world, plainSubscription('DiagnosticReport', { type: 'websocket' }));
    const { token } = await tokenFor(other);
    const { socket, heard } = await connect();
    socket.send(`bind ${mine}`);
    await until(() => heard.length === 1);
    socket.send(`bind-with-token ${token}`);
    await until(() => heard.length === 2);
    socket.send(`bind ${mine}`);
    await until(() => heard.length === 3);
    await write('ws-2');
    await until(() => heard.length === 4);
    expect(heard.map((line) => line.split(':')[0])).toEqual([
      'error not bound',
      `bound ${other}`,
      'error not bound',
      `ping ${other}`,
    ]);
    socket.send('bind-with-token made-up');
    await once(socket, 'close');
  });

  it('ends with words that mean nothing, or too many bytes; other paths are not there', async () => {
    const first = await connect();
    first.socket.send('DROP TABLE resource');
    expect((await once(first.socket, 'close'))[0]).toBe(1003);
    const second = await connect();
    second.socket.send('x'.repeat(5_000));
    expect((await once(second.socket, 'close'))[0]).toBe(1009);
    const stray = new WebSocket(`${world.url.replace('http', 'ws')}/worklist`);
    const [error] = await once(stray, 'error').catch((cause) => [cause]);
    expect(String(error)).toMatch(/404/);
  });

  it('a token is given only to whom may read the Subscription, and kept as a hash', async () => {
    const id = await subscribe(world, plainSubscription('DiagnosticReport', { type: 'websocket' }));
    expect((await tokenFor(id, { 'x-scope': 'system/Patient.r' })).status).toBe(403);
    const { token } = await tokenFor(id);
    const rows = await world.database.run({ text: 'SELECT b::text FROM subscription_binding b' });
    expect(rows.length).toBeGreaterThan(0);
    expect(JSON.stringify(rows)).not.toContain(token);
    await world.database.run({
      text: `UPDATE subscription_binding SET expires_at = now() - interval '1 second'`,
    });
    const { socket, heard } = await connect();
    socket.send(`bind-with-token ${token}`);
    await until(() => heard.length === 1);
    expect(heard[0]).toMatch(/^error/);
  });
});

describe('somebody else’s Subscription', () => {
  const LESS = { 'x-scope': 'system/Subscription.r system/Patient.rs' };
  const SAME = { 'x-scope': 'system/Subscription.r system/DiagnosticReport.r' };

  it.each([
    ['R4', () => plainSubscription('DiagnosticReport?status=final', { type: 'websocket' })],
    [
      'topic-based, full-resource',
      () => topicSubscription(TOPIC, { type: 'websocket', content: 'full-resource' }),
    ],
    ['topic-based, empty', () => topicSubscription(TOPIC, { type: 'websocket', content: 'empty' })],
  ])(
    'of kind %s tells who may read it, but not what it is about, neither of resources nor that there are any',
    async (kind, make) => {
      const id = await subscribe(world, make());
      const [less, same] = [await connect(), await connect()];
      less.socket.send(`bind-with-token ${(await tokenFor(id, LESS)).token}`);
      same.socket.send(`bind-with-token ${(await tokenFor(id, SAME)).token}`);
      await until(() => less.heard.length === 1 && same.heard.length === 1);
      const name = `ws-theirs-${kind.replaceAll(/\W/g, '')}`;
      await write(name);
      await until(() => same.heard.length === 2);
      if (kind.includes('full')) expect(same.heard[1]).toContain(name);
      // The one without the right would have heard before the other's next.
      await write(`${name}-2`);
      await until(() => same.heard.length === 3);
      expect(less.heard).toHaveLength(1);
    },
  );

  it('sockets that bind nothing cannot take all the places: one address has fifty of them, and who bound is not counted', async () => {
    const id = await subscribe(world, plainSubscription('DiagnosticReport', { type: 'websocket' }));
    const { token } = await tokenFor(id);
    const bound = await connect();
    bound.socket.send(`bind-with-token ${token}`);
    await until(() => bound.heard.length === 1);
    await Promise.all(Array.from({ length: UNBOUND_PER_ADDRESS_MAX }, () => connect()));
    const refused = new WebSocket(`${world.url.replace('http', 'ws')}/fhir/ws`);
    const [error] = await once(refused, 'error').catch((cause) => [cause]);
    expect(String(error)).toMatch(/503/);
    await write('ws-flooded');
    await until(() => bound.heard.length === 2);
  });
});

describe('requests with Upgrade that are no WebSocket', () => {
  it('are answered as usual: an HTTP client that offers h2c gets its resource', async () => {
    const { status, version } = await new Promise<{ status: number; version: string }>((resolve, reject) => {
      const headers = {
        connection: 'Upgrade, HTTP2-Settings',
        upgrade: 'h2c',
        'http2-settings': 'AAMAAABkAARAAAAAAAIAAAAA',
      };
      const request = get(`${world.url}/fhir/metadata`, { headers }, (response) => {
        response.resume();
        resolve({ status: response.statusCode ?? 0, version: response.httpVersion });
      });
      request.on('error', reject);
      request.on('upgrade', () => reject(new Error('upgraded')));
    });
    expect([status, version]).toEqual([200, '1.1']);
  });
});

describe('topic-based websocket', () => {
  it('bind-with-token answers with a handshake Bundle, and every event comes once, in order', async () => {
    const id = await subscribe(
      world,
      topicSubscription(TOPIC, { type: 'websocket', content: 'full-resource' }),
    );
    await write('ws-before');
    const { token } = await tokenFor(id);
    const { socket, heard } = await connect();
    socket.send(`bind-with-token ${token}`);
    await until(() => heard.length === 1);
    expect(statusOf(JSON.parse(heard[0] ?? ''))).toMatchObject({
      type: 'handshake',
      'events-since-subscription-start': '1',
      events: [],
    });
    await Promise.all(Array.from({ length: 20 }, (_, n) => write(`ws-t${n}`)));
    await until(() => heard.length === 21);
    const bundles = heard.slice(1).map((text) => JSON.parse(text));
    expect(bundles.map((bundle) => statusOf(bundle).events[0]?.['event-number'])).toEqual(
      Array.from({ length: 20 }, (_, n) => String(n + 2)),
    );
    expect(bundles.every((bundle) => bundle.entry[1].resource.resourceType === 'DiagnosticReport')).toBe(
      true,
    );
    const missed = await world.ask('GET', `Subscription/${id}/$events?eventsUntilNumber=1`);
    expect(statusOf(missed.body).events).toHaveLength(1);
  });

  it('tells of no resource before the audit has it: which patient, from which address; and tells of none without it', async () => {
    const trail = await AuditTrail.start(world.database, systemClock, pino({ level: 'silent' }));
    world.database.audit = trail;
    try {
      const id = await subscribe(
        world,
        topicSubscription(TOPIC, { type: 'websocket', content: 'full-resource' }),
      );
      const { token } = await tokenFor(id);
      const { socket, heard } = await connect();
      socket.send(`bind-with-token ${token}`);
      await until(() => heard.length === 1);
      await write('ws-audited', 'Patient/ws-p');
      await until(() => heard.length === 2);
      const rows = await world.database.run<{ content: string }>({ text: 'SELECT content FROM audit_event' });
      const told = rows
        .flatMap(({ content }) => parseEvents(content))
        .filter(({ entity, kind }) => entity === `Subscription/${id}` && kind === 'hook');
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({
        interaction: 'event-notification',
        client: 'prelim/websocket',
        address: '127.0.0.1',
        outcome: 0,
        patients: ['ws-p'],
      });
      // Only what a WebSocket is told cannot be recorded; the write of the report can.
      world.database.audit = {
        record: () => Promise.reject(new Failure('audit.unavailable', 'no')),
        recordIn: (tx, entries) => trail.recordIn(tx, entries),
      };
      const closed = once(socket, 'close');
      await write('ws-untold', 'Patient/ws-p');
      expect((await closed)[0]).toBe(1011);
      expect(heard).toHaveLength(2);
    } finally {
      world.database.audit = null;
      await trail.release();
    }
  });

  it('keeps the last 1,000 events for $events and no more, whether anybody listens or not', async () => {
    const id = await subscribe(world, topicSubscription(TOPIC, { type: 'websocket' }));
    await world.database.run(
      {
        text: `WITH c AS (INSERT INTO subscription_counter (id, events) VALUES ($1, 1299))
          INSERT INTO subscription_event (subscription_id, number, type, resource_id, version, interaction)
          SELECT $1, n, 'DiagnosticReport', 'x', 1, 'create' FROM generate_series(1, 1299) n`,
      },
      [id],
    );
    await write('ws-kept');
    const rows = await world.database.run<{ n: string; lo: string }>(
      { text: 'SELECT count(*) AS n, min(number) AS lo FROM subscription_event WHERE subscription_id = $1' },
      [id],
    );
    expect(rows).toEqual([{ n: '1000', lo: '301' }]);
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it('one that is deleted is told nothing more', async () => {
    const id = await subscribe(world, topicSubscription(TOPIC, { type: 'websocket' }));
    const { token } = await tokenFor(id);
    const { socket, heard } = await connect();
    socket.send(`bind-with-token ${token}`);
    await until(() => heard.length === 1);
    await world.ask('DELETE', `Subscription/${id}`);
    await write('ws-deleted');
    socket.send(`bind ${id}`);
    await until(() => heard.length === 2);
    expect(heard[1]).toMatch(/^error/);
  });
});
