import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp, type Headers } from '../../test/fhir-app.ts';
import { BUNDLE_BYTES_MAX } from './validate/parse-resource.ts';

let fhir: FhirApp;
let app: NestFastifyApplication;
const send: FhirApp['send'] = (...request) => fhir.send(...request);

beforeAll(async () => {
  fhir = await fhirApp();
  ({ app } = fhir);
});
afterAll(() => fhir.close());

const observation = (more: object = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: 'Patient/p1' },
  ...more,
});

describe('read, create, update, delete', () => {
  it('creates with a new id, and answers Location, ETag and the stored resource', async () => {
    const made = await send('POST', 'Observation', observation({ id: 'mine', meta: { versionId: '7' } }));
    expect(made.status).toBe(201);
    expect(made.json.id).not.toBe('mine');
    expect(made.json.meta.versionId).toBe('1');
    expect(made.headers.etag).toBe('W/"1"');
    expect(made.headers.location).toBe(`${BASE}/Observation/${made.json.id}/_history/1`);
    expect(made.headers['content-type']).toBe('application/fhir+json; charset=utf-8');
    const got = await send('GET', `Observation/${made.json.id}`);
    expect(got.text).toBe(made.text);
    expect(got.headers['last-modified']).toMatch(/GMT$/);
    expect(
      (await send('GET', `Observation/${made.json.id}`, undefined, { 'if-none-match': 'W/"1"' })).status,
    ).toBe(304);
    expect((await send('HEAD', `Observation/${made.json.id}`)).text).toBe('');
  });

  it('gives decimals back as they were sent', async () => {
    const text = JSON.stringify(observation({ valueQuantity: { value: 0 } })).replace(
      '"value":0',
      '"value":1.10',
    );
    const made = await send('POST', 'Observation', text);
    expect(made.text).toContain('"value":1.10}');
    expect((await send('GET', `Observation/${made.json.id}?_pretty=true`)).text).toContain('"value": 1.10\n');
  });

  it('obeys Prefer return', async () => {
    const minimal = await send('POST', 'Observation', observation(), { prefer: 'return=minimal' });
    expect([minimal.status, minimal.text]).toEqual([201, '']);
    const outcome = await send('POST', 'Observation', observation(), { prefer: 'return=OperationOutcome' });
    expect(outcome.json.resourceType).toBe('OperationOutcome');
  });

  it('creates by update under a chosen id, then updates with If-Match, then refuses a stale one', async () => {
    const patient = { resourceType: 'Patient', id: 'p1' };
    expect((await send('PUT', 'Patient/p1', patient)).status).toBe(201);
    expect((await send('PUT', 'Patient/p1', patient, { 'if-match': 'W/"1"' })).status).toBe(200);
    const stale = await send('PUT', 'Patient/p1', patient, { 'if-match': 'W/"1"' });
    expect(stale.status).toBe(412);
    expect(stale.json.resourceType).toBe('OperationOutcome');
    expect((await send('PUT', 'Patient/other', patient)).status).toBe(400);
  });

  it('answers 410 after a delete, 404 for what never was, and keeps the versions', async () => {
    await send('PUT', 'Patient/d1', { resourceType: 'Patient', id: 'd1' });
    expect((await send('DELETE', 'Patient/d1')).status).toBe(204);
    expect((await send('DELETE', 'Patient/d1')).status).toBe(204);
    expect((await send('GET', 'Patient/d1')).status).toBe(410);
    expect((await send('GET', 'Patient/d1/_history/1')).status).toBe(200);
    expect((await send('GET', 'Patient/d1/_history/2')).status).toBe(410);
    expect((await send('GET', 'Patient/never')).status).toBe(404);
    expect((await send('GET', 'Patient/p1/_history/99')).status).toBe(404);
    const history = await send('GET', 'Patient/d1/_history?_count=1');
    expect(history.json.entry).toHaveLength(1);
    expect(history.json.entry[0].request).toEqual({ method: 'DELETE', url: 'Patient/d1' });
    const next = history.json.link.find((link: { relation: string }) => link.relation === 'next').url;
    const rest = await send('GET', next.slice(BASE.length + 1));
    expect(
      rest.json.entry.map(
        (entry: { resource: { meta: { versionId: string } } }) => entry.resource.meta.versionId,
      ),
    ).toEqual(['1']);
  });

  it('makes one resource of fifty parallel conditional creates', async () => {
    const patient = { resourceType: 'Patient', identifier: [{ system: 'urn:mrn', value: 'once' }] };
    const condition = { 'if-none-exist': 'identifier=urn:mrn|once' };
    const all = await Promise.all(
      Array.from({ length: 50 }, () => send('POST', 'Patient', patient, condition)),
    );
    expect(all.filter((answer) => answer.status === 201)).toHaveLength(1);
    expect(all.filter((answer) => answer.status === 200)).toHaveLength(49);
    expect(new Set(all.map((answer) => answer.json.id)).size).toBe(1);
  });

  it('refuses what it does not speak', async () => {
    expect((await send('GET', 'Patient/p1', undefined, { accept: 'application/fhir+xml' })).status).toBe(406);
    expect((await send('GET', 'Patient/p1?_format=xml')).status).toBe(406);
    expect((await send('GET', 'Patient/p1?_format=application/fhir+json')).status).toBe(200);
    const xml = await send('POST', 'Patient', '<Patient/>', { 'content-type': 'application/fhir+xml' });
    expect([xml.status, xml.json.resourceType]).toEqual([415, 'OperationOutcome']);
    expect((await send('POST', 'Patient', '{}', { 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await send('PUT', '', '{}')).status).toBe(405);
    expect((await send('GET', 'Foo/1')).status).toBe(404);
    expect((await send('GET', '__proto__/1')).status).toBe(404);
  });

  it('accepts plain application/json', async () => {
    const made = await send(
      'POST',
      'Patient',
      { resourceType: 'Patient' },
      { 'content-type': 'application/json' },
    );
    expect(made.status).toBe(201);
  });
});

describe('a Binary', () => {
  const PNG = Buffer.from('89504e470d0a1a0a0000', 'hex');
  const put = async (id: string, contentType: string, data = PNG) => {
    const binary = { resourceType: 'Binary', id, contentType, data: data.toString('base64') };
    expect((await send('PUT', `Binary/${id}`, binary)).status).toBe(201);
  };
  const get = async (id: string, headers: Headers = {}) =>
    app.inject({ method: 'GET', url: `/fhir/Binary/${id}`, headers });

  it.each(['image/png', '*/*', 'text/html,image/*;q=0.8,*/*;q=0.5', undefined])(
    'is given as what it holds for Accept %s',
    async (accept) => {
      const id = `png-${accept?.length ?? 'none'}`;
      await put(id, 'image/png');
      const answer = await get(id, accept === undefined ? {} : { accept });
      expect(answer.statusCode).toBe(200);
      expect(answer.rawPayload.equals(PNG)).toBe(true);
      expect(answer.headers).toMatchObject({
        'content-type': 'image/png',
        'content-disposition': 'inline',
        'x-content-type-options': 'nosniff',
        'content-security-policy': 'sandbox',
        etag: 'W/"1"',
        vary: 'Accept',
      });
    },
  );

  it.each([
    ['application/fhir+json', ''],
    ['application/json', ''],
    ['application/fhir+json; fhirVersion=4.0, */*;q=0.1', ''],
    ['*/*', '?_format=json'],
  ])('is given as the resource when FHIR JSON is asked for by name: %s%s', async (accept, query) => {
    await put('named', 'image/png').catch(() => undefined);
    const answer = await get(`named${query}`, { accept });
    expect(answer.headers['content-type']).toBe('application/fhir+json; charset=utf-8');
    expect(answer.json()).toMatchObject({ resourceType: 'Binary', data: PNG.toString('base64') });
  });

  it.each([
    ['text/html', 'text/html'],
    ['image/svg+xml', 'image/svg+xml'],
    ['application/xhtml+xml; charset=utf-8', 'application/xhtml+xml; charset=utf-8'],
    ['image/png,text/html', 'application/octet-stream'],
    ['text/plain x', 'application/octet-stream'],
    ['png', 'application/octet-stream'],
  ])('of type %s is offered for saving only, as %s, and nothing in it runs', async (contentType, given) => {
    const id = `saved-${contentType.replace(/[^a-z]/g, '-')}`;
    await put(id, contentType, Buffer.from('<script>alert(1)</script>'));
    const answer = await get(id, { accept: 'text/html' });
    expect([
      answer.statusCode,
      answer.headers['content-type'],
      answer.headers['content-disposition'],
    ]).toEqual([200, given, 'attachment']);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
    });
  });

  it('keeps the rules of every read: older versions, 304, HEAD, the scope, 404, no XML', async () => {
    await put('ruled', 'text/plain; charset=utf-8', Buffer.from('one'));
    const next = {
      resourceType: 'Binary',
      id: 'ruled',
      contentType: 'text/plain',
      data: Buffer.from('two').toString('base64'),
    };
    expect((await send('PUT', 'Binary/ruled', next)).status).toBe(200);
    expect((await get('ruled/_history/1')).body).toBe('one');
    expect((await get('ruled')).body).toBe('two');
    expect((await get('ruled', { 'if-none-match': 'W/"2"' })).statusCode).toBe(304);
    const head = await app.inject({ method: 'HEAD', url: '/fhir/Binary/ruled' });
    expect([head.statusCode, head.headers['content-type'], head.body]).toEqual([200, 'text/plain', '']);
    expect((await get('ruled', { 'x-scope': 'system/Patient.r' })).statusCode).toBe(403);
    expect((await get('never', { accept: 'image/png' })).statusCode).toBe(404);
    expect((await get('ruled', { accept: 'application/fhir+xml' })).statusCode).toBe(406);
    expect((await send('GET', 'Patient/p1', undefined, { accept: 'image/png' })).status).toBe(406);
  });

  it('stays FHIR JSON as an entry of a Bundle, and an empty one has no bytes', async () => {
    await put('entry', 'image/png');
    const batch = {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [{ request: { method: 'GET', url: 'Binary/entry' } }],
    };
    expect((await send('POST', '', batch, { accept: '*/*' })).json.entry[0].resource).toMatchObject({
      resourceType: 'Binary',
    });
    expect(
      (await send('PUT', 'Binary/empty', { resourceType: 'Binary', id: 'empty', contentType: 'image/png' }))
        .status,
    ).toBe(201);
    expect((await get('empty')).rawPayload.length).toBe(0);
  });
});

