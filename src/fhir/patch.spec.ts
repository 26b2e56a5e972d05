import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp } from '../../test/fhir-app.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
});
afterAll(() => fhir.close());

const JSON_PATCH = { 'content-type': 'application/json-patch+json' };

const patient = (id: string) => ({
  resourceType: 'Patient',
  id,
  active: true,
  identifier: [{ system: 'urn:mrn', value: id }],
  name: [
    { use: 'official', family: 'Doe', given: ['Jane', 'Q'] },
    { use: 'nickname', text: 'JD' },
  ],
  birthDate: '1970-01-01',
});

async function stored(id: string, resource: object = patient(id)) {
  const type = (resource as { resourceType: string }).resourceType;
  expect((await fhir.send('PUT', `${type}/${id}`, resource)).status).toBeLessThan(300);
}

const jsonPatch = (id: string, operations: unknown, headers = {}) =>
  fhir.send('PATCH', `Patient/${id}`, operations, { ...JSON_PATCH, ...headers });

type Part = Record<string, unknown>;
const operation = (type: string, path: string, more: Part[] = []) => ({
  name: 'operation',
  part: [{ name: 'type', valueCode: type }, { name: 'path', valueString: path }, ...more],
});
const fhirpathPatch = (id: string, ...parameter: object[]) =>
  fhir.send('PATCH', `Patient/${id}`, { resourceType: 'Parameters', parameter });

