import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import { Database } from '../database/database.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import { ResourceStore } from './resource-store.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
});
afterAll(() => fhir.close());

const R = { system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' };
const V = { ...R, code: 'V' };
const OWN = { system: CODE_SYSTEMS.subscriptionTag, code: 'unmatched' };
const put = (meta: object | undefined, id = 'm') =>
  fhir.send('PUT', `Patient/${id}`, { resourceType: 'Patient', id, meta });

describe('meta belongs to the server (T16)', () => {
  it('versionId, lastUpdated and source are the server’s on create, update and in a Bundle', async () => {
    const forged = { versionId: '99', lastUpdated: '1999-01-01T00:00:00Z', source: 'urn:forged' };
    const patient = { resourceType: 'Patient', meta: forged };
    const created = (await fhir.send('POST', 'Patient', patient)).json;
    const updated = (await put(forged, 'forged')).json;
    const bundle = await fhir.send('POST', '', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        { resource: patient, request: { method: 'POST', url: 'Patient' } },
        { resource: { ...patient, id: 'forged' }, request: { method: 'PUT', url: 'Patient/forged' } },
      ],
    });
    const entries = bundle.json.entry.map((one: { resource: object }) => one.resource);
    for (const [resource, version] of [
      [created, '1'],
      [updated, '1'],
      [entries[0], '1'],
      [entries[1], '2'],
    ]) {
      expect(resource.meta.versionId).toBe(version);
      expect(Date.parse(resource.meta.lastUpdated)).toBeGreaterThan(Date.now() - 60_000);
      expect(resource.meta.source).toBeUndefined();
    }
  });

  it('a label can be added and not taken away by an update', async () => {
    await put({ security: [R] });
    expect((await put({ security: [V] })).json.meta.security).toEqual([R, V]);
    expect((await put(undefined)).json.meta.security).toEqual([R, V]);
    expect((await put({ security: [R, V, R] })).json.meta.security).toEqual([R, V]);
    const conditional = await fhir.send('PUT', 'Patient?_id=m', { resourceType: 'Patient' });
    expect(conditional.json.meta.security).toEqual([R, V]);
    const found = await fhir.send('GET', `Patient?_security=${encodeURIComponent(`${R.system}|V`)}`);
    expect(found.json.entry).toHaveLength(1);
  });

  it('a patch cannot touch meta', async () => {
    await put({ security: [R] }, 'p');
    const answer = await fhir.send('PATCH', 'Patient/p', [{ op: 'remove', path: '/meta/security/0' }], {
      'content-type': 'application/json-patch+json',
    });
    expect([answer.status, answer.json.issue[0].details.coding[0].code]).toEqual([403, 'fhir.protected']);
    expect((await fhir.send('GET', 'Patient/p')).json.meta.security).toEqual([R]);
  });

  it('tags and profiles are as sent, apart from the tags of our own system', async () => {
    const mine = { system: 'urn:mine', code: 'a' };
    expect((await put({ tag: [mine, OWN], profile: ['http://p'] }, 't')).json.meta).toMatchObject({
      tag: [mine],
      profile: ['http://p'],
    });
    await fhir.app.get(Database).transaction((tx) =>
      fhir.app.get(ResourceStore).write(tx, [
        {
          kind: 'update',
          resource: { resourceType: 'Patient', id: 't', meta: { tag: [OWN], source: 'urn:server' } },
        },
      ]),
    );
    const { meta } = (await put({ tag: [mine] }, 't')).json;
    expect(meta.tag).toEqual([OWN, mine]);
    expect(meta.source).toBe('urn:server');
    expect(
      (await fhir.send('POST', 'Patient', { resourceType: 'Patient', meta: { tag: [OWN] } })).json.meta.tag,
    ).toBeUndefined();
  });

  it('refuses a meta with elements that FHIR does not have', async () => {
    expect((await put({ compartment: [{ reference: 'Patient/1' }] }, 'c')).status).toBe(422);
  });
});
