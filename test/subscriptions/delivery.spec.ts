import { createHmac } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Subscriber } from '../peers/subscriber.ts';
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
const SECRET = 'a-secret-of-this-test-that-is-long-enough';
const CANARY = 'Zanzibarqwertzui';

let world: SubscriptionWorld;
let listener: Subscriber;
const made: string[] = [];
beforeAll(async () => {
  listener = await Subscriber.start();
  world = await subscriptionWorld({
    SUBSCRIPTION_HOSTS: listener.host,
    SUBSCRIPTION_SECRETS: JSON.stringify({ [listener.host]: SECRET }),
  });
});
afterAll(async () => {
  await world.close();
  await listener.goDown();
});
beforeEach(() => {
  listener.status = 200;
  listener.behave = null;
});
afterEach(async () => {
  for (const id of made.splice(0)) await world.ask('DELETE', `Subscription/${id}`);
});

const follow = async (subscription: object): Promise<string> => {
  const id = await subscribe(world, subscription);
  made.push(id);
  return id;
};
const write = (id: string, more: object = {}) =>
  world.ask('PUT', `DiagnosticReport/${id}`, {
    resourceType: 'DiagnosticReport',
    id,
    status: 'preliminary',
    code: { text: CANARY },
    ...more,
  });
const subscriptionNow = async (id: string) => (await world.ask('GET', `Subscription/${id}`)).body;
const eventsAt = (path: string) =>
  listener
    .bodies(path)
    .flatMap((bundle) => statusOf(bundle).events.map((event) => Number(event['event-number'])));
const rowsOf = async (id: string) => {
  const [row] = await world.database.run<{ n: number }>(
    {
      text: `SELECT (SELECT count(*) FROM subscription_event WHERE subscription_id = $1) + (SELECT count(*) FROM subscription_counter WHERE id = $1)
        + (SELECT count(*) FROM subscription_delivery WHERE id = $1) + (SELECT count(*) FROM subscription_binding WHERE $1 = ANY(subscription_ids)) AS n`,
    },
    [id],
  );
  return Number(row?.n);
};

describe('numbers', () => {
  it('have no gap and no double under 50 parallel writes, and come in order', async () => {
    const id = await follow(topicSubscription(TOPIC, { endpoint: `${listener.url}/parallel` }));
    const before = listener.bodies('/parallel').length;
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => write(`parallel-${n}`)));
    expect(answers.every(({ status }) => status === 201)).toBe(true);
    await until(() => listener.bodies('/parallel').length === before + 50);
    expect(eventsAt('/parallel')).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
    const { body } = await world.ask('GET', `Subscription/${id}/$status`);
    expect(statusOf(body)['events-since-subscription-start']).toBe('50');
  });

  it('a write that fails takes none: the next one has the number', async () => {
    await follow(topicSubscription(TOPIC, { endpoint: `${listener.url}/rollback` }));
    const entry = [
      {
        resource: { resourceType: 'DiagnosticReport', status: 'final', code: { text: 'x' } },
        request: { method: 'POST', url: 'DiagnosticReport' },
      },
      {
        resource: { resourceType: 'Patient', id: 'gone' },
        request: { method: 'PUT', url: 'Patient/gone', ifMatch: 'W/"7"' },
      },
    ];
    expect((await world.ask('POST', '', { resourceType: 'Bundle', type: 'transaction', entry })).status).toBe(
      412,
    );
    await write('after-rollback');
    await until(() => eventsAt('/rollback').length === 1);
    expect(eventsAt('/rollback')).toEqual([1]);
  });
});

describe('a listener that is away', () => {
  it('gets everything once and in order when it is back; the Subscription says error meanwhile, and active again', async () => {
    const id = await follow(topicSubscription(TOPIC, { endpoint: `${listener.url}/away` }));
    await listener.goDown();
    for (let n = 0; n < 5; n++) expect((await write(`away-${n}`)).status).toBe(201);
    await until(async () => (await subscriptionNow(id)).status === 'error');
    expect((await subscriptionNow(id)).error).toMatch(/^subscription.not-delivered: /);
    await write('away-5');
    await listener.comeBack();
    await until(() => eventsAt('/away').length >= 6, 25_000);
    await until(async () => (await subscriptionNow(id)).status === 'active');
    expect(eventsAt('/away')).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await subscriptionNow(id)).error).toBeUndefined();
  }, 60_000);

  it('holds up nobody else', async () => {
    await follow(plainSubscription('DiagnosticReport', { endpoint: `${listener.url}/slow` }));
    await follow(plainSubscription('DiagnosticReport', { endpoint: `${listener.url}/quick` }));
    listener.behave = ({ path }, response) => void (path === '/slow' ? undefined : response.end());
    await write('beside');
    await until(() => listener.deliveries.some(({ path }) => path === '/quick'), 5_000);
  });
});

