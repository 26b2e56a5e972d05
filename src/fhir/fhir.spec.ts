import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp, type Headers } from '../../test/fhir-app.ts';
import { Database } from '../database/database.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import type { FhirRequest } from './fhir-request.ts';
import { capabilities } from './interactions/capabilities.ts';
import type { FhirServer } from './interactions/interaction.ts';
import { OFFERED } from './interactions/routes.ts';
import { OperationRegistry } from './operation-registry.ts';
import { ResourceStore } from './resource-store.ts';
import { BUNDLE_BYTES_MAX } from './validate/parse-resource.ts';

let fhir: FhirApp;
let app: NestFastifyApplication;
let logged: string[];
const send: FhirApp['send'] = (...request) => fhir.send(...request);

beforeAll(async () => {
  fhir = await fhirApp();
  ({ app, logged } = fhir);
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
        entry('GET', 'Patient/1/../2'),
        null as never,
        { request: { method: 'GET', url: 7 } } as never,
        { resource: 'text', request: { method: 'POST', url: 'Patient' } } as never,
        entry('POST', 'Patient', { resourceType: 'Patient', gender: 'nonsense' }),
      ],
    });
    const statuses = answer.json.entry.map((one: { response: { status: string } }) => one.response.status);
    expect(statuses).toEqual(['201 Created', '404', '400', '400', '400', '400', '400', '400', '422']);
    expect(answer.json.entry[1].response.outcome.resourceType).toBe('OperationOutcome');
  });
});

