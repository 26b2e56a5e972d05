import type { Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import type { AccessContext } from '../access-context.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import { ResourceStore } from '../resource-store.ts';
import { buildPage, TOTAL_MAX } from './build-search.ts';
import { type EntryStatistics, readStatistics } from './entry-statistics.ts';
import { CHAIN_LINKS_MAX, CHAIN_SEARCHES_MAX } from './parse-filter.ts';
import { parseQuery, parseSystemQuery } from './parse-query.ts';
import { INCLUDE_ROUNDS_MAX, INCLUDED_MAX } from './run-include.ts';
import { runSearch } from './run-search.ts';

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;

const BASE = 'http://127.0.0.1:8080/fhir';
const made = (resourceType: string, id: string, more: object): Resource =>
  ({ resourceType, id, ...more }) as Resource;
const ref = (reference: string) => ({ reference });

/** Anna has a report with her finding and with one that belongs to Berta; Berta's doctor works at the clinic in the house. */
const FIXTURES: Resource[] = [
  made('Organization', 'house', { name: 'Great House' }),
  made('Organization', 'clinic', { name: 'Clinic', partOf: ref('Organization/house') }),
  made('Practitioner', 'doc', { name: [{ family: 'Curie' }] }),
  made('PractitionerRole', 'role', {
    organization: ref('Organization/clinic'),
    practitioner: ref('Practitioner/doc'),
  }),
  made('Patient', 'anna', {
    name: [{ family: 'Alpha' }],
    birthDate: '1970-01-01',
    managingOrganization: ref('Organization/clinic'),
    identifier: [{ system: 'urn:a,b', value: '1|2' }],
    address: [{ city: 'Ulm, Donau' }],
  }),
  made('Patient', 'berta', {
    name: [{ family: 'Beta' }],
    birthDate: '1980-01-01',
    gender: 'female',
    generalPractitioner: [ref('PractitionerRole/role')],
  }),
  made('Observation', 'of-anna', {
    status: 'final',
    code: { coding: [{ system: 'urn:c', code: 'b-code' }] },
    subject: ref('Patient/anna'),
    effectiveDateTime: '2024-01-01',
    valueQuantity: { value: 3, system: 'http://unitsofmeasure.org', code: 'mm' },
  }),
  made('Observation', 'of-berta', {
    status: 'preliminary',
    code: { coding: [{ system: 'urn:c', code: 'a-code' }] },
    subject: ref('Patient/berta'),
    performer: [ref('PractitionerRole/role')],
    effectiveDateTime: '2023-01-01',
    valueQuantity: { value: 9, system: 'http://unitsofmeasure.org', code: 'mm' },
  }),
  made('Observation', 'plain', { status: 'final', code: { text: 'none' }, subject: ref('Device/x') }),
  made('DiagnosticReport', 'report', {
    status: 'final',
    code: { text: 'x' },
    subject: ref('Patient/anna'),
    result: [ref('Observation/of-anna'), ref('Observation/of-berta')],
    issued: '2024-02-01T00:00:00Z',
  }),
  made('Provenance', 'p1', {
    target: [ref('DiagnosticReport/report')],
    recorded: '2024-02-01T00:00:00Z',
    agent: [{ who: ref('Practitioner/doc') }],
  }),
  made('Provenance', 'p2', {
    target: [ref('Observation/of-berta')],
    recorded: '2024-02-01T00:00:00Z',
    agent: [{ who: ref('Practitioner/doc') }],
  }),
  made('Encounter', 'visit', { status: 'finished', class: { code: 'AMB' }, subject: ref('Patient/anna') }),
];

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  await database.transaction((tx) =>
    store.write(
      tx,
      FIXTURES.map((resource) => ({ kind: 'create', resource })),
    ),
  );
});
afterAll(() => close());

const search = (type: string, query: string, access?: AccessContext) =>
  store.search(type, query, database, access);
const ids = (found: readonly { id: string }[]): string =>
  found
    .map(({ id }) => id)
    .sort()
    .join(' ');

