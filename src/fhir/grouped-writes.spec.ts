import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import { FULL_ACCESS } from './access-context.ts';
import { GROUP_LOCK_MS_MAX, GroupedWrites } from './interactions/grouped-writes.ts';
import { ResourceStore } from './resource-store.ts';

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
const create = (value: string, headers = {}) => fhir.send('POST', 'Patient', patient(value), headers);
const put = (id: string, more: object = {}, headers = {}) =>
  fhir.send('PUT', `Patient/${id}`, patient(id, { id, ...more }), headers);
const times = <T>(count: number, make: (n: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, n) => make(n)));
const transactions = async (): Promise<number> => {
  const [row] = await fhir.database.run<{ n: string }>({
    text: 'SELECT count(DISTINCT xmin::text) AS n FROM resource',
  });
  return Number(row?.n);
};

describe('writes that come together', () => {
  it('share transactions, and each gets its own answer', async () => {
    const before = await transactions();
    const all = await times(60, (n) => create(`together-${n}`));
    expect(all.map(({ status }) => status)).toEqual(Array(60).fill(201));
    expect(all.map(({ json }) => json.identifier[0].value)).toEqual(all.map((_, n) => `together-${n}`));
    expect((await transactions()) - before).toBeLessThan(30);
  });

  it('are refused one by one: a version conflict and a missing right leave the others alone', async () => {
    await times(4, (n) => put(`alone-${n}`));
    const all = await Promise.all([
      put('alone-0', { active: true }),
      put('alone-1', { active: true }, { 'if-match': 'W/"7"' }),
      put('alone-2', { active: true }, { 'x-scope': 'system/Observation.cruds' }),
      put('alone-3', { active: true }, { 'if-match': 'W/"1"' }),
      create('alone-4'),
      fhir.send('DELETE', 'Patient/alone-0-not-there'),
    ]);
    expect(all.map(({ status }) => status)).toEqual([200, 412, 403, 200, 201, 204]);
    const stored = await times(4, (n) => fhir.send('GET', `Patient/alone-${n}`));
    expect(stored.map(({ json }) => json.meta.versionId)).toEqual(['2', '1', '1', '2']);
  });

  it('to one resource go one after the other, none lost', async () => {
    await put('counted');
    const all = await times(20, (n) => put('counted', { multipleBirthInteger: n + 1 }));
    const versions = all.map(({ json }) => Number(json.meta.versionId));
    expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 2));
  });

  it('on condition make one of thirty at once, beside others on conditions of their own', async () => {
    const unless = (value: string) => create(value, { 'if-none-exist': `identifier=urn:mrn|${value}` });
    const all = await times(60, (n) => unless(n % 2 === 0 ? 'the-one' : `own-${n}`));
    const same = all.filter((_, n) => n % 2 === 0);
    expect(same.map(({ status }) => status).toSorted()).toEqual([...Array(29).fill(200), 201]);
    expect(new Set(same.map(({ json }) => json.id)).size).toBe(1);
    expect(all.filter((_, n) => n % 2 === 1).map(({ status }) => status)).toEqual(Array(30).fill(201));
  });

  it('on conditions of which nothing is expected look with the write, and where one is met all together once more', async () => {
    const writes = new GroupedWrites(
      fhir.database,
      new ResourceStore(fhir.database, { baseUrl: 'http://own.example' }),
    );
    const add = (value: string) => {
      const identifier = { type: 'Patient', system: 'urn:mrn', value };
      const resource = { ...patient(value), resourceType: 'Patient' as const };
      const write = { kind: 'create' as const, resource };
      return writes.add({ write, access: FULL_ACCESS, unless: { words: `Patient?${value}`, identifier } });
    };
    const known = await add('expected-known');
    const before = await transactions();
    const values = [...Array.from({ length: 20 }, (_, n) => `expected-${n}`), 'expected-known'];
    const made = await Promise.all(values.map(add));
    expect(made.map(({ created }) => created)).toEqual([...Array(20).fill(true), false]);
    expect(made.at(-1)?.stored.id).toBe(known.stored.id);
    expect((await transactions()) - before).toBeLessThan(10);
  });

  it('on a condition that several meet are refused alone', async () => {
    await times(2, () => create('twins'));
    const unless = (value: string) => create(value, { 'if-none-exist': `identifier=urn:mrn|${value}` });
    const [twins, fresh] = await Promise.all([unless('twins'), unless('no-twin')]);
    expect([twins.status, twins.json.issue[0].details.coding[0].code, fresh.status]).toEqual([
      412,
      'fhir.multiple-matches',
      201,
    ]);
  });

  it('do not wait longer than a moment for rows that other transactions hold', async () => {
    await times(4, (n) => put(`held-${n}`));
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let locked = () => {};
    const isLocked = new Promise<void>((resolve) => {
      locked = resolve;
    });
    const holding = fhir.database.transaction(async (tx) => {
      const those = `type = 'Patient' AND id IN ('held-0', 'held-1', 'held-2')`;
      await tx.run({ text: `SELECT 1 FROM resource WHERE ${those} FOR UPDATE` });
      locked();
      await released;
    });
    await isLocked;
    const ended: string[] = [];
    const note = (name: string) => (answer: { status: number }) => ended.push(`${name} ${answer.status}`);
    const held = [put('held-0', { active: true }).then(note('held'))];
    await new Promise((resolve) => setTimeout(resolve, 10));
    held.push(put('held-1', { active: true }).then(note('held')));
    const free = [put('held-3', { active: true }).then(note('free'))];
    await new Promise((resolve) => setTimeout(resolve, 10));
    held.push(put('held-2', { active: true }).then(note('held')));
    free.push(create('held-4').then(note('new')));
    await Promise.all(free);
    expect(ended.toSorted()).toEqual(['free 200', 'new 201']);
    release();
    await Promise.all([holding, ...held]);
    expect(ended.slice(2)).toEqual(['held 200', 'held 200', 'held 200']);
    expect(GROUP_LOCK_MS_MAX).toBeLessThan(100);
  });
});

