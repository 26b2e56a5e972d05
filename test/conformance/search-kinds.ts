import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { type Check, group, once } from './check.ts';
import type { FhirServer, Json } from './fhir-server.ts';
import { code, observation, patient } from './samples.ts';

type Row = readonly [query: string, found: string];

/** Stores one resource per letter. A row says which letters a query finds; the order does not matter. */
function finds(
  check: (title: string, run: Check['run']) => void,
  type: string,
  letters: Record<string, Json>,
  rows: readonly Row[],
): void {
  const stored = once(async (server: FhirServer) => {
    const byId = new Map<string, string>();
    for (const [letter, resource] of Object.entries(letters))
      byId.set((await server.create({ resourceType: type, ...resource })).id, letter);
    return byId;
  });
  for (const [query, found] of rows)
    check(`${type}?${query} finds ${found || 'nothing'}`, async (server) => {
      const byId = await stored(server);
      // Other groups store resources of the type too: only ours count.
      const ids = (await server.ids(type, `${query}&_count=200`)).filter((id) => byId.has(id));
      assert.equal(
        ids
          .map((id) => byId.get(id))
          .sort()
          .join(''),
        found,
      );
    });
}

function refuses(
  check: (title: string, run: Check['run']) => void,
  type: string,
  queries: readonly string[],
): void {
  for (const query of queries)
    check(`${type}?${query} is refused`, (server) =>
      server.refused(400, 'GET', `${type}?${query}`).then(() => undefined),
    );
}

const named = (family: string, more: Json = {}) => patient({ name: [{ family, ...more }] });

export const stringSearch = group('search: string', 'search.html#string', (check) => {
  finds(
    check,
    'Patient',
    {
      a: named('Zander'),
      b: named('Zanderlein'),
      c: named('Überzander'),
      d: named('ZANDER', { given: ['Mi%ra'] }),
      e: named('Ósk_ar'),
      f: patient({ name: [{ text: 'Nur Text' }], address: [{ city: 'Zwolle', line: ['Gracht 3'] }] }),
    },
    [
      ['family=Zander', 'abd'],
      ['family=zander', 'abd'],
      ['family:exact=Zander', 'a'],
      ['family:exact=zander', ''],
      ['family:contains=zander', 'abcd'],
      ['family=uberzander', 'c'],
      ['family=oskar', ''],
      ['family=osk_ar', 'e'],
      ['family=Zanderlein,Uberz', 'bc'],
      ['given=mi%25', 'd'],
      ['given=m%25a', ''],
      ['family=%25', ''],
      ['family=_', ''],
      ['family=%5C', ''],
      ['name=nur', 'f'],
      ['address=gracht', 'f'],
      ['address-city=zwolle', 'f'],
      ['family:missing=true&name:missing=false', 'f'],
      ["family=' or 1=1--", ''],
    ],
  );
  refuses(check, 'Patient', ['family:bogus=x', 'family:contains=a']);
});

export const tokenSearch = group('search: token', 'search.html#token', (check) => {
  const other = 'http://example.org/codes';
  finds(
    check,
    'Observation',
    {
      a: observation({ code: code('t-1', other) }),
      b: observation({ code: code('t-1', 'http://example.org/more') }),
      c: observation({ code: { coding: [{ code: 't-1' }] } }),
      d: observation({ code: { coding: [...code('t-2', other).coding, ...code('t-3', other).coding] } }),
      e: observation({ code: { text: 'Nur ein Text der Konformität' }, status: 'amended' }),
      f: observation({ code: code('T-1', other), status: 'preliminary' }),
    },
    [
      ['code=t-1', 'abc'],
      [`code=${other}|t-1`, 'a'],
      ['code=|t-1', 'c'],
      [`code=${other}|`, 'adf'],
      ['code=t-2,t-3', 'd'],
      [`code=${other}|t-3&code=t-2`, 'd'],
      ['code=t-1&status=final', 'abc'],
      [`code:not=t-1&status=final,preliminary&code=${other}|`, 'df'],
      ['code:text=nur ein', 'e'],
      ['status=amended&code:missing=true', ''],
      ['status=amended', 'e'],
      ['code=t-1%7C', ''],
      ["code=' OR '1'='1", ''],
      ['code=$$', ''],
    ],
  );
  finds(
    check,
    'Patient',
    {
      a: patient({
        identifier: [
          { system: 'urn:mrn', value: 'k-77', type: { coding: [{ system: 'urn:types', code: 'MR' }] } },
        ],
      }),
      b: patient({ identifier: [{ system: 'urn:other', value: 'k-77' }], active: true }),
      c: patient({ active: false, telecom: [{ system: 'phone', value: 'k-+31' }] }),
    },
    [
      ['identifier=k-77', 'ab'],
      ['identifier=urn:mrn|k-77', 'a'],
      ['identifier:of-type=urn:types|MR|k-77', 'a'],
      ['identifier:of-type=urn:types|SS|k-77', ''],
      ['active=true', 'b'],
      ['active=false', 'c'],
      ['telecom=k-%2B31', 'c'],
      ['phone=k-%2B31', 'c'],
      ['email=k-%2B31', ''],
      ['identifier:missing=true', 'c'],
    ],
  );
  refuses(check, 'Observation', ['code:exact=t-1']);
});