describe('a plain R4 Subscription', () => {
  it('without a payload gets an empty POST, with one a PUT of the version that fired; later versions follow in order', async () => {
    await follow(
      plainSubscription('DiagnosticReport?status=preliminary,final', { endpoint: `${listener.url}/plain` }),
    );
    await follow(
      plainSubscription('DiagnosticReport?status=preliminary,final', {
        endpoint: `${listener.url}/put`,
        payload: 'application/fhir+json',
      }),
    );
    for (const conclusion of ['1', '2', '3']) await write('plain-1', { conclusion });
    await write('plain-2', { status: 'cancelled' });
    await until(() => listener.bodies('/put/DiagnosticReport/plain-1').length === 3);
    expect(listener.bodies('/put/DiagnosticReport/plain-1').map(({ conclusion }) => conclusion)).toEqual([
      '1',
      '2',
      '3',
    ]);
    await until(() => listener.deliveries.filter(({ path }) => path === '/plain').length === 3);
    expect(
      listener.deliveries.filter(({ path }) => path === '/plain').map(({ method, body }) => [method, body]),
    ).toEqual([
      ['POST', ''],
      ['POST', ''],
      ['POST', ''],
    ]);
    expect(listener.deliveries.some(({ path }) => path.includes('plain-2'))).toBe(false);
    expect(listener.deliveries.every(({ headers }) => headers['if-match'] === undefined)).toBe(true);
  });

  it('is off at its end, and nothing of it stays', async () => {
    const end = new Date(Date.now() + 1_500).toISOString();
    const id = await follow(
      plainSubscription('DiagnosticReport', { endpoint: `${listener.url}/end` }, { end }),
    );
    await write('before-end');
    await until(() => listener.deliveries.some(({ path }) => path === '/end'));
    await until(async () => (await subscriptionNow(id)).status === 'off');
    const told = listener.deliveries.filter(({ path }) => path === '/end').length;
    await write('after-end');
    await sleep(300);
    expect(listener.deliveries.filter(({ path }) => path === '/end')).toHaveLength(told);
    await until(async () => (await rowsOf(id)) === 0);
  });
});

describe('what stays', () => {
  it('of a deleted Subscription nothing: no events, no numbers, no jobs', async () => {
    const id = await subscribe(world, topicSubscription(TOPIC, { endpoint: `${listener.url}/deleted` }));
    listener.status = 500;
    await write('kept-1');
    await until(async () => (await rowsOf(id)) >= 3);
    await world.ask('DELETE', `Subscription/${id}`);
    await until(async () => {
      const jobs = await world.database.run(
        { text: `SELECT 1 FROM outbox WHERE payload->>'subscriptionId' = $1` },
        [id],
      );
      return jobs.length === 0;
    });
    expect(await rowsOf(id)).toBe(0);
  });

  it('no resource, no secret and no header value in jobs, log or events', async () => {
    await follow(
      topicSubscription(TOPIC, {
        endpoint: `${listener.url}/canary`,
        content: 'full-resource',
        header: ['X-Key: canary-header'],
      }),
    );
    listener.status = 500;
    await write('canary');
    await until(() =>
      listener.deliveries.some(({ path, body }) => path === '/canary' && body.includes(CANARY)),
    );
    const rows = await world.database.run({
      text: `SELECT payload::text AS t, reason AS r FROM outbox UNION ALL SELECT e::text, '' FROM subscription_event e`,
    });
    const text = JSON.stringify(rows) + world.logged.join('\n');
    for (const hidden of [CANARY, SECRET, 'canary-header']) expect(text).not.toContain(hidden);
    expect(JSON.stringify((await world.ask('GET', 'Subscription')).body)).not.toContain(SECRET);
  });
});