/**
 * As a token for one patient would see it: the patient, what refers to the patient, and what belongs to no patient at all. Written here on the
 * tokens, since the condition is what is tested, not who may have it.
 */
const onlyOf = (patient: string): AccessContext => ({
  allows: () => true,
  condition: (type, _interaction, alias, parameters) => {
    if (type === 'Patient') return `${alias}.id = ${parameters.add(patient, 'text')}`;
    if (type !== 'Observation' && type !== 'DiagnosticReport') return null;
    return `${alias}.tokens && ${parameters.add([`${type}.subject>Patient/${patient}`], 'text[]')}`;
  },
});

describe('chains and _has', () => {
  it.each([
    ['Observation', 'subject:Patient.name=alpha', 'of-anna'],
    ['Observation', 'subject.name=alpha', 'of-anna'],
    ['Observation', 'patient.organization.name=clinic', 'of-anna'],
    ['Observation', 'patient.organization.partof.name=great', 'of-anna'],
    ['Observation', 'patient.general-practitioner:PractitionerRole.organization.name=clinic', 'of-berta'],
    ['DiagnosticReport', 'result.patient.family=beta', 'report'],
    ['DiagnosticReport', 'result.performer:PractitionerRole.practitioner.name=curie', 'report'],
    ['DiagnosticReport', 'result.patient.family=gamma', ''],
    ['Patient', '_has:Observation:patient:code=a-code', 'berta'],
    ['Patient', '_has:Observation:subject:value-quantity=gt5', 'berta'],
    ['Patient', '_has:Observation:patient:_has:DiagnosticReport:result:status=final', 'anna berta'],
    [
      'Patient',
      '_has:Observation:patient:_has:DiagnosticReport:result:_has:Provenance:target:agent=Practitioner/doc',
      'anna berta',
    ],
    ['Patient', '_has:Observation:patient:performer:PractitionerRole.organization.name=clinic', 'berta'],
    ['Observation', 'subject:Patient._has:DiagnosticReport:subject:status=final', 'of-anna'],
    ['Practitioner', '_has:PractitionerRole:practitioner:organization.name=clinic', 'doc'],
    ['Observation', 'subject:Patient.birthdate=lt1975&code=b-code', 'of-anna'],
    ['Observation', 'patient.name=alpha&patient.birthdate=1980', ''],
    ['Observation', 'patient.gender:missing=true', 'of-anna'],
    ['Observation', 'patient.gender:not=female', 'of-anna'],
    ['Observation', 'patient:missing=true', 'plain'],
    ['Observation', 'subject:missing=true', ''],
    ['Observation', 'subject:Patient._id=anna', 'of-anna'],
  ])('%s?%s finds exactly: %s', async (type, query, expected) => {
    expect(ids((await search(type, query)).matches)).toBe(expected);
  });

  it('finds the same when so many resources meet the far end that the rows are walked instead', async () => {
    await many(40);
    const ways = async (type: string, query: string) => {
      const { text, values } = buildPage(
        parseQuery(type, query),
        { allows: () => true, condition: () => null },
        BASE,
      );
      const walked = text.replaceAll(/(<=|>) (5000|20000) AND/g, '$1 3 AND');
      expect(walked).not.toBe(text);
      const rows = await database.run<{ id: string }>({ text: walked }, values);
      return rows.map(({ id }) => id);
    };
    for (const [type, query] of [
      ['Observation', 'subject:Patient.name=many&_sort=-date&_count=7'],
      ['Observation', 'subject:Patient.name=many&_count=7'],
      ['Patient', '_has:Observation:patient:code=many&_sort=-birthdate,_id&_count=7'],
      ['Patient', '_has:Observation:patient:performer.name=curie&_count=7'],
    ] as const) {
      const found = (await search(type, query)).matches.map(({ id }) => id);
      expect((await ways(type, query)).slice(0, 7)).toEqual(found);
    }
    await forget();
  });

  it('bounds links and the searches they lead to, and says how to ask', () => {
    expect(CHAIN_LINKS_MAX).toBe(3);
    expect(() => parseQuery('Observation', 'patient.organization.partof.partof.name=x')).toThrow(/3 links/);
    expect(() =>
      parseQuery(
        'Patient',
        '_has:Observation:patient:_has:DiagnosticReport:result:_has:Provenance:target:_has:AuditEvent:entity:agent=x',
      ),
    ).toThrow(/3 links/);
    expect(CHAIN_SEARCHES_MAX).toBeLessThan(20);
    expect(() => parseQuery('Provenance', 'target.identifier=x')).toThrow(/name the type/);
  });
});

