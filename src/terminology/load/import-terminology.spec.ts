import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { CodeSystem } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { makeRf2 } from '../fixtures/make-rf2.ts';
import { zipBytes } from '../fixtures/zip-bytes.ts';
import { ConceptStore } from '../systems/concept.store.ts';
import { StoredCodeSystem } from '../systems/stored-code-system.ts';
import { detectFormat } from './detect-format.ts';
import { Hierarchy } from './hierarchy.ts';
import { type Imported, importTerminology } from './import-terminology.ts';
import { readFhirJson } from './read-fhir-json.ts';
import { removeTerminology } from './remove-terminology.ts';
import { type SourceFile, sourceFiles } from './source-files.ts';
import type { ReadTerminology } from './staging.ts';

let folder: string;
let database: Database;
let store: ResourceStore;
let close: () => Promise<void>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'terminology-'));
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
});
afterAll(async () => {
  await close();
  await rm(folder, { recursive: true, force: true });
});

const load = async (path: string): Promise<Imported> =>
  importTerminology(await detectFormat(await sourceFiles(path)), { database, store });

const write = async (name: string, content: string): Promise<string> => {
  await writeFile(join(folder, name), content);
  return join(folder, name);
};

async function viewOf(url: string, version: string | null = null): Promise<StoredCodeSystem> {
  const concepts = new ConceptStore(database);
  const system = await concepts.system(url, version);
  if (!system) throw new Error('It was not imported.');
  return new StoredCodeSystem(concepts, system, 'test');
}

async function concept(view: StoredCodeSystem, code: string) {
  const found = (await view.find([code])).get(code);
  if (!found) throw new Error(`There is no ${code}.`);
  return found;
}

async function codesIn(view: StoredCodeSystem, set: { slice(offset: number, limit: number): number[] }) {
  return (await view.read(set.slice(0, 1_000))).map(({ code }) => code);
}

describe('a SNOMED CT release', () => {
  it('comes in with names, states and hierarchy, from a folder', async () => {
    const made = await makeRf2(join(folder, 'rf2'), 3_000);
    const imported = await load(made.folder);
    expect(imported).toMatchObject({ url: 'http://snomed.info/sct', concepts: 3_000, unknownParents: 0 });
    expect(imported.version).toBe('http://snomed.info/sct/900000000000207008/version/20260101');
    const view = await viewOf('http://snomed.info/sct');
    const one = await concept(view, made.code(2_001));
    expect(one).toMatchObject({ display: made.term(2_001), inactive: false });
    expect(one.definition).toBe(`What ${made.term(2_001)} means.`);
    expect(await concept(view, made.code(49))).toMatchObject({ inactive: true, definition: null });
    const names = (await view.designations([one.id])).get(one.id) ?? [];
    expect(names.map(({ use }) => use?.display)).toEqual(['Fully specified name', 'Synonym']);
    expect((await view.read(await view.parents(one))).map(({ code }) => code).sort()).toEqual(
      made.parentsOf(2_001).map(made.code).sort(),
    );
  });

  it('knows exactly what stands above and below, through both parents', async () => {
    const made = await makeRf2(join(folder, 'rf2'), 3_000);
    const view = await viewOf('http://snomed.info/sct');
    const above = (at: number): Set<number> =>
      new Set(made.parentsOf(at).flatMap((parent) => [parent, ...above(parent)]));
    for (const at of [0, 1, 17, 300, 2_997, 2_999]) {
      const one = await concept(view, made.code(at));
      const expected = [...above(at)].map(made.code).sort();
      expect((await codesIn(view, await view.ancestors(one))).sort(), String(at)).toEqual(expected);
    }
    for (const at of [0, 3, 40]) {
      const under = Array.from({ length: 3_000 }, (_, other) => other).filter((other) =>
        above(other).has(at),
      );
      const below = await view.descendants(await concept(view, made.code(at)));
      expect(below.count()).toBe(under.length);
    }
  });

  it('is searched by beginnings of words in any order, also in synonyms, short names first', async () => {
    const view = await viewOf('http://snomed.info/sct');
    const found = await view.read((await view.matching(['nodu', 'lung'])).slice(0, 1_000));
    expect(found.length).toBeGreaterThan(3);
    const names = await view.designations(found.map(({ id }) => id));
    for (const one of found) {
      const all = [one.display, ...(names.get(one.id) ?? []).map(({ value }) => value)].join(' ');
      expect(all).toMatch(/\bnodu/);
      expect(all).toMatch(/\blung/);
    }
    const lengths = found.filter(({ inactive }) => !inactive).map(({ display }) => display.length);
    expect(lengths).toEqual([...lengths].sort((a, b) => a - b));
    expect((await view.matching(['variant'])).count()).toBe(1_500);
    expect((await view.matching(['var'])).count()).toBe(1_500);
    expect((await view.matching(['nosuchword'])).count()).toBe(0);
  });

  it('takes the place of the same version when it is imported again, and leaves no tables behind', async () => {
    const made = await makeRf2(join(folder, 'rf2-small'), 200);
    await load(made.folder);
    expect((await viewOf('http://snomed.info/sct')).size).toBe(200);
    const tables = await database.run<{ n: number }>({
      text: `SELECT count(*)::integer AS n FROM pg_class WHERE relname ~ '^terminology_concept_[0-9]+$'`,
    });
    expect(tables[0]?.n).toBe(1);
    const header = await store.search('CodeSystem', 'url=http://snomed.info/sct');
    expect(header.matches).toHaveLength(1);
    expect(header.matches[0]?.parse()).toMatchObject({ content: 'not-present', count: 200 });
  });
});