export const referenceSearch = group('search: reference', 'search.html#reference', (check) => {
  const id = randomUUID();
  finds(
    check,
    'Observation',
    {
      a: observation({ subject: { reference: `Patient/${id}` } }),
      b: observation({ subject: { reference: `Group/${id}` } }),
      c: observation({ subject: { identifier: { system: 'urn:mrn', value: id } } }),
      d: observation({ subject: { reference: `https://elsewhere.example/fhir/Patient/${id}` } }),
      e: observation({
        derivedFrom: [{ reference: `ImagingStudy/${id}` }],
        device: { reference: `Device/${id}` },
      }),
    },
    [
      [`subject=Patient/${id}`, 'a'],
      [`subject=${id}`, 'ab'],
      [`subject:Patient=${id}`, 'a'],
      [`subject:Group=${id}`, 'b'],
      [`patient=${id}`, 'a'],
      [`patient=Patient/${id}`, 'a'],
      [`subject=https://elsewhere.example/fhir/Patient/${id}`, 'd'],
      [`subject:identifier=urn:mrn|${id}`, 'c'],
      [`derived-from=ImagingStudy/${id}`, 'e'],
      [`device=Device/${id}`, 'e'],
      [`subject=Patient/${id},Group/${id}`, 'ab'],
      [`device=Device/${id}&subject:missing=true`, 'e'],
    ],
  );
  refuses(check, 'Observation', [`subject:Cupboard=${id}`, 'subject:exact=x']);
});

export const dateSearch = group('search: date', 'search.html#date', (check) => {
  finds(
    check,
    'Observation',
    {
      a: observation({ effectiveDateTime: '2013-01-14' }),
      b: observation({ effectiveDateTime: '2013-01-14T10:00:00Z' }),
      c: observation({ effectiveDateTime: '2013-01' }),
      d: observation({ effectiveDateTime: '2013' }),
      e: observation({ effectivePeriod: { start: '2013-01-20', end: '2013-02-10' } }),
      f: observation({ effectivePeriod: { start: '2013-03-01' } }),
      g: observation({ effectivePeriod: { end: '2012-12-31' } }),
      h: observation({ effectiveDateTime: '2013-01-14T23:30:00-05:00' }),
    },
    [
      ['date=2013-01-14', 'ab'],
      ['date=eq2013-01-14', 'ab'],
      ['date=2013-01', 'abch'],
      ['date=2013', 'abcdeh'],
      ['date=2013-01-14T10:00:00Z', 'b'],
      ['date=2013-01-14T10:00Z', 'b'],
      ['date=2013-01-14T11:00:00%2B01:00', 'b'],
      ['date=2013-01-15', 'h'],
      ['date=ne2013-01', 'defg'],
      ['date=gt2013-01-14&date=lt2013-02-01', 'cdeh'],
      ['date=ge2013-02-10', 'df'],
      ['date=lt2013-01-01', 'g'],
      ['date=le2012-12-31', 'g'],
      ['date=sa2013-01-31', 'f'],
      ['date=eb2013-01-14', 'g'],
      ['date=sa2013-01-14', 'efh'],
      ['date=eb2013-01-20', 'abgh'],
      ['date=gt2013-12-31', 'f'],
      ['date=2013-01-14,2013-01-15', 'abh'],
      ['date:missing=true', ''],
    ],
  );
  finds(
    check,
    'Patient',
    {
      a: patient({ birthDate: '1911' }),
      b: patient({ birthDate: '1911-05' }),
      c: patient({ birthDate: '1911-05-30' }),
    },
    [
      ['birthdate=1911', 'abc'],
      ['birthdate=1911-05', 'bc'],
      ['birthdate=1911-05-30', 'c'],
      ['birthdate=lt1911-05-30', 'ab'],
      ['birthdate=gt1911-05&birthdate=lt1913', 'a'],
    ],
  );
  refuses(check, 'Observation', [
    'date=yesterday',
    'date=gt2020-13-45',
    'date=2020-02-30',
    'date=xx2020',
    'date=9999-12-31T23:59:59.9999999999Z',
    'date:exact=2013',
  ]);
});