describe('other doors', () => {
  it('describes itself', async () => {
    const { json, status } = await send('GET', 'metadata');
    expect(status).toBe(200);
    expect(json.fhirVersion).toBe('4.0.1');
    const imaging = json.rest[0].resource.find((one: { type: string }) => one.type === 'ImagingStudy');
    expect(imaging.searchParam.map((one: { name: string }) => one.name)).toEqual(
      expect.arrayContaining(['modality', 'bodysite', 'patient']),
    );
  });

  it('lists the operations and what other folders say of a type', async () => {
    const registry = new OperationRegistry();
    const nothing = async () => ({ status: 200, resource: null });
    registry.register({ name: '$look', level: 'instance', type: 'ImagingStudy', run: nothing });
    registry.register({ name: '$whole', level: 'system', run: nothing });
    registry.describe('Subscription', 'Channels: rest-hook');
    const server = {
      store: app.get(ResourceStore),
      operations: registry,
      offered: OFFERED,
    } as unknown as FhirServer;
    const { body } = await capabilities({} as FhirRequest, server);
    const [rest] = JSON.parse(String(body)).rest;
    const of = (type: string) => rest.resource.find((one: { type: string }) => one.type === type);
    expect(of('ImagingStudy').operation).toEqual([
      { name: 'look', definition: 'https://prelim.example/fhir/OperationDefinition/ImagingStudy-look' },
    ]);
    expect(rest.operation).toEqual([
      { name: 'whole', definition: 'https://prelim.example/fhir/OperationDefinition/whole' },
    ]);
    expect(of('Subscription').documentation).toBe('Channels: rest-hook');
    expect(of('Patient').operation).toBeUndefined();
  });

  it.each([
    ['Patient?_elements=nonsense', '_elements must list elements'],
    ['Patient?_summary=true&_elements=id', 'not for both'],
    ['Patient?_summary=nonsense', '_summary must be true, text, data, count or false'],
    ['Patient?_contained=true', '_contained may be false only'],
    ['Patient?no-such-parameter=1', 'no search parameter "no-such-parameter"'],
    ['Patient?SMITH=1', 'no search parameter of this name'],
  ])('%s is refused with words that say why', async (path, words) => {
    const { status, json } = await send('GET', path);
    expect([status, json.resourceType]).toEqual([400, 'OperationOutcome']);
    expect(json.issue[0].details.text).toContain(words);
    expect(json.issue[0].details.text).not.toContain('SMITH');
  });

  it('ignores what it does not know for a client that is lenient, and leaves it out of the self link', async () => {
    const { status, json } = await send('GET', 'Patient?_id=p1&made-up=1', undefined, {
      prefer: 'handling=lenient',
    });
    expect([status, json.link[0].url]).toEqual([200, `${BASE}/Patient?_id=p1`]);
  });

  it('finds by tag, with and without its system', async () => {
    const study = (id: string, code: string) => ({
      resourceType: 'ImagingStudy',
      id,
      meta: {
        tag: [
          { system: CODE_SYSTEMS.subscriptionTag, code },
          { system: CODE_SYSTEMS.subscriptionTag, code: `${code}-no-order` },
        ],
      },
      status: 'available',
      subject: { reference: 'Patient/p1' },
    });
    const write = (resource: object) =>
      app
        .get(Database)
        .transaction((tx) =>
          app.get(ResourceStore).write(tx, [{ kind: 'update', resource: resource as never }]),
        );
    await write(study('u1', 'unmatched'));
    await write(study('u2', 'other'));
    const found = async (query: string) =>
      (await send('GET', `ImagingStudy?${query}`)).json.entry?.map(
        (one: { resource: { id: string } }) => one.resource.id,
      ) ?? [];
    expect(await found('_tag=unmatched')).toEqual(['u1']);
    expect(await found(`_tag=${encodeURIComponent(`${CODE_SYSTEMS.subscriptionTag}|unmatched`)}`)).toEqual([
      'u1',
    ]);
    expect(await found('_tag=unmatched-no-order&status=available')).toEqual(['u1']);
    expect(await found('_tag=urn:other%7Cunmatched')).toEqual([]);
    expect(await found('_tag:not=unmatched')).toEqual(['u2']);
    // Gone with the tag: an order was found.
    await write(study('u1', 'matched'));
    expect(await found('_tag=unmatched')).toEqual([]);
  });

  it('runs operations that other folders registered', async () => {
    app.get(OperationRegistry).register({
      name: '$echo',
      level: 'instance',
      type: 'Patient',
      run: async ({ id, query }) => ({
        status: 202,
        resource: { resourceType: 'Basic', id: id ?? '', code: { text: query.get('word') ?? '' } },
        headers: { 'content-location': 'x' },
      }),
    });
    const answer = await send('POST', 'Patient/p1/$echo?word=hello', { resourceType: 'Parameters' });
    expect([answer.status, answer.json.code.text, answer.headers['content-location']]).toEqual([
      202,
      'hello',
      'x',
    ]);
    expect((await send('GET', 'Patient/p1/$echo')).status).toBe(405);
    expect((await send('POST', 'Patient/$nothing', { resourceType: 'Parameters' })).status).toBe(404);
  });

  it('tells nothing of an unknown failure but a reference', async () => {
    app.get(OperationRegistry).register({
      name: '$fail',
      level: 'system',
      run: () => Promise.reject(new Error('select secret from patient')),
    });
    const answer = await send('POST', '$fail', { resourceType: 'Parameters' });
    expect(answer.status).toBe(500);
    expect(answer.text).not.toMatch(/secret|select|spec\.ts/);
    const reference = /[0-9a-f-]{36}/.exec(answer.json.issue[0].details.text)?.[0] ?? 'none';
    expect(logged.at(-1)).toContain(reference);
    expect(logged.at(-1)).not.toContain('secret');
  });

  it('lets a scope do what it says and nothing else, and nothing without one', async () => {
    const may = async (
      scope: string,
      method: 'GET' | 'PUT' | 'POST' | 'DELETE',
      path: string,
      body?: object,
    ) => (await send(method, path, body, { 'x-scope': scope })).status;
    await send('PUT', 'Patient/s1', { resourceType: 'Patient', id: 's1' });
    expect(await may('system/Patient.r', 'GET', 'Patient/s1')).toBe(200);
    expect(await may('system/Patient.r', 'GET', 'Patient')).toBe(403);
    expect(await may('system/Patient.s', 'GET', 'Patient/s1')).toBe(403);
    expect(await may('system/Patient.s', 'GET', 'Patient/s1/_history')).toBe(403);
    expect(await may('system/Patient.rs', 'PUT', 'Patient/s1', { resourceType: 'Patient', id: 's1' })).toBe(
      403,
    );
    expect(await may('system/Patient.ru', 'DELETE', 'Patient/s1')).toBe(403);
    expect(await may('patient/Patient.cruds', 'GET', 'Patient/s1')).toBe(403);
    expect(await may('none', 'GET', 'Patient/s1')).toBe(403);
    expect(await may('none', 'GET', 'metadata')).toBe(200);
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [{ resource: { resourceType: 'Patient' }, request: { method: 'POST', url: 'Patient' } }],
    };
    expect(await may('system/Patient.rs', 'POST', '', bundle)).toBe(403);
  });

  it('shows nothing of types outside the scope through chains and includes', async () => {
    await send('PUT', 'Patient/hidden', { resourceType: 'Patient', id: 'hidden', birthDate: '1970-01-01' });
    await send(
      'PUT',
      'Observation/seen',
      observation({ id: 'seen', subject: { reference: 'Patient/hidden' } }),
    );
    const scope = { 'x-scope': 'system/Observation.rs' };
    const chained = await send(
      'GET',
      'Observation?subject:Patient.birthdate=1970-01-01&_total=accurate',
      undefined,
      scope,
    );
    expect([chained.json.total, chained.json.entry]).toEqual([0, undefined]);
    const included = await send('GET', 'Observation?_id=seen&_include=Observation:subject', undefined, scope);
    expect(included.json.entry).toHaveLength(1);
    expect((await send('GET', 'Observation?_id=seen&_include=Observation:subject')).json.entry).toHaveLength(
      2,
    );
  });
});