describe('what a caller may not see', () => {
  const anna = onlyOf('anna');

  it.each([
    ['Observation', 'patient.birthdate=1980-01-01'],
    ['Patient', '_has:Observation:patient:value-quantity=gt5'],
    ['DiagnosticReport', 'result.code=a-code'],
    ['DiagnosticReport', 'result.patient.family=beta'],
    ['Practitioner', '_has:PractitionerRole:practitioner:_has:Observation:performer:code=a-code'],
    ['Patient', '_has:Observation:patient:performer:PractitionerRole.organization.name=clinic'],
    ['Observation', 'code=a-code'],
  ])('is not found by asking for it: %s?%s', async (type, query) => {
    expect((await search(type, query)).matches).not.toEqual([]);
    expect(await search(type, `${query}&_total=accurate`, anna)).toEqual(
      await search(type, '_id=nobody&_total=accurate', anna),
    );
    expect((await search(type, `${query}&_summary=count`, anna)).total).toBe(0);
    expect((await search(type, `${query}&_sort=-_lastUpdated&_count=1`, anna)).matches).toEqual([]);
  });

  it('is not included, forwards, backwards or on the way', async () => {
    const included = async (type: string, query: string, access?: AccessContext) =>
      ids((await search(type, query, access)).included);
    const forwards = '_include=DiagnosticReport:result&_include:iterate=Observation:subject';
    expect(await included('DiagnosticReport', forwards)).toBe('anna berta of-anna of-berta');
    expect(await included('DiagnosticReport', forwards, anna)).toBe('anna of-anna');
    const backwards =
      '_include=DiagnosticReport:result&_revinclude=Provenance:target&_revinclude:iterate=Provenance:target';
    expect(await included('DiagnosticReport', backwards)).toBe('of-anna of-berta p1 p2');
    expect(await included('DiagnosticReport', backwards, anna)).toBe('of-anna p1');
    expect(
      await included(
        'Practitioner',
        '_revinclude=Observation:performer&_revinclude=PractitionerRole:practitioner',
        anna,
      ),
    ).toBe('role');
  });

  it('is not shown by a cursor of somebody who may see it, nor counted', async () => {
    const whole = await search('Patient', '_sort=family&_count=1');
    expect(ids(whole.matches)).toBe('anna');
    const next = await search('Patient', `_sort=family&_count=1&_cursor=${whole.next}`, anna);
    expect(next.matches).toEqual([]);
    expect((await search('Observation', '_total=accurate', anna)).total).toBe(1);
  });

  it('is not searched at all without a scope, whatever the way in', async () => {
    const onlyReports: AccessContext = {
      allows: (type) => type === 'DiagnosticReport',
      condition: () => null,
    };
    expect((await search('DiagnosticReport', 'subject:Patient.name=alpha', onlyReports)).matches).toEqual([]);
    expect(
      (await search('DiagnosticReport', '_include=*'.replace('*', 'DiagnosticReport:subject'), onlyReports))
        .included,
    ).toEqual([]);
    await expect(search('Patient', 'name=alpha', onlyReports)).rejects.toMatchObject({ code: 'auth.scope' });
    const system = (query: string) => runSearch(database, parseSystemQuery(query), onlyReports, BASE);
    expect(ids((await system('_id=report,anna')).matches)).toBe('report');
    await expect(system('_type=Patient&_id=anna')).rejects.toMatchObject({ code: 'auth.scope' });
  });
});

