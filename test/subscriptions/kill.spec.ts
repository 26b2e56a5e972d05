import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FlowWorld, makeWorld, until } from '../flow/flow-world.ts';
import { Subscriber } from '../peers/subscriber.ts';
import { statusOf, topicSubscription } from './subscription-world.ts';

const TOPIC = 'https://prelim.example/fhir/SubscriptionTopic/report-available';

describe('a server that is killed', () => {
  let world: FlowWorld;
  let listener: Subscriber;
  beforeAll(async () => {
    listener = await Subscriber.start();
    world = await makeWorld({ settings: { SUBSCRIPTION_HOSTS: listener.host } });
  });
  afterAll(async () => {
    await world.close();
    await listener.goDown();
  });

  it('has written every event with its change: after kill -9 amid writes each stored report is told, in order, without a gap', async () => {
    const { server, sql } = world;
    const made = await server.ask(
      'POST',
      '/fhir/Subscription',
      topicSubscription(TOPIC, { endpoint: `${listener.url}/killed` }),
    );
    expect(made.status, made.text).toBe(201);
    const path = `/fhir/Subscription/${made.body.id}`;
    await until(async () => (await server.ask('GET', path)).body.status === 'active');
    const write = (n: number) =>
      server.ask('PUT', `/fhir/DiagnosticReport/k${n}`, {
        resourceType: 'DiagnosticReport',
        id: `k${n}`,
        status: 'final',
        code: { text: 'x' },
      });
    const writes = Array.from({ length: 60 }, (_, n) => write(n).catch(() => null));
    await until(async () => (await sql.query(`SELECT 1 FROM subscription_event`)).rows.length >= 15);
    await server.kill('SIGKILL');
    await Promise.all(writes);
    await server.start();
    const { rows: stored } = await sql.query(
      `SELECT id FROM resource WHERE type = 'DiagnosticReport' AND id LIKE 'k%'`,
    );
    const told = () => listener.bodies('/killed').flatMap((bundle) => statusOf(bundle).events);
    const names = () =>
      new Set(
        told().map((event) =>
          String((event['focus'] as { reference: string }).reference)
            .split('/')
            .at(-1),
        ),
      );
    await until(() => names().size === stored.length, 30_000);
    expect([...names()].sort()).toEqual(stored.map(({ id }) => id).sort());
    // At least once: what was under way when the server died may come again, with its number.
    const numbers = told().map((event) => Number(event['event-number']));
    expect([...new Set(numbers)]).toEqual(Array.from({ length: stored.length }, (_, n) => n + 1));
  }, 90_000);
});
