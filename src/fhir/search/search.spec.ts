import type { Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { storedResources } from '../../../test/stored-resources.ts';
import { Failure } from '../../kernel/errors.ts';
import { FULL_ACCESS } from '../access-context.ts';
import { buildPage } from './build-search.ts';
import { cutToken, TOKEN_CHARACTERS_MAX } from './index-rows.ts';
import { STRING_CHARACTERS_MAX } from './kinds/string.ts';
import { COMMA_VALUES_MAX } from './parse-filter.ts';
import {
  INCLUDES_MAX,
  PAGE_ENTRIES_MAX,
  parseQuery,
  QUERY_CHARACTERS_MAX,
  QUERY_PARAMETERS_MAX,
  SORT_RULES_MAX,
} from './parse-query.ts';

const LOINC = 'http://loinc.org';
const SCT = 'http://snomed.info/sct';

const observation = (id: string, more: object): Resource =>
  ({ resourceType: 'Observation', id, status: 'final', code: { text: 'x' }, ...more }) as Resource;

const FIXTURES: Resource[] = [
  {
    resourceType: 'Patient',
    id: 'anna',
    identifier: [{ system: 'urn:mrn', value: '42' }, { value: 'bare' }],
    name: [{ family: 'Müller-Weiß', given: ['Anna', 'Lena'] }],
    gender: 'female',
    birthDate: '1970-06-15',
    address: [{ city: '100% Town_x' }],
  },
  { resourceType: 'Patient', id: 'otto', name: [{ family: 'Ott' }], birthDate: '1980', active: true },
  observation('o1', {
    code: {
      coding: [
        { system: LOINC, code: 'A' },
        { system: SCT, code: 'B' },
      ],
    },
    subject: { reference: 'Patient/anna' },
    effectiveDateTime: '2024-03-10T08:00:00+02:00',
    valueQuantity: { value: 5.4, system: 'http://unitsofmeasure.org', code: 'mm', unit: 'millimetre' },
  }),
  observation('o2', {
    status: 'preliminary',
    code: { coding: [{ code: 'A' }] },
    subject: { reference: 'http://127.0.0.1:8080/fhir/Patient/anna/_history/3' },
    effectivePeriod: { start: '2024-03-01', end: '2024-03-31' },
    valueQuantity: { value: 7, comparator: '>' },
    component: [{ code: { coding: [{ system: LOINC, code: 'C' }] }, valueQuantity: { value: 1 } }],
  }),
  observation('o3', {
    subject: { reference: 'Patient/otto' },
    effectivePeriod: { start: '2024-04-01T00:00:00Z' },
    performer: [{ identifier: { system: 'urn:npi', value: '7' } }, { reference: 'Organization/anna' }],
  }),
  observation('o4', { subject: { reference: 'Device/anna' }, valueString: "it's %" }),
  {
    resourceType: 'DiagnosticReport',
    id: 'r1',
    status: 'final',
    code: { text: 'x' },
    subject: { reference: 'Patient/anna' },
    result: [{ reference: 'Observation/o1' }, { reference: 'Observation/none' }],
  },
  {
    resourceType: 'ImagingStudy',
    id: 's1',
    status: 'available',
    subject: { reference: 'Patient/anna' },
    identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }],
    series: [
      {
        uid: '1.2.3.1',
        modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'CT' },
        bodySite: { system: SCT, code: '51185008' },
      },
    ],
  },
  {
    resourceType: 'ValueSet',
    id: 'v1',
    url: 'http://a/b',
    status: 'draft',
    meta: { tag: [{ system: 'urn:t', code: 'x' }], profile: ['http://p/q|1.0'] },
  } as Resource,
  {
    resourceType: 'RiskAssessment',
    id: 'k1',
    status: 'final',
    subject: { reference: 'Patient/anna' },
    prediction: [{ probabilityDecimal: 0.6 }],
  } as Resource,
];

const stored = storedResources(FIXTURES);
const { search, ids } = stored;