describe('$events and $status', () => {
  it('$events gives what was missed, by number, with the content that is asked for', async () => {
    const id = await follow(topicSubscription(TOPIC, { endpoint: `${listener.url}/missed` }));
    for (let n = 1; n <= 4; n++) await write(`missed-${n}`);
    const { status, body } = await world.ask(
      'GET',
      `Subscription/${id}/$events?eventsSinceNumber=2&eventsUntilNumber=3&content=full-resource`,
    );
    expect([status, body.type]).toEqual([200, 'history']);
    expect(statusOf(body)).toMatchObject({ type: 'query-event', 'events-since-subscription-start': '4' });
    expect(statusOf(body).events.map((event) => event['event-number'])).toEqual(['2', '3']);
    expect(body.entry.slice(1).map((one: { resource: { id: string } }) => one.resource.id)).toEqual([
      'missed-2',
      'missed-3',
    ]);
    const narrow = await world.ask('GET', `Subscription/${id}/$events?content=full-resource`, undefined, {
      'x-scope': 'system/Subscription.r',
    });
    expect(statusOf(narrow.body).events).toHaveLength(4);
    expect(JSON.stringify(narrow.body)).not.toContain('missed-');
    expect((await world.ask('GET', `Subscription/${id}/$events?eventsSinceNumber=x`)).status).toBe(400);
  });

  it('$status answers for one and for many, by id and by status; not to whom may not read', async () => {
    const id = await follow(topicSubscription(TOPIC, { endpoint: `${listener.url}/status` }));
    const one = await world.ask('GET', `Subscription/${id}/$status`);
    expect(one.body).toMatchObject({ type: 'searchset', total: 1, entry: [{ search: { mode: 'match' } }] });
    expect(statusOf(one.body)).toMatchObject({ type: 'query-status', status: 'active', topic: TOPIC });
    const parameter = [
      { name: 'ids', valueId: id },
      { name: 'status', valueCode: 'off' },
    ];
    expect(
      (await world.ask('POST', 'Subscription/$status', { resourceType: 'Parameters', parameter })).body.total,
    ).toBe(0);
    expect((await world.ask('GET', `Subscription/$status?ids=${id}&status=active`)).body.total).toBe(1);
    expect((await world.ask('GET', 'Subscription/nobody/$status')).status).toBe(404);
    expect(
      (await world.ask('GET', `Subscription/${id}/$status`, undefined, { 'x-scope': 'system/Patient.r' }))
        .status,
    ).toBe(403);
  });
});

describe('what the subscriber may see', () => {
  it('is what its author could read: resources of other types do not go along', async () => {
    const scope = { 'x-scope': 'system/Subscription.crus system/DiagnosticReport.rs' };
    const answer = await world.ask(
      'POST',
      'Subscription',
      topicSubscription(TOPIC, { endpoint: `${listener.url}/narrow`, content: 'full-resource' }),
      scope,
    );
    made.push(answer.body.id);
    await until(async () => (await subscriptionNow(answer.body.id)).status === 'active');
    await world.ask('PUT', 'Patient/hidden', {
      resourceType: 'Patient',
      id: 'hidden',
      name: [{ family: 'Hidden' }],
    });
    await write('narrow', { subject: { reference: 'Patient/hidden' } });
    await until(() => listener.bodies('/narrow').length === 2);
    expect(
      listener
        .bodies('/narrow')[1]
        .entry.slice(1)
        .map((one: { resource: { resourceType: string } }) => one.resource.resourceType),
    ).toEqual(['DiagnosticReport']);
    const refused = await world.ask(
      'POST',
      'Subscription',
      topicSubscription(TOPIC, { endpoint: `${listener.url}/narrow` }),
      { 'x-scope': 'system/Subscription.c' },
    );
    expect(refused.status).toBe(403);
  });
});

describe('the signature', () => {
  it('is HMAC-SHA-256 over time and body, under the secret of the host', async () => {
    await follow(topicSubscription(TOPIC, { endpoint: `${listener.url}/signed` }));
    const signed = listener.deliveries.find(({ path }) => path === '/signed');
    const [, t = '', v1] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(signed?.headers['prelim-signature'])) ?? [];
    expect(v1).toBe(createHmac('sha256', SECRET).update(`${t}.${signed?.body}`).digest('hex'));
    expect(Math.abs(Number(t) - Date.now() / 1_000)).toBeLessThan(10);
  });
});
