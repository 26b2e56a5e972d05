import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Subscriber } from '../peers/subscriber.ts';
import {
  BASE,
  IG,
  type SubscriptionWorld,
  statusOf,
  subscribe,
  subscriptionWorld,
  topicSubscription,
  until,
} from './subscription-world.ts';

const REPORT_TOPIC = 'https://prelim.example/fhir/SubscriptionTopic/report-available';
const SECRET = 'a-secret-of-this-test-that-is-long-enough';

let world: SubscriptionWorld;
let listener: Subscriber;
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

const report = (id: string, more: object = {}) => ({
  resourceType: 'DiagnosticReport',
  id,
  status: 'preliminary',
  code: { text: 'x' },
  ...more,
});
const put = async (resource: { resourceType: string; id: string }) => {
  const answer = await world.ask('PUT', `${resource.resourceType}/${resource.id}`, resource);
  expect([200, 201]).toContain(answer.status);
};
const statusNow = async (id: string) => (await world.ask('GET', `Subscription/${id}`)).body.status;

describe('a topic-based Subscription by rest-hook', () => {
  it('answers requested, becomes active after the handshake was taken, and the handshake says so', async () => {
    const made = await world.ask(
      'POST',
      'Subscription',
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/a` }),
    );
    expect([made.status, made.body.status]).toEqual([201, 'requested']);
    await until(async () => (await statusNow(made.body.id)) === 'active');
    const [handshake] = listener.bodies('/a');
    expect(handshake).toMatchObject({
      resourceType: 'Bundle',
      type: 'history',
      meta: { profile: [`${IG}/backport-subscription-notification-r4`] },
      entry: [
        {
          resource: {
            resourceType: 'Parameters',
            meta: { profile: [`${IG}/backport-subscription-status-r4`] },
          },
          request: { method: 'GET', url: `${BASE}/Subscription/${made.body.id}/$status` },
          response: { status: '200' },
        },
      ],
    });
    expect(statusOf(handshake)).toMatchObject({
      subscription: { reference: `${BASE}/Subscription/${made.body.id}` },
      topic: REPORT_TOPIC,
      status: 'requested',
      type: 'handshake',
      'events-since-subscription-start': '0',
      events: [],
    });
    await world.ask('DELETE', `Subscription/${made.body.id}`);
  });

  it('is switched off with the reason when the handshake is refused three times, and nothing else is sent', async () => {
    listener.status = 403;
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/refused` }),
      'off',
    );
    expect((await world.ask('GET', `Subscription/${id}`)).body.error).toMatch(
      /handshake was not accepted.*403/,
    );
    listener.status = 200;
    await put(report('after-refusal'));
    expect(listener.bodies('/refused').map((bundle) => statusOf(bundle)['type'])).toEqual([
      'handshake',
      'handshake',
      'handshake',
    ]);
  });

  it('id-only names the resource, without its content', async () => {
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/id`, header: ['X-Key: open sesame'] }),
    );
    await put(report('r-id'));
    await until(() => listener.bodies('/id').length === 2);
    const bundle = listener.bodies('/id')[1];
    expect(bundle.entry.slice(1)).toEqual([
      {
        fullUrl: `${BASE}/DiagnosticReport/r-id`,
        request: { method: 'POST', url: 'DiagnosticReport' },
        response: { status: '201' },
      },
    ]);
    expect(statusOf(bundle)).toMatchObject({
      status: 'active',
      type: 'event-notification',
      'events-since-subscription-start': '1',
      events: [{ 'event-number': '1', focus: { reference: `${BASE}/DiagnosticReport/r-id` } }],
    });
    const { headers } = listener.deliveries.at(-1) ?? { headers: {} };
    expect(headers).toMatchObject({ 'content-type': 'application/fhir+json', 'x-key': 'open sesame' });
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it('full-resource carries the version that fired, with what the topic sends along; decimals stay as they were', async () => {
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/full`, content: 'full-resource' }),
    );
    await put({ resourceType: 'Patient', id: 'p1' } as never);
    await world.ask('PUT', 'Observation/o1', {
      resourceType: 'Observation',
      id: 'o1',
      status: 'final',
      code: { text: 'x' },
    });
    await put(
      report('r-full', { subject: { reference: 'Patient/p1' }, result: [{ reference: 'Observation/o1' }] }),
    );
    await until(() => listener.bodies('/full').length === 2);
    const bundle = listener.bodies('/full')[1];
    const [focus, ...context] = bundle.entry.slice(1);
    expect(focus.resource).toMatchObject({
      resourceType: 'DiagnosticReport',
      id: 'r-full',
      meta: { versionId: '1' },
    });
    expect(context.map((one: { fullUrl: string }) => one.fullUrl).sort()).toEqual([
      `${BASE}/Observation/o1`,
      `${BASE}/Patient/p1`,
    ]);
    expect(bundle.entry.every((one: object) => 'request' in one && 'response' in one)).toBe(true);
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it('empty says only that something happened', async () => {
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/empty`, content: 'empty' }),
    );
    await put(report('r-empty'));
    await until(() => listener.bodies('/empty').length === 2);
    const bundle = listener.bodies('/empty')[1];
    expect(bundle.entry).toHaveLength(1);
    const status = statusOf(bundle);
    expect(status['topic']).toBeUndefined();
    expect(Object.keys(status.events[0] ?? {})).toEqual(['event-number', 'timestamp']);
    expect(JSON.stringify(bundle)).not.toContain('r-empty');
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it('filters narrow it: only what meets all of them is told', async () => {
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, {
        endpoint: `${listener.url}/filter`,
        filters: ['DiagnosticReport?patient=Patient/p7', 'DiagnosticReport?status=final'],
      }),
    );
    await put(report('f1', { subject: { reference: 'Patient/p8' }, status: 'final' }));
    await put(report('f2', { subject: { reference: 'Patient/p7' } }));
    await put(report('f3', { subject: { reference: 'Patient/p7' }, status: 'final' }));
    await until(() => listener.bodies('/filter').length === 2);
    expect(statusOf(listener.bodies('/filter')[1]).events[0]).toMatchObject({
      focus: { reference: `${BASE}/DiagnosticReport/f3` },
    });
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it('a topic with previous and current fires for the step between them, and for deletion where it says so', async () => {
    const topic = 'https://prelim.example/fhir/SubscriptionTopic/report-withdrawn';
    const id = await subscribe(world, topicSubscription(topic, { endpoint: `${listener.url}/gone` }));
    await put(report('w1'));
    await put(report('w1', { status: 'cancelled' }));
    await put(report('w1', { status: 'cancelled', conclusion: 'again' }));
    await put(report('w2'));
    await world.ask('DELETE', 'DiagnosticReport/w2');
    await until(() => listener.bodies('/gone').length === 3);
    const told = listener.bodies('/gone').slice(1);
    expect(
      told.map((bundle) => [bundle.entry[1].request.method, statusOf(bundle).events[0]?.['focus']]),
    ).toEqual([
      ['PUT', { reference: `${BASE}/DiagnosticReport/w1` }],
      ['DELETE', { reference: `${BASE}/DiagnosticReport/w2` }],
    ]);
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it('heartbeats come when nothing else does, and take no number', async () => {
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/beat`, heartbeatS: 1 }),
    );
    await until(() => listener.bodies('/beat').length >= 3);
    const types = listener.bodies('/beat').map((bundle) => statusOf(bundle)['type']);
    expect(types.slice(0, 3)).toEqual(['handshake', 'heartbeat', 'heartbeat']);
    expect(statusOf(listener.bodies('/beat')[2])).toMatchObject({
      'events-since-subscription-start': '0',
      events: [],
    });
    await world.ask('DELETE', `Subscription/${id}`);
    await until(
      async () =>
        (await world.database.run({ text: `SELECT 1 FROM outbox WHERE queue = 'subscription-heartbeat'` }))
          .length === 0,
    );
  });

  it('several events go in one notification when max-count allows it', async () => {
    const id = await subscribe(
      world,
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/many`, maxCount: 10 }),
    );
    const entry = Array.from({ length: 5 }, (_, n) => ({
      resource: report(`m${n}`),
      request: { method: 'PUT', url: `DiagnosticReport/m${n}` },
    }));
    expect((await world.ask('POST', '', { resourceType: 'Bundle', type: 'transaction', entry })).status).toBe(
      200,
    );
    await until(() => listener.bodies('/many').length === 2);
    expect(statusOf(listener.bodies('/many')[1]).events.map((event) => event['event-number'])).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
    ]);
    await world.ask('DELETE', `Subscription/${id}`);
  });
});

describe('what is not offered is refused by name', () => {
  it.each<[string, object, RegExp]>([
    ['an unknown topic', { topic: 'http://nowhere.example/topic' }, /no active topic/],
    [
      'a filter that the topic does not have',
      { filters: ['DiagnosticReport?issued=2020'] },
      /can be filtered by: patient/,
    ],
    ['a filter on another type', { filters: ['Patient?name=x'] }, /does not have/],
    [
      'a modifier that the topic does not list',
      { filters: ['DiagnosticReport?status:not=final'] },
      /can be filtered by/,
    ],
    ['another channel type', { type: 'email' }, /rest-hook and websocket/],
    ['an endpoint that is none', { endpoint: 'nonsense:' }, /SUBSCRIPTION_HOSTS/],
    ['XML', { payload: 'application/fhir+xml' }, /fhir\+json/],
    ['a content that is none', { content: 'everything' }, /empty, id-only or full-resource/],
    ['a heartbeat of ten years', { heartbeatS: 315_360_000 }, /whole number/],
  ])('%s', async (_, { topic = REPORT_TOPIC, ...channel }: { topic?: string }, text) => {
    const answer = await world.ask(
      'POST',
      'Subscription',
      topicSubscription(topic, { endpoint: `${listener.url}/x`, ...channel }),
    );
    expect([400, 422], JSON.stringify(answer.body)).toContain(answer.status);
    expect(answer.body.issue[0].details.text).toMatch(text);
  });

  it('cross-version extensions', async () => {
    const subscription = topicSubscription(
      REPORT_TOPIC,
      { endpoint: `${listener.url}/x` },
      {
        extension: [
          {
            url: 'http://hl7.org/fhir/5.0/StructureDefinition/extension-Subscription.managingEntity',
            valueString: 'x',
          },
        ],
      },
    );
    expect((await world.ask('POST', 'Subscription', subscription)).status).toBe(400);
  });

  it('a client that writes active', async () => {
    const answer = await world.ask(
      'POST',
      'Subscription',
      topicSubscription(REPORT_TOPIC, { endpoint: `${listener.url}/x` }, { status: 'active' }),
    );
    expect([answer.status, answer.body.issue[0].expression]).toEqual([400, ['Subscription.status']]);
  });
});

describe('topics over FHIR', () => {
  const EXT = 'http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic';
  const basic = (url: string, trigger: object[]) => ({
    resourceType: 'Basic',
    code: { coding: [{ system: 'http://hl7.org/fhir/fhir-types', code: 'SubscriptionTopic' }] },
    extension: [
      { url: `${EXT}.url`, valueUri: url },
      {
        url: 'http://hl7.org/fhir/4.3/StructureDefinition/extension-SubscriptionTopic.resourceTrigger',
        extension: trigger,
      },
      {
        url: `${EXT}.canFilterBy`,
        extension: [
          { url: 'resource', valueUri: 'Encounter' },
          { url: 'filterParameter', valueString: 'patient' },
        ],
      },
    ],
  });
  const encounter = [{ url: 'resource', valueUri: 'http://hl7.org/fhir/StructureDefinition/Encounter' }];

  it('ours are there to be read', async () => {
    const { body } = await world.ask('GET', 'Basic?code=http://hl7.org/fhir/fhir-types|SubscriptionTopic');
    expect(body.entry).toHaveLength(4);
    expect(JSON.stringify(body)).toContain(REPORT_TOPIC);
  });

  it('one of a site works at once, and ends with its Basic', async () => {
    const url = 'http://site.example/topic/encounter-end';
    const made = await world.ask(
      'POST',
      'Basic',
      basic(url, [
        ...encounter,
        { url: 'supportedInteraction', valueCode: 'create' },
        { url: 'queryCriteria', extension: [{ url: 'current', valueString: 'Encounter?status=finished' }] },
      ]),
    );
    expect(made.status, JSON.stringify(made.body)).toBe(201);
    const id = await subscribe(
      world,
      topicSubscription(url, { endpoint: `${listener.url}/site`, filters: ['patient=Patient/p1'] }),
    );
    const write = (status: string) =>
      world.ask('POST', 'Encounter', {
        resourceType: 'Encounter',
        status,
        class: { code: 'IMP' },
        subject: { reference: 'Patient/p1' },
      });
    await write('planned');
    expect((await write('finished')).status).toBe(201);
    await until(() => listener.bodies('/site').length === 2);
    await world.ask('DELETE', `Basic/${made.body.id}`);
    await write('finished');
    const again = await world.ask(
      'POST',
      'Subscription',
      topicSubscription(url, { endpoint: `${listener.url}/site` }),
    );
    expect(again.status).toBe(400);
    expect(listener.bodies('/site')).toHaveLength(2);
    await world.ask('DELETE', `Subscription/${id}`);
  });

  it.each<[string, object[], RegExp]>([
    [
      'a FHIRPath criterion',
      [...encounter, { url: 'fhirPathCriteria', valueString: `name.family.matches('^(a+)+$')` }],
      /fhirPathCriteria is not offered/,
    ],
    ['no resource', [{ url: 'supportedInteraction', valueCode: 'create' }], /no resource type/],
    [
      'an unknown interaction',
      [...encounter, { url: 'supportedInteraction', valueCode: 'read' }],
      /must be one of/,
    ],
    [
      'a criterion that is no search',
      [...encounter, { url: 'queryCriteria', extension: [{ url: 'current', valueString: 'nothing=1' }] }],
      /no search parameter/,
    ],
    [
      'a date for the version before',
      [...encounter, { url: 'queryCriteria', extension: [{ url: 'previous', valueString: 'date=2020' }] }],
      /tokens, references and URIs/,
    ],
  ])('one with %s is refused', async (_, trigger, text) => {
    const answer = await world.ask('POST', 'Basic', basic('http://site.example/topic/bad', trigger));
    expect(answer.status).toBe(400);
    expect(answer.body.issue[0].details.text).toMatch(text);
  });

  it('nobody redefines one of ours', async () => {
    expect((await world.ask('POST', 'Basic', basic(REPORT_TOPIC, encounter))).status).toBe(400);
  });
});

describe('what the server says of itself', () => {
  it('profile, topics, operations and the WebSocket stand in the CapabilityStatement', async () => {
    const { body } = await world.ask('GET', 'metadata');
    const entry = body.rest[0].resource.find((one: { type: string }) => one.type === 'Subscription');
    expect(entry.supportedProfile).toEqual([`${IG}/backport-subscription`]);
    expect(entry.extension).toContainEqual({
      url: `${IG}/capabilitystatement-subscriptiontopic-canonical`,
      valueCanonical: REPORT_TOPIC,
    });
    expect(entry.operation).toEqual(
      expect.arrayContaining(
        ['status', 'events', 'get-ws-binding-token'].map((name) => expect.objectContaining({ name })),
      ),
    );
    expect(body.rest[0].extension).toContainEqual({
      url: 'http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket',
      valueUri: 'ws://127.0.0.1:8080/fhir/ws',
    });
  });
});
