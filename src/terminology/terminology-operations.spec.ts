import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bundle, OperationOutcome, Parameters, Resource, ValueSet } from '@medplum/fhirtypes';
import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANIMALS, propertiesOf, SCT, SYSTEM, set, VALUE_SETS, valuesOf } from '../../test/animals.ts';
import { freshDatabase } from '../../test/database.ts';
import { SETTINGS } from '../config/settings.token.ts';
import { Database } from '../database/database.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { OutcomeFilter } from '../fhir/outcome.filter.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { registeredTerminology } from '../fhir/terminology-registry.ts';
import { makeRf2 } from './fixtures/make-rf2.ts';
import { detectFormat } from './load/detect-format.ts';
import { importTerminology } from './load/import-terminology.ts';
import { sourceFiles } from './load/source-files.ts';
import { TerminologyModule } from './terminology.module.ts';

let app: NestFastifyApplication;
let close: () => Promise<void>;
let folder: string;
let sct: Awaited<ReturnType<typeof makeRf2>>;

beforeAll(async () => {
  const fresh = await freshDatabase();
  close = fresh.close;
  @Global()
  @Module({
    providers: [
      { provide: Database, useValue: fresh.database },
      { provide: SETTINGS, useValue: { baseUrl: 'http://127.0.0.1:8080', SNOMED_LICENSED: 'no' } },
    ],
    exports: [Database, SETTINGS],
  })
  class Surroundings {}
  @Module({ imports: [Surroundings, FhirModule, TerminologyModule] })
  class TestApp {}
  app = await NestFactory.create<NestFastifyApplication>(TestApp, new FastifyAdapter(), {
    logger: ['error'],
  });
  app.useGlobalFilters(new OutcomeFilter({ error: () => undefined }));
  // Stands for the token check: the scope comes in a header of its own.
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', async (request) => {
      const scope = String(request.headers['x-scope'] ?? 'system/*.cruds');
      const [context = '', type = '', permissions = ''] = scope.split(/[/.]/);
      Object.assign(request, { grant: { scopes: [{ context, type, permissions }] } });
    });
  await app.init();
  await app.getHttpAdapter().getInstance().ready();
  folder = await mkdtemp(join(tmpdir(), 'terminology-'));
  sct = await makeRf2(folder, 2_000);
  const to = { database: fresh.database, store: app.get(ResourceStore) };
  await importTerminology(await detectFormat(await sourceFiles(folder)), to);
  await put(ANIMALS);
  for (const valueSet of VALUE_SETS) await put(valueSet as ValueSet);
});
afterAll(async () => {
  await app.close();
  await close();
  await rm(folder, { recursive: true, force: true });
});

const FHIR = { 'content-type': 'application/fhir+json' };

async function put(resource: Resource): Promise<void> {
  const url = `/fhir/${resource.resourceType}/${resource.id}`;
  const answer = await app.inject({ method: 'PUT', url, headers: FHIR, payload: JSON.stringify(resource) });
  expect(answer.statusCode, answer.body).toBe(201);
}

async function get<T = Parameters>(
  path: string,
  scope = 'system/*.cruds',
): Promise<{ status: number; body: T }> {
  const answer = await app.inject({ method: 'GET', url: `/fhir/${path}`, headers: { 'x-scope': scope } });
  return { status: answer.statusCode, body: answer.json() };
}

async function post<T = Parameters>(
  path: string,
  parameter: unknown[],
): Promise<{ status: number; body: T }> {
  const payload = JSON.stringify({ resourceType: 'Parameters', parameter });
  const answer = await app.inject({ method: 'POST', url: `/fhir/${path}`, headers: FHIR, payload });
  return { status: answer.statusCode, body: answer.json() };
}

const q = encodeURIComponent;

