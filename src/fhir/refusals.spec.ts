import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp, type Headers, type Method } from '../../test/fhir-app.ts';

/** What an integrator reads when something is wrong: where it is, and what to do. */
let server: FhirApp;
beforeAll(async () => {
  server = await fhirApp();
  await server.send('PUT', 'Patient/p', patient({ id: 'p' }));
}, 60_000);
afterAll(() => server.close());

const patient = (more: object = {}) => ({ resourceType: 'Patient', name: [{ family: 'Quarz' }], ...more });
const observation = (more: object = {}) => ({
  ...{ resourceType: 'Observation', status: 'final', code: { text: 'x' } },
  ...more,
});
const bundle = (type: string, ...entry: object[]) => ({ resourceType: 'Bundle', type, entry });
const post = (resource: { resourceType: string }, request: object = {}) => ({
  resource,
  request: { method: 'POST', url: resource.resourceType, ...request },
});

interface Refused {
  readonly to: readonly [Method, string, unknown?, Headers?];
  readonly status: number;
  /** expression of the issue. */
  readonly at: string | undefined;
  readonly says: RegExp;
}

const CASES: Readonly<Record<string, Refused>> = {
  'an unknown search parameter': {
    to: ['GET', 'Patient?nope=1'],
    status: 400,
    at: 'http.nope',
    says: /no search parameter "nope"/,
  },
  'a name of a parameter that may be a value': {
    to: ['GET', 'Patient?Quarz,Ilva=1'],
    status: 400,
    at: undefined,
    says: /see \/metadata/,
  },
  'a date that is none': {
    to: ['GET', 'Patient?birthdate=yesterday'],
    status: 400,
    at: 'http.birthdate',
    says: /not a date/,
  },
  'a date that is none behind a chain': {
    to: ['GET', 'Observation?subject:Patient.birthdate=x'],
    status: 400,
    at: 'http.birthdate',
    says: /not a date/,
  },
  'a number that is none': {
    to: ['GET', 'Observation?value-quantity=abc'],
    status: 400,
    at: 'http.value-quantity',
    says: /not a number/,
  },
  'a modifier': {
    to: ['GET', 'Patient?name:above=x'],
    status: 400,
    at: 'http.name',
    says: /it takes :missing, :exact, :contains/,
  },
  'a page size': {
    to: ['GET', 'Patient?_count=9999999'],
    status: 400,
    at: 'http._count',
    says: /1 to 6 digits/,
  },
  'a sort order': {
    to: ['GET', 'Patient?_sort=nonsense'],
    status: 400,
    at: 'http._sort',
    says: /_sort goes by/,
  },
  'an include': {
    to: ['GET', 'Patient?_include=Patient:nope'],
    status: 400,
    at: 'http._include',
    says: /Type:parameter/,
  },
  'an ETag without quotes': {
    to: ['PUT', 'Patient/p', patient({ id: 'p' }), { 'if-match': '3' }],
    status: 400,
    at: 'http.If-Match',
    says: /in quotes/,
  },
  'several ETags': {
    to: ['PUT', 'Patient/p', patient({ id: 'p' }), { 'if-match': 'W/"1", W/"2"' }],
    status: 400,
    at: 'http.If-Match',
    says: /one version/,
  },
  'If-Match: * of what is not there': {
    to: ['PUT', 'Patient/none', patient({ id: 'none' }), { 'if-match': '*' }],
    status: 412,
    at: undefined,
    says: /is not there/,
  },
  'If-None-Match: * of what is there': {
    to: ['PUT', 'Patient/p', patient({ id: 'p' }), { 'if-none-match': '*' }],
    status: 412,
    at: undefined,
    says: /already/,
  },
  'an Accept that this server does not speak': {
    to: ['GET', 'Patient/p', undefined, { accept: 'application/fhir+xml' }],
    status: 406,
    at: 'http.Accept',
    says: /application\/fhir\+json/,
  },
  'a _format in the form of a search': {
    to: ['POST', 'Patient/_search', '_format=xml', { 'content-type': 'application/x-www-form-urlencoded' }],
    status: 406,
    at: 'http._format',
    says: /application\/fhir\+json/,
  },
  'a JSON Patch that says it is FHIR': {
    to: ['PATCH', 'Patient/p', '[{"op":"remove","path":"/name"}]', { 'content-type': 'application/json' }],
    status: 415,
    at: 'http.Content-Type',
    says: /application\/json-patch\+json/,
  },
  'a token without code and system': {
    to: ['GET', 'Patient?identifier=%7C'],
    status: 400,
    at: 'http.identifier',
    says: /a code, a system, or both/,
  },
  'criteria out of an empty template': {
    to: ['DELETE', 'Patient?identifier=%7C'],
    status: 400,
    at: 'http.identifier',
    says: /needs its value/,
  },
  'an identifier without its value in a condition': {
    to: ['POST', 'Patient', patient(), { 'if-none-exist': 'identifier=http://x.example/mrn|' }],
    status: 400,
    at: 'http.identifier',
    says: /needs its value/,
  },
  'a deletion of some of what matches': {
    to: ['DELETE', 'Patient?name=Quarz&_count=1'],
    status: 400,
    at: 'http._count',
    says: /all that match, or none/,
  },
  'a modifier of _sort': {
    to: ['GET', 'Patient?_sort:desc=birthdate'],
    status: 400,
    at: 'http._sort',
    says: /_sort=-date/,
  },
  'elements that are none': {
    to: ['GET', 'Patient?_elements=nonsense'],
    status: 400,
    at: 'http._elements',
    says: /first level/,
  },
  'types that are none': {
    to: ['GET', '?_type=Nonsense'],
    status: 400,
    at: 'http._type',
    says: /resource types/,
  },
  'the time of a history': {
    to: ['GET', 'Patient/p/_history?_since=yesterday'],
    status: 400,
    at: 'http._since',
    says: /a date or an instant/,
  },
  'a page size of $everything': {
    to: ['GET', 'Patient/p/$everything?_count=0'],
    status: 400,
    at: 'http._count',
    says: /from 1/,
  },
  'a parameter that the operation does not have': {
    to: ['GET', 'Patient/p/$everything?_sort=date'],
    status: 400,
    at: 'http._sort',
    says: /\$everything takes the parameters start, end/,
  },
  'a resource of another type than the URL': {
    to: ['POST', 'Patient', observation()],
    status: 400,
    at: 'resourceType',
    says: /another type/,
  },
  'an empty If-None-Exist': {
    to: ['POST', 'Patient', patient(), { 'if-none-exist': '' }],
    status: 400,
    at: 'http.If-None-Exist',
    says: /at least one search parameter/,
  },
  'If-None-Exist of another server': {
    to: ['POST', 'Patient', patient(), { 'if-none-exist': 'http://x.example/Patient?identifier=a|b' }],
    status: 400,
    at: 'http.If-None-Exist',
    says: /behind the question mark/,
  },
  'If-None-Exist of another type': {
    to: ['POST', 'Patient', patient(), { 'if-none-exist': 'Observation?identifier=a|b' }],
    status: 400,
    at: 'http.If-None-Exist',
    says: /its own type/,
  },
  'JSON that breaks off': {
    to: ['POST', 'Patient', '{\n  "resourceType": "Patient",\n  "active": tru'],
    status: 400,
    at: undefined,
    says: /line 3, column \d+/,
  },
  'a key twice': {
    to: ['POST', 'Patient', '{"resourceType":"Patient",\n"active":true,"active":false}'],
    status: 400,
    at: undefined,
    says: /same key twice.*line 2, column 15/,
  },
  'JSON in another charset': {
    to: ['POST', 'Patient', patient(), { 'content-type': 'application/json; charset=latin1' }],
    status: 415,
    at: 'http.Content-Type',
    says: /UTF-8/,
  },
  'an element of no name that is known': {
    to: ['POST', 'Patient', patient({ active: true, brithDate: '1970' })],
    status: 422,
    at: 'Patient',
    says: /number 4 of this object/,
  },
  'a dateTime': {
    to: ['POST', 'Observation', observation({ effectiveDateTime: '2020-02-30' })],
    status: 422,
    at: 'Observation.effectiveDateTime',
    says: /a day that exists/,
  },
  'no type': { to: ['POST', 'Patient', {}], status: 400, at: 'resourceType', says: /name a resource type/ },
  'a Bundle of another type': {
    to: ['POST', '', bundle('searchset')],
    status: 400,
    at: 'Bundle.type',
    says: /batch or transaction/,
  },
  'entries that are no list': {
    to: ['POST', '', { ...bundle('batch'), entry: {} }],
    status: 400,
    at: 'Bundle.entry',
    says: /a list/,
  },
  'too many entries': {
    to: ['POST', '', bundle('batch', ...Array.from({ length: 501 }, () => ({})))],
    status: 413,
    at: 'Bundle.entry',
    says: /500 entries/,
  },
  'a fault within an entry': {
    to: ['POST', '', bundle('transaction', post(patient()), post(patient({ birthDate: 'x' })))],
    status: 422,
    at: 'Bundle.entry[1].resource.birthDate',
    says: /A date is/,
  },
  'a condition of an entry': {
    to: ['POST', '', bundle('transaction', post(patient(), { ifNoneExist: 'nope=1' }))],
    status: 400,
    at: 'Bundle.entry[0].request',
    says: /no search parameter/,
  },
  'GET of an operation that changes something': {
    to: ['GET', 'Patient/p/$meta-add'],
    status: 405,
    at: undefined,
    says: /by POST/,
  },
};

