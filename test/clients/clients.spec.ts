import { randomUUID } from 'node:crypto';
import { MedplumClient } from '@medplum/core';
import type { Bundle, Observation, Patient } from '@medplum/fhirtypes';
import { Client as KitClient } from 'fhir-kit-client';
import FHIR from 'fhirclient';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshServer } from '../fresh-server.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';

/** The work that users of the common JavaScript clients do, with the clients as published. */
let server: PrelimServer;
let base: string;

beforeAll(async () => {
  server = await freshServer({ LOG_LEVEL: 'error' });
  base = `${server.url}/fhir`;
});

afterAll(() => server.close());

const patient = (value: string): Patient => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:mrn', value }],
  name: [{ family: 'Quarz', given: ['Ilva'] }],
});
const finding = (subject: string): Observation => ({
  resourceType: 'Observation',
  status: 'preliminary',
  code: { text: 'Nodule' },
  subject: { reference: subject },
});

describe('@medplum/core', () => {
  const connected = () =>
    new MedplumClient({ baseUrl: server.url, fhirUrlPath: 'fhir', accessToken: server.token, cacheTime: 0 });

  it('creates, reads, changes, patches and deletes', async () => {
    const medplum = connected();
    const made = await medplum.createResource(patient(randomUUID()));
    expect(await medplum.readResource('Patient', made.id)).toEqual(made);
    const changed = await medplum.updateResource({ ...made, gender: 'female' });
    expect(changed.meta?.versionId).toBe('2');
    const patched = await medplum.patchResource('Patient', made.id, [
      { op: 'replace', path: '/gender', value: 'other' },
    ]);
    expect(patched.gender).toBe('other');
    const history = await medplum.readHistory('Patient', made.id);
    expect(history.entry).toHaveLength(3);
    expect((await medplum.readVersion('Patient', made.id, '1')).gender).toBeUndefined();
    await medplum.deleteResource('Patient', made.id);
    await expect(medplum.readResource('Patient', made.id)).rejects.toMatchObject({
      outcome: { issue: [{ code: 'deleted' }] },
    });
  });

  it('creates only when there is none, and updates by identifier', async () => {
    const medplum = connected();
    const value = randomUUID();
    const first = await medplum.createResourceIfNoneExist(patient(value), `identifier=urn:mrn|${value}`);
    const again = await medplum.createResourceIfNoneExist(patient(value), `identifier=urn:mrn|${value}`);
    expect(again.id).toBe(first.id);
    const upserted = await medplum.upsertResource(
      { ...patient(value), gender: 'male' },
      { identifier: `urn:mrn|${value}` },
    );
    expect(upserted).toMatchObject({ id: first.id, gender: 'male' });
  });

  it('searches, page by page, and with what is referenced', async () => {
    const medplum = connected();
    const { id } = await medplum.createResource(patient(randomUUID()));
    for (let n = 0; n < 5; n += 1) await medplum.createResource(finding(`Patient/${id}`));
    const pages: number[] = [];
    for await (const page of medplum.searchResourcePages('Observation', `subject=Patient/${id}&_count=2`))
      pages.push(page.length);
    expect(pages).toEqual([2, 2, 1]);
    const one = await medplum.searchOne('Observation', { subject: `Patient/${id}`, _sort: '-_lastUpdated' });
    expect(one?.subject?.reference).toBe(`Patient/${id}`);
    const bundle = await medplum.search('Observation', `subject=Patient/${id}&_include=Observation:subject`);
    expect(bundle.entry?.some((entry) => (entry.resource?.resourceType as string) === 'Patient')).toBe(true);
  });

  it('runs a transaction and validates', async () => {
    const medplum = connected();
    const fullUrl = `urn:uuid:${randomUUID()}`;
    const answer = await medplum.executeBatch({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        { fullUrl, resource: patient(randomUUID()), request: { method: 'POST', url: 'Patient' } },
        { resource: finding(fullUrl), request: { method: 'POST', url: 'Observation' } },
      ],
    });
    expect(answer.entry?.map((entry) => entry.response?.status?.slice(0, 3))).toEqual(['201', '201']);
    const outcome = await medplum.validateResource(patient(randomUUID()));
    expect(outcome.issue.every((issue) => issue.severity !== 'error')).toBe(true);
  });
});