/** One line per rule: type, query, the ids that match. */
const FINDS: readonly (readonly [string, string, string])[] = [
  ['Observation', `code=${LOINC}|A`, 'o1'],
  ['Observation', 'code=A', 'o1 o2'],
  ['Observation', 'code=|A', 'o2'],
  ['Observation', `code=${SCT}|`, 'o1'],
  ['Observation', `code=${SCT}|A`, ''],
  ['Observation', 'code=a', ''],
  ['Observation', 'code=B,C', 'o1'],
  ['Observation', 'combo-code=B,C', 'o1 o2'],
  ['Observation', 'code:not=A', 'o3 o4'],
  ['Observation', 'combo-code:not=C', 'o1 o3 o4'],
  ['Observation', 'status=preliminary', 'o2'],
  ['Observation', 'subject=Patient/anna', 'o1 o2'],
  ['Observation', 'subject=anna', 'o1 o2 o4'],
  ['Observation', 'patient=anna', 'o1 o2'],
  ['Observation', 'patient=Patient/anna', 'o1 o2'],
  ['Observation', 'patient=Device/anna', ''],
  ['Observation', 'subject:Device=anna', 'o4'],
  ['Observation', 'subject=http://127.0.0.1:8080/fhir/Patient/anna', 'o1 o2'],
  ['Observation', 'subject=http://elsewhere/fhir/Patient/anna', ''],
  ['Observation', 'performer:identifier=urn:npi|7', 'o3'],
  ['Observation', 'performer:identifier=7', 'o3'],
  ['Observation', 'subject:missing=true', ''],
  ['Observation', 'performer:missing=false', 'o3'],
  ['Observation', 'value-quantity:missing=true', 'o3 o4'],
  ['Observation', 'code:missing=true', ''],
  ['Observation', 'date=2024-03-10', 'o1'],
  ['Observation', 'date=2024-03', 'o1 o2'],
  ['Observation', 'date=2024', 'o1 o2'],
  ['Observation', 'date=2024-03-10T06:00:00Z', 'o1'],
  ['Observation', 'date=2024-03-10T08:00:00%2B02:00', 'o1'],
  ['Observation', 'date=2024-03-10T08:00:00+02:00', 'o1'],
  ['Observation', 'date=ge2024-04', 'o3'],
  ['Observation', 'date=gt2024-03-15', 'o2 o3'],
  ['Observation', 'date=lt2024-03-05', 'o2'],
  ['Observation', 'date=sa2024-03-31', 'o3'],
  ['Observation', 'date=eb2024-03-11', 'o1'],
  ['Observation', 'date=ge2024-03-10&date=lt2024-03-11', 'o1 o2'],
  ['Observation', 'date=ne2024-03', 'o3'],
  ['Observation', 'value-quantity=5.4', 'o1'],
  ['Observation', 'value-quantity=5', 'o1'],
  ['Observation', 'value-quantity=5.0', ''],
  ['Observation', 'value-quantity=gt5', 'o1 o2'],
  ['Observation', 'value-quantity=gt100', 'o2'],
  ['Observation', 'value-quantity=5.4|http://unitsofmeasure.org|mm', 'o1'],
  ['Observation', 'value-quantity=5.4||millimetre', 'o1'],
  ['Observation', 'value-quantity=5.4|http://unitsofmeasure.org|cm', ''],
  ['Observation', 'combo-value-quantity=lt2', 'o2'],
  ['Observation', "value-string=it's %25", 'o4'],
  ['Observation', 'value-string=%25', ''],
  ['Observation', '_id=o1,o3', 'o1 o3'],
  ['Observation', '_lastUpdated=lt2000', ''],
  ['Patient', 'name=muller', 'anna'],
  ['Patient', 'name=lena', 'anna'],
  ['Patient', 'family=ott', 'otto'],
  ['Patient', 'name=tto', ''],
  ['Patient', 'name:contains=WEI', 'anna'],
  ['Patient', 'family:exact=Ott', 'otto'],
  ['Patient', 'family:exact=ott', ''],
  ['Patient', 'name=%25', ''],
  ['Patient', 'name=_', ''],
  ['Patient', 'name=\\', ''],
  ['Patient', 'address-city=100%25 town_', 'anna'],
  ['Patient', 'address-city=100xx', ''],
  ['Patient', 'name:contains=%25%25%25', ''],
  ['Patient', 'identifier=urn:mrn|42', 'anna'],
  ['Patient', 'identifier=|bare', 'anna'],
  ['Patient', 'birthdate=1980-05', ''],
  ['Patient', 'birthdate=le1975', 'anna'],
  ['Patient', 'active=true', 'otto'],
  ['Patient', "identifier=' or 1=1--", ''],
  ['Patient', 'identifier=" || 1==1 || "', ''],
  ['Patient', 'identifier=$$', ''],
  ['Patient', '_has:Observation:patient:code=B', 'anna'],
  ['Patient', '_has:DiagnosticReport:subject:status=final', 'anna'],
  ['Observation', 'patient.birthdate=1970-06-15', 'o1 o2'],
  ['Observation', 'subject:Patient.name=ott', 'o3'],
  ['DiagnosticReport', 'result.code=B', 'r1'],
  ['DiagnosticReport', 'result.patient.identifier=urn:mrn|42', 'r1'],
  ['ImagingStudy', 'status=available&modality=CT&bodysite=51185008', 's1'],
  ['ImagingStudy', 'modality=MR', ''],
  ['ImagingStudy', 'identifier=urn:dicom:uid|urn:oid:1.2.3', 's1'],
  ['ImagingStudy', 'series=1.2.3.1', 's1'],
  ['ValueSet', 'url=http://a/b', 'v1'],
  ['ValueSet', 'url=http://a', ''],
  ['ValueSet', '_tag=urn:t|x', 'v1'],
  ['ValueSet', '_profile=http://p/q', 'v1'],
  ['RiskAssessment', 'probability=0.6', 'k1'],
  ['RiskAssessment', 'probability=gt0.6', ''],
];

