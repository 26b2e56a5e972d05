import { describe, expect, it } from 'vitest';
import { ids, searchRecords } from '../../../test/search-records.ts';
import { BASE } from '../../../test/stored-resources.ts';
import { buildPage } from './build-search.ts';
import { parseQuery, parseSystemQuery } from './parse-query.ts';
import { runSearch } from './run-search.ts';

const records = searchRecords();
const { search } = records;

describe('searches of several types', () => {
  const system = (query: string, compartment?: { type: string; id: string }) =>
    runSearch(
      records.database,
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
        records.database,
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

  it.each([
    ['_sort=bogus', [], ['_sort=bogus']],
    ['_sort=-birthdate,-bogus', [['_sort', '-birthdate']], ['_sort=bogus']],
    ["_sort=Alpha's", [], ['_sort']],
    ['_include=Patient:bogus', [], ['_include=Patient:bogus']],
    ['_include:iterate=Bogus:x', [], ['_include=Bogus:x']],
    ['_revinclude=*', [], ['_revinclude']],
    ['_contained=both', [], ['_contained=both']],
    ['_include=Patient:organization', [['_include', 'Patient:organization']], []],
  ])('a lenient search ignores what %s asks for and is not here, and names it', (asked, used, ignored) => {
    const query = parseQuery('Patient', asked, { lenient: true });
    expect({ used: query.used, ignored: query.ignored }).toEqual({ used, ignored });
    if (ignored.length > 0)
      expect(() => parseQuery('Patient', asked)).toThrow(
        /_sort goes by|must be Type|not offered|not searched/,
      );
  });

  it.each([
    '_sort=birthdate,',
    '_sort:desc=birthdate',
    '_sort=a,_id,name,gender,birthdate',
    '_include=Patient',
    '_include=Patient:name',
    '_include=Patient:organization:Bogus',
    '_include:bogus=Patient:organization',
    '_contained=perhaps',
    '_count=many',
  ])('a lenient search still refuses %s, which is malformed', (asked) => {
    expect(() => parseQuery('Patient', asked, { lenient: true })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^fhir/) }),
    );
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
    await records.database.transaction(async (tx) => {
      const name = `planned-${query}`;
      for (let time = 0; time < 12; time++) await tx.run({ name, text: built.text }, built.values);
      const [plans] = await tx.run<{ generic: number }>({
        text: `SELECT generic_plans::int AS generic FROM pg_prepared_statements WHERE name = '${name}'`,
      });
      expect(plans?.generic).toBeGreaterThanOrEqual(7);
    });
  });
});
