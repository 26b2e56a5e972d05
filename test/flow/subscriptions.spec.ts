import type { Subscription } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Subscriber } from '../peers/subscriber.ts';
import {
  type FlowWorld,
  makeWorld,
  order,
  outboxEmpty,
  reportIdOf,
  stow,
  taskEnded,
  tasksOf,
  until,
} from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { makeTinyModel, TINY_MODEL } from './tiny-model.ts';

describe('Subscriptions', () => {
  let world: FlowWorld;
  let listener: Subscriber;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    model = await makeTinyModel();
    listener = await Subscriber.start();
    world = await makeWorld({ settings: { PRELIM_MODELS: model.folder, SUBSCRIPTION_HOSTS: listener.host } });
  });
  afterAll(async () => {
    await world.close();
    await listener.goDown();
    await model.remove();
  });
  beforeEach(async () => {
    listener.deliveries.length = 0;
    listener.status = 200;
    await world.sql.query(`DELETE FROM outbox WHERE queue = 'rest-hook'`);
  });

  const ask = (subscription: Partial<Subscription>) =>
    world.server.ask('POST', '/fhir/Subscription', subscription);
  const subscribe = async (
    channel: Partial<Subscription['channel']>,
    criteria = 'DiagnosticReport?status=preliminary',
  ): Promise<string> => {
    const answer = await ask(hook({ endpoint: `${listener.url}/hook`, ...channel }, criteria));
    expect(answer.status, answer.text).toBe(201);
    const id = String(answer.body.id);
    await until(
      async () => (await world.server.ask('GET', `/fhir/Subscription/${id}`)).body.status === 'active',
    );
    return id;
  };
  const remove = (id: string) => world.server.ask('DELETE', `/fhir/Subscription/${id}`);
  const report = async (study: TestStudy): Promise<string> => {
    await order(world, study);
    expect((await stow(world.server, study.files)).status).toBe(200);
    return reportIdOf(await taskEnded(world, study, 'completed'));
  };

  it('with a payload the listener gets the version that matched, as an update with the given headers', async () => {
    const id = await subscribe({
      payload: 'application/fhir+json',
      header: ['X-Key: open sesame', 'Host: elsewhere.example'],
    });
    const reportId = await report(tinyStudy());
    await until(() => listener.deliveries.length > 0);
    await outboxEmpty(world);
    expect(listener.deliveries).toHaveLength(1);
    const [delivery] = listener.deliveries;
    expect([delivery?.method, delivery?.path]).toEqual(['PUT', `/hook/DiagnosticReport/${reportId}`]);
    expect(delivery?.headers).toMatchObject({
      'content-type': 'application/fhir+json',
      'x-key': 'open sesame',
      host: listener.host,
    });
    expect(JSON.parse(delivery?.body ?? '')).toMatchObject({
      resourceType: 'DiagnosticReport',
      id: reportId,
      meta: { versionId: '1' },
    });
    await remove(id);
  }, 60_000);

  it('without a payload it gets an empty POST, and nothing of a report that does not match', async () => {
    const ids = [
      await subscribe({}),
      await subscribe(
        { endpoint: `${listener.url}/never` },
        `DiagnosticReport?status=final'; DROP TABLE outbox; --`,
      ),
    ];
    await report(tinyStudy());
    await until(() => listener.deliveries.length > 0);
    await outboxEmpty(world);
    expect(listener.deliveries.map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', '/hook', ''],
    ]);
    for (const id of ids) await remove(id);
  }, 60_000);

  it('a listener that is down is told once it is back, and the report does not wait for it', async () => {
    const id = await subscribe({ payload: 'application/fhir+json' });
    await listener.goDown();
    const reportId = await report(tinyStudy());
    await until(async () => {
      const { rows } = await world.sql.query(
        `SELECT 1 FROM outbox WHERE queue = 'rest-hook' AND attempt > 0 AND reason IS NOT NULL`,
      );
      return rows.length > 0;
    });
    expect(listener.deliveries).toEqual([]);
    await listener.comeBack();
    await until(() => listener.deliveries.length > 0);
    await outboxEmpty(world);
    expect(listener.deliveries.map(({ path }) => path)).toEqual([`/hook/DiagnosticReport/${reportId}`]);
    await remove(id);
  }, 60_000);

  it('an answer that sends us elsewhere is not followed', async () => {
    const id = await subscribe({ payload: 'application/fhir+json' });
    listener.status = 307;
    await report(tinyStudy());
    await until(() => listener.deliveries.length > 0);
    await until(
      async () =>
        (await world.sql.query(`SELECT 1 FROM outbox WHERE queue = 'rest-hook' AND reason IS NOT NULL`)).rows
          .length > 0,
    );
    expect(listener.deliveries.every(({ path }) => path.startsWith('/hook/'))).toBe(true);
    await remove(id);
  }, 60_000);

  it.each([
    ['a host that is not on the list', { endpoint: 'http://169.254.169.254/latest' }],
    ['the right host with another port', { endpoint: 'http://127.0.0.1:1/hook' }],
    ['a host that only looks like ours', { endpoint: 'http://127.0.0.1.evil.example/hook' }],
    ['another scheme', { endpoint: 'file:///etc/passwd' }],
    ['no endpoint', { endpoint: '' }],
    ['a header that is none', { header: ['no colon here'] }],
    ['a header with another one in it', { header: ['X-A: 1\r\nHost: evil.example'] }],
    ['another route of this server', { endpoint: 'Patient' }],
  ])('%s is refused, and nothing is stored', async (_, channel) => {
    const before = (await world.sql.query(`SELECT count(*) FROM resource WHERE type = 'Subscription'`)).rows;
    const answer = await ask(
      hook({ endpoint: `${listener.url}/hook`, ...channel }, 'DiagnosticReport?status=preliminary'),
    );
    expect([400, 422]).toContain(answer.status);
    expect(answer.body.resourceType).toBe('OperationOutcome');
    expect((await world.sql.query(`SELECT count(*) FROM resource WHERE type = 'Subscription'`)).rows).toEqual(
      before,
    );
  });

  it.each([
    '',
    'nonsense',
    'NoSuchType?status=final',
    'DiagnosticReport?no-such-parameter=1',
    'DiagnosticReport?issued=yesterday',
    'AuditEvent',
    '?status=final',
  ])('the criteria "%s" are refused', async (criteria) => {
    const answer = await ask(hook({ endpoint: `${listener.url}/hook` }, criteria));
    expect([400, 422], answer.text).toContain(answer.status);
    expect(answer.body.resourceType).toBe('OperationOutcome');
  });

  it('the Subscription of a model is there to be read, and set to off it stops its analyses, until it is asked for again', async () => {
    const path = `/fhir/Subscription/model-${TINY_MODEL}`;
    const kept = (await world.server.ask('GET', path)).body as Subscription;
    expect(kept).toMatchObject({
      status: 'active',
      criteria: 'ImagingStudy?status=available&modality=DX',
      channel: { type: 'rest-hook' },
    });
    expect((await world.server.ask('PUT', path, { ...kept, status: 'off' })).status).toBe(200);
    const study = tinyStudy();
    expect((await stow(world.server, study.files)).status).toBe(200);
    await until(
      async () =>
        (
          await world.sql.query(
            `SELECT 1 FROM study_watch WHERE study_instance_uid = $1 AND completed_count = 1`,
            [study.uid],
          )
        ).rows.length > 0,
    );
    await outboxEmpty(world);
    expect(await tasksOf(world, study)).toEqual([]);
    await world.server.kill('SIGTERM');
    await world.server.start();
    expect((await world.server.ask('GET', path)).body.status).toBe('off');
    expect((await world.server.ask('PUT', path, { ...kept, status: 'requested' })).status).toBe(200);
    await until(async () => (await world.server.ask('GET', path)).body.status === 'active');
    await report(tinyStudy());
  }, 60_000);
});

function hook(channel: Partial<Subscription['channel']>, criteria: string): Subscription {
  return {
    resourceType: 'Subscription',
    status: 'requested',
    reason: 'test',
    criteria,
    channel: { type: 'rest-hook', ...channel },
  };
}
