import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import { Database } from '../database/database.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import type { FhirRequest } from './fhir-request.ts';
import { capabilities } from './interactions/capabilities.ts';
import type { FhirServer } from './interactions/interaction.ts';
import { OFFERED } from './interactions/routes.ts';
import { OperationRegistry } from './operation-registry.ts';
import { ResourceStore } from './resource-store.ts';

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
    registry.register({
      name: '$look',
      level: 'instance',
      type: 'ImagingStudy',
      parameters: [],
      run: nothing,
    });
    registry.register({ name: '$whole', level: 'system', parameters: [], run: nothing });
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

  it('names the order and the include that a lenient search left out', async () => {
    const asked = 'Patient?_id=p1&_sort=made-up&_include=Patient:made-up';
    expect((await send('GET', asked)).status).toBe(400);
    const { status, json } = await send('GET', asked, undefined, { prefer: 'handling=lenient' });
    expect([status, json.link[0].url]).toEqual([200, `${BASE}/Patient?_id=p1`]);
    expect(json.entry.at(-1).search.mode).toBe('outcome');
    expect(json.entry.at(-1).resource.issue[0].details.text).toContain(
      '_sort=made-up, _include=Patient:made-up',
    );
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
      parameters: ['word'],
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
    // Nobody is to believe that what the operation does not have did something.
    const body = {
      resourceType: 'Parameters',
      parameter: [{ name: 'word' }, { name: 'loud', valueBoolean: true }],
    };
    const refused = await send('POST', 'Patient/p1/$echo?word=hello&twice=1', body);
    expect([
      refused.status,
      refused.json.issue.map((one: { expression: string[] }) => one.expression[0]),
    ]).toEqual([400, ['http.twice', 'Parameters.parameter[1]']]);
    const lenient = { prefer: 'handling=lenient' };
    const heard = await send('POST', 'Patient/p1/$echo?word=hello&twice=1&_format=json', body, lenient);
    expect([heard.status, heard.json.code.text, heard.headers['preference-applied']]).toEqual([
      202,
      'hello',
      'handling=lenient',
    ]);
    expect((await send('POST', 'Patient/$nothing', { resourceType: 'Parameters' })).status).toBe(404);
  });

  it('tells nothing of an unknown failure but a reference', async () => {
    app.get(OperationRegistry).register({
      name: '$fail',
      level: 'system',
      parameters: [],
      run: () => Promise.reject(new Error('select secret from patient')),
    });
    const answer = await send('POST', '$fail', { resourceType: 'Parameters' });
    expect(answer.status).toBe(500);
    expect(answer.text).not.toMatch(/secret|select|spec\.ts/);
    const reference = /[0-9a-f-]{36}/.exec(answer.json.issue[0].details.text)?.[0] ?? 'none';
    expect(logged.at(-1)).toContain(reference);
    expect(answer.json.issue[0].details.coding).toEqual([{ system: CODE_SYSTEMS.failure, code: 'internal' }]);
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