describe('a refusal says where and what to do', () => {
  it.each(Object.entries(CASES))('%s', async (_, { to, status, at, says }) => {
    const answer = await server.send(...to);
    expect(answer.status, answer.text).toBe(status);
    expect(answer.json.resourceType).toBe('OperationOutcome');
    const [issue] = answer.json.issue;
    expect(issue).toMatchObject({
      severity: 'error',
      details: { coding: [{ code: expect.stringMatching(/^[a-z]+\./) }] },
    });
    expect(issue.code).toBeTruthy();
    expect(issue.details.text).toMatch(says);
    expect(issue.expression).toEqual(at === undefined ? undefined : [at]);
    // R4 OperationOutcome.issue.location: for what is no element of a resource.
    expect(issue.location).toEqual(at?.startsWith('http.') ? [at] : undefined);
    expect(answer.text).not.toContain('Quarz');
  });

  it('names the methods of /metadata, which is no type', async () => {
    const answer = await server.send('POST', 'metadata', {});
    expect([answer.status, answer.headers['allow']]).toEqual([405, 'GET, HEAD, OPTIONS']);
  });

  it('a Bundle may search the whole server', async () => {
    const search = { request: { method: 'GET', url: '?_type=Patient&_id=p' } };
    for (const type of ['batch', 'transaction']) {
      const { json } = await server.send('POST', '', bundle(type, search));
      expect(json.entry[0].resource, type).toMatchObject({ type: 'searchset', total: 1 });
    }
    const post = { resource: patient(), request: { method: 'POST', url: '?_type=Patient' } };
    expect((await server.send('POST', '', bundle('transaction', post))).status).toBe(400);
  });

  it('a question mark in an identifier of a condition belongs to it', async () => {
    const identifier = [{ system: 'http://x.example/id?kind=1', value: '7' }];
    const create = () =>
      server.send('POST', 'Patient', patient({ identifier }), {
        'if-none-exist': 'identifier=http://x.example/id?kind=1|7',
      });
    expect((await create()).status).toBe(201);
    expect((await create()).status).toBe(200);
  });

  it('takes the media types that clients write, in the header and, with + as a blank, in the URL', async () => {
    for (const type of ['application/json+fhir', 'application/fhir+json;fhirVersion=4.0', 'text/json']) {
      expect((await server.send('GET', `Patient/p?_format=${type}`)).status, type).toBe(200);
      expect((await server.send('GET', 'Patient/p', undefined, { accept: `${type};q=0.9` })).status).toBe(
        200,
      );
    }
  });

  it('a parameter that stands twice counts twice: _sort and _elements go on', async () => {
    for (const [id, family, birthDate] of [
      ['s1', 'Sort', '1980'],
      ['s2', 'Sort', '1970'],
      ['s3', 'Alpha', '1990'],
    ])
      await server.send('PUT', `Patient/${id}`, { ...patient({ id, birthDate }), name: [{ family }] });
    const path = 'Patient?_id=s1,s2,s3&_sort=family&_sort=-birthdate&_elements=name&_elements=birthDate';
    const { entry } = (await server.send('GET', path)).json;
    expect(entry.map((one: { resource: { id: string } }) => one.resource.id)).toEqual(['s3', 's1', 's2']);
    expect(Object.keys(entry[0].resource)).toEqual(['resourceType', 'id', 'meta', 'name', 'birthDate']);
  });

  it('an empty Accept or _format asks for nothing special, and If-None-Match: * is met by any version', async () => {
    expect((await server.send('GET', 'Patient/p', undefined, { accept: '' })).status).toBe(200);
    expect((await server.send('GET', 'Patient/p?_format=')).status).toBe(200);
    expect((await server.send('GET', 'Patient/p', undefined, { 'if-none-match': '*' })).status).toBe(304);
  });
});
