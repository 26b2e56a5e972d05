import type { Resource } from '@medplum/fhirtypes';
import { afterEach, describe, expect, it } from 'vitest';
import { storedResources } from '../../../../test/stored-resources.ts';
import { registerTerminology, type SystemCode, type Terminology } from '../../terminology-registry.ts';
import { RESOLVED_CODES_MAX } from '../resolve-terminology.ts';

const SCT = 'http://snomed.info/sct';
const TYPES = 'http://terminology.hl7.org/CodeSystem/v2-0203';

const patient = (id: string, more: object): Resource =>
  ({ resourceType: 'Patient', id, ...more }) as Resource;
const coded = (id: string, code: object, more = {}): Resource =>
  ({ resourceType: 'Observation', id, status: 'final', code, ...more }) as Resource;
const set = (id: string, url: string): Resource =>
  ({ resourceType: 'ValueSet', id, url, status: 'draft' }) as Resource;
const mrn = (value: string, code: string): object => ({
  type: { coding: [{ system: TYPES, code }], text: 'Record number' },
  system: 'urn:mrn',
  value,
});

const FIXTURES: Resource[] = [
  patient('mueller', { name: [{ family: 'Müller', given: ['José  María'] }], identifier: [mrn('7', 'MR')] }),
  patient('muller', { name: [{ family: 'muller', text: 'Dr. Muller' }], identifier: [mrn('7', 'SS')] }),
  patient('mullerin', { name: [{ family: 'Mullerin' }] }),
  patient('gross', { name: [{ family: 'Groß-Łukasz' }] }),
  patient('percent', { name: [{ family: '100%_x\\y' }] }),
  patient('comma', { name: [{ family: 'Last, First' }] }),
  patient('greek', { name: [{ family: 'Παπαδόπουλος' }] }),
  patient('none', { identifier: [{ system: 'urn:mrn', value: 'a|b' }], active: false }),
  coded('skull', { coding: [{ system: SCT, code: '10', display: 'Skull fracture' }] }),
  coded('head', { coding: [{ system: SCT, code: '1', display: 'Injury of head' }], text: 'Head Ínjury' }),
  coded('other', { coding: [{ system: 'urn:o', code: '10' }] }),
  coded('plain', { coding: [{ code: '10' }] }, { subject: { reference: 'Patient/mueller' } }),
  coded('text', { text: 'Skull base' }),
  set('a', 'http://acme.org/fhir/ValueSet/123'),
  set('b', 'http://acme.org/fhir/ValueSet/123/_history/5'),
  set('c', 'http://acme.org/fhir'),
  set('d', 'http://acme.org/fhirx'),
  set('e', 'urn:oid:1.2.3'),
];

const HIERARCHY: Record<string, string[]> = { '1': ['1', '10'], '10': ['10'] };
const terminology: Terminology = {
  holds: async () => null,
  membersOf: async (url, max) =>
    url === 'http://sets/injury'
      ? [{ system: SCT, code: '1' }]
      : url === 'http://sets/huge'
        ? Array.from({ length: max + 1 }, (_, at) => ({ system: 'urn:h', code: String(at) }))
        : url === 'http://sets/empty'
          ? []
          : null,
  below: async ({ system, code }) => codes(system, HIERARCHY[code] ?? null),
  above: async ({ system, code }) =>
    codes(
      system,
      Object.keys(HIERARCHY).filter((parent) => HIERARCHY[parent]?.includes(code)),
    ),
  subsumes: async () => null,
};
const codes = (system: string, list: string[] | null): SystemCode[] | null =>
  system === SCT && list ? list.map((code) => ({ system, code })) : null;

const stored = storedResources(FIXTURES);
const { ids } = stored;
afterEach(() => registerTerminology(null));

describe('strings', () => {
  it.each([
    ['family=mull', 'mueller muller mullerin'],
    ['family=MÜLLER', 'mueller muller mullerin'],
    ['family:exact=Müller', 'mueller'],
    ['family:exact=muller', 'muller'],
    ['family:exact=Mull', ''],
    ['family:contains=LLER', 'mueller muller mullerin'],
    ['family:contains=llerin', 'mullerin'],
    ['name=dr', 'muller'],
    ['given=jose maria', 'mueller'],
    ['family=gross-lukasz', 'gross'],
    ['family=Groß', 'gross'],
    ['family=παπαδοπουλοσ', ''],
    ['family=παπαδοπουλο', 'greek'],
    ['family=Last\\, First', 'comma'],
    ['family=Last, First', 'comma'],
    ['family=nobody,mullerin', 'mullerin'],
    ['family:missing=true', 'none'],
    ['name:missing=false&family=100', 'percent'],
    // T9: nothing of a value is a pattern.
    ['family=%', ''],
    ['family=_', ''],
    ['family=\\\\', ''],
    ['family:contains=%25%25%25', ''],
    ['family:contains=___', ''],
    ['family:contains=0%_', 'percent'],
    ['family:contains=_x\\\\y', 'percent'],
  ])('Patient?%s finds: %s', async (query, expected) => {
    const [name = '', value = ''] = query.split('&')[0]?.split(/=(.*)/s) ?? [];
    const rest = query.includes('&') ? `&${query.split('&')[1]}` : '';
    expect(await ids('Patient', `${name}=${encodeURIComponent(value)}${rest}`)).toBe(expected);
  });

  it(':contains with less than three letters is refused', async () => {
    await expect(stored.store.search('Patient', 'family:contains=ab')).rejects.toMatchObject({
      code: 'fhir.invalid',
    });
  });
});