describe('fhir-kit-client', () => {
  const connected = () =>
    new KitClient({ baseUrl: base, customHeaders: { authorization: `Bearer ${server.token}` } });

  it('reads what the server says of itself', async () => {
    expect(await connected().capabilityStatement()).toMatchObject({ fhirVersion: '4.0.1' });
  });

  it('creates, reads, changes, patches, deletes and shows the history', async () => {
    const client = connected();
    const made = (await client.create({
      resourceType: 'Patient',
      body: patient(randomUUID()) as never,
    })) as Patient;
    const id = made.id as string;
    expect(await client.read({ resourceType: 'Patient', id })).toMatchObject({ id });
    expect(await client.vread({ resourceType: 'Patient', id, version: '1' })).toMatchObject({ id });
    await client.update({ resourceType: 'Patient', id, body: { ...made, gender: 'female' } as never });
    await client.patch({
      resourceType: 'Patient',
      id,
      jsonPatch: [{ op: 'replace', path: '/gender', value: 'other' }] as never,
    });
    expect(await client.history({ resourceType: 'Patient', id })).toMatchObject({ type: 'history' });
    expect(await client.typeHistory({ resourceType: 'Patient' })).toMatchObject({ type: 'history' });
    expect(await client.systemHistory()).toMatchObject({ type: 'history' });
    await client.delete({ resourceType: 'Patient', id });
    await expect(client.read({ resourceType: 'Patient', id })).rejects.toMatchObject({
      response: { status: 410 },
    });
  });

  it('searches by GET and by POST, in a compartment and page by page', async () => {
    const client = connected();
    const { id } = (await client.create({
      resourceType: 'Patient',
      body: patient(randomUUID()) as never,
    })) as Patient;
    for (let n = 0; n < 3; n += 1)
      await client.create({ resourceType: 'Observation', body: finding(`Patient/${id}`) as never });
    const searchParams = { subject: `Patient/${id}`, _count: 2 };
    const first = (await client.search({ resourceType: 'Observation', searchParams })) as never as Bundle;
    expect(first.entry).toHaveLength(2);
    const second = (await client.nextPage({ bundle: first as never })) as never as Bundle;
    expect(second.entry).toHaveLength(1);
    const posted = await client.resourceSearch({
      resourceType: 'Observation',
      searchParams: { subject: `Patient/${id}` },
      options: { postSearch: true },
    });
    expect((posted as never as Bundle).entry).toHaveLength(3);
    const compartment = { resourceType: 'Patient', id: id as string };
    const within = await client.compartmentSearch({ resourceType: 'Observation', compartment });
    expect((within as never as Bundle).entry).toHaveLength(3);
    const both = await client.systemSearch({ searchParams: { _type: 'Patient', _id: id as string } });
    expect((both as never as Bundle).entry).toHaveLength(1);
  });

  it('runs batches, transactions and operations', async () => {
    const client = connected();
    const entry = [{ resource: patient(randomUUID()), request: { method: 'POST', url: 'Patient' } }];
    for (const type of ['batch', 'transaction'] as const) {
      const body = { resourceType: 'Bundle', type, entry } as never;
      const answer = await (type === 'batch' ? client.batch({ body }) : client.transaction({ body }));
      expect(answer).toMatchObject({ type: `${type}-response` });
    }
    const outcome = await client.operation({
      name: 'validate',
      resourceType: 'Patient',
      method: 'POST',
      input: patient(randomUUID()) as never,
    });
    expect(outcome).toMatchObject({ resourceType: 'OperationOutcome' });
  });
});

describe('fhirclient', () => {
  const connected = () =>
    FHIR({ headers: {} } as never, { setHeader: () => undefined } as never).client({
      serverUrl: base,
      tokenResponse: { access_token: server.token, token_type: 'bearer' },
    } as never);

  it('creates, changes, patches and deletes', async () => {
    const client = connected();
    const made = (await client.create(patient(randomUUID()) as never)) as unknown as Patient;
    const changed = await client.update({ ...made, gender: 'female' } as never);
    expect(changed).toMatchObject({ gender: 'female' });
    const patched = await client.patch(`Patient/${made.id}`, [
      { op: 'replace', path: '/gender', value: 'other' },
    ]);
    expect(patched).toMatchObject({ gender: 'other' });
    await client.delete(`Patient/${made.id}`);
    await expect(client.request(`Patient/${made.id}`)).rejects.toMatchObject({ status: 410 });
  });

  it('requests all pages, flat, with references resolved', async () => {
    const client = connected();
    const { id } = (await client.create(patient(randomUUID()) as never)) as unknown as Patient;
    for (let n = 0; n < 5; n += 1) await client.create(finding(`Patient/${id}`) as never);
    const found = await client.request<Observation[]>(`Observation?subject=Patient/${id}&_count=2`, {
      flat: true,
      pageLimit: 0,
      resolveReferences: ['subject'],
    });
    expect(found).toHaveLength(5);
    expect(found[0]?.subject).toMatchObject({ resourceType: 'Patient', id });
  });
});
