import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answered, BASE, type FhirApp, fhirApp, type Headers } from '../../test/fhir-app.ts';
import { RESOURCE_BYTES_MAX } from './validate/parse-resource.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
});
afterAll(() => fhir.close());

type Entry = { fullUrl?: string; resource?: object; request: object };

const post = (entry: unknown, headers: Headers = {}, type = 'transaction') =>
  fhir.send('POST', '', { resourceType: 'Bundle', type, entry }, headers);
const entry = (method: string, url: string, resource?: object, more: object = {}): Entry => ({
  ...(resource ? { resource } : {}),
  request: { method, url, ...more },
});
const withUrl = (fullUrl: string, one: Entry): Entry => ({ fullUrl, ...one });
const statuses = (answer: Answered): string[] =>
  (answer.json.entry ?? []).map((one: { response: { status: string } }) => one.response.status.slice(0, 3));

const patient = (value: string, more: object = {}) => ({
  resourceType: 'Patient',
  identifier: [{ system: 'urn:mrn', value }],
  ...more,
});
const observation = (reference: string, more: object = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  subject: { reference },
  ...more,
});
const count = async (query: string) => (await fhir.send('GET', `${query}&_summary=count`)).json.total;

describe('order of the verbs', () => {
  it('deletes first, then creates, then updates, and reads last, whatever the order of the entries', async () => {
    await fhir.send('POST', 'Patient', patient('o1'));
    const answer = await post([
      entry('GET', 'Patient?identifier=urn:mrn|o1'),
      entry('HEAD', 'Patient/o-put'),
      entry('PUT', 'Patient/o-put', { resourceType: 'Patient', id: 'o-put' }),
      entry('POST', 'Patient', patient('o1', { active: true }), { ifNoneExist: 'identifier=urn:mrn|o1' }),
      entry('DELETE', 'Patient?identifier=urn:mrn|o1'),
    ]);
    expect(statuses(answer)).toEqual(['200', '200', '201', '201', '204']);
    // The create found nothing, because the delete came before it; the search found what was created.
    expect(answer.json.entry[0].resource.entry).toHaveLength(1);
    expect(answer.json.entry[0].resource.entry[0].resource.active).toBe(true);
    expect(answer.json.entry[1].resource).toBeUndefined();
    expect(answer.json.entry[1].response.etag).toBe('W/"1"');
  });

  it('gives etag, location and lastModified of what each entry became', async () => {
    const answer = await post([entry('POST', 'Patient', patient('o2')), entry('DELETE', 'Patient/o-put')]);
    const [made, gone] = answer.json.entry;
    expect(made.response).toEqual({
      status: '201 Created',
      location: `${BASE}/Patient/${made.resource.id}/_history/1`,
      etag: 'W/"1"',
      lastModified: made.resource.meta.lastUpdated,
    });
    expect(gone.response.status).toBe('204 No Content');
  });
});