describe('tokens', () => {
  it.each([
    ['Observation', 'code=10', 'other plain skull'],
    ['Observation', `code=${SCT}|10`, 'skull'],
    ['Observation', 'code=|10', 'plain'],
    ['Observation', `code=${SCT}|`, 'head skull'],
    ['Observation', `code:not=${SCT}|10`, 'head other plain text'],
    ['Observation', 'code:not=10,1', 'text'],
    ['Observation', 'code:text=skull', 'skull text'],
    ['Observation', 'code:text=SKULL B', 'text'],
    ['Observation', 'code:text=head injury', 'head'],
    ['Observation', 'code:text=injury', 'head'],
    ['Observation', 'code:text=fracture', ''],
    ['Observation', 'code:missing=true', ''],
    ['Observation', 'code:missing=false', 'head other plain skull text'],
    ['Patient', 'active=false', 'none'],
    ['Patient', 'active:missing=false', 'none'],
    ['Patient', 'identifier=7', 'mueller muller'],
    ['Patient', 'identifier=urn:mrn|a\\|b', 'none'],
    ['Patient', `identifier:of-type=${TYPES}|MR|7`, 'mueller'],
    ['Patient', `identifier:of-type=${TYPES}|SS|7,${TYPES}|MR|8`, 'muller'],
    ['Patient', 'identifier:of-type=urn:x|MR|7', ''],
    ['Patient', 'identifier:text=record', 'mueller muller'],
  ])('%s?%s finds: %s', async (type, query, expected) => {
    const [name = '', value = ''] = query.split(/=(.*)/s);
    expect(await ids(type, `${name}=${encodeURIComponent(value)}`)).toBe(expected);
  });

  it.each(['identifier:of-type=a|b', 'identifier:of-type=|b|c', 'identifier:of-type=a|b|c|d'])(
    '%s is refused',
    async (query) => {
      await expect(stored.store.search('Patient', query)).rejects.toMatchObject({ code: 'fhir.invalid' });
    },
  );

  it.each([
    ['code:in=http://sets/injury', 'head'],
    ['code:not-in=http://sets/injury', 'other plain skull text'],
    ['code:in=http://sets/empty', ''],
    ['code:not-in=http://sets/empty', 'head other plain skull text'],
    [`code:below=${SCT}|1`, 'head skull'],
    [`code:above=${SCT}|10`, 'head skull'],
    [`code:above=${SCT}|1`, 'head'],
    [`combo-code:below=${SCT}|10`, 'skull'],
  ])('with terminology, Observation?%s finds: %s', async (query, expected) => {
    registerTerminology(terminology);
    expect(await ids('Observation', query)).toBe(expected);
  });

  it.each([
    ['code:in=http://sets/unknown', 'fhir.invalid'],
    ['code:below=urn:unknown|1', 'fhir.invalid'],
    ['code:below=1', 'fhir.invalid'],
    ['code:in=http://sets/huge', 'fhir.invalid'],
  ])('with terminology, %s is refused: %s', async (query, code) => {
    registerTerminology(terminology);
    const refusal = stored.store.search('Observation', query);
    await expect(refusal).rejects.toMatchObject({ code });
    if (query.endsWith('huge')) await expect(refusal).rejects.toThrow(String(RESOLVED_CODES_MAX));
  });

  it('without terminology these modifiers are refused by name', async () => {
    for (const query of ['code:in=x', 'code:not-in=x', `code:below=${SCT}|1`, `code:above=${SCT}|1`])
      await expect(stored.store.search('Observation', query)).rejects.toMatchObject({
        code: 'fhir.unsupported',
      });
  });
});

describe('uris', () => {
  it.each([
    ['url=http://acme.org/fhir', 'c'],
    ['url=http://acme.org/fhi', ''],
    ['url=HTTP://acme.org/fhir', ''],
    ['url:below=http://acme.org/fhir', 'a b c'],
    ['url:below=http://acme.org/fhir/', 'a b c'],
    ['url:below=http://acme.org/fhir/ValueSet', 'a b'],
    ['url:above=http://acme.org/fhir/ValueSet/123/_history/5', 'a b c'],
    ['url:above=http://acme.org/fhir/ValueSet/123', 'a c'],
    ['url=urn:oid:1.2.3', 'e'],
    ['url:missing=true', ''],
  ])('ValueSet?%s finds: %s', async (query, expected) => {
    expect(await ids('ValueSet', query)).toBe(expected);
  });

  it('a URN lies above or below nothing', async () => {
    await expect(stored.store.search('ValueSet', 'url:below=urn:oid:1.2')).rejects.toMatchObject({
      code: 'fhir.invalid',
    });
  });
});
