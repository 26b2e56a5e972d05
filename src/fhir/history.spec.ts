import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import type { AccessContext } from './access-context.ts';
import { ResourceStore } from './resource-store.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
});
afterAll(() => fhir.close());

interface Entry {
  readonly fullUrl: string;
  readonly resource?: {
    readonly id: string;
    readonly meta: { readonly versionId: string; readonly lastUpdated: string };
  };
  readonly request: { readonly method: string; readonly url: string };
  readonly response: { readonly status: string; readonly etag: string; readonly lastModified: string };
}

const nameOf = ({ fullUrl, response }: Entry): string =>
  `${fullUrl.slice(BASE.length + 1)}@${/"(\d+)"/.exec(response.etag)?.[1]}`;

async function page(path: string) {
  const { json, status } = await fhir.send('GET', path);
  expect([status, json.type]).toEqual([200, 'history']);
  const entries: Entry[] = json.entry ?? [];
  const next = json.link.find((one: { relation: string }) => one.relation === 'next')?.url as
    | string
    | undefined;
  return { entries, next: next?.slice(BASE.length + 1) ?? null, total: json.total as number | undefined };
}

async function all(path: string, between: () => Promise<unknown> = async () => undefined): Promise<string[]> {
  const names: string[] = [];
  for (let at: string | null = path; at !== null; ) {
    const { entries, next } = await page(at);
    names.push(...entries.map(nameOf));
    at = next;
    await between();
  }
  return names;
}

const put = (type: string, id: string, more: object = {}) =>
  fhir.send('PUT', `${type}/${id}`, { resourceType: type, id, ...more });
const observation = { status: 'final', code: { text: 'x' } };
const pause = () => new Promise((done) => setTimeout(done, 5));

