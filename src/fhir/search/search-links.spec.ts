import { describe, expect, it } from 'vitest';
import { ids, made, onlyOf, ref, searchRecords } from '../../../test/search-records.ts';
import { BASE } from '../../../test/stored-resources.ts';
import type { AccessContext } from '../access-context.ts';
import { buildPage } from './build-search.ts';
import { CHAIN_LINKS_MAX, CHAIN_SEARCHES_MAX } from './parse-filter.ts';
import { parseQuery, parseSystemQuery } from './parse-query.ts';
import { INCLUDE_ROUNDS_MAX } from './run-include.ts';
import { runSearch } from './run-search.ts';

const records = searchRecords();
const { search, many, forget } = records;

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
      const rows = await records.database.run<{ id: string }>({ text: walked }, values);
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
    const system = (query: string) => runSearch(records.database, parseSystemQuery(query), onlyReports, BASE);
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
    await records.database.transaction((tx) =>
      records.store.write(
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
