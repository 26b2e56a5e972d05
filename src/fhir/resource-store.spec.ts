import type { Observation, Patient, Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { storedResources } from '../../test/stored-resources.ts';
import type { Transaction } from '../database/database.ts';
import { parseJson } from './resource-json.ts';
import { type ResourceChange, ResourceStore } from './resource-store.ts';
import { reindexPage } from './storage/reindex-page.ts';

const world = storedResources();
const { write } = world;
const ids = async (type: string, query: string): Promise<string[]> =>
  (await world.search(type, query)).matches.map((match) => match.id);

const patient = (id: string, more: Partial<Patient> = {}): Patient & { id: string } => ({
  resourceType: 'Patient',
  id,
  identifier: [{ system: 'urn:mrn', value: `mrn-${id}` }],
  ...more,
});

describe('writing', () => {
  it('gives every version the server’s own meta, whatever the resource claims', async () => {
    const [stored] = await write({
      kind: 'create',
      resource: { resourceType: 'Patient', meta: { versionId: '99', lastUpdated: '1999-01-01T00:00:00Z' } },
    });
    expect(stored?.versionId).toBe('1');
    const meta = stored?.parse().meta;
    expect(meta?.versionId).toBe('1');
    expect(meta?.lastUpdated).toBe(stored?.lastUpdated.toISOString());
  });

  it('keeps the superseded version and answers the new one', async () => {
    await write({ kind: 'create', resource: patient('v', { active: true }) });
    await write({ kind: 'update', resource: patient('v', { active: false }), ifVersion: '1' });
    expect((await world.store.read('Patient', 'v'))?.parse<Patient>().active).toBe(false);
    expect((await world.store.readVersion('Patient', 'v', 1))?.parse<Patient>().active).toBe(true);
    const history = await world.store.readHistory('Patient', 'v', { count: 10, before: 1e9, since: null });
    expect(history.map((one) => [one.versionId, one.method])).toEqual([
      ['2', 'PUT'],
      ['1', 'POST'],
    ]);
  });

  it('says beside each version which one Patient it names, and re-indexing says it of rows that do not', async () => {
    const said = async () => {
      const text = `SELECT sole_patient AS sole, sole_patient_at = version AS holds FROM resource WHERE type = 'Observation' AND id = 'whose'`;
      return (await world.database.run({ text }))[0];
    };
    const observation = (subject: string, performer = subject): Observation & { id: string } => ({
      resourceType: 'Observation',
      id: 'whose',
      status: 'final',
      code: { text: 'x' },
      subject: { reference: subject },
      performer: [{ reference: performer }],
    });
    await write({ kind: 'create', resource: observation('Patient/a') });
    expect(await said()).toEqual({ sole: 'a', holds: true });
    await write({ kind: 'update', resource: observation('Patient/a', 'Patient/b') });
    expect(await said()).toEqual({ sole: null, holds: true });
    await write({ kind: 'update', resource: observation('Patient/b', 'Device/d') });
    expect(await said()).toEqual({ sole: 'b', holds: true });
    for (const before of ['sole_patient = NULL, sole_patient_at = NULL', 'sole_patient_at = 2']) {
      await world.database.run({ text: `UPDATE resource SET ${before} WHERE id = 'whose'` });
      const place = { type: 'Observation', after: 'whos', changedSince: null };
      await reindexPage(world.database, place, 'http://127.0.0.1:8080/fhir', async () => undefined);
      expect(await said()).toEqual({ sole: 'b', holds: true });
    }
  });

  it('refuses an update of a version that is no longer current', async () => {
    await write({ kind: 'create', resource: patient('stale') });
    await write({ kind: 'update', resource: patient('stale', { active: true }) });
    const late = write({ kind: 'update', resource: patient('stale'), ifVersion: '1' });
    await expect(late).rejects.toMatchObject({ code: 'fhir.version-conflict' });
  });

  it('lets one of many parallel updates of the same version win', async () => {
    await write({ kind: 'create', resource: patient('race') });
    const all = Array.from({ length: 20 }, (_, at) =>
      write({ kind: 'update', resource: patient('race', { multipleBirthInteger: at }), ifVersion: '1' }).then(
        () => 'won',
        (error: { code: string }) => error.code,
      ),
    );
    const ends = await Promise.all(all);
    expect(ends.filter((end) => end === 'won')).toHaveLength(1);
    expect(ends.filter((end) => end === 'fhir.version-conflict')).toHaveLength(19);
  });

  it('makes no new version when the content is the same and that is to be skipped', async () => {
    await write({ kind: 'create', resource: patient('same', { active: true, gender: 'female' }) });
    const again = { gender: 'female', active: true, ...patient('same') } as never;
    const [stored] = await write({ kind: 'update', resource: again, unchanged: 'skip' });
    expect(stored?.versionId).toBe('1');
    const [changed] = await write({ kind: 'update', resource: patient('same'), unchanged: 'skip' });
    expect(changed?.versionId).toBe('2');
  });

  it('writes a report with fifteen observations, task and provenance in one statement', async () => {
    const resources: Resource[] = [
      ...Array.from(
        { length: 15 },
        (_, at): Observation => ({
          resourceType: 'Observation',
          status: 'preliminary',
          code: { coding: [{ system: 'http://loinc.org', code: `c-${at}` }] },
          subject: { reference: 'Patient/many' },
          effectiveDateTime: '2024-03-01T10:00:00Z',
          valueQuantity: { value: at, system: 'http://unitsofmeasure.org', code: 'mm' },
        }),
      ),
      {
        resourceType: 'DiagnosticReport',
        status: 'preliminary',
        code: { text: 'Report' },
        subject: { reference: 'Patient/many' },
      },
      { resourceType: 'Task', status: 'requested', intent: 'order' },
      {
        resourceType: 'Provenance',
        target: [{ reference: 'Task/1' }],
        recorded: '2024-03-01T10:00:00Z',
        agent: [{ who: { display: 'x' } }],
      },
    ];
    let statements = 0;
    await world.database.transaction((tx) => {
      const counting: Transaction = {
        ...tx,
        run: (statement, values) => {
          statements += 1;
          return tx.run(statement, values);
        },
        later: (statement, values) => {
          statements += 1;
          tx.later?.(statement, values);
        },
      };
      return world.store.write(
        counting,
        resources.map((resource) => ({ kind: 'create', resource })),
      );
    });
    expect(statements).toBe(1);
    expect(await ids('Observation', 'patient=many')).toHaveLength(15);
    expect(await ids('Observation', 'patient=many&value-quantity=gt9||mm')).toHaveLength(5);
  });

  it('leaves the search rows of an update alone that changes none of them, and replaces those that it changes', async () => {
    const seen = (at: string, note: string) => ({
      resourceType: 'Observation' as const,
      id: 'digest',
      status: 'final' as const,
      code: { text: 'x' },
      effectiveDateTime: at,
      note: [{ text: note }],
    });
    const rows = () =>
      world.database.run<{ at: string; lo: Date }>({
        text: `SELECT ctid::text AS at, lo FROM search_date WHERE type = 'Observation' AND id = 'digest'`,
      });
    await write({ kind: 'create', resource: seen('2024-03-01', 'first') });
    const first = await rows();
    await write({ kind: 'update', resource: seen('2024-03-01', 'second') });
    expect(await rows()).toEqual(first);
    await write({ kind: 'update', resource: seen('2024-04-01', 'third') });
    expect((await rows()).map(({ lo }) => lo.toISOString())).toEqual(['2024-04-01T00:00:00.000Z']);
    expect(await ids('Observation', 'date=2024-03&_id=digest')).toEqual([]);
    await write({ kind: 'delete', type: 'Observation', id: 'digest' });
    expect(await rows()).toEqual([]);
    await write({ kind: 'update', resource: seen('2024-05-01', 'back') });
    expect(await ids('Observation', 'date=2024-05&_id=digest')).toEqual(['digest']);
  });

  it('tells listeners inside the transaction and rolls back with them', async () => {
    const heard: ResourceChange[] = [];
    const own = new ResourceStore(world.database, { baseUrl: 'http://127.0.0.1:8080' });
    own.onChange(async (tx, changes) => {
      heard.push(...changes);
      if (changes.some((change) => change.id === 'refused')) throw new Error('no');
      expect(await own.matches(tx, 'Patient', changes[0]?.id ?? '', 'active=true')).toBe(true);
      expect(await own.matches(tx, 'Patient', changes[0]?.id ?? '', 'active=false')).toBe(false);
    });
    await world.database.transaction((tx) =>
      own.write(tx, [{ kind: 'create', resource: patient('heard', { active: true }) }]),
    );
    expect(heard).toMatchObject([{ type: 'Patient', id: 'heard', versionId: '1', interaction: 'create' }]);
    const refused = world.database.transaction((tx) =>
      own.write(tx, [{ kind: 'create', resource: patient('refused') }]),
    );
    await expect(refused).rejects.toThrow('no');
    expect(await world.store.read('Patient', 'refused')).toBeNull();
  });

  it('hides a deleted resource from searches and keeps its history', async () => {
    await write({ kind: 'create', resource: patient('gone') });
    await write({ kind: 'delete', type: 'Patient', id: 'gone' });
    expect(await ids('Patient', 'identifier=urn:mrn|mrn-gone')).toEqual([]);
    expect((await world.store.read('Patient', 'gone'))?.deleted).toBe(true);
    const [again] = await write({ kind: 'delete', type: 'Patient', id: 'gone' });
    expect(again?.versionId).toBe('2');
    const [back] = await write({ kind: 'update', resource: patient('gone') });
    expect(back?.versionId).toBe('3');
  });

  it('keeps decimals as they were written, through reading and writing back', async () => {
    const text = `{"resourceType":"Observation","id":"decimal","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}`;
    await write({ kind: 'create', resource: parseJson(text) as Resource });
    const stored = await world.store.read('Observation', 'decimal');
    expect(stored?.json).toContain('"value":1.10}');
    const changed = { ...stored?.parse<Observation>(), status: 'amended' } as Observation & { id: string };
    const [next] = await write({ kind: 'update', resource: changed });
    expect(next?.json).toContain('"value":1.10}');
  });

  it('refuses to change the same resource twice in one write', async () => {
    const twice = write(
      { kind: 'update', resource: patient('twice') },
      { kind: 'delete', type: 'Patient', id: 'twice' },
    );
    await expect(twice).rejects.toMatchObject({ code: 'fhir.invalid' });
  });

  it('finds resources of several types by any of several identifiers at once, deleted and foreign ones left out', async () => {
    const identifier = [{ system: 'urn:many', value: '1' }, { value: 'bare' }];
    await write({ kind: 'create', resource: patient('many-1', { identifier }) });
    await write({
      kind: 'create',
      resource: patient('many-2', { identifier: [{ system: 'urn:many', value: '2' }] }),
    });
    await write({
      kind: 'create',
      resource: patient('many-gone', { identifier: [{ system: 'urn:many', value: '3' }] }),
    });
    await write({ kind: 'delete', type: 'Patient', id: 'many-gone' });
    const find = async (...wanted: [string, string, string][]) =>
      (await world.store.findByIdentifiers(wanted.map(([type, system, value]) => ({ type, system, value }))))
        .map((one) => one.id)
        .sort();
    const all: [string, string, string][] = ['1', '2', '3', '4'].map((value) => [
      'Patient',
      'urn:many',
      value,
    ]);
    expect(await find(...all)).toEqual(['many-1', 'many-2']);
    expect(await find(['Patient', '', 'bare'])).toEqual(['many-1']);
    expect(await find(['Encounter', 'urn:many', '1'], ['Patient', 'urn:other', '1'])).toEqual([]);
    expect(await find()).toEqual([]);
  });

  it('finds by identifier even when it holds commas and bars', async () => {
    await write({
      kind: 'create',
      resource: patient('odd', { identifier: [{ system: 'urn:odd', value: 'a,b$c"d' }] }),
    });
    expect(
      (await world.store.findByIdentifier('Patient', 'urn:odd', 'a,b$c"d')).map((one) => one.id),
    ).toEqual(['odd']);
  });
});