describe('history', () => {
  it('of an instance, a type and the system, newest first, with deletions', async () => {
    await put('Patient', 'a');
    await put('Observation', 'o', observation);
    await put('Patient', 'a', { active: true });
    await put('Patient', 'b');
    await fhir.send('DELETE', 'Patient/a');
    await put('Patient', 'a', { active: false });
    expect(await all('Patient/a/_history')).toEqual([
      'Patient/a@4',
      'Patient/a@3',
      'Patient/a@2',
      'Patient/a@1',
    ]);
    expect(await all('Patient/_history')).toEqual([
      'Patient/a@4',
      'Patient/a@3',
      'Patient/b@1',
      'Patient/a@2',
      'Patient/a@1',
    ]);
    expect(await all('_history')).toEqual([
      'Patient/a@4',
      'Patient/a@3',
      'Patient/b@1',
      'Patient/a@2',
      'Observation/o@1',
      'Patient/a@1',
    ]);
    const { entries, total } = await page('Patient/a/_history');
    expect(total).toBe(4);
    expect(entries.map(({ request, response }) => [request.method, response.status])).toEqual([
      ['PUT', '200'],
      ['DELETE', '204'],
      ['PUT', '200'],
      ['PUT', '201'],
    ]);
    expect(entries[1]?.resource).toBeUndefined();
  });

  it('goes on page by page, complete and each version once, while others write', async () => {
    for (let n = 0; n < 12; n++) await put('Device', `d${n % 4}`, { lotNumber: `${n}` });
    const before = await all('Device/_history?_count=100');
    expect(before).toHaveLength(12);
    let n = 0;
    const paged = await all('Device/_history?_count=5', () =>
      put('Device', `d${n % 4}`, { lotNumber: `more ${n++}` }),
    );
    expect(paged).toEqual(before);
    const system = await all('_history?_count=3', () => put('Device', 'd0', { lotNumber: `again ${n++}` }));
    expect(new Set(system).size).toBe(system.length);
    expect(system).toEqual(expect.arrayContaining(before));
  });

  it('parts versions of one instant, as a transaction makes them', async () => {
    const entry = Array.from({ length: 7 }, (_, n) => ({
      resource: { resourceType: n % 2 ? 'Location' : 'Organization', id: `t${n}`, name: 'x' },
      request: { method: 'PUT', url: `${n % 2 ? 'Location' : 'Organization'}/t${n}` },
    }));
    await fhir.send('POST', '', { resourceType: 'Bundle', type: 'transaction', entry });
    const names = await all('_history?_count=2');
    expect(names.filter((name) => /\/t\d@/.test(name)).sort()).toEqual([
      'Location/t1@1',
      'Location/t3@1',
      'Location/t5@1',
      'Organization/t0@1',
      'Organization/t2@1',
      'Organization/t4@1',
      'Organization/t6@1',
    ]);
  });

  it('from an instant on (_since), and as it stood at one (_at)', async () => {
    await put('Group', 'g', { type: 'person', actual: true, name: 'one' });
    await pause();
    const second = (await put('Group', 'g', { type: 'person', actual: true, name: 'two' })).json.meta
      .lastUpdated;
    await pause();
    await put('Group', 'g', { type: 'person', actual: true, name: 'three' });
    expect(await all(`Group/g/_history?_since=${second}`)).toEqual(['Group/g@3', 'Group/g@2']);
    expect(await all(`Group/_history?_since=${second}&_count=1`)).toEqual(['Group/g@3', 'Group/g@2']);
    expect(await all(`Group/g/_history?_at=${second}`)).toEqual(['Group/g@2']);
    expect(await all(`Group/_history?_at=${second.slice(0, 10)}`)).toEqual([
      'Group/g@3',
      'Group/g@2',
      'Group/g@1',
    ]);
    expect(await all('Group/g/_history?_at=1999')).toEqual([]);
    expect(await all(`_history?_since=${encodeURIComponent(second.replace('Z', '+00:00'))}`)).toEqual([
      'Group/g@3',
      'Group/g@2',
    ]);
  });

  it('finds what stood long ago and not long ago by different ways, and the same', async () => {
    const store = fhir.app.get(ResourceStore);
    const rows = await store.readVersions({
      types: ['Device'],
      count: 1_000,
      after: null,
      since: null,
      at: null,
    });
    for (const at of [rows.at(-1), rows.at(5), rows.at(0)]) {
      const lo = at?.lastUpdated ?? new Date();
      const interval = { lo, hi: new Date(lo.getTime() + 1) };
      const found = await Promise.all(
        [true, false].map((isRecent) =>
          store.readVersions({
            types: ['Device'],
            count: 1_000,
            after: null,
            since: null,
            at: { ...interval, isRecent },
          }),
        ),
      );
      const names = found.map((versions) => versions.map(({ id, versionId }) => `${id}@${versionId}`));
      expect(names[0]).toEqual(names[1]);
      expect(names[0]).toContain(`${at?.id}@${at?.versionId}`);
      expect(new Set(found[0]?.map(({ id }) => id)).size).toBe(found[0]?.length);
    }
  });

  it('holds the access condition against every version, current and superseded, of every type', async () => {
    const access: AccessContext = {
      allows: () => true,
      condition: (type, _interaction, alias, parameters) =>
        type === 'Device' ? `${alias}.id = ${parameters.add('d1', 'text')}` : 'FALSE',
    };
    const asked = { count: 1_000, after: null, since: null, at: null };
    const store = fhir.app.get(ResourceStore);
    const of = (types: string[], more = {}) =>
      store.readVersions({ ...asked, types, ...more }, undefined, access);
    const seen = await of(['Device', 'Patient', 'Observation']);
    expect(seen.length).toBeGreaterThan(3);
    expect(new Set(seen.map(({ type, id }) => `${type}/${id}`))).toEqual(new Set(['Device/d1']));
    expect(await of(['Device'], { id: 'd0' })).toEqual([]);
    const at = { lo: new Date(0), hi: new Date(Date.now() + 1_000), isRecent: true };
    expect(new Set((await of(['Device'], { at })).map(({ id }) => id))).toEqual(new Set(['d1']));
  });

  it.each([
    ['Patient/a/_history?_since=2020-13-45', 400],
    ['Patient/a/_history?_since=yesterday', 400],
    ['Patient/_history?_at=9999-12-31T23:59:59.999999999Z', 400],
    ['Patient/_history?_count=-1', 400],
    ['Patient/_history?_count=abc', 400],
    ['_history?_cursor=abc', 400],
    [`_history?_cursor=${Buffer.from('[1,"x y","z"]').toString('base64url')}`, 400],
    ['_history?name=x', 400],
    ['_history?_summary=count', 400],
    ['Patient/never/_history', 404],
    ['Foo/_history', 404],
  ])('refuses %s', async (path, status) => {
    const answer = await fhir.send('GET', path);
    expect([answer.status, answer.json.resourceType]).toEqual([status, 'OperationOutcome']);
  });

  it('shows nothing of types outside the scope', async () => {
    const of = async (path: string, scope: string) => fhir.send('GET', path, undefined, { 'x-scope': scope });
    const system = await of('_history?_count=1000', 'system/Observation.rs');
    expect(new Set(system.json.entry.map((one: Entry) => one.fullUrl.split('/').at(-2)))).toEqual(
      new Set(['Observation']),
    );
    expect((await of('_history', 'system/Patient.r')).status).toBe(403);
    expect((await of('Patient/_history', 'system/Patient.r')).status).toBe(403);
    expect((await of('Patient/a/_history', 'system/Patient.r')).status).toBe(200);
    expect((await of('Patient/a/_history', 'system/Patient.s')).status).toBe(403);
  });
});