describe('_include', () => {
  it('follows references of the parameter and the type that are named, each resource once', async () => {
    const { included } = await search(
      'Observation',
      '_id=of-anna,of-berta&_include=Observation:subject:Patient&_include=Observation:performer:Practitioner&_include=Observation:patient',
    );
    expect(ids(included)).toBe('anna berta');
  });

  it('goes on from what was included only when told to, and not without end', async () => {
    expect(
      ids(
        (
          await search(
            'Patient',
            '_id=anna&_include=Patient:organization&_include:iterate=Organization:partof',
          )
        ).included,
      ),
    ).toBe('clinic house');
    expect(ids((await search('Patient', '_id=anna&_include=Patient:organization')).included)).toBe('clinic');
    const chain = Array.from({ length: INCLUDE_ROUNDS_MAX + 3 }, (_, at) =>
      made('Organization', `deep${at}`, { name: 'deep', partOf: ref(`Organization/deep${at + 1}`) }),
    );
    await database.transaction((tx) =>
      store.write(
        tx,
        chain.map((resource) => ({ kind: 'create', resource })),
      ),
    );
    const deep = await search('Organization', '_id=deep0&_include:iterate=Organization:partof');
    expect(deep.included).toHaveLength(INCLUDE_ROUNDS_MAX);
    expect(deep.notes).toHaveLength(1);
    const circle = await search(
      'DiagnosticReport',
      '_include=DiagnosticReport:result&_revinclude:iterate=DiagnosticReport:result',
    );
    expect(ids(circle.included)).toBe('of-anna of-berta');
    expect(circle.notes).toEqual([]);
  });

  it.each([
    ['_include=*', 'fhir.unsupported'],
    ['_include=Observation:*', 'fhir.unsupported'],
    ['_revinclude=*', 'fhir.unsupported'],
    ['_include:recurse=Observation:subject', 'fhir.invalid'],
    ['_include=Patient:organization', 'fhir.invalid'],
    ['_include=Observation:code', 'fhir.invalid'],
    ['_include=Observation:subject:Nobody', 'fhir.invalid'],
    ['_revinclude=__proto__:constructor', 'fhir.invalid'],
  ])('%s is refused with %s', (query, code) => {
    expect(() => parseQuery('Observation', query)).toThrow(expect.objectContaining({ code }));
  });
});