describe('JSON Patch', () => {
  it('changes what it names, makes one new version, and keeps the rest', async () => {
    await stored('j1');
    const answer = await jsonPatch('j1', [
      { op: 'test', path: '/birthDate', value: '1970-01-01' },
      { op: 'replace', path: '/active', value: false },
      { op: 'add', path: '/name/0/given/-', value: 'R' },
      { op: 'remove', path: '/name/1' },
      { op: 'copy', from: '/identifier/0', path: '/identifier/1' },
      { op: 'move', from: '/birthDate', path: '/deceasedDateTime' },
    ]);
    expect(answer.status).toBe(200);
    expect(answer.headers['etag']).toBe('W/"2"');
    expect(answer.json).toMatchObject({
      active: false,
      deceasedDateTime: '1970-01-01',
      name: [{ given: ['Jane', 'Q', 'R'] }],
      identifier: [{ value: 'j1' }, { value: 'j1' }],
    });
    expect(answer.json.birthDate).toBeUndefined();
    expect((await fhir.send('GET', 'Patient/j1')).text).toBe(answer.text);
    expect((await fhir.send('GET', 'Patient/j1/_history')).json.total).toBe(2);
  });

  it('keeps the spelling of decimals, both of those it brings and of those it leaves alone', async () => {
    const observation = {
      resourceType: 'Observation',
      id: 'o1',
      status: 'final',
      code: { text: 'x' },
      component: [{ code: { text: 'a' }, valueQuantity: { value: 0 } }],
    };
    const text = JSON.stringify(observation).replace('"value":0', '"value":1.10');
    expect((await fhir.send('PUT', 'Observation/o1', text)).status).toBe(201);
    const patch = '[{"op":"add","path":"/valueQuantity","value":{"value":2.500}}]';
    const answer = await fhir.send('PATCH', 'Observation/o1', patch, JSON_PATCH);
    expect(answer.text).toContain('"value":2.500');
    expect(answer.text).toContain('"value":1.10}');
    const again = '[{"op":"replace","path":"/valueQuantity/value","value":3.00}]';
    expect((await fhir.send('PATCH', 'Observation/o1', again, JSON_PATCH)).text).toContain('"value":3.00');
  });

  it.each([
    ['a test that fails', [{ op: 'test', path: '/active', value: false }], 422, 'fhir.patch'],
    ['a path to nothing', [{ op: 'remove', path: '/photo' }], 422, 'fhir.patch'],
    ['an index beyond the list', [{ op: 'add', path: '/name/7', value: {} }], 422, 'fhir.patch'],
    ['a result that breaks the rules', [{ op: 'add', path: '/gender', value: 'q' }], 422, 'fhir.validation'],
    ['a result with an unknown element', [{ op: 'add', path: '/foo', value: 1 }], 422, 'fhir.validation'],
    ['no list', { op: 'remove', path: '/active' }, 400, 'fhir.invalid'],
    ['an empty list', [], 400, 'fhir.invalid'],
    ['an unknown operation', [{ op: 'merge', path: '/active', value: 1 }], 400, 'fhir.invalid'],
    ['an operation without a value', [{ op: 'add', path: '/active' }], 400, 'fhir.invalid'],
    ['a pointer that is none', [{ op: 'remove', path: 'active' }], 400, 'fhir.invalid'],
    ['a way into the prototype', [{ op: 'add', path: '/__proto__/x', value: 1 }], 400, 'fhir.invalid'],
    ['another way into it', [{ op: 'add', path: '/constructor/prototype/x', value: 1 }], 400, 'fhir.invalid'],
    ['the id', [{ op: 'replace', path: '/id', value: 'x' }], 403, 'fhir.protected'],
    ['the type', [{ op: 'replace', path: '/resourceType', value: 'Group' }], 403, 'fhir.protected'],
    ['the labels', [{ op: 'remove', path: '/meta/security/0' }], 403, 'fhir.protected'],
    ['the whole resource', [{ op: 'replace', path: '', value: {} }], 403, 'fhir.protected'],
    ['meta as a source of a move', [{ op: 'move', from: '/meta/x', path: '/x' }], 403, 'fhir.protected'],
    [
      'more operations than one change needs',
      Array(501).fill({ op: 'test', path: '/active', value: true }),
      400,
      'fhir.invalid',
    ],
  ])('refuses %s and changes nothing', async (_, operations, status, code) => {
    await stored('j2');
    const before = await fhir.send('GET', 'Patient/j2');
    const answer = await jsonPatch('j2', operations);
    expect([answer.status, answer.json.issue[0].details.coding[0].code]).toEqual([status, code]);
    expect((await fhir.send('GET', 'Patient/j2')).text).toBe(before.text);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('never says what was tested or refused', async () => {
    await stored('j3');
    const answer = await jsonPatch('j3', [{ op: 'test', path: '/name/0/family', value: 'SECRETNAME' }]);
    expect(answer.text).not.toMatch(/SECRETNAME|Doe/);
    expect(answer.json.issue[0].expression).toEqual(['[0]']);
  });

  it('obeys If-Match, and answers 404 and 410', async () => {
    await stored('j4');
    const change = [{ op: 'replace', path: '/active', value: false }];
    expect((await jsonPatch('j4', change, { 'if-match': 'W/"9"' })).status).toBe(412);
    expect((await jsonPatch('j4', change, { 'if-match': 'W/"1"' })).status).toBe(200);
    expect((await jsonPatch('never', change)).status).toBe(404);
    await fhir.send('DELETE', 'Patient/j4');
    expect((await jsonPatch('j4', change)).status).toBe(410);
  });

  it('loses none of twenty patches that come at once', async () => {
    await stored('j5');
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        jsonPatch('j5', [{ op: 'add', path: '/identifier/-', value: { system: 'urn:n', value: `${n}` } }]),
      ),
    );
    expect(all.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect((await fhir.send('GET', 'Patient/j5')).json.identifier).toHaveLength(21);
  });

  it('needs the scope of an update and no other', async () => {
    await stored('j6');
    const change = [{ op: 'replace', path: '/active', value: false }];
    expect((await jsonPatch('j6', change, { 'x-scope': 'system/Patient.rs' })).status).toBe(403);
    expect((await jsonPatch('j6', change, { 'x-scope': 'system/Patient.u' })).status).toBe(200);
  });

  it('refuses other media types with words', async () => {
    await stored('j7');
    const xml = await fhir.send('PATCH', 'Patient/j7', '<diff/>', {
      'content-type': 'application/xml-patch+xml',
    });
    expect([xml.status, xml.json.resourceType]).toEqual([415, 'OperationOutcome']);
    expect((await fhir.send('PATCH', 'Patient/j7', patient('j7'))).status).toBe(415);
    expect((await fhir.send('POST', 'Patient', [], JSON_PATCH)).status).toBe(415);
    expect((await jsonPatch('j7', undefined)).status).toBe(400);
  });
});

describe('FHIRPath Patch', () => {
  it('adds, inserts, deletes, replaces and moves', async () => {
    await stored('f1');
    const answer = await fhirpathPatch(
      'f1',
      operation('add', 'Patient', [
        { name: 'name', valueString: 'gender' },
        { name: 'value', valueCode: 'female' },
      ]),
      operation('add', "Patient.name.where(use = 'official')", [
        { name: 'name', valueString: 'given' },
        { name: 'value', valueString: 'R' },
      ]),
      operation('insert', 'Patient.identifier', [
        { name: 'index', valueInteger: 0 },
        { name: 'value', valueIdentifier: { system: 'urn:first', value: '0' } },
      ]),
      operation('delete', "Patient.name.where(use = 'nickname')"),
      operation('replace', 'Patient.birthDate', [{ name: 'value', valueDate: '1980-02-03' }]),
      operation('move', 'Patient.identifier', [
        { name: 'source', valueInteger: 0 },
        { name: 'destination', valueInteger: 1 },
      ]),
      operation('delete', 'Patient.photo'),
    );
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({
      gender: 'female',
      birthDate: '1980-02-03',
      name: [{ given: ['Jane', 'Q', 'R'] }],
      identifier: [{ system: 'urn:mrn' }, { system: 'urn:first' }],
    });
    expect(answer.json.name).toHaveLength(1);
  });

  it('adds an element that is no data type by its parts, and a choice by its value', async () => {
    await stored('f2');
    const answer = await fhirpathPatch(
      'f2',
      operation('add', 'Patient', [
        { name: 'name', valueString: 'contact' },
        {
          name: 'value',
          part: [
            { name: 'name', valueHumanName: { text: 'a name' } },
            { name: 'telecom', valueContactPoint: { system: 'phone', value: '1' } },
            { name: 'telecom', valueContactPoint: { system: 'phone', value: '2' } },
          ],
        },
      ]),
      operation('add', 'Patient', [
        { name: 'name', valueString: 'deceased' },
        { name: 'value', valueBoolean: false },
      ]),
      operation('replace', 'Patient.deceased', [{ name: 'value', valueBoolean: true }]),
    );
    expect(answer.json.contact).toEqual([
      {
        name: { text: 'a name' },
        telecom: [
          { system: 'phone', value: '1' },
          { system: 'phone', value: '2' },
        ],
      },
    ]);
    expect(answer.json.deceasedBoolean).toBe(true);
  });

  it.each([
    ['a path to nothing', operation('replace', 'Patient.photo', [{ name: 'value', valueString: 'x' }]), 422],
    ['a path to several', operation('replace', 'Patient.name', [{ name: 'value', valueString: 'x' }]), 422],
    [
      'an index outside',
      operation('insert', 'Patient.name', [
        { name: 'index', valueInteger: 9 },
        { name: 'value', valueHumanName: { text: 'x' } },
      ]),
      422,
    ],
    [
      'an element that is there',
      operation('add', 'Patient', [
        { name: 'name', valueString: 'birthDate' },
        { name: 'value', valueDate: '1999' },
      ]),
      422,
    ],
    [
      'an unknown element',
      operation('add', 'Patient', [
        { name: 'name', valueString: 'foo' },
        { name: 'value', valueDate: '1999' },
      ]),
      422,
    ],
    ['another type', operation('delete', 'Group.name'), 400],
    ['an unknown operation', operation('upsert', 'Patient.name'), 400],
    ['the id', operation('replace', 'Patient.id', [{ name: 'value', valueId: 'x' }]), 403],
    ['the labels', operation('delete', 'Patient.meta.security'), 403],
    ['meta through a filter', operation('delete', 'Patient.where(true).meta'), 403],
    [
      'meta by add',
      operation('add', 'Patient', [
        { name: 'name', valueString: 'meta' },
        { name: 'value', valueMeta: {} },
      ]),
      403,
    ],
    [
      'a function that may run long',
      operation('delete', "Patient.name.where(family.matches('^(a+)+$'))"),
      400,
    ],
    ['a function of navigation', operation('delete', 'Patient.descendants()'), 400],
    ['a program', operation('delete', `Patient.name.where(${'('.repeat(300)}true${')'.repeat(300)})`), 400],
    ['an environment variable', operation('delete', 'Patient.name.where(%resource.id = 1)'), 400],
    ['a path that is too long', operation('delete', `Patient${'.name'.repeat(200)}`), 400],
  ])('refuses %s', async (_, one, status) => {
    await stored('f3');
    const before = await fhir.send('GET', 'Patient/f3');
    const answer = await fhirpathPatch('f3', one);
    expect([answer.status, answer.json.resourceType]).toEqual([status, 'OperationOutcome']);
    expect((await fhir.send('GET', 'Patient/f3')).text).toBe(before.text);
  });

  it('does nothing by half: an operation that fails undoes those before it', async () => {
    await stored('f4');
    const answer = await fhirpathPatch(
      'f4',
      operation('delete', 'Patient.birthDate'),
      operation('replace', 'Patient.photo', [{ name: 'value', valueString: 'x' }]),
    );
    expect(answer.status).toBe(422);
    expect(answer.json.issue[0].expression).toEqual(['Parameters.parameter[1]']);
    expect((await fhir.send('GET', 'Patient/f4')).json.birthDate).toBe('1970-01-01');
  });
});

describe('PATCH in a Bundle', () => {
  it.each(['batch', 'transaction'])(
    'takes Parameters and a Binary with a JSON Patch in a %s',
    async (type) => {
      await stored(`${type}-1`);
      await stored(`${type}-2`);
      const data = Buffer.from('[{"op":"replace","path":"/active","value":false}]').toString('base64');
      const answer = await fhir.send('POST', '', {
        resourceType: 'Bundle',
        type,
        entry: [
          {
            resource: { resourceType: 'Binary', contentType: 'application/json-patch+json', data },
            request: { method: 'PATCH', url: `Patient/${type}-1` },
          },
          {
            resource: {
              resourceType: 'Parameters',
              parameter: [operation('replace', 'Patient.active', [{ name: 'value', valueBoolean: false }])],
            },
            request: { method: 'PATCH', url: `Patient?identifier=urn:mrn|${type}-2`, ifMatch: 'W/"1"' },
          },
        ],
      });
      expect(answer.json.entry.map((one: { response: { status: string } }) => one.response.status)).toEqual([
        '200 OK',
        '200 OK',
      ]);
      expect(answer.json.entry.map((one: { resource: { active: boolean } }) => one.resource.active)).toEqual([
        false,
        false,
      ]);
    },
  );
});