describe('a zip archive', () => {
  it('is read without being unpacked', async () => {
    const made = await makeRf2(join(folder, 'rf2-small'), 200);
    const files: Record<string, Buffer> = { 'Release/Readme.stored': Buffer.from('read me') };
    for (const name of await readdir(made.folder))
      files[`Release/Snapshot/Terminology/${name}`] = await readFile(join(made.folder, name));
    await writeFile(join(folder, 'release.zip'), zipBytes(files));
    expect(await load(join(folder, 'release.zip'))).toMatchObject({ concepts: 200 });
    const [stored] = await sourceFiles(join(folder, 'release.zip'));
    let text = '';
    for await (const chunk of stored?.text() ?? []) text += chunk;
    expect(text).toBe('read me');
  });
});

const DCIM = new URL('../../../../shared/data/terminology/CodeSystem-dicom-dcim.json', import.meta.url);

describe('a published code system', () => {
  it.skipIf(!existsSync(DCIM))('DICOM’s own comes in whole (skipped: no shared data)', async () => {
    const file = JSON.parse(await readFile(DCIM, 'utf8')) as CodeSystem;
    const imported = await importTerminology(
      async (into) => ({ ...(await readFhirJson(await only(DCIM))(into)), version: '2025e' }),
      { database, store },
    );
    expect(imported.concepts).toBe(file.concept?.length);
    const view = await viewOf(file.url ?? '');
    expect(await concept(view, '112181')).toMatchObject({ display: 'Mean Attenuation Coefficient' });
    await removeTerminology({ database, store }, imported.url, imported.version);
  });
});

async function only(url: URL): Promise<SourceFile> {
  const [file] = await sourceFiles(fileURLToPath(url));
  if (!file) throw new Error('There is no such file.');
  return file;
}

describe('an import', () => {
  it('can be taken out again, with its CodeSystem', async () => {
    const { url, version } = await load((await makeRf2(join(folder, 'rf2-small'), 200)).folder);
    expect(await removeTerminology({ database, store }, url, version)).toBe(true);
    expect(await removeTerminology({ database, store }, url, version)).toBe(false);
    expect((await store.search('CodeSystem', `url=${url}`)).matches).toEqual([]);
    expect(await new ConceptStore(database).systems()).toEqual([]);
  });

  it('that breaks off in the middle changes nothing', async () => {
    const broken: ReadTerminology = async (into) => {
      await into.concept({ code: 'a', display: 'a' });
      throw new Error('the disk is gone');
    };
    await expect(importTerminology(broken, { database, store })).rejects.toThrow('the disk is gone');
    expect(await new ConceptStore(database).systems()).toEqual([]);
  });

  it('refuses a hierarchy that is too deep to be held', () => {
    const chain = Int32Array.from({ length: 999 }, (_, at) => at + 1);
    const parents = Int32Array.from({ length: 999 }, (_, at) => at);
    expect(() => new Hierarchy(1_000, chain, parents, 100_000)).toThrow('too deep');
    expect(new Hierarchy(1_000, chain, parents).descendants().get(0)?.count).toBe(999);
  });
});

