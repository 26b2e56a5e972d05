import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Subscriber } from '../peers/subscriber.ts';
import { AccessWorld, type Ask, CATEGORY, idsIn, observation, person } from './access-world.ts';

let world: AccessWorld;
let listener: Subscriber;
let app: Ask;

/** `patient/` and `system/`, by code and by system and code. */
const SCOPES: readonly (readonly [string, string | undefined])[] = [
  ['system/Observation.rs?category=imaging system/DiagnosticReport.rs system/Patient.rs', undefined],
  [
    `system/Observation.rs?category=${CATEGORY}|imaging system/DiagnosticReport.rs system/Patient.rs`,
    undefined,
  ],
  [
    `patient/Observation.rs?category=${encodeURIComponent(`${CATEGORY}|imaging`)} patient/DiagnosticReport.rs patient/Patient.rs`,
    't20-a',
  ],
];

beforeAll(async () => {
  listener = await Subscriber.start();
  world = await AccessWorld.start({
    SUBSCRIPTION_HOSTS: listener.host,
    SUBSCRIPTION_NETWORKS: '127.0.0.0/8',
  });
  await world.write(person('t20-a', 'Alpha'));
  await world.write(observation('t20-img', 't20-a'));
  await world.write(observation('t20-lab', 't20-a', { kind: 'laboratory' }));
  await world.write(observation('t20-lab', 't20-a', { kind: 'laboratory', status: 'amended' }));
  await world.write({
    resourceType: 'DiagnosticReport',
    id: 't20-report',
    status: 'final',
    code: { text: 'report' },
    subject: { reference: 'Patient/t20-a' },
    result: [{ reference: 'Observation/t20-img' }, { reference: 'Observation/t20-lab' }],
  });
}, 120_000);
afterAll(async () => {
  await world?.close();
  await listener?.goDown();
});

const tokenOf = (scope: string, patient: string | undefined): Promise<Ask> =>
  patient ? world.patient(patient, scope) : world.as({ scope, subject: 'test-app' });

describe.each(SCOPES)('T20: under %s no door shows the laboratory Observation', (scope, patient) => {
  beforeAll(async () => {
    app = await tokenOf(scope, patient);
  });

  it('read, vread and history: 404, while the imaging one is there', async () => {
    for (const path of [
      'Observation/t20-lab',
      'Observation/t20-lab/_history/1',
      'Observation/t20-lab/_history/2',
      'Observation/t20-lab/_history',
    ])
      expect((await app('GET', path)).status, path).toBe(404);
    expect((await app('HEAD', 'Observation/t20-lab')).status).toBe(404);
    expect((await app('GET', 'Observation/t20-img')).status).toBe(200);
    expect((await app('GET', 'Observation/t20-img/_history/1')).status).toBe(200);
    expect(idsIn(await app('GET', 'Observation/t20-img/_history'))).toEqual(['Observation/t20-img']);
  });

  it('search by GET and POST, by id, in a compartment, over the system, in the history of the type', async () => {
    const form = { 'content-type': 'application/x-www-form-urlencoded' };
    const answers = [
      await app('GET', 'Observation?_total=accurate'),
      await app('POST', 'Observation/_search', 'code=8867-4&_total=accurate', form),
      await app('GET', 'Observation?_id=t20-lab,t20-img'),
      await app('GET', 'Observation?category=laboratory,imaging'),
      await app('GET', 'Patient/t20-a/Observation'),
      await app('GET', '?_type=Observation,DiagnosticReport&_id=t20-lab,t20-img'),
      await app('GET', 'Observation/_history'),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(idsIn(answer)).toEqual(['Observation/t20-img']);
    }
    expect(answers[0]?.body.total).toBe(1);
    expect((await app('GET', 'Observation?category=laboratory')).body.total).toBe(0);
  });

  it('includes, $everything, $meta and batch entries', async () => {
    expect(idsIn(await app('GET', 'DiagnosticReport?_include=DiagnosticReport:result'))).toEqual([
      'DiagnosticReport/t20-report',
      'Observation/t20-img',
    ]);
    expect(idsIn(await app('GET', 'Patient?_revinclude=Observation:subject'))).toEqual([
      'Observation/t20-img',
      'Patient/t20-a',
    ]);
    expect(idsIn(await app('GET', 'Patient/t20-a/$everything'))).not.toContain('Observation/t20-lab');
    expect((await app('GET', 'Observation/t20-lab/$meta')).status).toBe(404);
    const entry = ['Observation/t20-lab', 'Observation?code=8867-4', 'Observation/t20-lab/_history/1'].map(
      (url) => ({
        request: { method: 'GET', url },
      }),
    );
    const batch = await app('POST', '', { resourceType: 'Bundle', type: 'batch', entry });
    expect(
      batch.body.entry.map((one: { response: { status: string } }) => one.response.status.slice(0, 3)),
    ).toEqual(['404', '200', '404']);
    expect(batch.text).not.toContain('laboratory');
  });
});