/** Type, query: refused by name, never a server failure. */
const REFUSED: readonly (readonly [string, string])[] = [
  ['Observation', 'bogus=1'],
  ['Observation', 'code:bogus=1'],
  ['Observation', 'date=2020-13-45'],
  ['Observation', 'date=2023-02-30'],
  ['Observation', 'date=yesterday'],
  ['Observation', 'value-quantity=abc'],
  ['Observation', 'value-quantity=1e999'],
  ['Observation', '_count=-1'],
  ['Observation', '_count=abc'],
  ['Observation', '_count=1e9'],
  ['Observation', '_total=maybe'],
  ['Observation', '_sort=code-value-quantity'],
  ['Observation', '_sort=bogus'],
  ['Observation', '_include=*'],
  ['Observation', '_include=Patient:organization'],
  ['Observation', '_revinclude=Foo:bar'],
  ['Observation', '_cursor=nonsense'],
  ['Observation', 'subject.bogus=1'],
  ['Observation', 'code.name=x'],
  ['Observation', 'patient.general-practitioner:PractitionerRole.organization.endpoint.name=x'],
  ['Patient', '_has:Observation:bogus:code=1'],
  ['Patient', '_has:Foo:patient:code=1'],
  ['Patient', 'name:contains=ab'],
  ['Patient', '__proto__=1'],
  ['Patient', 'constructor=1'],
  ['Patient', 'toString=1'],
  ['Patient', 'name[$ne]=x'],
  ['Patient', '_sort=__proto__'],
  ['Patient', 'name=%00'],
  ['Patient', 'active:missing=perhaps'],
  ['Patient', '_text=x'],
];