describe('an update of what this process wrote last', () => {
  /** As another process would: it knows nothing of what the server remembers. */
  const elsewhere = (id: string, more: object) => {
    const other = new ResourceStore(fhir.database, { baseUrl: 'http://127.0.0.1:8080' });
    const resource = { ...patient(id), resourceType: 'Patient' as const, id, ...more };
    return fhir.database.transaction((tx) => other.write(tx, [{ kind: 'update', resource }]));
  };

  it('sees that somebody else has written meanwhile: no version is lost, no label, no conflict overlooked', async () => {
    await put('guessed');
    await put('guessed', { active: true });
    const label = {
      system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality',
      code: 'R',
    };
    await elsewhere('guessed', { meta: { security: [label] } });
    const stale = await put('guessed', {}, { 'if-match': 'W/"2"' });
    expect(stale.status).toBe(412);
    await elsewhere('guessed', { meta: { security: [label] }, active: false });
    const [updated, other] = await Promise.all([put('guessed', { gender: 'other' }), put('not-guessed')]);
    expect([updated.status, updated.json.meta.versionId, other.status]).toEqual([200, '5', 201]);
    expect(updated.json.meta.security).toEqual([label]);
    const { json } = await fhir.send('GET', 'Patient/guessed/_history');
    const versions = json.entry.map((entry: { resource: { meta: { versionId: string } } }) => entry.resource);
    expect(versions.map((one: { meta: { versionId: string } }) => one.meta.versionId)).toEqual([
      '5',
      '4',
      '3',
      '2',
      '1',
    ]);
    expect(versions.map((one: { active?: boolean }) => one.active)).toEqual([
      undefined,
      false,
      undefined,
      true,
      undefined,
    ]);
  });

  it('finds its search rows replaced, whoever wrote the ones before', async () => {
    await put('rows', { birthDate: '1970-01-01' });
    await elsewhere('rows', { birthDate: '1980-01-01' });
    await put('rows', { birthDate: '1970-01-01' });
    const total = async (date: string) =>
      (await fhir.send('GET', `Patient?_id=rows&birthdate=${date}&_summary=count`)).json.total;
    expect([await total('1970-01-01'), await total('1980-01-01')]).toEqual([1, 0]);
  });

  it('after a delete by somebody else makes a new version on top of it', async () => {
    await put('gone');
    const other = new ResourceStore(fhir.database, { baseUrl: 'http://127.0.0.1:8080' });
    await fhir.database.transaction((tx) =>
      other.write(tx, [{ kind: 'delete', type: 'Patient', id: 'gone' }]),
    );
    const again = await put('gone', { active: true });
    expect([again.status, again.json.meta.versionId]).toEqual([200, '3']);
  });
});