describe('_sort and pages', () => {
  const order = async (query: string) =>
    (await search('Observation', query)).matches.map(({ id }) => id).join(' ');

  it.each([
    ['_sort=code', 'of-berta of-anna plain'],
    ['_sort=-code', 'of-anna of-berta plain'],
    ['_sort=value-quantity', 'of-anna of-berta plain'],
    ['_sort=-value-quantity', 'of-berta of-anna plain'],
    ['_sort=date', 'of-berta of-anna plain'],
    ['_sort=-date', 'of-anna of-berta plain'],
    ['_sort=patient', 'of-anna of-berta plain'],
    ['_sort=status,-date', 'of-anna plain of-berta'],
    ['_sort=-status,_id', 'of-berta of-anna plain'],
    ['_sort=-_id', 'plain of-berta of-anna'],
  ])('%s gives %s: missing values last', async (query, expected) => {
    expect(await order(query)).toBe(expected);
    expect(await order(`${query}&subject:missing=false`)).toBe(expected);
    const paged: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await search('Observation', `${query}&_count=1${cursor && `&_cursor=${cursor}`}`);
      paged.push(...page.matches.map(({ id }) => id));
      cursor = page.next;
    }
    expect(paged.join(' ')).toBe(expected);
  });

  it.each(['', '_sort=-date&', '_sort=code,-date&', '_sort=birthdate&'])(
    'pages stay complete and without repeats while others come and go (%s)',
    async (sort) => {
      const type = sort.includes('birthdate') ? 'Patient' : 'Observation';
      await many(30);
      const before = (await search(type, '_count=100')).matches.map(({ id }) => id);
      const seen: string[] = [];
      let cursor = '';
      for (;;) {
        const found = await search(type, `${sort}_count=4${cursor}`);
        seen.push(...found.matches.map(({ id }) => id));
        if (!found.next) break;
        cursor = `&_cursor=${found.next}`;
        const last = found.matches.at(-1)?.id ?? '';
        await database.transaction(async (tx) => {
          await store.write(tx, [
            { kind: 'create', resource: type === 'Patient' ? patient(fresh++) : finding(fresh++) },
            // Even the row that the cursor was made of may go.
            ...(last.startsWith('many') ? [{ kind: 'delete' as const, type, id: last }] : []),
          ]);
        });
      }
      expect(new Set(seen).size).toBe(seen.length);
      expect(before.filter((id) => !seen.includes(id))).toEqual([]);
      await forget();
    },
  );

  it('orders in the same way when PostgreSQL decides, when the rows are walked and when they are collected', async () => {
    await many(60);
    await database.run({ text: 'ANALYZE resource' });
    const known = await readStatistics(database);
    expect(known?.rowsOf('Observation')).toBeGreaterThan(60);
    const common = { rowsOf: () => 1_000_000, rowsWith: () => 900_000 };
    const rare = { rowsOf: () => 1_000_000, rowsWith: () => null };
    for (const query of [
      'status=final&_sort=-date',
      'status=final&_sort=date,-code',
      'status=final',
      'status=final&_sort=-_lastUpdated',
      'code=many&_sort=value-quantity',
    ]) {
      const rows = async (statistics: EntryStatistics | null) => {
        const built = buildPage(
          parseQuery('Observation', `${query}&_count=9`),
          { allows: () => true, condition: () => null },
          BASE,
          { statistics },
        );
        return (await database.run<{ id: string }>({ text: built.text }, built.values)).map(({ id }) => id);
      };
      const open = await rows(null);
      expect(open).toHaveLength(10);
      expect(await rows(common)).toEqual(open);
      expect(await rows(rare)).toEqual(open);
    }
    await forget();
  });

  it('gives a resource with several values one place, and one with the same value twice too', async () => {
    const twice = made('Patient', 'many-twice', {
      name: [{ family: 'Aa', given: ['aa', 'Zz'] }, { family: 'aa' }],
    });
    await database.transaction((tx) => store.write(tx, [{ kind: 'create', resource: twice }]));
    for (const sort of ['name', '-name', 'name,_id']) {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null; ) {
        const page = await search('Patient', `_sort=${sort}&_count=1${cursor && `&_cursor=${cursor}`}`);
        seen.push(...page.matches.map(({ id }) => id));
        cursor = page.next;
      }
      expect(seen).toEqual(
        sort.startsWith('-') ? ['many-twice', 'berta', 'anna'] : ['many-twice', 'anna', 'berta'],
      );
    }
    await database.transaction((tx) =>
      store.write(tx, [{ kind: 'delete', type: 'Patient', id: 'many-twice' }]),
    );
  });

  it.each([
    ['_sort=date', ['date', 'Observation', 'x', "2024-01-01'; DROP TABLE resource--"]],
    ['_sort=date', ['date', 'Observation', 'x', '2023-02-30T00:00:00.000000Z']],
    ['_sort=value-quantity', ['value-quantity', 'Observation', 'x', '1e9999999']],
    ['_sort=date', ['-date', 'Observation', 'x', 'infinity']],
    ['', ['', 'Observation', "x' or 1=1--"]],
    ['', ['', 'Observation', 'x', 'more']],
    ['', ['', {}, 'x']],
    ['', 'text'],
  ])('refuses a cursor that was changed by hand or belongs to another order: %s %j', async (sort, values) => {
    const cursor = Buffer.from(JSON.stringify(values)).toString('base64url');
    const asked = (async () => search('Observation', `${sort}&_cursor=${cursor}`))();
    await expect(asked).rejects.toMatchObject({ code: 'fhir.invalid' });
  });
});

