import type { StructureDefinition } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp } from '../../../test/fhir-app.ts';
import { ResourceStore } from '../resource-store.ts';
import { keepIntegrity } from './keep-integrity.ts';

let server: FhirApp;
beforeAll(async () => {
  server = await fhirApp();
});
afterAll(() => server.close());

const outcome = async (path: string, body?: unknown, headers = {}) => {
  const answer = await server.send('POST', path, body, headers);
  expect(answer.json.resourceType).toBe('OperationOutcome');
  return {
    status: answer.status,
    issues: answer.json.issue as { severity: string; code: string; expression?: string[] }[],
  };
};
const FINE = [expect.objectContaining({ severity: 'information' })];
const parameters = (...parameter: object[]) => ({ resourceType: 'Parameters', parameter });

describe('$validate', () => {
  it('answers 200 with what it finds, for a plain resource and for Parameters, and stores nothing', async () => {
    expect(await outcome('Patient/$validate', { resourceType: 'Patient' })).toEqual({
      status: 200,
      issues: FINE,
    });
    const bad = { resourceType: 'Patient', gender: 'foo' };
    for (const body of [bad, parameters({ name: 'resource', resource: bad })]) {
      const { status, issues } = await outcome('Patient/$validate', body);
      expect(status).toBe(200);
      expect(issues).toMatchObject([
        { severity: 'error', code: 'code-invalid', expression: ['Patient.gender'] },
      ]);
    }
    expect((await server.send('GET', 'Patient')).json.entry).toBeUndefined();
  });

  it('holds against a profile that is asked for, and says when it does not know it', async () => {
    const vital = 'http://hl7.org/fhir/StructureDefinition/vitalsigns';
    const observation = { resourceType: 'Observation', status: 'final', code: { text: 'x' } };
    const asked = parameters(
      { name: 'resource', resource: observation },
      { name: 'profile', valueUri: vital },
    );
    const { issues } = await outcome('Observation/$validate', asked);
    expect(issues.map((one) => one.expression?.[0])).toContain('Observation.category');
    expect((await outcome(`Observation/$validate?profile=${vital}`, observation)).issues).toEqual(issues);
    expect(
      (await outcome('Observation/$validate?profile=http://nobody.example/p', observation)).issues,
    ).toMatchObject([{ severity: 'error', code: 'not-found' }]);
  });

  it('refuses a parameter that it does not have, or warns of it where the sender is lenient', async () => {
    const sent = parameters(
      { name: 'profil', valueUri: 'http://nobody.example/p' },
      { name: 'resource', resource: { resourceType: 'Patient' } },
    );
    const refused = await outcome('Patient/$validate', sent);
    expect(refused).toMatchObject({ status: 400, issues: [{ expression: ['Parameters.parameter[0]'] }] });
    const lenient = await outcome('Patient/$validate?x=1', sent, { prefer: 'handling=lenient' });
    expect(lenient.issues).toEqual([
      expect.objectContaining({ severity: 'warning', expression: ['http.x', 'Parameters.parameter[0]'] }),
      ...FINE,
    ]);
    // Here the Parameters are what is asked about.
    const { status } = await outcome(
      'Parameters/$validate',
      parameters({ name: 'profil', valueString: 'x' }),
    );
    expect(status).toBe(200);
  });

  it('validates the stored resource when none is sent, and knows the modes', async () => {
    const { json } = await server.send('POST', 'Patient', { resourceType: 'Patient', active: true });
    const at = `Patient/${json.id}/$validate`;
    expect((await server.send('GET', at)).json.issue).toEqual(FINE);
    expect(
      (await outcome(`${at}?mode=update`, { resourceType: 'Patient', id: 'other' })).issues,
    ).toMatchObject([{ severity: 'error', expression: ['Patient.id'] }]);
    expect((await outcome(`${at}?mode=delete`)).issues).toEqual(FINE);
    expect((await outcome('Patient/nobody/$validate?mode=delete')).issues).toMatchObject([
      { code: 'not-found' },
    ]);
    const reader = { 'x-scope': 'system/Patient.r' };
    for (const mode of ['create', 'update']) {
      expect(
        (await outcome(`Patient/$validate?mode=${mode}`, { resourceType: 'Patient', id: 'a' }, reader))
          .issues,
      ).toMatchObject([{ code: 'forbidden' }]);
    }
  });

  it('refuses what it cannot do', async () => {
    expect((await outcome('Patient/$validate')).status).toBe(400);
    expect((await outcome('Patient/nobody/$validate')).status).toBe(404);
    expect((await outcome('Patient/$validate?mode=guess', { resourceType: 'Patient' })).status).toBe(400);
    expect((await outcome('Patient/$validate?mode=profile', { resourceType: 'Patient' })).status).toBe(400);
    expect(
      (await outcome('Patient/$validate', { resourceType: 'Patient' }, { 'x-scope': 'system/Task.r' }))
        .status,
    ).toBe(403);
    expect((await outcome('Patient/$validate', { resourceType: 'Group' })).issues).toMatchObject([
      { severity: 'error' },
    ]);
  });
});

