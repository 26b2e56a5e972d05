import type { CapabilityStatement, CapabilityStatementRestResource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp } from '../../test/fhir-app.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
  await fhir.send('PUT', 'Patient/p1', { resourceType: 'Patient', id: 'p1' });
  await fhir.send('PUT', 'Patient/p2', { resourceType: 'Patient', id: 'p2' });
  const observation = (id: string, more: object) =>
    fhir.send('PUT', `Observation/${id}`, {
      resourceType: 'Observation',
      id,
      status: 'final',
      code: { coding: [{ code: 'x' }] },
      ...more,
    });
  await observation('o1', { subject: { reference: 'Patient/p1' } });
  await observation('o2', { subject: { reference: 'Patient/p2' } });
  await observation('o3', { performer: [{ reference: 'Patient/p1' }] });
  await observation('o4', { focus: [{ reference: 'Patient/p1' }] });
  await fhir.send('PUT', 'Encounter/e1', {
    resourceType: 'Encounter',
    id: 'e1',
    status: 'planned',
    class: { code: 'AMB' },
    subject: { reference: 'Patient/p1' },
  });
});
afterAll(() => fhir.close());

const found = (json: { entry?: { resource: { resourceType: string; id: string } }[] }): string[] =>
  (json.entry ?? []).map(({ resource }) => `${resource.resourceType}/${resource.id}`).sort();