describe('searches of several types', () => {
  const system = (query: string, compartment?: { type: string; id: string }) =>
    runSearch(
      database,
      parseSystemQuery(query, compartment ? { compartment } : {}),
      { allows: () => true, condition: () => null },
      BASE,
    );

  it('finds by what all types have, in one order, page by page', async () => {
    expect(ids((await system('_id=anna,report,doc')).matches)).toBe('anna doc report');
    expect(ids((await system('_type=Patient,Practitioner&family=curie,beta')).matches)).toBe('berta doc');
    const seen: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: Awaited<ReturnType<typeof system>> = await system(
        `_type=Patient,DiagnosticReport,Observation&_sort=-_lastUpdated&_count=2${cursor && `&_cursor=${cursor}`}`,
      );
      seen.push(...page.matches.map(({ id }) => id));
      cursor = page.next;
    }
    expect([...seen].sort()).toEqual(['anna', 'berta', 'of-anna', 'of-berta', 'plain', 'report']);
    expect((await system('_type=Patient,Practitioner&_summary=count')).total).toBe(3);
  });

  it('finds what is in a compartment, and nothing else', async () => {
    expect(ids((await system('', { type: 'Patient', id: 'anna' })).matches)).toBe(
      'anna of-anna report visit',
    );
    expect(ids((await system('_type=Observation,Encounter', { type: 'Patient', id: 'anna' })).matches)).toBe(
      'of-anna visit',
    );
    const inside = (query: string) =>
      runSearch(
        database,
        parseQuery('Observation', query, { compartment: { type: 'Patient', id: 'anna' } }),
        { allows: () => true, condition: () => null },
        BASE,
      );
    expect(ids((await inside('')).matches)).toBe('of-anna');
    expect(ids((await inside('code=a-code')).matches)).toBe('');
    expect(() => parseQuery('Organization', '', { compartment: { type: 'Patient', id: 'anna' } })).toThrow(
      /compartment/,
    );
    expect(() => parseQuery('Patient', '', { compartment: { type: 'Organization', id: 'x' } })).toThrow(
      /compartment/,
    );
  });

  it('refuses parameters that not every type has, and types that do not exist', () => {
    expect(() => parseSystemQuery('birthdate=1970')).toThrow(/_type/);
    expect(() => parseSystemQuery('_type=Patient,Nobody')).toThrow(/_type/);
    expect(() => parseSystemQuery('_sort=birthdate')).toThrow(/every searched type/);
  });
});

