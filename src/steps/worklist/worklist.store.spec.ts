import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../../../test/database.ts';
import { analysisResources, type RecordOptions } from '../../../test/worklist/records.ts';
import { writeAll } from '../../../test/worklist/server.ts';
import { accessOfScopes, FULL_ACCESS } from '../../fhir/access-context.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { ROWS_MAX, WorklistStore } from './worklist.store.ts';

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]).toString('base64');
const STARTED = new Date('2026-03-01T08:00:00Z');

describe('worklist rows out of the FHIR record', () => {
  let fresh: FreshDatabase;
  let resources: ResourceStore;
  let store: WorklistStore;

  beforeAll(async () => {
    await loadDefinitions();
    fresh = await freshDatabase();
    resources = new ResourceStore(fresh.database, { baseUrl: 'http://127.0.0.1' });
    store = new WorklistStore(fresh.database);
  });
  afterAll(() => fresh.close());
  beforeEach(() => fresh.database.run({ text: 'TRUNCATE resource, resource_version' }));

  const write = (...records: RecordOptions[]) =>
    writeAll(fresh.database, resources, records.flatMap(analysisResources));

  test('one row has all that the record says, joined from seven types', async () => {
    await write({
      id: 'a',
      family: 'Okafor',
      birthDate: '1997-03-11',
      started: STARTED,
      priority: 'urgent',
      exam: 'XR Chest',
      picture: PNG,
      warnings: ['view: observed none; required PA or AP'],
      findings: [
        { label: 'Pneumothorax', presence: 'present', score: 0.91, threshold: 0.5, actionable: 1 },
        { label: 'Mass', presence: 'absent', score: 0.1, threshold: 0.5 },
      ],
    });
    const { rows, more } = await store.rows(FULL_ACCESS);
    expect(more).toBe(false);
    expect(rows).toMatchObject([
      {
        id: 'a',
        status: 'preliminary',
        patient: { name: 'Okafor, Person', mrn: 'M-a', age: '28 y' },
        order: { matched: true, accession: 'A-a', priority: 'urgent' },
        model: { id: 'cxr-densenet-all', version: '1.5.2' },
        findings: [
          { label: 'Pneumothorax', presence: 'present', score: 0.91, threshold: 0.5, actionable: 1 },
          { label: 'Mass', presence: 'absent' },
        ],
        warnings: [{ rule: 'view', observed: 'none', required: 'PA or AP' }],
        picture: { id: 'a-b' },
      },
    ]);
  });

  test('an order that is matched to the study after the analysis is shown as matched', async () => {
    await write({ id: 'a', started: STARTED, priority: null });
    const all = analysisResources({ id: 'a', started: STARTED, priority: 'stat' });
    const late = all.filter(
      ({ resourceType }) => resourceType === 'ImagingStudy' || resourceType === 'ServiceRequest',
    );
    await writeAll(fresh.database, resources, late);
    expect((await store.rows(FULL_ACCESS)).rows[0]?.order).toMatchObject({ matched: true, priority: 'stat' });
  });

  test('other Tasks, deleted Tasks and text that looks like a reference make no row and join nothing', async () => {
    await write({ id: 'a', started: STARTED });
    await write({ id: 'b', started: STARTED, stage: '"reference":"Patient/a-p"' });
    await writeAll(fresh.database, resources, [
      {
        resourceType: 'Task',
        id: 'other',
        status: 'requested',
        intent: 'order',
        code: { coding: [{ system: 'x', code: 'analysis' }] },
      },
    ]);
    await fresh.database.transaction((tx) =>
      resources.write(tx, [{ kind: 'delete', type: 'Task', id: 'a' }]),
    );
    const { rows } = await store.rows(FULL_ACCESS);
    expect(rows.map((row) => [row.id, row.patient.id])).toEqual([['b', 'b-p']]);
  });

  test('the list ends at its limit and says that there is more', async () => {
    const one = analysisResources({ id: 'x', started: STARTED, status: 'requested', priority: null }).at(-1);
    const tasks = Array.from(
      { length: ROWS_MAX + 1 },
      (_, i) => ({ ...one, id: `t${i}` }) as NonNullable<typeof one>,
    );
    await writeAll(fresh.database, resources, tasks);
    const { rows, more } = await store.rows(FULL_ACCESS);
    expect([rows.length, more]).toEqual([ROWS_MAX, true]);
  });

  test('a picture is given out only when it is a PNG', async () => {
    await write({ id: 'a', started: STARTED, picture: PNG });
    await write({ id: 'b', started: STARTED, picture: Buffer.from('<svg onload="x">').toString('base64') });
    await write({ id: 'c', started: STARTED });
    expect(await store.picture(FULL_ACCESS, 'a')).toEqual(Buffer.from(PNG, 'base64'));
    expect(await store.picture(FULL_ACCESS, 'b')).toBeNull();
    expect(await store.picture(FULL_ACCESS, 'c')).toBeNull();
    expect(await store.picture(FULL_ACCESS, "a' OR true --")).toBeNull();
  });

  test('who may not read everything a row is made of gets no row at all', async () => {
    await write({ id: 'a', started: STARTED, picture: PNG });
    const all = ['Patient', 'ImagingStudy', 'ServiceRequest', 'DiagnosticReport', 'Observation', 'Media'];
    const scopes = (types: readonly string[]) =>
      ['system/Task.rs', ...types.map((type) => `system/${type}.r`)].join(' ');
    expect((await store.rows(accessOfScopes(scopes(all)))).rows).toHaveLength(1);
    for (const missing of all) {
      const access = accessOfScopes(scopes(all.filter((type) => type !== missing)));
      await expect(store.rows(access)).rejects.toMatchObject({ code: 'auth.scope' });
    }
    await expect(store.picture(accessOfScopes(scopes(all)), 'a')).rejects.toMatchObject({
      code: 'auth.scope',
    });
  });

  test('a condition of the caller is kept in every part of the statement', async () => {
    await write({ id: 'a', started: STARTED, picture: PNG }, { id: 'b', started: STARTED, picture: PNG });
    const onlyA = {
      allows: () => true,
      condition: (
        _type: string,
        _interaction: string,
        alias: string,
        parameters: { add(value: unknown): string },
      ) => `left(${alias}.id, 1) = ${parameters.add('a')}`,
    };
    expect(store.seesAll(onlyA)).toBe(false);
    expect((await store.rows(onlyA)).rows.map((row) => [row.id, row.patient.id])).toEqual([['a', 'a-p']]);
    expect(await store.rowsOf(onlyA, ['b'])).toEqual([]);
    expect(await store.picture(onlyA, 'b')).toBeNull();
    expect(await store.picture(onlyA, 'a')).not.toBeNull();
  });
});
