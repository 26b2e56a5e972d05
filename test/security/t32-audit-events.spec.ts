import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { AuditEvent, Bundle } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseEvents } from '../../src/access/audit/audit-content.ts';
import { type FlowWorld, makeWorld, order, stow, taskEnded, until } from '../flow/flow-world.ts';
import { tinyStudy } from '../flow/studies.ts';
import { makeTinyModel } from '../flow/tiny-model.ts';
import { freePort } from '../peers/free-port.ts';

describe('T32: every access has exactly its AuditEvent', () => {
  let world: FlowWorld;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  let auditor: string;
  let hooks = 0;
  let since = '';
  const listener = createServer((request, response) => {
    hooks += 1;
    request.resume();
    response.end();
  });
  let hookPort = 0;
  beforeAll(async () => {
    hookPort = await freePort();
    listener.listen(hookPort, '127.0.0.1');
    await once(listener, 'listening');
    model = await makeTinyModel();
    world = await makeWorld({
      settings: {
        PRELIM_MODELS: model.folder,
        SUBSCRIPTION_HOSTS: `127.0.0.1:${hookPort}`,
        SUBSCRIPTION_NETWORKS: '127.0.0.0/8',
      },
    });
    auditor = await world.server.issue('system/AuditEvent.rs');
    for (const id of ['a', 'b']) await put(`Patient/${id}`, { resourceType: 'Patient', id, active: true });
    for (const id of ['a', 'b'])
      await put(`Observation/o${id}`, {
        resourceType: 'Observation',
        id: `o${id}`,
        status: 'final',
        code: { text: 't32' },
        subject: { reference: `Patient/${id}` },
        valueString: id,
      });
    await put('Binary/pic', {
      resourceType: 'Binary',
      id: 'pic',
      contentType: 'image/png',
      data: 'iVBORw0KGgo=',
      securityContext: { reference: 'Patient/a' },
    });
  }, 60_000);
  afterAll(async () => {
    listener.closeAllConnections();
    listener.close();
    await world.close();
    await model.remove();
  });
  const put = async (path: string, resource: object) => {
    const answer = await world.server.ask('PUT', `/fhir/${path}`, resource);
    expect([200, 201]).toContain(answer.status);
  };
  const begin = () => {
    since = new Date().toISOString();
  };
  const events = async (query = ''): Promise<AuditEvent[]> => {
    const answer = await world.server.ask(
      'GET',
      `/fhir/AuditEvent?_sort=date&_count=1000&date=ge${since}${query}`,
      undefined,
      { authorization: `Bearer ${auditor}` },
    );
    expect(answer.status).toBe(200);
    return ((answer.body as Bundle).entry ?? []).map(({ resource }) => resource as AuditEvent);
  };
  const said = (event: AuditEvent) => [
    event.subtype?.at(-1)?.code,
    event.action,
    event.outcome,
    event.agent[0]?.altId,
    event.entity?.find(({ role }) => role?.code === '1')?.what?.reference ?? null,
    event.entity?.find(({ role }) => role?.code === '4')?.what?.reference ?? null,
  ];
  /** What our own client did since `begin`, without the auditor's look at it and what the chain says of itself. */
  const did = async () =>
    (await events())
      .filter(
        (event) =>
          !JSON.stringify(event.entity ?? []).includes('"AuditEvent"') && event.type.code !== '110101',
      )
      .map(said);

  it.each([
    ['read', 'Patient/a', [['read', 'R', '0', 'local', 'Patient/a', 'Patient/a']]],
    [
      'vread',
      'Observation/ob/_history/1',
      [['vread', 'R', '0', 'local', 'Patient/b', 'Observation/ob/_history/1']],
    ],
    [
      'search',
      'Observation?code:text=t32',
      [
        ['search-type', 'E', '0', 'local', 'Patient/a', null],
        ['search-type', 'E', '0', 'local', 'Patient/b', null],
      ],
    ],
    [
      'history',
      'Observation/oa/_history',
      [['history-instance', 'R', '0', 'local', 'Patient/a', 'Observation/oa']],
    ],
    ['Binary', 'Binary/pic', [['read', 'R', '0', 'local', 'Patient/a', 'Binary/pic']]],
    ['operation', 'Patient/b/$everything', [['$everything', 'E', '0', 'local', 'Patient/b', 'Patient/b']]],
    ['what is not there', 'Patient/none', [['read', 'R', '4', 'local', null, 'Patient/none']]],
  ])('%s', async (_name, path, expected) => {
    begin();
    const answer = await world.server.ask('GET', `/fhir/${path}`, undefined, {
      accept: path.startsWith('Binary') ? '*/*' : 'application/fhir+json',
    });
    expect(answer.status).toBe(expected[0]?.[2] === '0' ? 200 : 404);
    expect((await did()).map((one) => (path.includes('?') ? [...one.slice(0, 5), null] : one))).toEqual(
      expected,
    );
  });

  it.each([
    ['/%66hir/Patient/a', ['read', 'Patient/a']],
    ['/fhir/%50atient/%61', ['read', 'Patient/a']],
    ['http://other.example/fhir/Patient/a', ['read', 'Patient/a']],
    ['/fhir/Patient/a/%24everything', ['$everything', 'Patient/a']],
    ['/fhir#?_type=Patient', ['search-system', null]],
    ['/fhir/Patient/a#_elements=id', ['read', 'Patient/a']],
    ['/%77orklist/api/rows', ['worklist-rows', null]],
    ['/worklist/api/%65vents', ['worklist-events', null]],
    ['http://other.example/worklist/api/events', ['worklist-events', null]],
    ['/%64icomweb/studies', ['qido', null]],
    ['/%6Aobs', ['jobs-list', null]],
    ['/%68l7/messages?unmask=true', ['hl7-messages', null]],
    ['/hl7/messages/in/1/raw', ['hl7-raw', null]],
  ])('however the address is spelled: %s', async (path, [interaction, entity]) => {
    const token = await world.server.issue('system/*.rs');
    begin();
    const { host, hostname, port } = new URL(world.server.url);
    const asked = get({ hostname, port, path, headers: { host, authorization: `Bearer ${token}` } });
    const [answer] = await once(asked, 'response');
    asked.destroy();
    const found = await did();
    expect(found.length, `${answer.statusCode}`).toBeGreaterThan(0);
    for (const one of found) expect([one[0], one[5]]).toEqual([interaction, entity]);
  });

  it('403, of a token that may not, and 401, of none and of a wrong one', async () => {
    const narrow = await world.server.issue('system/Observation.r');
    begin();
    const ask = (authorization: string) =>
      world.server.ask('GET', '/fhir/Patient/a', undefined, { authorization }).then(({ status }) => status);
    expect(await ask(`Bearer ${narrow}`)).toBe(403);
    expect(await ask('Bearer wrong')).toBe(401);
    expect((await fetch(`${world.server.url}/fhir/Patient/a`)).status).toBe(401);
    const found = await did();
    expect(found).toEqual([
      ['read', 'R', '4', 'local', null, 'Patient/a'],
      ['read', 'R', '4', 'unknown', null, 'Patient/a'],
      ['read', 'R', '4', 'unknown', null, 'Patient/a'],
    ]);
  });

  it('sign-in, that succeeds and that fails', async () => {
    begin();
    const token = (secret: string) =>
      world.server.ask(
        'POST',
        '/auth/token',
        `grant_type=client_credentials&client_id=stranger&client_secret=${secret}`,
        {
          'content-type': 'application/x-www-form-urlencoded',
        },
      );
    expect((await token('x')).status).toBe(401);
    const found = (await did()).filter(([word]) => word === 'token');
    expect(found).toEqual([['token', 'E', '4', 'stranger', null, null]]);
  });

  it('an order, its study, the model that looked at it, and the worklist that showed it', async () => {
    begin();
    const study = tinyStudy({});
    expect(await order(world, study)).toBe('AA');
    await stow(world.server, study.files);
    const task = await taskEnded(world, study, 'completed');
    const patient = task.for?.reference ?? '';
    expect(patient).toMatch(/^Patient\//);
    const all = (await events()).map(said);
    expect(all.filter(([word]) => word === 'hl7-in')).toEqual([
      ['hl7-in', 'C', '0', expect.stringMatching(/^HL7 /), null, null],
    ]);
    expect(all.filter(([word]) => word === 'stow')).toHaveLength(1);
    expect(all.filter(([word]) => word === 'model-run')).toEqual([
      ['model-run', 'E', '0', 'prelim/inference', patient, null],
    ]);
    expect(all).toContainEqual([
      'create',
      'C',
      '0',
      expect.stringMatching(/^HL7 /),
      patient,
      `${patient}/_history/1`,
    ]);
    expect(
      all.some(([word, , , client, of]) => word === 'create' && client === 'prelim/report' && of === patient),
    ).toBe(true);
    begin();
    expect((await world.server.ask('GET', '/worklist/api/rows')).status).toBe(200);
    expect(await did()).toContainEqual(['worklist-rows', 'R', '0', 'local', patient, null]);
    begin();
    const retrieved = await world.server.ask('GET', `/dicomweb/studies/${study.uid}`, undefined, {
      accept: 'multipart/related; type="application/dicom"',
    });
    expect(retrieved.status).toBe(200);
    expect(await did()).toEqual([['wado', 'R', '0', 'local', patient, null]]);
  }, 60_000);

  it('a hook that was delivered', async () => {
    begin();
    const made = await world.server.ask('POST', '/fhir/Subscription', {
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'test',
      criteria: 'Observation?code:text=hooked',
      channel: {
        type: 'rest-hook',
        endpoint: `http://127.0.0.1:${hookPort}/hook`,
        payload: 'application/fhir+json',
      },
    });
    expect(made.status).toBe(201);
    await until(
      async () =>
        (await world.server.ask('GET', `/fhir/Subscription/${made.body.id}`)).body.status === 'active',
    );
    await put('Observation/hook', {
      resourceType: 'Observation',
      id: 'hook',
      status: 'final',
      code: { text: 'hooked' },
      subject: { reference: 'Patient/b' },
      valueString: 'x',
    });
    await until(() => hooks > 0);
    let found: unknown[][] = [];
    await until(async () => {
      found = (await events('&type=110106')).map(said);
      return found.some(([word]) => word === 'event-notification');
    });
    expect(found.filter(([word]) => word === 'event-notification')).toEqual([
      ['event-notification', 'R', '0', 'prelim/rest-hook', 'Patient/b', `Subscription/${made.body.id}`],
    ]);
  }, 30_000);

  it('without a place for it there is no answer: 503 while the audit is locked, and none of the content', async () => {
    const client = await world.sql.connect();
    try {
      await client.query('BEGIN; LOCK TABLE audit_event IN ACCESS EXCLUSIVE MODE');
      const answers = await Promise.all([
        world.server.ask('GET', '/fhir/Patient/a'),
        world.server.ask('GET', '/fhir/Observation?code:text=t32'),
        world.server.ask('GET', '/fhir/Binary/pic', undefined, { accept: '*/*' }),
        world.server.ask('GET', '/worklist/api/rows'),
      ]);
      for (const answer of answers) {
        expect(answer.status).toBe(503);
        expect(answer.text).toContain('audit.unavailable');
        expect(answer.text).not.toContain('subject');
        expect(answer.headers.get('retry-after')).toBe('5');
        expect(answer.headers.get('etag')).toBeNull();
      }
    } finally {
      await client.query('ROLLBACK');
      client.release();
    }
    begin();
    expect((await world.server.ask('GET', '/fhir/Patient/a')).status).toBe(200);
    expect(await did()).toHaveLength(1);
  }, 30_000);

  it('and when the process is killed in the middle of a flood, each answer that somebody got has its event', async () => {
    const answered: string[] = [];
    let killed = false;
    const reader = async (name: string) => {
      for (let n = 0; !killed; n++) {
        const query = `_id=a,${name}-${n}`;
        const answer = await world.server.ask('GET', `/fhir/Patient?${query}`).catch(() => null);
        if (answer?.status === 200) answered.push(query);
      }
    };
    const readers = Array.from({ length: 16 }, (_, at) => reader(`k${at}`));
    await until(() => answered.length > 200);
    await world.server.kill('SIGKILL');
    killed = true;
    await Promise.all(readers);
    const { rows } = await world.sql.query<{ content: string }>('SELECT content FROM audit_event');
    const said = new Map(
      rows.flatMap(({ content }) => parseEvents(content)).map(({ query, patients }) => [query, patients]),
    );
    for (const query of answered) expect(said.get(query), query).toEqual(['a']);
  }, 30_000);
});