describe('hostile bodies', () => {
  it('answers 413 for a body above the limit, and 400 for JSON bombs, while it goes on serving', async () => {
    const large = await send('POST', '', Buffer.alloc(BUNDLE_BYTES_MAX + 1, 0x20));
    expect([large.status, large.json.resourceType]).toEqual([413, 'OperationOutcome']);
    const [deep, alive] = await Promise.all([
      send('POST', 'Patient', '['.repeat(2_000_000)),
      send('GET', 'metadata'),
    ]);
    expect([deep.status, alive.status]).toEqual([400, 200]);
    expect((await send('POST', 'Patient', '{"resourceType":"Patient","id":"a","id":"b"}')).status).toBe(400);
    const bad = Array.from({ length: 5_000 }, () => ({ system: 'x y', code: '' }));
    const many = await send('POST', 'Observation', observation({ code: { coding: bad } }));
    expect(many.status).toBe(422);
    expect(many.text.length).toBeLessThan(50_000);
  });
});

describe('Bundles', () => {
  it('writes a transaction whole, with urn:uuid references resolved, also for an existing match', async () => {
    const bundle = (status: string) => ({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          fullUrl: 'urn:uuid:11111111-1111-4111-8111-111111111111',
          resource: { resourceType: 'Patient', identifier: [{ system: 'urn:mrn', value: 'tx' }] },
          request: { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:mrn|tx' },
        },
        {
          fullUrl: 'urn:uuid:22222222-2222-4222-8222-222222222222',
          resource: observation({
            status,
            subject: { reference: 'urn:uuid:11111111-1111-4111-8111-111111111111' },
          }),
          request: { method: 'POST', url: 'Observation' },
        },
        { request: { method: 'GET', url: 'Observation?subject.identifier=urn:mrn|tx' } },
      ],
    });
    const first = await send('POST', '', bundle('final'));
    expect(first.status).toBe(200);
    expect(first.json.type).toBe('transaction-response');
    const statuses = (answer: typeof first) =>
      answer.json.entry.map((entry: { response: { status: string } }) => entry.response.status);
    expect(statuses(first)).toEqual(['201 Created', '201 Created', '200 OK']);
    const patientId = first.json.entry[0].resource.id;
    expect(first.json.entry[1].resource.subject.reference).toBe(`Patient/${patientId}`);
    expect(first.json.entry[2].resource.entry).toHaveLength(1);
    const second = await send('POST', '', bundle('amended'));
    expect(statuses(second)).toEqual(['200 OK', '201 Created', '200 OK']);
    expect(second.json.entry[1].resource.subject.reference).toBe(`Patient/${patientId}`);
    const broken = await send('POST', '', bundle('nonsense'));
    expect(broken.status).toBe(422);
    expect(broken.json.issue[0].expression[0]).toContain('Bundle.entry[1]');
    expect((await send('GET', `Observation?subject=${patientId}&_summary=count`)).json.total).toBe(2);
  });

  it('writes nothing of a transaction in which one entry fails', async () => {
    const answer = await send('POST', '', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          resource: { resourceType: 'Patient', id: 'half' },
          request: { method: 'PUT', url: 'Patient/half' },
        },
        {
          resource: { resourceType: 'Patient', id: 'p1' },
          request: { method: 'PUT', url: 'Patient/p1', ifMatch: 'W/"77"' },
        },
      ],
    });
    expect(answer.status).toBe(412);
    expect((await send('GET', 'Patient/half')).status).toBe(404);
  });

  it.each(['batch', 'transaction'])('takes our own base before the URL of an entry of a %s', async (type) => {
    const id = `own-${type}`;
    const entry = (method: string, path: string, resource?: object) => ({
      ...(resource ? { resource } : {}),
      request: { method, url: `${BASE}${path}` },
    });
    const answer = await send('POST', '', {
      resourceType: 'Bundle',
      type,
      entry: [
        entry('PUT', `/Patient/${id}`, { resourceType: 'Patient', id }),
        entry('GET', `/Patient?_id=${id}`),
        entry('GET', `?_type=Patient&_id=${id}`),
        { request: { method: 'GET', url: `${BASE.toUpperCase().replace('/FHIR', '/fhir')}/Patient/${id}` } },
      ],
    });
    const statuses = answer.json.entry.map((one: { response: { status: string } }) => one.response.status);
    expect(statuses).toEqual(['201 Created', '200 OK', '200 OK', '200 OK']);
    for (const at of [1, 2]) expect(answer.json.entry[at].resource.entry).toHaveLength(1);
  });

  it('judges each entry of a batch alone and refuses URLs that leave the base', async () => {
    const entry = (method: string, url: string, resource?: object) => ({
      ...(resource ? { resource } : {}),
      request: { method, url },
    });
    const answer = await send('POST', '', {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [
        entry('POST', 'Patient', { resourceType: 'Patient' }),
        entry('GET', 'Patient/never'),
        entry('GET', '../admin'),
        entry('GET', 'http://other/Patient/1'),
        entry('GET', `${BASE}x/Patient/1`),
        entry('GET', `${BASE}/../Patient/1`),
        entry('GET', BASE.replace('://', '://somebody@')),
        entry('GET', 'Patient/1/../2'),
        null as never,
        { request: { method: 'GET', url: 7 } } as never,
        { resource: 'text', request: { method: 'POST', url: 'Patient' } } as never,
        entry('POST', 'Patient', { resourceType: 'Patient', gender: 'nonsense' }),
      ],
    });
    const statuses = answer.json.entry.map((one: { response: { status: string } }) => one.response.status);
    expect(statuses).toEqual(['201 Created', '404', ...Array(9).fill('400'), '422']);
    expect(answer.json.entry[3].response.outcome.issue[0].details.text).toContain(
      `another address than this server's, ${BASE}. Write it below that, or relative`,
    );
    expect(answer.json.entry[1].response.outcome.resourceType).toBe('OperationOutcome');
  });
});