export const numberSearch = group('search: number', 'search.html#number', (check) => {
  const risk = (probabilityDecimal: number) => ({
    status: 'final',
    subject: { reference: 'Patient/x' },
    prediction: [{ outcome: { text: 'x' }, probabilityDecimal }],
  });
  finds(
    check,
    'RiskAssessment',
    { a: risk(0.1), b: risk(0.10001), c: risk(0.104), d: risk(0.2), e: risk(0.9) },
    [
      ['probability=0.1', 'abc'],
      ['probability=0.10', 'abc'],
      ['probability=0.100', 'ab'],
      ['probability=gt0.1', 'bcde'],
      ['probability=ge0.2', 'de'],
      ['probability=lt0.104', 'ab'],
      ['probability=le0.1', 'a'],
      ['probability=ne0.9', 'abcd'],
      ['probability=sa0.2', 'e'],
      ['probability=eb0.2', 'abc'],
      ['probability=2e-1', 'd'],
      ['probability=0.1,0.9', 'abce'],
    ],
  );
  refuses(check, 'RiskAssessment', ['probability=much', 'probability=1e999999', 'probability=gtgt1']);
});

export const quantitySearch = group('search: quantity', 'search.html#quantity', (check) => {
  const ucum = 'http://unitsofmeasure.org';
  const amount = (value: number, unit: string, system: string | undefined = ucum) =>
    observation({
      code: code('q-1', 'urn:q'),
      valueQuantity: { value, unit, ...(system ? { system, code: unit } : {}) },
    });
  finds(
    check,
    'Observation',
    {
      a: amount(5.4, 'mg'),
      b: amount(0.0054, 'g'),
      c: amount(7, 'mg'),
      d: { ...observation({ code: code('q-1', 'urn:q') }), valueQuantity: { value: 5.4, unit: 'mg' } },
      e: amount(5.4, 'mL'),
      f: amount(12, 'scores', 'urn:scores'),
    },
    [
      [`code=q-1&value-quantity=5.4|${ucum}|mg`, 'ab'],
      ['code=q-1&value-quantity=7||mg', 'c'],
      ['code=q-1&value-quantity=5.4', 'ade'],
      [`code=q-1&value-quantity=gt6|${ucum}|mg`, 'c'],
      [`code=q-1&value-quantity=lt0.006|${ucum}|g`, 'ab'],
      [`code=q-1&value-quantity=5400|${ucum}|ug`, 'ab'],
      [`code=q-1&value-quantity=0.0054|${ucum}|L`, 'e'],
      ['code=q-1&value-quantity=12|urn:scores|scores', 'f'],
      [`code=q-1&value-quantity=ap5.4|${ucum}|mg`, 'ab'],
      [`code=q-1&value-quantity=le5.4|${ucum}|mg`, 'ab'],
    ],
  );
  refuses(check, 'Observation', ['value-quantity=much|x|y', 'value-quantity=|http://unitsofmeasure.org|mg']);
});