describe('the words of a query', () => {
  it.each([
    ['Patient', 'identifier=urn:a\\,b|1\\|2', 'anna'],
    ['Patient', 'identifier=1\\|2', 'anna'],
    ['Patient', 'identifier=nothing,urn:a\\,b|1\\|2', 'anna'],
    ['Patient', 'address-city=Ulm\\, Donau', 'anna'],
    ['Patient', 'address-city=Ulm,Bonn', 'anna'],
    ['Patient', '_id=anna,,berta', 'anna berta'],
    ['Patient', 'name=%25', ''],
    ['Patient', 'name:contains=%25%25%25', ''],
    ['Patient', 'name=_', ''],
    ['Patient', 'name=\\', ''],
  ])('%s?%s: escapes and patterns are read as written: %s', async (type, query, expected) => {
    expect(ids((await search(type, query)).matches)).toBe(expected);
  });

  it.each([
    ['_text=x', 'fhir.unsupported'],
    ['_content=x', 'fhir.unsupported'],
    ['_filter=name eq x', 'fhir.unsupported'],
    ['_list=42', 'fhir.unsupported'],
    ['_query=q', 'fhir.unsupported'],
    ['_contained=true', 'fhir.unsupported'],
    ['_type=Patient', 'fhir.unsupported'],
    ['_count=-1', 'fhir.invalid'],
    ['_count=abc', 'fhir.invalid'],
    ['_count=1e9', 'fhir.invalid'],
    ['_total=maybe', 'fhir.invalid'],
    ['_summary=some', 'fhir.invalid'],
    ['_sort=bogus', 'fhir.unsupported'],
    ['_sort=toString', 'fhir.unsupported'],
    ['birthdate=gt2020-13-45', 'fhir.invalid'],
    ['name:exact:contains=xyz', 'fhir.invalid'],
    ['name=,', 'fhir.invalid'],
    ['organization:missing.name=x', 'fhir.invalid'],
    ['constructor=1', 'fhir.invalid'],
    ['__proto__.name=1', 'fhir.invalid'],
    ['_has:__proto__:x:y=1', 'fhir.invalid'],
    ['_has:Patient=1', 'fhir.invalid'],
    ['param[$ne]=x', 'fhir.invalid'],
    ['param[]=a', 'fhir.invalid'],
  ])('%s is refused with %s', async (query, code) => {
    await expect((async () => search('Patient', query))()).rejects.toMatchObject({ code });
  });

  it('hostile values are values: they find nothing, fail nowhere and never become SQL', async () => {
    const hostile = [
      "' or 1=1--",
      '" || 1==1 || "',
      "'); drop table resource",
      '$$',
      '\\',
      '$1',
      '%',
      "\u2028'",
    ];
    for (const value of hostile) {
      const asked = encodeURIComponent(value);
      for (const name of [
        'name',
        'name:exact',
        'identifier',
        '_id',
        '_tag',
        '_profile',
        'organization',
        'organization.name',
        '_has:Observation:patient:code',
      ]) {
        const query = `${name}=${asked}`;
        const found = await search('Patient', query);
        expect(found.matches, query).toEqual([]);
        const built = buildPage(
          parseQuery('Patient', query),
          { allows: () => true, condition: () => null },
          BASE,
        );
        if (value.length > 2) expect(built.text).not.toContain(value);
      }
      for (const query of [
        `birthdate=${asked}`,
        `_lastUpdated=${asked}`,
        `_sort=${asked}`,
        `_include=${asked}`,
        `_count=${asked}`,
        `${asked}=1`,
      ])
        await expect((async () => search('Patient', query))(), query).rejects.toMatchObject({
          code: expect.stringMatching(/^fhir/),
        });
    }
    expect((await search('Patient', '_total=accurate')).total).toBe(2);
  });

  it('a lenient search ignores unknown parameters and names them, those that look like values left out', () => {
    const query = parseQuery('Patient', "bogus=1&_text=x&family=alpha&Alpha's=1", { lenient: true });
    expect(query.ignored).toEqual(['bogus', '_text']);
    expect(query.used).toEqual([['family', 'alpha']]);
    expect(() => parseQuery('Patient', 'birthdate=never', { lenient: true })).not.toThrow();
  });

  it('one statement of unchanging text serves a plain search, whatever its values', () => {
    const text = (query: string) =>
      buildPage(parseQuery('Observation', query), { allows: () => true, condition: () => null }, BASE);
    const one = text('patient=Patient/1&code=urn:c|x&_sort=-date&_count=20');
    const other = text("patient=Patient/other&code=urn:d|y'&_sort=-date&_count=50");
    expect(other.text).toBe(one.text);
    expect(one.steady).toBe(true);
    expect(text('_sort=-date').steady).toBe(true);
    expect(text('_id=1,2,3').text).toBe(text('_id=4').text);
  });
});

