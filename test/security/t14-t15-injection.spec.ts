import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type FhirApp, fhirApp } from '../fhir-app.ts';

let fhir: FhirApp;
/** What the server, or a library in it, prints. */
const printed: string[] = [];
/** The text of every statement that went to the database, below all layers: prepared (Parse) and simple (Query). */
const statements: string[] = [];
const { parse, query } = pg.Connection.prototype as unknown as Record<
  string,
  (...given: unknown[]) => unknown
>;

beforeAll(async () => {
  Object.assign(pg.Connection.prototype, {
    parse(this: unknown, ...given: [{ text: string }]) {
      statements.push(given[0].text);
      return parse?.apply(this, given);
    },
    query(this: unknown, ...given: [string]) {
      statements.push(given[0]);
      return query?.apply(this, given);
    },
  });
  for (const way of ['log', 'info', 'warn', 'error', 'debug'] as const)
    vi.spyOn(console, way).mockImplementation((...given) => void printed.push(given.join(' ')));
  fhir = await fhirApp();
  for (const resource of [
    { resourceType: 'Patient', id: 'p', name: [{ family: 'Doe' }], birthDate: '1970-01-01' },
    {
      resourceType: 'Observation',
      id: 'o',
      status: 'final',
      code: { text: 'c' },
      subject: { reference: 'Patient/p' },
      valueQuantity: { value: 1 },
    },
    { resourceType: 'ValueSet', id: 'v', url: 'http://example.org/v', status: 'active' },
    {
      resourceType: 'RiskAssessment',
      id: 'r',
      status: 'final',
      subject: { reference: 'Patient/p' },
      prediction: [{ probabilityDecimal: 0.5 }],
    },
  ])
    expect((await fhir.send('PUT', `${resource.resourceType}/${resource.id}`, resource)).status).toBe(201);
});
afterAll(async () => {
  Object.assign(pg.Connection.prototype, { parse, query });
  await fhir.close();
  vi.restoreAllMocks();
});

const PAYLOADS = [
  "' or 1=1--",
  "' OR '1'='1",
  '" || 1==1 || "',
  'none" || 1==1 || @ == "x',
  "'); drop table resource;--",
  '$$',
  '$$; select pg_sleep(9);$$',
  '\\',
  '%',
  '_',
  'x\u0000y',
  '$1',
  '{$ne:x}',
  '..%2f..%2fetc',
];

const PLACES: readonly [string, (payload: string) => string][] = [
  ['a string', (text) => `Patient?name=${text}`],
  ['a string, exact', (text) => `Patient?name:exact=${text}`],
  ['a string, contained', (text) => `Patient?name:contains=${text}`],
  ['a token', (text) => `Patient?identifier=${text}`],
  ['the system of a token', (text) => `Patient?identifier=${text}|x`],
  ['a token of a value set', (text) => `Observation?code:in=${text}`],
  ['the text of a token', (text) => `Observation?code:text=${text}`],
  ['a reference', (text) => `Observation?subject=${text}`],
  ['an identifier of a reference', (text) => `Observation?subject:identifier=${text}`],
  ['a uri', (text) => `ValueSet?url=${text}`],
  ['a uri, below', (text) => `ValueSet?url:below=${text}`],
  ['a canonical', (text) => `Patient?_profile=${text}`],
  ['a date', (text) => `Patient?birthdate=${text}`],
  ['a number', (text) => `RiskAssessment?probability=${text}`],
  ['a quantity', (text) => `Observation?value-quantity=${text}`],
  ['the unit of a quantity', (text) => `Observation?value-quantity=7||${text}`],
  ['a composite', (text) => `Observation?code-value-quantity=${text}$1`],
  ['the end of a chain', (text) => `Observation?subject:Patient.name=${text}`],
  ['the end of a _has', (text) => `Patient?_has:Observation:patient:code=${text}`],
  ['an id', (text) => `Patient?_id=${text}`],
  ['a tag', (text) => `Patient?_tag=${text}`],
  ['_list', (text) => `Patient?_list=${text}`],
  ['_lastUpdated', (text) => `Patient?_lastUpdated=${text}`],
  ['_sort', (text) => `Patient?_sort=${text}`],
  ['_elements', (text) => `Patient?_elements=${text}`],
  ['_include', (text) => `Observation?_include=${text}`],
  ['a part of _include', (text) => `Observation?_include=Observation:${text}`],
  ['_revinclude', (text) => `Patient?_revinclude=${text}`],
  ['_cursor', (text) => `Patient?_cursor=${text}`],
  ['_count', (text) => `Patient?_count=${text}`],
  ['_since', (text) => `Patient/_history?_since=${text}`],
  ['_at', (text) => `Patient/p/_history?_at=${text}`],
  ['_type', (text) => `?_type=${text}`],
  ['the name of a parameter', (text) => `Patient?${text}=x`],
  ['a modifier', (text) => `Patient?name:${text}=x`],
  ['an id in the path', (text) => `Patient/${text}`],
  ['a version in the path', (text) => `Patient/p/_history/${text}`],
  ['a type in the path', (text) => `${text}/p`],
  ['a compartment', (text) => `Patient/${text}/Observation`],
  ['an operation', (text) => `Patient/p/$${text}`],
];