const bigSystem = {
  resourceType: 'CodeSystem',
  concept: [
    {
      concept: [
        { code: 'a1', display: 'First under A', concept: [{ code: 'a11', display: 'Deep' }] },
        {
          code: 'a2',
          display: 'Zweites',
          designation: [{ language: 'en', value: 'Second "quoted" \\ under A' }],
        },
      ],
      code: 'a',
      display: 'A',
      property: [{ code: 'weight', valueDecimal: 1.5 }],
    },
    {
      code: 'b',
      display: 'B',
      property: [
        { code: 'parent', valueCode: 'a2' },
        { code: 'inactive', valueBoolean: true },
      ],
    },
  ],
  url: 'http://example.org/big',
  version: '1',
  status: 'active',
  content: 'complete',
};

describe('a FHIR CodeSystem', () => {
  it('comes in piece by piece, whatever the order of its keys and however it is nested', async () => {
    const path = await write('big.json', JSON.stringify(bigSystem, null, 2));
    expect(await load(path)).toMatchObject({ url: 'http://example.org/big', version: '1', concepts: 5 });
    const view = await viewOf('http://example.org/big');
    expect((await codesIn(view, await view.descendants(await concept(view, 'a')))).sort()).toEqual([
      'a1',
      'a11',
      'a2',
      'b',
    ]);
    expect((await view.inactive()).count()).toBe(1);
    expect(await view.properties(await concept(view, 'a'))).toEqual([
      { code: 'weight', type: 'decimal', value: '1.5' },
    ]);
    expect((await view.withProperty('weight', ['1.5']))?.count()).toBe(1);
    expect((await view.matching(['quot'])).count()).toBe(1);
  });
});

describe('a file that makes no sense', () => {
  const system = (concept: unknown) =>
    JSON.stringify({ ...bigSystem, url: 'http://example.org/wrong', concept });
  it.each([
    ['cut.json', JSON.stringify(bigSystem).slice(0, -20), 'complete'],
    ['text.json', 'no json at all', 'JSON'],
    ['array.json', '[]', 'JSON'],
    ['patient.json', '{"resourceType":"Patient","concept":[{"code":"1"}]}', 'not a CodeSystem'],
    ['twice.json', system([{ code: 'a' }, { code: 'a' }]), 'more than once'],
    [
      'LoincUniversalLabOrders.csv',
      'LOINC_NUM,LONG_COMMON_NAME,ORDER_OBS\n1-8,Acyclovir,Order\n',
      'no column',
    ],
    [
      'Loinc.csv',
      'LOINC_NUM,COMPONENT,LONG_COMMON_NAME,STATUS,VersionLastChanged\n"1-8,Acyclovir,x,ACTIVE,2.70\n',
      'a quote is open',
    ],
    ['table.csv', 'code;name\n1;x\n', 'names neither'],
    ['empty.json', system([]), 'no concepts'],
    ['no-code.json', system([{ display: 'x' }]), 'no code'],
    [
      'loop.json',
      system([
        { code: 'a', property: [{ code: 'parent', valueCode: 'b' }] },
        { code: 'b', property: [{ code: 'parent', valueCode: 'a' }] },
      ]),
      'loop',
    ],
    ['deep.json', `{"concept":${'['.repeat(100_000)}`, 'JSON'],
    ['table.csv', 'a,b\n1,2\n', 'first line'],
    ['archive.zip', 'PK not really', 'zip'],
    ['other.txt', 'x', 'no release'],
  ])('%s is refused and nothing of it stays', async (name, content, words) => {
    const before = await new ConceptStore(database).systems();
    await expect(load(await write(name, content))).rejects.toThrow(
      expect.objectContaining({ code: 'terminology.import', message: expect.stringContaining(words) }),
    );
    expect(await new ConceptStore(database).systems()).toEqual(before);
  });
});

