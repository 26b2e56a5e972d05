import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Global, Inject, Module, type OnApplicationBootstrap } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SETTINGS } from '../../src/config/settings.token.ts';
import { readSettings } from '../../src/config/settings.ts';
import { Database } from '../../src/database/database.ts';
import { OutcomeFilter } from '../../src/fhir/outcome.filter.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { LOGGER, makeLogger } from '../../src/kernel/log.ts';
import type { JobHandler } from '../../src/queue/job.ts';
import { JobEngines } from '../../src/queue/job-engines.ts';
import { QueueModule } from '../../src/queue/queue.module.ts';
import { SUBSCRIPTION_HANDLERS, SubscriptionsModule } from '../../src/subscriptions/subscriptions.module.ts';
import { freshDatabase } from '../database.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came.
  readonly body: any;
}

/** The FHIR door, the queue and the Subscriptions over a database of their own, on a real socket, without the token check. */
export interface SubscriptionWorld {
  readonly app: NestFastifyApplication;
  readonly database: Database;
  readonly store: ResourceStore;
  /** `http://127.0.0.1:<port>`; links say `http://127.0.0.1:8080` all the same. */
  readonly url: string;
  /** What was logged, line by line. */
  readonly logged: string[];
  /** `path` below `/fhir/`. The scope comes in the header `x-scope`; left out: everything. */
  ask(method: string, path: string, body?: object, headers?: Record<string, string>): Promise<Answered>;
  close(): Promise<void>;
}

export const BASE = 'http://127.0.0.1:8080/fhir';

export async function subscriptionWorld(env: Record<string, string>): Promise<SubscriptionWorld> {
  const fresh = await freshDatabase({ connections: 12 });
  const logged: string[] = [];
  const log = makeLogger('debug', { write: (line: string) => void logged.push(line) });
  @Global()
  @Module({
    providers: [
      { provide: Database, useValue: fresh.database },
      { provide: SETTINGS, useValue: readSettings(env) },
      { provide: LOGGER, useValue: log },
    ],
    exports: [Database, SETTINGS, LOGGER],
  })
  class Surroundings {}
  @Module({ imports: [Surroundings, QueueModule, SubscriptionsModule] })
  class TestApp implements OnApplicationBootstrap {
    constructor(
      @Inject(JobEngines) private readonly engines: JobEngines,
      @Inject(SUBSCRIPTION_HANDLERS) private readonly handlers: readonly JobHandler[],
    ) {}
    onApplicationBootstrap = () => this.engines.start(this.handlers);
  }
  const app = await NestFactory.create<NestFastifyApplication>(
    TestApp,
    new FastifyAdapter({ forceCloseConnections: true }),
    { logger: ['error'] },
  );
  app.useGlobalFilters(new OutcomeFilter({ error: (fields) => logged.push(JSON.stringify(fields)) }));
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', async (request) => {
      const scopes = String(request.headers['x-scope'] ?? 'system/*.cruds')
        .split(' ')
        .map((one) => {
          const [context = '', type = '', permissions = ''] = one.split(/[/.]/);
          return { context, type, permissions };
        });
      Object.assign(request, { grant: { scopes } });
    });
  await app.listen(0, '127.0.0.1');
  const url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
  return {
    app,
    database: fresh.database,
    store: app.get(ResourceStore),
    url,
    logged,
    ask: (...request) => ask(url, ...request),
    close: async () => {
      await app.close();
      await fresh.close();
    },
  };
}

async function ask(
  url: string,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answered> {
  const response = await fetch(`${url}/fhir/${path}`, {
    method,
    headers: { ...(body ? { 'content-type': 'application/fhir+json' } : {}), ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

export async function until(test: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  for (const end = Date.now() + withinMs; !(await test()); ) {
    if (Date.now() > end) throw new Error('did not happen in time');
    await sleep(10);
  }
}

export const IG = 'http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition';

export interface TopicChannel {
  readonly endpoint?: string;
  readonly type?: string;
  readonly content?: string;
  readonly header?: readonly string[];
  readonly filters?: readonly string[];
  readonly heartbeatS?: number;
  readonly maxCount?: number;
  readonly payload?: string;
}

/** A topic-based Subscription as the backport IG writes it in R4. */
export function topicSubscription(topic: string, channel: TopicChannel, more: object = {}): object {
  const extension = [
    ...(channel.heartbeatS
      ? [{ url: `${IG}/backport-heartbeat-period`, valueUnsignedInt: channel.heartbeatS }]
      : []),
    ...(channel.maxCount ? [{ url: `${IG}/backport-max-count`, valuePositiveInt: channel.maxCount }] : []),
  ];
  return {
    resourceType: 'Subscription',
    meta: { profile: [`${IG}/backport-subscription`] },
    status: 'requested',
    reason: 'test',
    criteria: topic,
    ...(channel.filters
      ? {
          _criteria: {
            extension: channel.filters.map((valueString) => ({
              url: `${IG}/backport-filter-criteria`,
              valueString,
            })),
          },
        }
      : {}),
    channel: {
      ...(extension.length > 0 ? { extension } : {}),
      type: channel.type ?? 'rest-hook',
      ...(channel.endpoint ? { endpoint: channel.endpoint } : {}),
      payload: channel.payload ?? 'application/fhir+json',
      _payload: {
        extension: [{ url: `${IG}/backport-payload-content`, valueCode: channel.content ?? 'id-only' }],
      },
      ...(channel.header ? { header: channel.header } : {}),
    },
    ...more,
  };
}

export const plainSubscription = (criteria: string, channel: object, more: object = {}): object => ({
  resourceType: 'Subscription',
  status: 'requested',
  reason: 'test',
  criteria,
  channel: { type: 'rest-hook', ...channel },
  ...more,
});

/** Creates it and waits until the server has said yes or no. Gives its id. */
export async function subscribe(
  world: SubscriptionWorld,
  subscription: object,
  status = 'active',
): Promise<string> {
  const made = await world.ask('POST', 'Subscription', subscription);
  if (made.status !== 201) throw new Error(`${made.status}: ${JSON.stringify(made.body)}`);
  const { id } = made.body;
  await until(async () => (await world.ask('GET', `Subscription/${id}`)).body.status === status);
  return id;
}

/** The parts of a notification's status by name. */
export function statusOf(bundle: {
  entry: { resource?: { parameter?: { name: string; [key: string]: unknown }[] } }[];
}): Record<string, unknown> & { events: Record<string, unknown>[] } {
  const parameters = bundle.entry[0]?.resource?.parameter ?? [];
  const valueIn = (one: Record<string, unknown>) =>
    Object.entries(one).find(([key]) => key.startsWith('value'))?.[1];
  const events = parameters
    .filter(({ name }) => name === 'notification-event')
    .map(({ part }) =>
      Object.fromEntries((part as { name: string }[]).map((one) => [one.name, valueIn(one as never)])),
    );
  return { ...Object.fromEntries(parameters.map((one) => [one.name, valueIn(one)])), events };
}