describe('T14 what is sent never becomes SQL', () => {
  it.each(PLACES)('T14 as %s', async (_, at) => {
    for (const payload of PAYLOADS) {
      const began = performance.now();
      const { status, json } = await fhir.send('GET', at(encodeURIComponent(payload)));
      expect([200, 400, 404], `${payload} gave ${status}`).toContain(status);
      if (status === 200) expect(json.entry ?? []).toEqual([]);
      else expect(json.resourceType).toBe('OperationOutcome');
      expect(performance.now() - began).toBeLessThan(5_000);
    }
  });

  it('T14 as the value of a header, or of a patch', async () => {
    const patient = { resourceType: 'Patient', id: 'p', name: [{ family: 'Doe' }], birthDate: '1970-01-01' };
    for (const payload of PAYLOADS.filter((one) => !one.includes('\u0000'))) {
      const match = await fhir.send('PUT', 'Patient/p', patient, { 'if-match': payload });
      expect([400, 412]).toContain(match.status);
      const noneMatch = await fhir.send('GET', 'Patient/p', undefined, { 'if-none-match': payload });
      expect(noneMatch.status).toBe(200);
      const none = await fhir.send('POST', 'Patient', patient, {
        'if-none-exist': `identifier=${encodeURIComponent(payload)}`,
      });
      expect([200, 201, 400]).toContain(none.status);
      for (const path of [`/name/${payload}`, `/${payload}`, `/name/0/${payload}`]) {
        const patched = await fhir.send('PATCH', 'Patient/p', [{ op: 'remove', path }], {
          'content-type': 'application/json-patch+json',
        });
        expect([400, 422]).toContain(patched.status);
      }
      const conditional = await fhir.send(
        'PUT',
        `Patient?identifier=${encodeURIComponent(`urn:t|${payload}`)}`,
        {
          ...patient,
          id: undefined,
          identifier: [{ system: 'urn:t', value: payload.trim() }],
        },
      );
      expect([200, 201, 400, 422]).toContain(conditional.status);
    }
    expect((await fhir.send('GET', 'Patient/p')).json.name).toEqual([{ family: 'Doe' }]);
  });

  it('T14 as content: what is stored comes back letter by letter', async () => {
    for (const [n, payload] of PAYLOADS.filter((one) => !one.includes('\u0000')).entries()) {
      const put = await fhir.send('PUT', `Patient/c${n}`, {
        resourceType: 'Patient',
        id: `c${n}`,
        name: [{ family: payload }],
      });
      expect(put.status).toBe(201);
      expect((await fhir.send('GET', `Patient/c${n}`)).json.name[0].family).toBe(payload);
      await fhir.send('DELETE', `Patient/c${n}`);
    }
  });

  it('T14 as a parameter that tries to be an object or a list', async () => {
    for (const query of [
      'name[$ne]=x',
      'name[]=a',
      'name.family=x',
      'name[0]=x',
      'name[$regex]=.*',
      '$where=1',
    ]) {
      expect((await fhir.send('GET', `Patient?${query}`)).status).toBe(400);
    }
  });

  it('T14 and the log of statements shows placeholders only', async () => {
    const all = statements.join('\n');
    expect(statements.length).toBeGreaterThan(50);
    for (const payload of [
      '1=1',
      "'1'='1'",
      'drop table',
      '1==1',
      'etc',
      'pg_sleep',
      '$ne',
      'Doe',
      'http://example.org/v',
    ])
      expect(all).not.toContain(payload);
    expect(all).toMatch(/\$1/);
  });
});

it('T14 and nothing of it is printed', async () => {
  for (const unit of ['pg_sleep', 'no-such-unit', 'x%2Fy%2Fz', '%7Bnote%7D', '[iU', '2mg', 'mg.'])
    await fhir.send('GET', `Observation?value-quantity=7||${unit}`);
  expect(printed).toEqual([]);
});

describe('T15 names that JavaScript knows', () => {
  it.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'valueOf', 'prototype'])(
    'T15 %s is no type, parameter, modifier, sort key, element or operation',
    async (name) => {
      const status = async (path: string) => (await fhir.send('GET', path)).status;
      expect(await status(`${name}/1`)).toBe(404);
      expect(await status(`${name}`)).toBe(404);
      expect(await status(`Patient/p/${name}`)).toBe(404);
      expect(await status(`Patient?${name}=1`)).toBe(400);
      expect(await status(`Patient?name:${name}=1`)).toBe(400);
      expect(await status(`Patient?general-practitioner.${name}=1`)).toBe(400);
      expect(await status(`Patient?_sort=${name}`)).toBe(400);
      expect(await status(`Patient?_elements=${name}`)).toBe(400);
      expect(await status(`Patient?_summary=${name}`)).toBe(400);
      expect(await status(`Patient?_include=${name}:${name}`)).toBe(400);
      expect(await status(`Patient?_has:${name}:${name}:${name}=1`)).toBe(400);
      expect(await status(`?_type=${name}`)).toBe(400);
      expect(await status(`$${name}`)).toBe(404);
      expect((await fhir.send('POST', 'Patient', { resourceType: name })).status).toBe(400);
      expect(
        (
          await fhir.send('POST', '', {
            resourceType: 'Bundle',
            type: 'batch',
            entry: [{ request: { method: 'GET', url: `${name}/1` } }],
          })
        ).json.entry[0].response.status,
      ).toMatch(/^404/);
    },
  );
});