describe('references', () => {
  it('resolves urn:uuid, urn:oid and absolute fullUrls, relative ones of the same root, links in narrative, and circles', async () => {
    const uuid = 'urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0';
    const oid = 'urn:oid:1.2.3.4';
    const div = `<div xmlns="http://www.w3.org/1999/xhtml"><a href="${uuid}">p</a></div>`;
    const answer = await post([
      withUrl(
        oid,
        entry(
          'POST',
          'Observation',
          observation(uuid, {
            text: { status: 'generated', div },
            hasMember: [{ reference: 'http://old/fhir/Observation/7' }],
          }),
        ),
      ),
      withUrl(
        uuid,
        entry(
          'POST',
          'Patient',
          patient('r1', { link: [{ other: { reference: 'http://old/fhir/Patient/9' }, type: 'seealso' }] }),
        ),
      ),
      withUrl(
        'http://old/fhir/Observation/7',
        entry('POST', 'Observation', observation('Patient/9', { derivedFrom: [{ reference: oid }] })),
      ),
      withUrl('http://old/fhir/Patient/9', entry('POST', 'Patient', patient('r2'))),
    ]);
    expect(answer.json.issue).toBeUndefined();
    expect(statuses(answer)).toEqual(['201', '201', '201', '201']);
    const [first, second, third, fourth] = answer.json.entry.map(
      (one: { resource: { resourceType: string; id: string } }) => one.resource,
    );
    const name = (one: { resourceType: string; id: string }) => `${one.resourceType}/${one.id}`;
    expect(first.subject.reference).toBe(name(second));
    expect(first.text.div).toContain(`href="${name(second)}"`);
    expect(first.hasMember[0].reference).toBe(name(third));
    expect(second.link[0].other.reference).toBe(name(fourth));
    expect(third.derivedFrom[0].reference).toBe(name(first));
    expect(third.subject.reference).toBe(name(fourth));
    const found = await fhir.send('GET', `Observation?subject=${name(second)}`);
    expect(found.json.entry[0].resource.id).toBe(first.id);
  });

  it('resolves conditional references, also to what the same transaction creates', async () => {
    await fhir.send('PUT', 'Patient/known', patient('c1', { id: 'known' }));
    const answer = await post([
      entry('POST', 'Observation', observation('Patient?identifier=urn:mrn|c2')),
      entry('PUT', 'Observation/c', observation('Patient?identifier=urn:mrn|c1', { id: 'c' })),
      entry('POST', 'Patient', patient('c2')),
    ]);
    expect(statuses(answer)).toEqual(['201', '201', '201']);
    const [toNew, toKnown, made] = answer.json.entry.map((one: { resource: object }) => one.resource);
    expect(toNew.subject.reference).toBe(`Patient/${made.id}`);
    expect(toKnown.subject.reference).toBe('Patient/known');
  });

  it('resolves a fullUrl to the existing match of a conditional create and of a conditional update', async () => {
    const a = 'urn:uuid:11111111-2222-4333-8444-555555555555';
    const b = 'urn:uuid:11111111-2222-4333-8444-666666666666';
    const bundle = () => [
      withUrl(a, entry('POST', 'Patient', patient('m1'), { ifNoneExist: 'identifier=urn:mrn|m1' })),
      withUrl(b, entry('PUT', 'Patient?identifier=urn:mrn|m2', patient('m2'))),
      entry('POST', 'Observation', observation(a)),
      entry('POST', 'Observation', observation(b)),
    ];
    const first = await post(bundle());
    const second = await post(bundle());
    expect([statuses(first), statuses(second)]).toEqual([
      ['201', '201', '201', '201'],
      ['200', '200', '201', '201'],
    ]);
    for (const at of [2, 3]) {
      expect(second.json.entry[at].resource.subject).toEqual(first.json.entry[at].resource.subject);
    }
    expect(second.json.entry[0].resource.meta.versionId).toBe('1');
    expect(second.json.entry[1].resource.meta.versionId).toBe('2');
  });

  it.each([
    ['nothing', 'Patient?identifier=urn:mrn|nobody', 400],
    ['several', 'Patient?identifier=urn:mrn|twins', 412],
    ['an unknown type', 'Foo?identifier=x', 400],
    ['an unknown parameter', 'Patient?made-up=x', 400],
    ['no criteria', 'Patient?_count=1', 400],
  ])('refuses a conditional reference to %s, and writes nothing', async (_, reference, status) => {
    if ((await count('Patient?identifier=urn:mrn|twins')) === 0) {
      await post([entry('POST', 'Patient', patient('twins')), entry('POST', 'Patient', patient('twins'))]);
    }
    const before = await count('Patient?_id:missing=false');
    const answer = await post([
      entry('POST', 'Patient', patient('lost')),
      entry('POST', 'Observation', observation(reference)),
    ]);
    expect(answer.status).toBe(status);
    expect(answer.json.issue[0].expression[0]).toContain('Bundle.entry[1]');
    expect(await count('Patient?_id:missing=false')).toBe(before);
  });
});