describe('LOINC and RadLex', () => {
  it('LOINC comes in from its table', async () => {
    const path = await write(
      'Loinc.csv',
      [
        '"LOINC_NUM","COMPONENT","PROPERTY","SYSTEM","STATUS","VersionLastChanged","SHORTNAME","LONG_COMMON_NAME"',
        '"1-8","Made analyte","MCnc","Ser","ACTIVE","2.9","Made SerPl","Made analyte [Mass/volume] in Serum, ""quoted"""',
        '"2-6","Old analyte","MCnc","Ser","DEPRECATED","2.80","Old","Old analyte"',
        '"LP1-0","A part","","","ACTIVE","2.9","",""',
      ].join('\r\n'),
    );
    expect(await load(path)).toMatchObject({ url: 'http://loinc.org', version: '2.80', concepts: 3 });
    const view = await viewOf('http://loinc.org');
    expect(await concept(view, '1-8')).toMatchObject({
      display: 'Made analyte [Mass/volume] in Serum, "quoted"',
    });
    expect(await concept(view, 'lp1-0')).toMatchObject({ code: 'LP1-0', display: 'A part' });
    expect((await view.withProperty('SYSTEM', ['Ser']))?.count()).toBe(2);
    expect((await view.inactive()).count()).toBe(1);
  });

  it('RadLex comes in as OWL and as a table', async () => {
    const owl = await write(
      'radlex.owl',
      `<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
        xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:r="http://www.radlex.org/RID/">
        <owl:Ontology rdf:about="http://www.radlex.org/"><owl:versionInfo>9.9</owl:versionInfo></owl:Ontology>
        <owl:Class rdf:about="http://www.radlex.org/RID/RID1"><rdfs:label xml:lang="en">made &amp; thing</rdfs:label></owl:Class>
        <owl:Class rdf:about="http://www.radlex.org/RID/RID2"><rdfs:label>part</rdfs:label><r:Synonym>piece</r:Synonym>
          <rdfs:subClassOf rdf:resource="http://www.radlex.org/RID/RID1"/>
          <rdfs:subClassOf><owl:Restriction><owl:onClass><owl:Class rdf:about="http://www.radlex.org/RID/RID7"/></owl:onClass></owl:Restriction></rdfs:subClassOf>
          <r:Definition>A part.</r:Definition></owl:Class></rdf:RDF>`,
    );
    expect(await load(owl)).toMatchObject({ url: 'http://radlex.org', version: '9.9', concepts: 2 });
    const view = await viewOf('http://radlex.org');
    expect(await concept(view, 'RID1')).toMatchObject({ display: 'made & thing' });
    expect(await concept(view, 'RID2')).toMatchObject({ definition: 'A part.' });
    expect(await codesIn(view, await view.descendants(await concept(view, 'RID1')))).toEqual(['RID2']);
    expect((await view.matching(['piece'])).count()).toBe(1);
    const csv = await write(
      'RADLEX.csv',
      'Class ID,Preferred Label,Synonyms,Definitions,Obsolete,Parents\nhttp://www.radlex.org/RID/RID1,thing,a|b,,FALSE,\nhttp://www.radlex.org/RID/RID2,part,,,TRUE,http://www.radlex.org/RID/RID1\n',
    );
    await expect(load(csv)).rejects.toThrow('--version');
  });

  it('RadLex as Protégé writes it: entities for namespaces, names in other languages, obsolete classes', async () => {
    const file = (entity: string) => `<?xml version="1.0"?>
      <!DOCTYPE rdf:RDF [ <!ENTITY owl "http://www.w3.org/2002/07/owl#" > ${entity} ]>
      <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="&owl;"
        xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:r="&rid;">
        <owl:Ontology rdf:about=""><owl:versionInfo>9.10</owl:versionInfo></owl:Ontology>
        <owl:Class rdf:about="&rid;RID1"><rdfs:label xml:lang="de">Ding</rdfs:label><rdfs:label xml:lang="en">thing</rdfs:label></owl:Class>
        <owl:Class rdf:about="&rid;RID2"><rdfs:subClassOf rdf:resource="&rid;RID1"/>
          <r:Preferred_Name_for_Obsolete>old part</r:Preferred_Name_for_Obsolete></owl:Class></rdf:RDF>`;
    const rid = '<!ENTITY rid "http://www.radlex.org/RID/" >';
    expect(await load(await write('entities.owl', file(rid)))).toMatchObject({
      version: '9.10',
      concepts: 2,
    });
    const view = await viewOf('http://radlex.org', '9.10');
    expect(await concept(view, 'RID1')).toMatchObject({ display: 'thing' });
    expect((await view.matching(['ding'])).count()).toBe(1);
    expect(await concept(view, 'RID2')).toMatchObject({ display: 'old part' });
    expect((await view.inactive()).count()).toBe(1);
    // An entity that is made of others, or lies elsewhere, is not followed.
    for (const hostile of ['<!ENTITY rid "&owl;&owl;" >', '<!ENTITY rid SYSTEM "file:///etc/passwd" >'])
      await expect(load(await write('hostile.owl', file(hostile)))).rejects.toThrow('not XML');
  });

  it('of two tables Loinc.csv that of LoincTable is the release', async () => {
    const at = (folder: string): SourceFile => ({
      ...{ name: 'Loinc.csv', folder, bytes: async () => Readable.from([]) },
      async *text() {},
    });
    await expect(detectFormat([at('PanelsAndForms'), at('LoincTable')])).resolves.toBeTypeOf('function');
    await expect(detectFormat([at('a'), at('b')])).rejects.toThrow('LoincTable');
  });
});