describe('search', () => {
  it.each(FINDS)('%s?%s finds exactly: %s', async (type, query, expected) => {
    expect(await ids(type, query)).toBe(expected);
  });

  it.each(REFUSED)('%s?%s is refused', async (type, query) => {
    await expect((async () => search(type, query))()).rejects.toMatchObject({
      code: expect.stringMatching(/^fhir\.(invalid|unsupported)$/),
    });
  });

  it('takes dates at the end of time without a failure of the database', async () => {
    expect(await ids('Observation', 'date=lt9999-12-31T23:59:59.999999999Z')).toBe('o1 o2 o3');
  });

  it('bounds what one search may ask for', () => {
    const refused = (query: string) => expect(() => parseQuery('Patient', query)).toThrow(Failure);
    const times = (count: number, part: string) => Array(count).fill(part).join('&');
    refused(`name=${'x'.repeat(QUERY_CHARACTERS_MAX)}`);
    refused(times(QUERY_PARAMETERS_MAX + 1, 'active=true'));
    refused(times(INCLUDES_MAX + 1, '_include=Patient:organization'));
    refused(
      `_sort=${Array(SORT_RULES_MAX + 1)
        .fill('_id')
        .join(',')}`,
    );
    refused(
      `_id=${Array(COMMA_VALUES_MAX + 1)
        .fill('x')
        .join(',')}`,
    );
    expect(parseQuery('Patient', '_count=999999').count).toBe(PAGE_ENTRIES_MAX);
  });

  it('finds long values by their beginning, in place of failing on the size of an index entry', async () => {
    const long = 'ä'.repeat(5_000);
    const asked = 'c'.repeat(4_000);
    const resource = {
      resourceType: 'Patient',
      id: 'long',
      identifier: [{ value: long }],
      name: [{ family: long, text: '\ufdfa'.repeat(1_000) }],
    } as Resource;
    await stored.write({ kind: 'create', resource });
    expect(await ids('Patient', `name=${'a'.repeat(STRING_CHARACTERS_MAX)}`)).toBe('long');
    expect(cutToken(`Patient.identifier#${long}`)).toHaveLength(TOKEN_CHARACTERS_MAX);
    const quantity = observation('long', {
      valueQuantity: { value: 1, code: asked, unit: long },
    });
    await stored.write({ kind: 'create', resource: quantity });
    expect(await ids('Observation', `value-quantity=1||${asked}`)).toBe('long');
    await stored.write(
      { kind: 'delete', type: 'Patient', id: 'long' },
      { kind: 'delete', type: 'Observation', id: 'long' },
    );
  });

  it('ignores unknown parameters only when asked to be lenient, and leaves them out of the self link', () => {
    const query = parseQuery('Patient', 'bogus=1&name=x', { lenient: true });
    expect(query.used).toEqual([['name', 'x']]);
  });

  it('puts every value into a bound parameter', () => {
    const { text } = buildPage(
      parseQuery('Patient', "name=evil'&_id=evil&birthdate=1999-01-01&identifier=evil|evil"),
      FULL_ACCESS,
      'http://b',
    );
    expect(text).not.toMatch(/evil|1999/);
  });

  it('pages through everything once, in the order asked for, also when rows have no date', async () => {
    for (const sort of ['', '_sort=date&', '_sort=-date&', '_sort=-_lastUpdated,date&', '_sort=_id&']) {
      const whole = (await search('Observation', `${sort}_count=50`)).matches.map((match) => match.id);
      expect(whole).toHaveLength(4);
      const seen: string[] = [];
      let cursor = '';
      do {
        const page = await search('Observation', `${sort}_count=1${cursor}`);
        seen.push(...page.matches.map((match) => match.id));
        cursor = page.next ? `&_cursor=${page.next}` : '';
      } while (cursor !== '');
      expect(seen).toEqual(whole);
    }
    const newest = (await search('Observation', '_sort=-date')).matches.map((match) => match.id);
    expect(newest).toEqual(['o3', 'o1', 'o2', 'o4']);
  });

  it('counts when asked, over all pages', async () => {
    expect((await search('Observation', '_count=1')).total).toBeNull();
    expect((await search('Observation', '_count=1&_total=accurate')).total).toBe(4);
    expect(await search('Observation', '_summary=count')).toMatchObject({
      matches: [],
      total: 4,
    });
    expect((await search('Observation', '_count=0')).total).toBe(4);
  });

  it('includes what is referred to, forwards and backwards, each once', async () => {
    const included = async (type: string, query: string) =>
      (await search(type, query)).included.map((one) => `${one.type}/${one.id}`).sort();
    expect(
      await included(
        'DiagnosticReport',
        '_include=DiagnosticReport:result&_include=DiagnosticReport:subject',
      ),
    ).toEqual(['Observation/o1', 'Patient/anna']);
    expect(await included('Observation', '_include=Observation:patient')).toEqual([
      'Patient/anna',
      'Patient/otto',
    ]);
    expect(
      await included(
        'Patient',
        '_id=anna&_revinclude=DiagnosticReport:subject&_revinclude=Observation:patient',
      ),
    ).toEqual(['DiagnosticReport/r1', 'Observation/o1', 'Observation/o2']);
  });
});