export const uriSearch = group('search: uri', 'search.html#uri', (check) => {
  const base = `http://example.org/${randomUUID()}`;
  const set = (url: string) => ({ status: 'draft', url });
  finds(
    check,
    'ValueSet',
    { a: set(`${base}/fhir/ValueSet/1`), b: set(`${base}/fhir/ValueSet/12`), c: set('urn:oid:1.2.3.4.55') },
    [
      [`url=${base}/fhir/ValueSet/1`, 'a'],
      [`url=${base}/fhir/ValueSet`, ''],
      [`url:below=${base}/fhir`, 'ab'],
      [`url:above=${base}/fhir/ValueSet/1/more`, 'a'],
      ['url=urn:oid:1.2.3.4.55', 'c'],
      [`url=${base}/fhir/ValueSet/1,urn:oid:1.2.3.4.55`, 'ac'],
    ],
  );
});

export const compositeSearch = group('search: composite', 'search.html#composite', (check) => {
  const ucum = 'http://unitsofmeasure.org';
  const quantity = (value: number) => ({ value, unit: 'mm', system: ucum, code: 'mm' });
  const part = (name: string, value: number) => ({
    code: code(name, 'urn:c'),
    valueQuantity: quantity(value),
  });
  finds(
    check,
    'Observation',
    {
      a: observation({ code: code('c-size', 'urn:c'), valueQuantity: quantity(8) }),
      b: observation({ code: code('c-size', 'urn:c'), valueQuantity: quantity(3) }),
      c: observation({ code: code('c-depth', 'urn:c'), valueQuantity: quantity(8) }),
      d: observation({ code: code('c-panel', 'urn:c'), component: [part('c-x', 8), part('c-y', 3)] }),
      e: observation({ code: code('c-panel', 'urn:c'), component: [part('c-x', 3), part('c-y', 8)] }),
      f: observation({ code: code('c-kind', 'urn:c'), valueCodeableConcept: code('c-solid', 'urn:c') }),
    },
    [
      [`code-value-quantity=urn:c|c-size$gt5|${ucum}|mm`, 'a'],
      [`code-value-quantity=c-size$3|${ucum}|mm`, 'b'],
      [`code-value-quantity=c-size$8|${ucum}|mm,c-depth$8|${ucum}|mm`, 'ac'],
      [`component-code-value-quantity=c-x$gt5|${ucum}|mm`, 'd'],
      [`component-code-value-quantity=c-y$gt5|${ucum}|mm`, 'e'],
      ['code-value-concept=urn:c|c-kind$urn:c|c-solid', 'f'],
      ['code-value-concept=urn:c|c-kind$urn:c|c-other', ''],
    ],
  );
  refuses(check, 'Observation', ['code-value-quantity=c-size', 'code-value-quantity=a$b$c']);
});

export const injection = group('search: hostile values', 'search.html', (check) => {
  const values = [
    "' or 1=1--",
    '" || 1==1 || "',
    "'); drop table resource;--",
    '$$',
    '\\',
    'a\u0000b',
    '../..',
    '{{7*7}}',
  ];
  for (const parameter of [
    'family',
    'identifier',
    'general-practitioner',
    'birthdate',
    '_id',
    '_lastUpdated',
    '_sort',
    '_include',
    '_elements',
  ])
    check(`${parameter} takes hostile values as values, or refuses them`, async (server) => {
      for (const value of values) {
        const { status } = await server.get(`Patient?${parameter}=${encodeURIComponent(value)}`);
        assert.ok(status === 200 || status === 400, `${status}`);
        if (status !== 200) continue;
        const found = await server.get(`Patient?${parameter}=${encodeURIComponent(value)}&_summary=count`);
        if (!['_elements', '_sort', '_include'].includes(parameter)) assert.equal(found.body.total, 0);
      }
    });
  for (const name of ['constructor', '__proto__', 'toString', 'param[$ne]', 'param[]'])
    check(`the parameter ${name} is refused`, (server) =>
      server.refused(400, 'GET', `Patient?${encodeURIComponent(name)}=1`).then(() => undefined),
    );
  for (const type of ['constructor', '__proto__', 'toString'])
    check(`the type ${type} is 404`, (server) =>
      server.refused([400, 404], 'GET', encodeURIComponent(type)).then(() => undefined),
    );
});
