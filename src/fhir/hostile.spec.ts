import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import type { Database } from '../database/database.ts';

let fhir: FhirApp;
/** Every statement that reached the database, as its text. */
const statements: string[] = [];

beforeAll(async () => {
  fhir = await fhirApp();
  const database = fhir.database as Database;
  const run = database.run.bind(database);
  database.run = (statement, values) => {
    statements.push(statement.text);
    return run(statement, values);
  };
  await fhir.send('PUT', 'Patient/p', {
    resourceType: 'Patient',
    id: 'p',
    name: [{ family: 'Doe' }],
    birthDate: '1970-01-01',
  });
  await fhir.send('PUT', 'Observation/o', {
    resourceType: 'Observation',
    id: 'o',
    status: 'final',
    code: { text: 'c' },
    subject: { reference: 'Patient/p' },
    valueQuantity: { value: 1 },
  });
});
afterAll(() => fhir.close());

/** T14. */
const PAYLOADS = [
  "' or 1=1--",
  '" || 1==1 || "',
  "'); drop table resource;--",
  '$$',
  '\\',
  '%',
  '_',
  'x\u0000y',
  '$1',
  '..%2f..%2fetc',
];

const PLACES: readonly [string, (payload: string) => string][] = [
  ['a string', (text) => `Patient?name=${text}`],
  ['a string, exact', (text) => `Patient?name:exact=${text}`],
  ['a token', (text) => `Patient?identifier=${text}`],
  ['a reference', (text) => `Observation?subject=${text}`],
  ['a uri', (text) => `Patient?_profile=${text}`],
  ['a date', (text) => `Patient?birthdate=${text}`],
  ['a quantity', (text) => `Observation?value-quantity=${text}`],
  ['an id', (text) => `Patient?_id=${text}`],
  ['_sort', (text) => `Patient?_sort=${text}`],
  ['_elements', (text) => `Patient?_elements=${text}`],
  ['_include', (text) => `Observation?_include=${text}`],
  ['_cursor', (text) => `Patient?_cursor=${text}`],
  ['_since', (text) => `Patient/_history?_since=${text}`],
  ['_type', (text) => `?_type=${text}`],
  ['the name of a parameter', (text) => `Patient?${text}=x`],
  ['an id in the path', (text) => `Patient/${text}`],
  ['a version in the path', (text) => `Patient/p/_history/${text}`],
  ['a type in the path', (text) => `${text}/p`],
];

describe('what is sent never becomes SQL (T14)', () => {
  it.each(PLACES)('as %s', async (_, at) => {
    for (const payload of PAYLOADS) {
      const { status, json } = await fhir.send('GET', at(encodeURIComponent(payload)));
      expect([200, 400, 404], `${payload} gave ${status}`).toContain(status);
      if (status === 200) expect(json.entry ?? []).toEqual([]);
      else expect(json.resourceType).toBe('OperationOutcome');
    }
  });

  it('as the value of a header, or of a patch', async () => {
    const patient = { resourceType: 'Patient', id: 'p', name: [{ family: 'Doe' }], birthDate: '1970-01-01' };
    for (const payload of PAYLOADS.filter((one) => !one.includes('\u0000'))) {
      expect((await fhir.send('PUT', 'Patient/p', patient, { 'if-match': payload })).status).toBe(412);
      const none = await fhir.send('POST', 'Patient', patient, {
        'if-none-exist': `identifier=${encodeURIComponent(payload)}`,
      });
      expect([200, 201, 400]).toContain(none.status);
      const path = await fhir.send('PATCH', 'Patient/p', [{ op: 'remove', path: `/name/${payload}` }], {
        'content-type': 'application/json-patch+json',
      });
      expect([400, 422]).toContain(path.status);
    }
    expect((await fhir.send('GET', 'Patient/p')).json.name).toEqual([{ family: 'Doe' }]);
  });

  it('as a parameter that tries to be an object or a list', async () => {
    for (const query of ['name[$ne]=x', 'name[]=a', 'name.family=x']) {
      expect((await fhir.send('GET', `Patient?${query}`)).status).toBe(400);
    }
  });

  it('and no statement held any of it', () => {
    const all = statements.join('\n');
    expect(statements.length).toBeGreaterThan(50);
    for (const payload of ['1=1', 'drop table', '1==1', 'etc']) expect(all).not.toContain(payload);
  });
});

describe('names that JavaScript knows (T15)', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty'])(
    '%s is no type, parameter, sort key, element or operation',
    async (name) => {
      const status = async (path: string) => (await fhir.send('GET', path)).status;
      expect(await status(`${name}/1`)).toBe(404);
      expect(await status(`${name}`)).toBe(404);
      expect(await status(`Patient/p/${name}`)).toBe(404);
      expect(await status(`Patient?${name}=1`)).toBe(400);
      expect(await status(`Patient?_sort=${name}`)).toBe(400);
      expect(await status(`Patient?_elements=${name}`)).toBe(400);
      expect(await status(`Patient?_summary=${name}`)).toBe(400);
      expect(await status(`Patient?_has:${name}:${name}:${name}=1`)).toBe(400);
      expect(await status(`?_type=${name}`)).toBe(400);
      expect(await status(`$${name}`)).toBe(404);
      expect((await fhir.send('POST', 'Patient', { resourceType: name })).status).toBe(400);
    },
  );
});