describe('CodeSystem/$lookup', () => {
  it('gives names, properties, parents and children of a concept in a resource', async () => {
    const { status, body } = await get(`CodeSystem/$lookup?system=${q(SYSTEM)}&code=dog&displayLanguage=de`);
    expect(status).toBe(200);
    expect(valuesOf(body)).toMatchObject({ name: 'Animals', version: '2', display: 'Hund' });
    expect(propertiesOf(body)).toEqual([
      ['definition', 'Barks.'],
      ['inactive', false],
      ['legs', 4],
      ['parent', 'mammal'],
    ]);
  });

  it('answers for an imported code system, only the properties asked for', async () => {
    const system = { name: 'coding', valueCoding: { system: SCT, code: sct.code(300) } };
    const { body } = await post('CodeSystem/$lookup', [system, { name: 'property', valueCode: 'parent' }]);
    expect(valuesOf(body)).toMatchObject({ name: 'SNOMED_CT', display: sct.term(300) });
    expect(
      propertiesOf(body)
        .map(([, value]) => value)
        .sort(),
    ).toEqual(sct.parentsOf(300).map(sct.code).sort());
  });

  it('answers for a code system that R4 publishes', async () => {
    const { body } = await get(
      `CodeSystem/$lookup?system=${q('http://hl7.org/fhir/administrative-gender')}&code=female`,
    );
    expect(valuesOf(body)['display']).toBe('Female');
  });

  it.each([
    ['code=dog', 400],
    [`system=${q(SYSTEM)}&code=nothing`, 404],
    [`system=${q('http://not.here')}&code=dog`, 404],
    [`system=${q(SYSTEM)}&version=9&code=dog`, 404],
    [`system=${q(SYSTEM)}&code=dog&bogus=1`, 400],
    [`system=${q(SYSTEM)}`, 400],
    [`system=${q(SYSTEM)}&code=${'x'.repeat(3_000)}`, 400],
    [`system=${q("http://x' OR 1=1 --")}&code=dog`, 404],
    [`system=${q('http://a|b,c\\d$e')}&code=dog`, 404],
  ])('refuses %s with an OperationOutcome', async (query, expected) => {
    const { status, body } = await get<OperationOutcome>(`CodeSystem/$lookup?${query}`);
    expect(status).toBe(expected);
    expect(body.resourceType).toBe('OperationOutcome');
  });

  it('is refused without a scope for CodeSystem', async () => {
    const path = `CodeSystem/$lookup?system=${q(SYSTEM)}&code=dog`;
    expect((await get(path, 'system/Patient.cruds')).status).toBe(403);
  });
});

describe('$validate-code', () => {
  const asked = async (path: string) => valuesOf((await get(path)).body);

  it('of a code system says whether code and display are good', async () => {
    const base = `CodeSystem/$validate-code?url=${q(SYSTEM)}`;
    expect(await asked(`${base}&code=dog`)).toEqual({ result: true, display: 'Dog' });
    expect(await asked(`${base}&code=dog&display=hund`)).toMatchObject({ result: true });
    expect(await asked(`${base}&code=dog&display=Cat`)).toMatchObject({ result: false, display: 'Dog' });
    expect(await asked(`${base}&code=unicorn`)).toMatchObject({ result: false });
    expect(await asked(`${base}&code=DOG`)).toMatchObject({ result: false });
    expect(await asked('CodeSystem/animals/$validate-code?code=dog')).toMatchObject({ result: true });
    expect(await asked(`CodeSystem/$validate-code?url=${q(SCT)}&code=${sct.code(7)}`)).toMatchObject({
      result: true,
    });
  });

  it('of a value set says whether the code is in it, abstract codes as asked', async () => {
    const base = 'ValueSet/mammals/$validate-code?system=http://example.org/animals';
    expect(await asked(`${base}&code=dog`)).toMatchObject({ result: true });
    expect(await asked(`${base}&code=plant`)).toMatchObject({ result: false });
    const all = `ValueSet/all/$validate-code?system=${q(SYSTEM)}&code=animal`;
    expect(await asked(all)).toMatchObject({ result: true });
    expect(await asked(`${all}&abstract=false`)).toMatchObject({ result: false });
    const implicit = q(`${SCT}?fhir_vs=isa/${sct.code(2)}`);
    const inSct = `ValueSet/$validate-code?url=${implicit}&system=${q(SCT)}&code=`;
    expect(await asked(`${inSct}${sct.code(9)}`)).toMatchObject({ result: true });
    expect(await asked(`${inSct}${sct.code(1)}`)).toMatchObject({ result: false });
    const gender = `ValueSet/$validate-code?url=${q('http://hl7.org/fhir/ValueSet/administrative-gender')}&code=`;
    expect(await asked(`${gender}female`)).toMatchObject({ result: true });
    expect(await asked(`${gender}femail`)).toMatchObject({ result: false });
  });

  it('of a CodeableConcept is good when one coding is', async () => {
    const concept = {
      coding: [
        { system: 'http://not.here', code: '1' },
        { system: SYSTEM, code: 'whale' },
      ],
    };
    const parameter = { name: 'codeableConcept', valueCodeableConcept: concept };
    const { body } = await post('ValueSet/mammals/$validate-code', [parameter]);
    expect(valuesOf(body)).toMatchObject({ result: true, display: 'Whale' });
  });

  it('takes the display of the value set for right, and that of the code system', async () => {
    const base = `ValueSet/listed/$validate-code?system=${q(SYSTEM)}&code=dog&display=`;
    expect(await asked(`${base}Good%20dog`)).toMatchObject({ result: true, display: 'Good dog' });
    expect(await asked(`${base}Dog`)).toMatchObject({ result: true });
    expect(await asked(`${base}Wolf`)).toMatchObject({ result: false });
  });

  it('needs exactly one way of naming the code', async () => {
    expect((await get('ValueSet/all/$validate-code')).status).toBe(400);
    expect((await get('ValueSet/$validate-code?code=dog')).status).toBe(400);
  });
});