describe('all or nothing', () => {
  it.each<[string, () => Entry[], number]>([
    ['a validation fault', () => [entry('POST', 'Patient', { resourceType: 'Patient', gender: 'q' })], 422],
    [
      'a stale ifMatch of a delete',
      () => [entry('DELETE', 'Patient/n1', undefined, { ifMatch: 'W/"9"' })],
      412,
    ],
    [
      'a patch that does not fit',
      () => [
        entry('PATCH', 'Patient/n1', {
          resourceType: 'Parameters',
          parameter: [
            {
              name: 'operation',
              part: [
                { name: 'type', valueCode: 'replace' },
                { name: 'path', valueString: 'Patient.photo' },
                { name: 'value', valueBoolean: true },
              ],
            },
          ],
        }),
      ],
      422,
    ],
    ['a read of nothing', () => [entry('GET', 'Patient/never')], 404],
    [
      'ifNoneMatch * for what is there',
      () => [entry('PUT', 'Patient/n1', { resourceType: 'Patient', id: 'n1' }, { ifNoneMatch: '*' })],
      412,
    ],
    [
      'the same resource updated twice',
      () => [
        entry('PUT', 'Patient/x', { resourceType: 'Patient', id: 'x' }),
        entry('PUT', 'Patient/x', { resourceType: 'Patient', id: 'x' }),
      ],
      400,
    ],
    [
      'updated and deleted',
      () => [
        entry('DELETE', 'Patient/n1'),
        entry('PUT', 'Patient/n1', { resourceType: 'Patient', id: 'n1' }),
      ],
      400,
    ],
    [
      'found by criteria and named',
      () => [
        entry('DELETE', 'Patient?identifier=urn:mrn|n1'),
        entry('PUT', 'Patient/n1', { resourceType: 'Patient', id: 'n1' }),
      ],
      400,
    ],
    [
      'two creates with one condition',
      () => [
        entry('POST', 'Patient', patient('q'), { ifNoneExist: 'identifier=urn:mrn|q' }),
        entry('POST', 'Patient', patient('q'), { ifNoneExist: '?identifier=urn:mrn|q' }),
      ],
      400,
    ],
    [
      'a create that the criteria of an update would find',
      () => [
        entry('POST', 'Patient', patient('w')),
        entry('PUT', 'Patient?identifier=urn:mrn|w', patient('w')),
      ],
      412,
    ],
    [
      'two entries with one fullUrl',
      () => [
        withUrl('urn:uuid:a', entry('POST', 'Patient', patient('z'))),
        withUrl('urn:uuid:a', entry('POST', 'Patient', patient('z'))),
      ],
      400,
    ],
    ['a resource of another type', () => [entry('POST', 'Patient', observation('Patient/n1'))], 400],
    ['a resource that is none', () => [entry('POST', 'Patient', { resourceType: 'Foo' })], 400],
    ['an operation', () => [entry('POST', '$reindex', { resourceType: 'Parameters' })], 404],
    ['a URL that leaves the base', () => [entry('GET', '../admin')], 400],
  ])('%s fails it, and nothing is written', async (_, wrong, status) => {
    await fhir.send('PUT', 'Patient/n1', patient('n1', { id: 'n1' }));
    const before = (await fhir.send('GET', '_history?_count=1')).json.entry[0].fullUrl;
    const answer = await post([
      entry('POST', 'Organization', { resourceType: 'Organization', name: 'lost' }),
      ...wrong(),
    ]);
    expect([answer.status, answer.json.resourceType]).toEqual([status, 'OperationOutcome']);
    expect((await fhir.send('GET', '_history?_count=1')).json.entry[0].fullUrl).toBe(before);
    expect(await count('Organization?name=lost')).toBe(0);
  });

  it('joins no two creates of parallel transactions with one condition', async () => {
    const all = await Promise.all(
      Array.from({ length: 20 }, () =>
        post([
          entry('POST', 'Patient', patient('par'), { ifNoneExist: 'identifier=urn:mrn|par' }),
          entry('POST', 'Observation', observation('Patient?identifier=urn:mrn|par')),
        ]),
      ),
    );
    expect(all.map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(await count('Patient?identifier=urn:mrn|par')).toBe(1);
    expect(await count('Observation?subject:Patient.identifier=urn:mrn|par')).toBe(20);
  });
});

describe('sizes', () => {
  it.each(['batch', 'transaction'])(
    'a resource in a %s may be no larger than one sent alone',
    async (type) => {
      const text = 'x'.repeat(RESOURCE_BYTES_MAX);
      const large = { ...patient('large'), name: [{ text }] };
      const answer = await post(
        [entry('POST', 'Patient', patient('small')), entry('POST', 'Patient', large)],
        {},
        type,
      );
      expect([answer.status, answer.json.issue[0].expression]).toEqual([413, ['Bundle.entry[1].resource']]);
    },
  );
});

describe('Prefer in a Bundle', () => {
  it.each(['batch', 'transaction'])('holds for every entry of a %s', async (type) => {
    const one = () => [entry('POST', 'Patient', patient('pref'))];
    const minimal = await post(one(), { prefer: 'return=minimal' }, type);
    expect(minimal.json.entry[0].resource).toBeUndefined();
    expect(minimal.json.entry[0].response.location).toContain('/Patient/');
    const outcome = await post(one(), { prefer: 'return=OperationOutcome' }, type);
    expect(outcome.json.entry[0].resource).toBeUndefined();
    expect(outcome.json.entry[0].response.outcome.resourceType).toBe('OperationOutcome');
  });
});

describe('a batch', () => {
  it('judges five hundred entries each alone, some forbidden, some wrong (T34)', async () => {
    const all = Array.from({ length: 500 }, (_, n) =>
      n % 5 === 0
        ? entry('POST', 'Patient', patient(`b${n}`))
        : n % 5 === 1
          ? entry('POST', 'Observation', observation('Patient/x'))
          : n % 5 === 2
            ? entry('GET', 'Patient/1/../2')
            : n % 5 === 3
              ? entry('POST', 'Patient', { resourceType: 'Patient', gender: 'q' })
              : entry('POST', '', { resourceType: 'Bundle', type: 'batch' }),
    );
    const answer = await post(all, { 'x-scope': 'system/Patient.cruds' }, 'batch');
    expect(answer.status).toBe(200);
    expect(statuses(answer)).toEqual(
      Array.from({ length: 500 }, (_, n) => ['201', '403', '400', '422', '400'][n % 5]),
    );
    const whole = await post(all.slice(0, 2), { 'x-scope': 'system/Patient.cruds' });
    expect(whole.status).toBe(403);
  });

  it('takes every conditional interaction, and the entries’ own conditions', async () => {
    await fhir.send('PUT', 'Patient/bc', patient('bc', { id: 'bc' }));
    const answer = await post(
      [
        entry('GET', 'Patient/bc', undefined, { ifNoneMatch: 'W/"1"' }),
        entry('PUT', 'Patient/bc', patient('bc', { id: 'bc' }), { ifMatch: 'W/"9"' }),
        entry('POST', 'Patient', patient('bc'), { ifNoneExist: 'identifier=urn:mrn|bc' }),
        entry('PUT', 'Patient?identifier=urn:mrn|bc', patient('bc', { active: true })),
        entry('DELETE', 'Patient?identifier=urn:mrn|bc'),
        entry('GET', 'Patient/bc'),
      ],
      {},
      'batch',
    );
    expect(statuses(answer)).toEqual(['304', '412', '200', '200', '204', '410']);
  });
});
