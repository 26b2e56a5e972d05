import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import { CONDITIONAL_DELETE_MAX } from './interactions/conditional-delete.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
});
afterAll(() => fhir.close());

const patient = (value: string, more: object = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:mrn', value }],
  ...more,
});
const put = (value: string, body: object) => fhir.send('PUT', `Patient?identifier=urn:mrn|${value}`, body);
const count = async (value: string) =>
  (await fhir.send('GET', `Patient?identifier=urn:mrn|${value}&_summary=count`)).json.total;

describe('conditional update', () => {
  it('creates without a match, updates one match, and refuses several', async () => {
    const made = await put('u1', patient('u1'));
    expect(made.status).toBe(201);
    expect(made.headers['location']).toBe(`${BASE}/Patient/${made.json.id}/_history/1`);
    const changed = await put('u1', patient('u1', { active: true }));
    expect([changed.status, changed.json.id, changed.json.meta.versionId]).toEqual([200, made.json.id, '2']);
    await fhir.send('POST', 'Patient', patient('u1'));
    const several = await put('u1', patient('u1'));
    expect([several.status, several.json.issue[0].details.coding[0].code]).toEqual([
      412,
      'fhir.multiple-matches',
    ]);
  });

  it('creates under the id in the body, and refuses an id that is not the match’s or is taken', async () => {
    const made = await put('u2', patient('u2', { id: 'chosen' }));
    expect([made.status, made.json.id]).toEqual([201, 'chosen']);
    expect((await put('u2', patient('u2', { id: 'chosen' }))).status).toBe(200);
    const other = await put('u2', patient('u2', { id: 'another' }));
    expect([other.status, other.json.issue[0].expression]).toEqual([400, ['Patient.id']]);
    expect((await put('u3', patient('u3', { id: 'chosen' }))).status).toBe(409);
  });

  it('obeys If-Match for the match, and refuses criteria that say nothing or are unknown', async () => {
    await put('u4', patient('u4'));
    const stale = await fhir.send('PUT', 'Patient?identifier=urn:mrn|u4', patient('u4'), {
      'if-match': 'W/"5"',
    });
    expect(stale.status).toBe(412);
    expect((await fhir.send('PUT', 'Patient', patient('u4'))).status).toBe(400);
    expect((await fhir.send('PUT', 'Patient?_count=1', patient('u4'))).status).toBe(400);
    expect((await fhir.send('PUT', 'Patient?made-up=1', patient('u4'))).status).toBe(400);
  });

  it('makes one resource of thirty at once', async () => {
    const all = await Promise.all(Array.from({ length: 30 }, () => put('race', patient('race'))));
    expect(all.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(all.filter(({ status }) => status === 200)).toHaveLength(29);
    expect(await count('race')).toBe(1);
  });
});

describe('update as create', () => {
  it('with If-None-Match: * writes only where nothing is, also when thirty come at once', async () => {
    const only = (n: number) =>
      fhir.send(
        'PUT',
        'Patient/nm',
        { resourceType: 'Patient', id: 'nm', multipleBirthInteger: n + 1 },
        { 'if-none-match': '*' },
      );
    const all = await Promise.all(Array.from({ length: 30 }, (_, n) => only(n)));
    expect(all.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(all.filter(({ status }) => status === 412)).toHaveLength(29);
    await fhir.send('DELETE', 'Patient/nm');
    expect((await only(1)).status).toBe(200);
  });
});

describe('conditional patch', () => {
  it('patches the one match, and answers 404 for none and 412 for several', async () => {
    const patch = (value: string) =>
      fhir.send(
        'PATCH',
        `Patient?identifier=urn:mrn|${value}`,
        [{ op: 'add', path: '/active', value: true }],
        {
          'content-type': 'application/json-patch+json',
        },
      );
    await put('p1', patient('p1'));
    const done = await patch('p1');
    expect([done.status, done.json.active]).toEqual([200, true]);
    expect((await patch('nobody')).status).toBe(404);
    await fhir.send('POST', 'Patient', patient('p1'));
    expect((await patch('p1')).status).toBe(412);
  });
});

describe('conditional delete', () => {
  it('deletes all that match, and answers 204 for none', async () => {
    for (let n = 0; n < 3; n++) await fhir.send('POST', 'Patient', patient('d1'));
    expect(await count('d1')).toBe(3);
    expect((await fhir.send('DELETE', 'Patient?identifier=urn:mrn|d1')).status).toBe(204);
    expect(await count('d1')).toBe(0);
    expect((await fhir.send('DELETE', 'Patient?identifier=urn:mrn|d1')).status).toBe(204);
  });

  it('deletes nothing when more match than one request may delete, or when the criteria say nothing', async () => {
    const entry = Array.from({ length: CONDITIONAL_DELETE_MAX + 1 }, () => ({
      resource: patient('many'),
      request: { method: 'POST', url: 'Patient' },
    }));
    await fhir.send('POST', '', { resourceType: 'Bundle', type: 'transaction', entry });
    const refused = await fhir.send('DELETE', 'Patient?identifier=urn:mrn|many');
    expect([refused.status, refused.json.issue[0].details.coding[0].code]).toEqual([
      412,
      'fhir.multiple-matches',
    ]);
    expect(await count('many')).toBe(CONDITIONAL_DELETE_MAX + 1);
    expect((await fhir.send('DELETE', 'Patient')).status).toBe(400);
    expect((await fhir.send('DELETE', 'Patient?_sort=_id')).status).toBe(400);
  });

  it('needs the scopes of search and delete', async () => {
    const may = async (scope: string) =>
      (await fhir.send('DELETE', 'Patient?identifier=urn:mrn|x', undefined, { 'x-scope': scope })).status;
    expect(await may('system/Patient.d')).toBe(403);
    expect(await may('system/Patient.rs')).toBe(403);
    expect(await may('system/Patient.ds')).toBe(204);
  });
});

describe('conditional read', () => {
  it('answers 304 by tag and by time, the tag first', async () => {
    await fhir.send('PUT', 'Patient/r1', { resourceType: 'Patient', id: 'r1' });
    const read = async (headers: Record<string, string>) =>
      (await fhir.send('GET', 'Patient/r1', undefined, headers)).status;
    const modified = String((await fhir.send('GET', 'Patient/r1')).headers['last-modified']);
    expect(await read({ 'if-none-match': 'W/"1"' })).toBe(304);
    expect(await read({ 'if-none-match': 'W/"7", "1"' })).toBe(304);
    expect(await read({ 'if-none-match': 'W/"7"', 'if-modified-since': modified })).toBe(200);
    expect(await read({ 'if-modified-since': modified })).toBe(304);
    expect(await read({ 'if-modified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' })).toBe(200);
    expect(await read({ 'if-modified-since': 'nonsense' })).toBe(200);
  });
});