describe('ValueSet/$expand', () => {
  const expansion = async (path: string) => {
    const { status, body } = await get<ValueSet>(path);
    expect(status, JSON.stringify(body)).toBe(200);
    return body.expansion;
  };
  const codes = async (path: string) => (await expansion(path))?.contains?.map(({ code }) => code) ?? [];

  it.each([
    ['all', ['animal', 'mammal', 'dog', 'whale', 'dodo', 'plant']],
    ['mammals', ['mammal', 'dog', 'whale']],
    ['below', ['mammal', 'dog', 'dodo']],
    ['four', ['dog']],
    ['both', ['dog']],
    ['listed', ['x', 'y', 'dog']],
    ['good-regex', ['dog', 'dodo']],
  ])('puts %s together', async (id, expected) => {
    expect(await codes(`ValueSet/${id}/$expand`)).toEqual(expected);
    expect(await codes(`ValueSet/$expand?url=${q(`http://example.org/vs/${id}`)}`)).toEqual(expected);
  });

  it('narrows by text, state and what a user may choose', async () => {
    expect(await codes('ValueSet/all/$expand?filter=do')).toEqual(['dog', 'dodo']);
    expect(await codes('ValueSet/all/$expand?filter=HUND')).toEqual(['dog']);
    expect(await codes('ValueSet/all/$expand?filter=%25')).toEqual([]);
    expect(await codes('ValueSet/all/$expand?activeOnly=true&filter=do')).toEqual(['dog']);
    expect(await codes('ValueSet/all/$expand?excludeNotForUI=true')).not.toContain('animal');
    expect((await expansion('ValueSet/all/$expand'))?.contains?.[0]).toMatchObject({
      abstract: true,
      version: '2',
    });
    expect((await expansion('ValueSet/all/$expand'))?.contains?.[4]).toMatchObject({ inactive: true });
  });

  it('pages through a large set without a gap, and refuses it without count', async () => {
    const refused = await get<OperationOutcome>('ValueSet/sct/$expand');
    expect(refused.status).toBe(413);
    expect(refused.body.issue[0]?.code).toBe('too-costly');
    const seen = new Set<string>();
    for (let offset = 0; offset < 2_000; offset += 300) {
      const page = await expansion(`ValueSet/sct/$expand?count=300&offset=${offset}`);
      expect(page).toMatchObject({ total: 2_000, offset });
      for (const { code } of page?.contains ?? []) seen.add(code ?? '');
    }
    expect(seen.size).toBe(2_000);
    expect(await expansion('ValueSet/sct/$expand?count=0')).toMatchObject({ total: 2_000 });
    expect((await expansion('ValueSet/sct/$expand?count=0'))?.contains).toBeUndefined();
  });

  it('searches an imported code system, within a part of its hierarchy too', async () => {
    const found = await expansion(
      `ValueSet/$expand?url=${q(`${SCT}?fhir_vs=isa/${sct.code(1)}`)}&filter=nod&count=50&includeDesignations=true`,
    );
    for (const { display, designation } of found?.contains ?? [])
      expect([display, ...(designation ?? []).map(({ value }) => value)].join(' ')).toMatch(/\bnod/);
    const all = await expansion(`ValueSet/$expand?url=${q(`${SCT}?fhir_vs`)}&filter=nod&count=0`);
    expect(found?.total).toBeGreaterThan(0);
    expect(found?.total).toBeLessThan(all?.total ?? 0);
  });

  it('gives designations, languages, an identifier and a time', async () => {
    const answer = await expansion('ValueSet/four/$expand?includeDesignations=true&displayLanguage=de');
    expect(answer?.contains).toMatchObject([
      { display: 'Hund', designation: [{ language: 'de', value: 'Hund' }] },
    ]);
    expect(answer?.identifier).toMatch(/^urn:uuid:/);
    expect(answer?.timestamp).toBeTruthy();
  });

  it('takes a value set that comes with the request', async () => {
    const resource = set('inline', { include: [{ system: SYSTEM, concept: [{ code: 'dog' }] }] });
    const { body } = await post<ValueSet>('ValueSet/$expand', [{ name: 'valueSet', resource }]);
    expect(body.expansion?.contains).toMatchObject([{ code: 'dog', display: 'Dog' }]);
  });

  it.each([
    ['loop', 400, 'invalid'],
    ['unknown-system', 404, 'not-found'],
    ['bad-regex', 400, 'not-supported'],
    ['no-property', 400, 'not-supported'],
    ['nothing', 404, 'not-found'],
  ])('refuses %s', async (id, expected, code) => {
    const { status, body } = await get<OperationOutcome>(`ValueSet/${id}/$expand`);
    expect([status, body.issue[0]?.code]).toEqual([expected, code]);
  });

  it.each(['count=-1', 'count=many', 'offset=1.5', 'activeOnly=perhaps', 'context=x'])(
    'refuses ?%s',
    async (query) => {
      expect((await get(`ValueSet/all/$expand?${query}`)).status).toBe(400);
    },
  );
});

describe('CodeSystem/$subsumes', () => {
  const outcome = async (path: string) => valuesOf((await get(path)).body)['outcome'];

  it('tells the four relations, on the type and on a CodeSystem', async () => {
    const base = `CodeSystem/$subsumes?system=${q(SYSTEM)}`;
    expect(await outcome(`${base}&codeA=mammal&codeB=dog`)).toBe('subsumes');
    expect(await outcome(`${base}&codeA=dog&codeB=animal`)).toBe('subsumed-by');
    expect(await outcome(`${base}&codeA=dog&codeB=dog`)).toBe('equivalent');
    expect(await outcome('CodeSystem/animals/$subsumes?codeA=dog&codeB=plant')).toBe('not-subsumed');
    const sctBase = `CodeSystem/$subsumes?system=${q(SCT)}`;
    expect(await outcome(`${sctBase}&codeA=${sct.root}&codeB=${sct.code(1_234)}`)).toBe('subsumes');
  });

  it('refuses a code that is not there and codes of two systems', async () => {
    expect((await get(`CodeSystem/$subsumes?system=${q(SYSTEM)}&codeA=dog&codeB=nix`)).status).toBe(404);
    expect((await get(`CodeSystem/$subsumes?codeA=dog&codeB=dog`)).status).toBe(400);
    const coding = (name: string, system: string) => ({ name, valueCoding: { system, code: 'dog' } });
    const mixed = [coding('codingA', SYSTEM), coding('codingB', SCT)];
    expect((await post('CodeSystem/$subsumes', mixed)).status).toBe(400);
  });
});

describe('ConceptMap/$translate', () => {
  const FINDING = 'https://prelim.example/fhir/CodeSystem/finding';
  const matches = (body: Parameters) =>
    (body.parameter ?? [])
      .filter(({ name }) => name === 'match')
      .map(({ part }) => valuesOf({ resourceType: 'Parameters', parameter: part ?? [] }));

  it('translates by every active map, with the grade of each match', async () => {
    const { body } = await get(
      `ConceptMap/$translate?system=${q(FINDING)}&code=lung-nodule&targetsystem=${q(SCT)}`,
    );
    expect(valuesOf(body)['result']).toBe(true);
    expect(matches(body)).toMatchObject([
      { equivalence: 'narrower', concept: { system: SCT, code: '427359005' } },
    ]);
  });

  it('turns the direction and the grade round with reverse', async () => {
    const { body } = await get(`ConceptMap/$translate?system=${q(SCT)}&code=427359005&reverse=true`);
    expect(matches(body)).toMatchObject([
      { equivalence: 'wider', concept: { system: FINDING, code: 'lung-nodule' } },
    ]);
  });

  it('says that there is no counterpart where a map says so', async () => {
    const { body } = await get(
      `ConceptMap/finding-to-radlex/$translate?system=${q(FINDING)}&code=cardiomegaly`,
    );
    expect(valuesOf(body)).toMatchObject({ result: false });
    expect(matches(body)).toMatchObject([{ equivalence: 'unmatched' }]);
  });

  it('follows unmapped codes to a fixed code and to another map', async () => {
    const map = (id: string, unmapped: object) => ({
      resourceType: 'ConceptMap',
      id,
      url: `http://example.org/map/${id}`,
      status: 'draft',
      group: [{ source: SYSTEM, target: 'http://example.org/t', element: [{ code: 'dog' }], unmapped }],
    });
    await put(map('fixed', { mode: 'fixed', code: 'other' }) as Resource);
    await put(map('first', { mode: 'other-map', url: 'http://example.org/map/fixed' }) as Resource);
    await put(map('round', { mode: 'other-map', url: 'http://example.org/map/round' }) as Resource);
    const asked = (id: string) => get(`ConceptMap/${id}/$translate?system=${q(SYSTEM)}&code=whale`);
    expect(matches((await asked('first')).body)).toMatchObject([
      { equivalence: 'inexact', concept: { code: 'other' } },
    ]);
    expect((await asked('round')).status).toBe(400);
  });

  it('refuses a map that is not here and a code without a system', async () => {
    expect((await get(`ConceptMap/$translate?url=http://no.map&system=${q(SYSTEM)}&code=dog`)).status).toBe(
      404,
    );
    expect((await get('ConceptMap/$translate?code=dog')).status).toBe(400);
  });
});

describe('a search', () => {
  it('finds by value set and by hierarchy', async () => {
    for (const code of ['dog', 'whale', 'plant'])
      await put({
        resourceType: 'Observation',
        id: code,
        status: 'final',
        code: { coding: [{ system: SYSTEM, code }] },
      });
    const ids = async (query: string) =>
      ((await get<Bundle>(`Observation?${query}`)).body.entry ?? [])
        .map(({ resource }) => resource?.id)
        .sort();
    expect(await ids('code:in=http://example.org/vs/mammals')).toEqual(['dog', 'whale']);
    expect(await ids(`code:below=${SYSTEM}|animal`)).toEqual(['dog', 'whale']);
    expect(await ids(`code:below=${SYSTEM}|dog`)).toEqual(['dog']);
    expect(await ids('code:not-in=http://example.org/vs/mammals')).toEqual(['plant']);
  });
});

describe('what search asks of terminology', () => {
  it('is answered for value sets and hierarchies', async () => {
    const terminology = registeredTerminology();
    const sql = app.get(Database);
    const codes = async (answer: Promise<readonly { code: string }[] | null> | undefined) =>
      (await answer)?.map(({ code }) => code);
    expect(await codes(terminology?.membersOf('ValueSet/mammals', 10, sql))).toEqual([
      'mammal',
      'dog',
      'whale',
    ]);
    expect(await codes(terminology?.membersOf('http://example.org/vs/both', 10, sql))).toEqual(['dog']);
    expect(await terminology?.membersOf('http://example.org/vs/sct', 10, sql)).toHaveLength(11);
    expect(await terminology?.membersOf('http://nothing', 10, sql)).toBeNull();
    expect(await codes(terminology?.below({ system: SYSTEM, code: 'mammal' }, 10, sql))).toEqual([
      'mammal',
      'dog',
      'whale',
    ]);
    expect(await codes(terminology?.above({ system: SYSTEM, code: 'dog' }, 10, sql))).toEqual([
      'dog',
      'animal',
      'mammal',
    ]);
    expect(await terminology?.below({ system: SYSTEM, code: 'nix' }, 10, sql)).toBeNull();
  });
});
