import type { ConceptMap } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../test/database.ts';
import type { Database } from '../database/database.ts';
import { loadDefinitions } from '../fhir/definitions/definitions.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { CODE_SYSTEMS } from '../kernel/code-systems.ts';
import { ConceptMaps } from './concept-maps.ts';
import { keepTerminology } from './keep-terminology.ts';

const { finding, sct, radlex, dcm } = CODE_SYSTEMS;

const siteMap = (code: string, equivalence: string, status = 'active'): ConceptMap & { id: string } =>
  ({
    resourceType: 'ConceptMap',
    id: 'site',
    url: 'https://site.example/map',
    status,
    group: [
      { source: finding, target: sct, element: [{ code: 'consolidation', target: [{ code, equivalence }] }] },
    ],
  }) as ConceptMap & { id: string };

describe('translate', () => {
  it('gives the code with its match grade', () => {
    const maps = ConceptMaps.shipped();
    expect(maps.translate(finding, 'pneumothorax', sct)).toEqual({
      system: sct,
      code: '36118008',
      display: 'Pneumothorax',
      match: 'exact',
    });
    expect(maps.translate(finding, 'lung-nodule', sct)).toMatchObject({
      code: '427359005',
      match: 'narrower',
    });
    expect(maps.translate(finding, 'intracranial-haemorrhage', radlex)).toMatchObject({ match: 'broader' });
    expect(maps.translate(finding, 'mean-lung-density', dcm)).toMatchObject({
      code: '112181',
      match: 'broader',
    });
  });

  it('says none, and never guesses, for unmatched rows, unknown keys and unknown systems', () => {
    const maps = ConceptMaps.shipped();
    for (const [key, system] of [
      ['cardiomegaly', radlex],
      ['laa-950', sct],
      ['no-such-key', sct],
      ['pneumothorax', 'http://unknown.example'],
      ['__proto__', sct],
    ] as const) {
      expect(maps.translate(finding, key, system)).toEqual({
        system,
        code: null,
        display: null,
        match: 'none',
      });
    }
  });

  it('gives one answer per target system, nones included', () => {
    const codes = ConceptMaps.shipped().codesOf(finding, 'cardiomegaly');
    expect(codes.map(({ system, match }) => [system, match])).toEqual([
      [sct, 'exact'],
      [radlex, 'none'],
      [dcm, 'none'],
    ]);
  });

  it('uses licensed rows only where they are switched on', () => {
    expect(ConceptMaps.shipped().translate(finding, 'consolidation', sct).code).toBeNull();
    const licensed = ConceptMaps.shipped({ licensed: true });
    expect(licensed.translate(finding, 'consolidation', sct)).toMatchObject({
      code: '95436008',
      match: 'exact',
    });
  });
});

describe('a map edited by the site', () => {
  it('counts from then on, and not any more when it is retired or removed', () => {
    const maps = ConceptMaps.shipped();
    maps.put(siteMap('1', 'wider'));
    expect(maps.translate(finding, 'consolidation', sct)).toMatchObject({ code: '1', match: 'broader' });
    maps.put(siteMap('1', 'wider', 'retired'));
    expect(maps.translate(finding, 'consolidation', sct).code).toBeNull();
    maps.put(siteMap('2', 'equal'));
    maps.remove('site');
    expect(maps.translate(finding, 'consolidation', sct).code).toBeNull();
  });

  it('gives no code where the equivalence does not say how far it is off', () => {
    const maps = ConceptMaps.shipped();
    for (const equivalence of ['inexact', 'relatedto', 'disjoint', 'nonsense']) {
      maps.put(siteMap('1', equivalence));
      expect(maps.translate(finding, 'consolidation', sct).match, equivalence).toBe('none');
    }
  });
});

describe('the maps in the FHIR store', () => {
  let database: Database;
  let store: ResourceStore;
  let close: () => Promise<void>;
  beforeAll(async () => {
    ({ database, close } = await freshDatabase());
    await loadDefinitions();
    store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  });
  afterAll(() => close());

  it('are written at the first start and left alone at the second, with what the site has changed', async () => {
    await keepTerminology(store, database, ConceptMaps.shipped());
    const kept = await store.read('ConceptMap', 'finding-to-sct');
    const map = structuredClone(kept?.parse<ConceptMap>()) as ConceptMap & { id: string };
    const row = map.group?.[0]?.element?.find(({ code }) => code === 'consolidation');
    if (row !== undefined) row.target = [{ code: '77', equivalence: 'equivalent' }];
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: map }]));

    const restarted = ConceptMaps.shipped();
    await keepTerminology(store, database, restarted);
    expect((await store.read('ConceptMap', 'finding-to-sct'))?.versionId).toBe('2');
    expect((await store.read('CodeSystem', 'finding'))?.versionId).toBe('1');
    expect(restarted.translate(finding, 'consolidation', sct).code).toBe('77');
  });

  it('take effect with the commit of an edit, and not with a rollback', async () => {
    const maps = ConceptMaps.shipped();
    await keepTerminology(store, database, maps);
    const resource = siteMap('88', 'equivalent');
    const broken = database.transaction(async (tx) => {
      await store.write(tx, [{ kind: 'update', resource }]);
      throw new Error('rolled back');
    });
    await expect(broken).rejects.toThrow('rolled back');
    expect(maps.translate(finding, 'consolidation', sct).code).toBe('77');
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }]));
    expect(maps.translate(finding, 'consolidation', sct).code).toBe('88');
    await database.transaction((tx) => store.write(tx, [{ kind: 'delete', type: 'ConceptMap', id: 'site' }]));
    expect(maps.translate(finding, 'consolidation', sct).code).toBe('77');
  });
});