describe('a prepared search', () => {
  it.each([
    ['patient=Patient/anna&code=urn:c|b-code', null],
    ['_id=of-anna', null],
    ['_sort=-date&_count=2', null],
    ['status=final&_sort=-date&_count=2', 900_000],
    ['status=final', 900_000],
  ])('is planned once, not anew for each request: %s', async (query, found) => {
    const statistics = found === null ? null : { rowsOf: () => 1_000_000, rowsWith: () => found };
    const access = { allows: () => true, condition: () => null };
    const built = buildPage(parseQuery('Observation', query), access, BASE, { statistics });
    expect(built.steady).toBe(true);
    await database.transaction(async (tx) => {
      const name = `planned-${query}`;
      for (let time = 0; time < 12; time++) await tx.run({ name, text: built.text }, built.values);
      const [plans] = await tx.run<{ generic: number }>({
        text: `SELECT generic_plans::int AS generic FROM pg_prepared_statements WHERE name = '${name}'`,
      });
      expect(plans?.generic).toBeGreaterThanOrEqual(7);
    });
  });
});

describe('limits that an answer can meet', () => {
  it('counts and includes up to a limit, and says when there is more', async () => {
    await database.run({
      text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
        SELECT 'Flag', 'crowd' || i, 1, now(), false, 'POST', '{}', ARRAY['Flag.subject>Patient/anna']
        FROM generate_series(1, ${TOTAL_MAX + 1}) i`,
    });
    const accurate = await search('Flag', '_count=1&_total=accurate');
    expect(accurate).toMatchObject({ total: null, notes: [expect.stringContaining(String(TOTAL_MAX))] });
    expect((await search('Flag', '_summary=count')).notes).toHaveLength(1);
    const estimated = await search('Flag', '_count=1&_total=estimate');
    expect(estimated.total).toBeGreaterThan(TOTAL_MAX);
    expect(estimated.notes).toEqual([]);
    const including = await search('Patient', '_id=anna&_revinclude=Flag:subject');
    expect(including.included).toHaveLength(INCLUDED_MAX);
    expect(including.notes).toHaveLength(1);
    expect((await search('Flag', 'subject=Patient/anna&_count=999999')).matches).toHaveLength(1_000);
    await database.run({ text: "DELETE FROM resource WHERE type = 'Flag'" });
  });

  it('does not walk past what the caller may not see, where an index knows what may be seen', () => {
    const text = (access: AccessContext) =>
      buildPage(parseQuery('Observation', '_count=5'), access, BASE).text;
    expect(text({ allows: () => true, condition: () => null })).toContain('IS TRUE');
    expect(text(onlyOf('anna'))).not.toContain('IS TRUE');
  });
});

/** Ids of resources made while others page. */
let fresh = 900;

const patient = (at: number): Resource =>
  made('Patient', `many${String(at).padStart(4, '0')}`, {
    name: [{ family: 'Many' }],
    ...(at % 3 === 0 ? {} : { birthDate: `19${10 + (at % 80)}-01-01` }),
  });

const finding = (at: number): Resource =>
  made('Observation', `many${String(at).padStart(4, '0')}`, {
    status: at % 2 ? 'final' : 'preliminary',
    code: { coding: [{ code: 'many' }, ...(at % 5 ? [] : [{ code: `m${at}` }])] },
    subject: ref(`Patient/many${String(at).padStart(4, '0')}`),
    performer: [ref('Practitioner/doc')],
    ...(at % 4 === 0 ? {} : { effectiveDateTime: `2020-01-${String((at % 28) + 1).padStart(2, '0')}` }),
    ...(at % 3 === 0 ? {} : { valueQuantity: { value: at % 7 } }),
  });

async function many(count: number): Promise<void> {
  const all = Array.from({ length: count }, (_, at) => [patient(at), finding(at)]).flat();
  await database.transaction((tx) =>
    store.write(
      tx,
      all.map((resource) => ({ kind: 'update', resource: resource as Resource & { id: string } })),
    ),
  );
}

async function forget(): Promise<void> {
  const rows = await database.run<{ type: string; id: string }>({
    text: "SELECT type, id FROM resource WHERE id LIKE 'many%' AND NOT deleted",
  });
  await database.transaction((tx) =>
    store.write(
      tx,
      rows.map(({ type, id }) => ({ kind: 'delete', type, id })),
    ),
  );
}