describe('T20: what goes out by itself', () => {
  it('an export under the scope holds the imaging Observation only', async () => {
    const exporter = await world.as({ scope: 'system/Observation.rs?category=imaging', subject: 'test-app' });
    const started = await exporter('GET', '$export?_type=Observation', undefined, {
      prefer: 'respond-async',
      accept: 'application/fhir+json',
    });
    expect(started.status).toBe(202);
    const status = new URL(started.headers.get('content-location') ?? '').pathname;
    let done = await exporter('GET', status);
    for (let round = 0; round < 200 && done.status === 202; round++) {
      await sleep(50);
      done = await exporter('GET', status);
    }
    const text = (await exporter('GET', new URL(done.body.output[0].url).pathname)).text;
    expect(text.trim().split('\n')).toHaveLength(1);
    expect(text).toContain('t20-img');
    // Somebody else's job, and the same client's with less, is not there.
    expect((await world.all('GET', status.replace('/fhir/', ''))).status).toBe(404);
    const less = await world.as({ scope: 'system/Observation.r', subject: 'test-app' });
    expect((await less('GET', status)).status).toBe(404);
  });

  it('a Subscription written under the scope is told of imaging only, and of the other not even that it is', async () => {
    const author = await world.as({
      scope: 'system/Observation.rs?category=imaging system/Subscription.cruds',
      subject: 'test-app',
    });
    const made = await author('POST', 'Subscription', {
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'T20',
      criteria: 'Observation?code=8867-4',
      channel: { type: 'rest-hook', endpoint: `${listener.url}/hook`, payload: 'application/fhir+json' },
    });
    expect(made.status).toBe(201);
    await until(
      async () => (await world.all('GET', `Subscription/${made.body.id}`)).body.status === 'active',
    );
    await world.write(observation('t20-lab-new', 't20-a', { kind: 'laboratory' }));
    await world.write(observation('t20-img-new', 't20-a'));
    await until(async () => listener.deliveries.some(({ body }) => body.includes('t20-img-new')));
    await sleep(300);
    expect(listener.deliveries.some(({ body, path }) => `${path} ${body}`.includes('t20-lab'))).toBe(false);
    const events = await world.all('GET', `Subscription/${made.body.id}/$events?content=id-only`);
    expect(events.text).not.toContain('t20-lab-new');
  });

  it('criteria that would ask what the author may not see are refused', async () => {
    const author = await world.as({
      scope: 'system/Observation.rs?category=imaging system/Subscription.cruds',
      subject: 'test-app',
    });
    const made = await author('POST', 'Subscription', {
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'T20',
      criteria: 'Observation?patient.birthdate=1970-01-01',
      channel: { type: 'rest-hook', endpoint: `${listener.url}/hook`, payload: 'application/fhir+json' },
    });
    expect(made.status).toBe(400);
  });
});

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let round = 0; round < 200; round++) {
    if (await check()) return;
    await sleep(50);
  }
  throw new Error('it does not come');
}