const OWN: StructureDefinition = {
  ...{ resourceType: 'StructureDefinition', id: 'own', url: 'http://site.example/own-patient', name: 'Own' },
  ...{ status: 'active', kind: 'resource', abstract: false, type: 'Patient', derivation: 'constraint' },
  baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Patient',
  differential: {
    element: [
      {
        id: 'Patient',
        path: 'Patient',
        constraint: [
          {
            key: 'own-1',
            severity: 'error',
            human: 'a name or a number',
            expression: 'name.exists() or identifier.exists()',
          },
          {
            key: 'own-2',
            severity: 'error',
            human: 'runs away',
            expression: "name.family.matches('^(a+)+$')",
          },
        ],
      },
      { id: 'Patient.birthDate', path: 'Patient.birthDate', min: 1 },
    ],
  },
};
const claiming = (more: object) => ({ resourceType: 'Patient', meta: { profile: [OWN.url] }, ...more });

describe('a profile stored over FHIR', () => {
  it('is enforced from the commit that stores it until the one that deletes it', async () => {
    expect((await server.send('POST', 'Patient', claiming({ active: true }))).status).toBe(201);
    expect((await server.send('PUT', 'StructureDefinition/own', OWN)).status).toBe(201);
    const refused = await server.send('POST', 'Patient', claiming({ active: true }));
    expect(refused.status).toBe(422);
    expect(refused.json.issue.map((one: { expression: string[] }) => one.expression[0])).toEqual(
      expect.arrayContaining(['Patient', 'Patient.birthDate']),
    );
    const name = [{ family: `${'a'.repeat(40)}!` }];
    const started = performance.now();
    expect((await server.send('POST', 'Patient', claiming({ birthDate: '2000', name }))).status).toBe(201);
    // The expression that could run for minutes is not run, and $validate says so.
    expect(performance.now() - started).toBeLessThan(2_000);
    const { issues } = await outcome('Patient/$validate', claiming({ birthDate: '2000', name }));
    expect(issues).toMatchObject([{ severity: 'warning', code: 'informational' }]);
    expect((await server.send('DELETE', 'StructureDefinition/own')).status).toBe(204);
    expect((await server.send('POST', 'Patient', claiming({ active: true }))).status).toBe(201);
  });

  it('is not enforced when its write was rolled back', async () => {
    const entry = (resource: object, method: string, url: string) => ({ resource, request: { method, url } });
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        entry(OWN, 'PUT', 'StructureDefinition/own'),
        {
          ...entry({ resourceType: 'Patient', id: 'p9' }, 'PUT', 'Patient/p9'),
          request: { method: 'PUT', url: 'Patient/p9', ifMatch: 'W/"7"' },
        },
      ],
    };
    expect((await server.send('POST', '', bundle)).status).toBe(412);
    expect((await server.send('POST', 'Patient', claiming({ active: true }))).status).toBe(201);
  });

  it('cannot loosen a profile of a package under its URL', async () => {
    const url = 'https://prelim.example/fhir/StructureDefinition/refusal-task';
    const loose = {
      ...OWN,
      id: 'loose',
      url,
      type: 'Task',
      differential: { element: [{ id: 'Task', path: 'Task' }] },
    };
    expect((await server.send('PUT', 'StructureDefinition/loose', loose)).status).toBe(201);
    const task = { resourceType: 'Task', meta: { profile: [url] }, status: 'draft', intent: 'order' };
    expect((await server.send('POST', 'Task', task)).status).toBe(422);
  });
});

describe('referential integrity, when it is set', () => {
  beforeAll(() => keepIntegrity(server.app.get(ResourceStore)));
  const observation = (subject: string) => ({
    resourceType: 'Observation',
    status: 'final',
    code: { text: 'x' },
    subject: { reference: subject },
  });

  it('refuses references to what is not here, and takes all others', async () => {
    const refused = await server.send('POST', 'Observation', observation('Patient/nobody'));
    expect(refused.status).toBe(422);
    expect(refused.json.issue[0].expression).toEqual(['Observation.subject.reference']);
    expect((await server.send('POST', 'Observation', observation(`${BASE}/Patient/nobody`))).status).toBe(
      422,
    );
    for (const elsewhere of [
      'https://other.example/fhir/Patient/1',
      'urn:uuid:8a4a7a1e-0000-4000-8000-000000000000',
    ])
      expect((await server.send('POST', 'Observation', observation(elsewhere))).status).toBe(201);
    const transaction = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          resource: observation('urn:uuid:1a4a7a1e-0000-4000-8000-000000000000'),
          request: { method: 'POST', url: 'Observation' },
        },
        {
          fullUrl: 'urn:uuid:1a4a7a1e-0000-4000-8000-000000000000',
          resource: { resourceType: 'Patient' },
          request: { method: 'POST', url: 'Patient' },
        },
      ],
    };
    expect((await server.send('POST', '', transaction)).status).toBe(200);
  });

  it('refuses the deletion of what others refer to until they are gone', async () => {
    await server.send('PUT', 'Patient/kept', { resourceType: 'Patient', id: 'kept' });
    const { json } = await server.send('POST', 'Observation', observation('Patient/kept'));
    const refused = await server.send('DELETE', 'Patient/kept');
    expect([refused.status, refused.json.issue[0].details.coding[0].code]).toEqual([409, 'fhir.referenced']);
    expect((await server.send('GET', 'Patient/kept')).status).toBe(200);
    expect((await server.send('DELETE', `Observation/${json.id}`)).status).toBe(204);
    expect((await server.send('DELETE', 'Patient/kept')).status).toBe(204);
    expect((await server.send('POST', 'Observation', observation('Patient/kept'))).status).toBe(422);
  });
});