describe('search of a compartment', () => {
  it('finds what the CompartmentDefinition puts into it, and nothing else', async () => {
    const all = await fhir.send('GET', 'Patient/p1/Observation');
    expect(found(all.json)).toEqual(['Observation/o1', 'Observation/o3']);
    expect(all.json.link[0].url).toBe(`${BASE}/Patient/p1/Observation`);
    expect(found((await fhir.send('GET', 'Patient/p1/Observation?subject=Patient/p1&code=x')).json)).toEqual([
      'Observation/o1',
    ]);
    expect(found((await fhir.send('GET', 'Patient/never/Observation')).json)).toEqual([]);
    const form = await fhir.send('POST', 'Patient/p1/Observation/_search', 'code=x', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(found(form.json)).toEqual(['Observation/o1', 'Observation/o3']);
  });

  it('goes on page by page', async () => {
    const first = (await fhir.send('GET', 'Patient/p1/Observation?_count=1')).json;
    const next = first.link
      .find((one: { relation: string }) => one.relation === 'next')
      .url.slice(BASE.length + 1);
    expect(next).toContain('Patient/p1/Observation?');
    const second = (await fhir.send('GET', next)).json;
    expect([...found(first), ...found(second)].sort()).toEqual(['Observation/o1', 'Observation/o3']);
  });

  it('finds all types of it with *, narrowed by _type', async () => {
    expect(found((await fhir.send('GET', 'Patient/p1/*?_type=Observation,Encounter')).json)).toEqual([
      'Encounter/e1',
      'Observation/o1',
      'Observation/o3',
    ]);
  });

  it.each([['Patient/p1/Organization'], ['Organization/x/Patient'], ['Patient/p1/Foo']])(
    '%s is no compartment',
    async (path) => {
      expect((await fhir.send('GET', path)).status).toBe(404);
    },
  );

  it('is a search and needs its scope', async () => {
    const may = async (scope: string) =>
      (await fhir.send('GET', 'Patient/p1/Observation', undefined, { 'x-scope': scope })).status;
    expect([
      await may('system/Observation.r'),
      await may('system/Patient.s'),
      await may('system/Observation.s'),
    ]).toEqual([403, 403, 200]);
  });
});

describe('search of the system', () => {
  it('finds over several types, by GET and by POST', async () => {
    expect(found((await fhir.send('GET', '?_type=Patient,Encounter')).json)).toEqual([
      'Encounter/e1',
      'Patient/p1',
      'Patient/p2',
    ]);
    const form = await fhir.send('POST', '_search', '_type=Patient&_id=p2', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(found(form.json)).toEqual(['Patient/p2']);
    expect(form.json.link[0].url).toBe(`${BASE}?_type=Patient&_id=p2`);
  });

  it.each(['?_type=Foo', '?_type=Patient,Encounter&birthdate=1970', '?_type=Patient&made-up=1'])(
    'refuses %s',
    async (path) => {
      expect((await fhir.send('GET', path)).status).toBe(400);
    },
  );
});

describe('methods', () => {
  it.each([
    ['Patient/p1', ['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']],
    ['Patient', ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS']],
    ['Patient/p1/_history', ['GET', 'HEAD', 'OPTIONS']],
    ['Patient/_search', ['POST', 'OPTIONS']],
    ['', ['GET', 'POST', 'HEAD', 'OPTIONS']],
  ])('OPTIONS of %s says what it takes', async (path, methods) => {
    const answer = await fhir.send('OPTIONS', path);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect(String(answer.headers['allow']).split(', ').sort()).toEqual([...methods].sort());
  });

  it('another method is 405 with an outcome and Allow, and HEAD answers like GET without a body', async () => {
    const wrong = await fhir.send('DELETE', 'Patient/p1/_history');
    expect([wrong.status, wrong.headers['allow'], wrong.json.resourceType]).toEqual([
      405,
      'GET, HEAD, OPTIONS',
      'OperationOutcome',
    ]);
    const [get, head] = [await fhir.send('GET', 'Patient/p1'), await fhir.send('HEAD', 'Patient/p1')];
    expect([head.status, head.text, head.headers['etag'], head.headers['last-modified']]).toEqual([
      200,
      '',
      get.headers['etag'],
      get.headers['last-modified'],
    ]);
    expect((await fhir.send('HEAD', 'Patient/never')).status).toBe(404);
    expect((await fhir.send('OPTIONS', 'a/b/c/d/e')).status).toBe(404);
  });
});

describe('Prefer', () => {
  it('return= shapes the answer of every write', async () => {
    const patient = { resourceType: 'Patient', id: 'pf' };
    for (const [method, path, body, type] of [
      ['PUT', 'Patient/pf', patient, 'application/fhir+json'],
      ['PUT', 'Patient?_id=pf', patient, 'application/fhir+json'],
      ['PATCH', 'Patient/pf', [{ op: 'add', path: '/active', value: true }], 'application/json-patch+json'],
    ] as const) {
      const of = (wish: string) =>
        fhir.send(method, path, body, { prefer: `return=${wish}`, 'content-type': type });
      const minimal = await of('minimal');
      expect([minimal.text, minimal.headers['etag']]).toEqual(['', expect.stringMatching(/^W\//)]);
      expect((await of('representation')).json.resourceType).toBe('Patient');
      expect((await of('OperationOutcome')).json.resourceType).toBe('OperationOutcome');
    }
  });

  it('handling= decides about parameters that are not known', async () => {
    const of = (handling: string) =>
      fhir.send('GET', 'Patient?made-up=1&_id=p1', undefined, { prefer: `handling=${handling}` });
    expect((await of('strict')).status).toBe(400);
    const lenient = (await of('lenient')).json;
    expect(lenient.link[0].url).toBe(`${BASE}/Patient?_id=p1`);
    expect(lenient.entry.map((one: { search: { mode: string } }) => one.search.mode)).toEqual([
      'match',
      'outcome',
    ]);
    expect(lenient.entry[1].resource.issue[0].details.text).toContain('made-up');
  });
});

describe('the CapabilityStatement says what is there', () => {
  let rest: NonNullable<CapabilityStatement['rest']>[number];
  let statement: CapabilityStatement;
  beforeAll(async () => {
    statement = (await fhir.send('GET', 'metadata')).json;
    rest = statement.rest?.[0] as typeof rest;
  });
  const resource = (type: string) =>
    rest.resource?.find((one) => one.type === type) as CapabilityStatementRestResource;

  it('names every interaction, and each answers', async () => {
    const codes = resource('Patient').interaction?.map(({ code }) => code);
    const asked: Record<string, () => Promise<{ status: number }>> = {
      read: () => fhir.send('GET', 'Patient/p1'),
      vread: () => fhir.send('GET', 'Patient/p1/_history/1'),
      update: () => fhir.send('PUT', 'Patient/p1', { resourceType: 'Patient', id: 'p1' }),
      patch: () =>
        fhir.send('PATCH', 'Patient/p1', [{ op: 'add', path: '/active', value: true }], {
          'content-type': 'application/json-patch+json',
        }),
      delete: () => fhir.send('DELETE', 'Patient/gone'),
      'history-instance': () => fhir.send('GET', 'Patient/p1/_history'),
      'history-type': () => fhir.send('GET', 'Patient/_history'),
      create: () => fhir.send('POST', 'Patient', { resourceType: 'Patient' }),
      'search-type': () => fhir.send('GET', 'Patient'),
    };
    expect([...(codes ?? [])].sort()).toEqual(Object.keys(asked).sort());
    for (const ask of Object.values(asked)) expect((await ask()).status).toBeLessThan(300);
    const system = rest.interaction?.map(({ code }) => code) ?? [];
    expect([...system].sort()).toEqual(['batch', 'history-system', 'search-system', 'transaction']);
    expect((await fhir.send('GET', '_history')).status).toBe(200);
  });

  it('says how conditions work', () => {
    expect(resource('Observation')).toMatchObject({
      versioning: 'versioned-update',
      updateCreate: true,
      conditionalCreate: true,
      conditionalRead: 'full-support',
      conditionalUpdate: true,
      conditionalDelete: 'multiple',
    });
    expect(statement.patchFormat).toEqual(['application/json-patch+json', 'application/fhir+json']);
    expect(rest.documentation).toContain('up to 100 resources');
    expect(rest.compartment).toContain('http://hl7.org/fhir/CompartmentDefinition/patient');
    expect(rest.compartment).toContain('http://hl7.org/fhir/CompartmentDefinition/relatedPerson');
  });

  it('every parameter, include and reverse include that it names can be asked', async () => {
    for (const type of ['Patient', 'DiagnosticReport', 'ImagingStudy']) {
      const { searchParam = [], searchInclude = [], searchRevInclude = [] } = resource(type);
      for (const { name } of searchParam) {
        const { status } = await fhir.send('GET', `${type}?${name}:missing=true&_count=1`);
        expect([200, 400], `${type}.${name}`).toContain(status);
        if (status === 400)
          expect((await fhir.send('GET', `${type}?${name}=`)).status, `${type}.${name}`).toBe(200);
      }
      for (const value of searchInclude)
        expect((await fhir.send('GET', `${type}?_count=1&_include=${value}`)).status, value).toBe(200);
      for (const value of searchRevInclude)
        expect((await fhir.send('GET', `${type}?_count=1&_revinclude=${value}`)).status, value).toBe(200);
    }
  });
});
