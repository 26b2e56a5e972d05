import type { AuditEvent, Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, startFhirApp } from '../../../test/bulk/fhir-app.ts';
import { rowsRead } from '../../../test/rows-read.ts';
import { FULL_ACCESS } from '../access-context.ts';
import { validateResource } from '../validate/validate-resource.ts';
import { EVERYTHING_ENTRIES_MAX, REFERRED_MAX } from './everything.ts';
import { EXPUNGE_VERSIONS_MAX } from './expunge.store.ts';
import { auditEvent } from './expunge.ts';
import { BY_INDEX, inUse, PROBED_ROWS } from './meta.store.ts';

let app: FhirApp;
beforeAll(async () => {
  app = await startFhirApp({ FHIR_EXPUNGE: 'yes' });
  for (const resource of RECORD) {
    const answer = await app.ask('PUT', `${resource.resourceType}/${resource.id}`, resource);
    expect(answer.status, answer.text).toBe(201);
  }
});
afterAll(() => app.close());

const observation = (id: string, patient: string, date: string | null, more: object = {}) => ({
  resourceType: 'Observation' as const,
  id,
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: `Patient/${patient}` },
  ...(date ? { effectiveDateTime: date } : {}),
  ...more,
});

const RECORD = [
  { resourceType: 'Practitioner', id: 'doc' },
  { resourceType: 'Organization', id: 'clinic', name: 'Clinic' },
  { resourceType: 'Patient', id: 'p1', managingOrganization: { reference: 'Organization/clinic' } },
  { resourceType: 'Patient', id: 'p2' },
  {
    resourceType: 'Encounter',
    id: 'e1',
    status: 'finished',
    class: { code: 'AMB' },
    subject: { reference: 'Patient/p1' },
    period: { start: '2026-01-10', end: '2026-01-11' },
  },
  observation('o1', 'p1', '2026-01-10', {
    encounter: { reference: 'Encounter/e1' },
    performer: [{ reference: 'Practitioner/doc' }],
  }),
  observation('o2', 'p1', '2026-02-10'),
  observation('o3', 'p1', null),
  observation('o4', 'p2', '2026-01-10'),
  {
    resourceType: 'AllergyIntolerance',
    id: 'a1',
    patient: { reference: 'Patient/p1' },
    clinicalStatus: {
      coding: [
        { system: 'http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical', code: 'active' },
      ],
    },
  },
];

const ids = (bundle: { entry?: { resource: { resourceType: string; id: string } }[] }) =>
  (bundle.entry ?? []).map(({ resource }) => `${resource.resourceType}/${resource.id}`).sort();

describe('$everything', () => {
  it('gives the patient, all in its compartment, and what they refer to; nothing of another patient', async () => {
    const { status, json } = await app.ask('GET', 'Patient/p1/$everything');
    expect(status).toBe(200);
    expect(ids(json)).toEqual([
      'AllergyIntolerance/a1',
      'Encounter/e1',
      'Observation/o1',
      'Observation/o2',
      'Observation/o3',
      'Organization/clinic',
      'Patient/p1',
      'Practitioner/doc',
    ]);
    expect(json.total).toBe(6);
  });

  it('start and end are dates of care: what says no date stays in', async () => {
    const { json } = await app.ask('GET', 'Patient/p1/$everything?start=2026-02-01&end=2026-02-28');
    expect(ids(json)).toEqual([
      'AllergyIntolerance/a1',
      'Observation/o2',
      'Observation/o3',
      'Organization/clinic',
      'Patient/p1',
    ]);
  });

  it('_type and _since narrow it, also when they come as Parameters by POST', async () => {
    const body = {
      resourceType: 'Parameters',
      parameter: [
        { name: '_type', valueString: 'Observation,Encounter' },
        { name: '_since', valueInstant: '2020-01-01T00:00:00Z' },
      ],
    };
    const { json } = await app.ask('POST', 'Patient/p1/$everything', body);
    expect(ids(json)).toEqual([
      'Encounter/e1',
      'Observation/o1',
      'Observation/o2',
      'Observation/o3',
      'Organization/clinic',
      'Patient/p1',
      'Practitioner/doc',
    ]);
    expect(json.link[0].url).toContain('_type=Observation');
    const none = await app.ask('GET', 'Patient/p1/$everything?_since=2100-01-01T00:00:00Z');
    expect(ids(none.json)).toEqual(['Organization/clinic', 'Patient/p1']);
  });

  it('_count cuts pages that together hold each resource of the compartment once', async () => {
    const seen: string[] = [];
    let url: string | undefined = `${app.url}/fhir/Patient/p1/$everything?_count=2`;
    let pages = 0;
    while (url) {
      const { json } = await app.ask('GET', url.replace(/^http:\/\/[^/]+/, app.url));
      seen.push(
        ...ids({
          entry: json.entry?.filter((one: { search: { mode: string } }) => one.search.mode === 'match'),
        }),
      );
      url = json.link.find((one: { relation: string }) => one.relation === 'next')?.url;
      pages += 1;
      expect(pages).toBeLessThan(10);
    }
    expect(seen.sort()).toEqual([
      'AllergyIntolerance/a1',
      'Encounter/e1',
      'Observation/o1',
      'Observation/o2',
      'Observation/o3',
      'Patient/p1',
    ]);
    expect(pages).toBe(3);
  });

  it('of an encounter it gives the encounter, its results and its patient', async () => {
    const { json } = await app.ask('GET', 'Encounter/e1/$everything');
    expect(ids(json)).toEqual(['Encounter/e1', 'Observation/o1', 'Patient/p1', 'Practitioner/doc']);
  });

  it('leaves out types that the token has no scope for, and refuses without one for the patient', async () => {
    const { json } = await app.ask('GET', 'Patient/p1/$everything', undefined, {
      'x-scope': 'system/Patient.rs',
    });
    expect(ids(json)).toEqual(['Patient/p1']);
    const refused = await app.ask('GET', 'Patient/p1/$everything', undefined, {
      'x-scope': 'system/Observation.rs',
    });
    expect(refused.status).toBe(403);
  });

  it.each([
    ['Patient/nobody/$everything', 404],
    ['Patient/p1/$everything?_count=0', 400],
    ['Patient/p1/$everything?_count=x', 400],
    ['Patient/p1/$everything?_type=Nothing', 400],
    ['Patient/p1/$everything?start=2026-13-45', 400],
    ['Patient/p1/$everything?start=2026-01-01T24:00:00Z', 400],
    ['Patient/p1/$everything?start=ge2026', 400],
    [`Patient/p1/$everything?start=${encodeURIComponent("2026' OR 1=1--")}`, 400],
    ['Patient/p1/$everything?_cursor=%00', 400],
    [`Patient/p1/$everything?_cursor=${Buffer.from('["Patient","\' OR 1=1"]').toString('base64url')}`, 400],
    ['Patient/p1/$everything?colour=red', 400],
  ])('%s answers %i with an outcome', async (path, status) => {
    const answer = await app.ask('GET', path);
    expect(answer.status).toBe(status);
    expect(answer.json.resourceType).toBe('OperationOutcome');
  });

  it('a page is never longer than EVERYTHING_ENTRIES_MAX, and what it refers to than REFERRED_MAX', async () => {
    const many = Array.from({ length: REFERRED_MAX + 20 }, (_, at) => at);
    const full = EVERYTHING_ENTRIES_MAX + 20;
    await app.database.transaction((tx) =>
      app.store.write(tx, [
        {
          kind: 'create',
          resource: {
            resourceType: 'Patient',
            id: 'crowd',
            generalPractitioner: many.map((at) => ({ reference: `Practitioner/c${at}` })),
          },
        },
        ...many.map((at) => ({
          kind: 'create' as const,
          resource: { resourceType: 'Practitioner' as const, id: `c${at}` },
        })),
        ...Array.from({ length: full }, (_, at) => ({
          kind: 'create' as const,
          resource: observation(`c${at}`, 'crowd', null) as unknown as Resource,
        })),
      ]),
    );
    const { json } = await app.ask('GET', `Patient/crowd/$everything?_count=${EVERYTHING_ENTRIES_MAX * 100}`);
    const modes = Map.groupBy(json.entry as { search: { mode: string } }[], (one) => one.search.mode);
    // The patient itself comes on top.
    expect(modes.get('match')?.length).toBe(EVERYTHING_ENTRIES_MAX + 1);
    expect(modes.get('include')?.length).toBe(REFERRED_MAX);
    expect(json.link.some((one: { relation: string }) => one.relation === 'next')).toBe(true);
  });
});

describe('$meta, $meta-add, $meta-delete', () => {
  const meta = (valueMeta: object) => ({
    resourceType: 'Parameters',
    parameter: [{ name: 'meta', valueMeta }],
  });
  const tag = { system: 'http://example.org/tags', code: 'one' };
  const label = { system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' };

  it('adds labels once, as a new version, and gives the meta that is there then', async () => {
    const added = await app.ask(
      'POST',
      'Observation/o2/$meta-add',
      meta({ tag: [tag], security: [label], profile: ['http://example.org/p'] }),
    );
    expect(added.status, added.text).toBe(200);
    expect(added.json.parameter[0].valueMeta).toMatchObject({
      versionId: '2',
      tag: [tag],
      security: [label],
    });
    const again = await app.ask('POST', 'Observation/o2/$meta-add', meta({ tag: [tag] }));
    expect(again.json.parameter[0].valueMeta.versionId).toBe('2');
    const read = await app.ask('GET', 'Observation/o2/$meta');
    expect(read.json.parameter[0].valueMeta.tag).toEqual([tag]);
  });

  it('names what is in use on a type and on the whole system, as far as the token reaches', async () => {
    for (const path of ['Observation/$meta', '$meta']) {
      const { json } = await app.ask('GET', path);
      expect(json.parameter[0].valueMeta).toEqual({
        profile: ['http://example.org/p'],
        tag: [tag],
        security: [label],
      });
    }
    const other = await app.ask('GET', '$meta', undefined, { 'x-scope': 'system/Patient.rs' });
    expect(other.json.parameter[0].valueMeta).toEqual({});
  });

  it('is told from one resource per label, whatever the number of resources', async () => {
    const code = (n: number) => ({ tag: [{ system: 'http://example.org/tags', code: `t${n}` }] });
    for (const n of [1, 2]) {
      const media = { resourceType: 'Media', status: 'completed', content: { title: 'x' }, meta: code(n) };
      expect((await app.ask('PUT', `Media/m${n}`, { ...media, id: `m${n}` })).status).toBe(201);
    }
    // Thousands have one of the tags, and thousands none.
    await app.database.run({
      text: `INSERT INTO resource (type, id, version, last_updated, deleted, method, content, tokens)
        SELECT 'Media', 'x' || g, 1, now(), false, 'PUT', '{"resourceType":"Media"}',
          CASE g % 2 WHEN 0 THEN ARRAY['Media._tag@http://example.org/tags|t1'] ELSE ARRAY['Media.status#completed'] END
        FROM generate_series(1, 6000) g`,
    });
    await app.database.run({ text: 'ANALYZE resource' });
    const { json } = await app.ask('GET', 'Media/$meta');
    expect(json.parameter[0].valueMeta).toEqual({ tag: [code(1).tag[0], code(2).tag[0]] });
    const labels = [1, 2].map((n) => ({ type: 'Media', entry: `Media._tag@http://example.org/tags|t${n}` }));
    const { text, values } = inUse(labels, FULL_ACCESS, 'http://127.0.0.1:8080/fhir');
    const rows = await app.database.transaction(async (tx) => {
      await tx.run(BY_INDEX);
      return rowsRead(tx, text, values);
    });
    expect(rows).toBeLessThan(labels.length * (2 * PROBED_ROWS + 10));
    // What nobody has any more is not named, though it was noted.
    await app.ask('DELETE', 'Media/m2');
    const after = await app.ask('GET', 'Media/$meta');
    expect(after.json.parameter[0].valueMeta.tag).toEqual(code(1).tag);
    await app.database.run({ text: `DELETE FROM resource WHERE type = 'Media'` });
  });

  it('takes a security label off only for those who may delete the resource', async () => {
    const refused = await app.ask('POST', 'Observation/o2/$meta-delete', meta({ security: [label] }), {
      'x-scope': 'system/*.ru',
    });
    expect(refused.status).toBe(403);
    const done = await app.ask(
      'POST',
      'Observation/o2/$meta-delete',
      meta({ security: [label], tag: [tag], profile: ['http://example.org/p'] }),
    );
    expect(done.status, done.text).toBe(200);
    expect(done.json.parameter[0].valueMeta).not.toHaveProperty('security');
    expect(done.json.parameter[0].valueMeta).not.toHaveProperty('tag');
  });

  it.each([
    ['no body', undefined, 400],
    ['no meta', { resourceType: 'Parameters', parameter: [{ name: 'x', valueString: 'y' }] }, 400],
    ['another resource', { resourceType: 'Patient' }, 400],
    ['a tag that is no coding', meta({ tag: [{ system: 5 }] }), 422],
  ])('refuses %s', async (_what, body, status) => {
    const answer = await app.ask('POST', 'Observation/o2/$meta-add', body);
    expect(answer.status, answer.text).toBe(status);
  });

  it('may not be called by GET where it changes something', async () => {
    expect((await app.ask('GET', 'Observation/o2/$meta-add')).status).toBe(405);
  });
});

describe('$expunge', () => {
  const all = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'expungePreviousVersions', valueBoolean: true },
      { name: 'expungeDeletedResources', valueBoolean: true },
    ],
  };

  it('removes superseded versions and keeps the current one', async () => {
    await app.ask('PUT', 'Patient/x1', { resourceType: 'Patient', id: 'x1' });
    await app.ask('PUT', 'Patient/x1', { resourceType: 'Patient', id: 'x1', active: true });
    const answer = await app.ask('POST', 'Patient/x1/$expunge', all);
    expect(answer.status, answer.text).toBe(200);
    expect(answer.json.parameter).toContainEqual({ name: 'count', valueInteger: 1 });
    expect((await app.ask('GET', 'Patient/x1/_history/1')).status).toBe(404);
    expect((await app.ask('GET', 'Patient/x1')).status).toBe(200);
  });

  it('removes a deleted resource for ever, and an AuditEvent says who did it', async () => {
    await app.ask('PUT', 'Patient/x2', { resourceType: 'Patient', id: 'x2' });
    await app.ask('DELETE', 'Patient/x2');
    expect((await app.ask('GET', 'Patient/x2')).status).toBe(410);
    const answer = await app.ask('POST', 'Patient/x2/$expunge', all, { 'x-client': 'cleaner' });
    expect(answer.json.parameter).toContainEqual({ name: 'count', valueInteger: 2 });
    expect((await app.ask('GET', 'Patient/x2')).status).toBe(404);
    const { json } = await app.ask('GET', 'AuditEvent?entity=Patient/x2');
    expect(json.entry[0].resource.agent[0].who.identifier.value).toBe('cleaner');
  });

  it('needs the right to delete, and never touches AuditEvent or Provenance', async () => {
    expect((await app.ask('POST', 'Patient/x1/$expunge', all, { 'x-scope': 'system/*.crus' })).status).toBe(
      403,
    );
    const { json } = await app.ask('GET', 'AuditEvent');
    const refused = await app.ask('POST', `AuditEvent/${json.entry[0].resource.id}/$expunge`, all);
    expect(refused.status).toBe(403);
    expect(refused.json.issue[0].details.coding[0].code).toBe('fhir.expunge-forbidden');
  });

  it('is refused where the setting does not allow it', async () => {
    const strict = await startFhirApp({}, { runJobs: false });
    await strict.ask('PUT', 'Patient/x1', { resourceType: 'Patient', id: 'x1' });
    const answer = await strict.ask('POST', 'Patient/x1/$expunge', all);
    expect(answer.status).toBe(403);
    await strict.close();
  });

  it('removes EXPUNGE_VERSIONS_MAX versions in one call, oldest first, and says that there are more', async () => {
    await app.ask('PUT', 'Patient/x3', { resourceType: 'Patient', id: 'x3' });
    await app.database.run({
      text: `INSERT INTO resource_version (type, id, version, last_updated, deleted, method, content)
        SELECT 'Patient', 'x3', n, now(), false, 'PUT', '{"resourceType":"Patient","id":"x3"}' FROM generate_series(-1, -${EXPUNGE_VERSIONS_MAX + 5}, -1) n`,
    });
    const first = await app.ask('POST', 'Patient/x3/$expunge?limit=99999', all);
    expect(first.json.parameter).toEqual([
      { name: 'count', valueInteger: EXPUNGE_VERSIONS_MAX },
      { name: 'more', valueBoolean: true },
    ]);
    const second = await app.ask('POST', 'Patient/x3/$expunge', all);
    expect(second.json.parameter).toEqual([
      { name: 'count', valueInteger: 5 },
      { name: 'more', valueBoolean: false },
    ]);
  });

  it('refuses to do nothing, and what is no number', async () => {
    expect((await app.ask('POST', 'Patient/x1/$expunge')).status).toBe(400);
    expect((await app.ask('POST', 'Patient/x1/$expunge?expungePreviousVersions=true&limit=-1')).status).toBe(
      400,
    );
  });

  it('the AuditEvent it writes is a valid one', () => {
    const event: AuditEvent = auditEvent({ type: 'Patient', id: 'x' }, new Date(0));
    expect(() => validateResource(event as Resource)).not.toThrow();
  });
});

describe('what is not offered', () => {
  it.each(['$graphql', 'Patient/p1/$graphql'])('%s answers 501 and says so', async (path) => {
    const answer = await app.ask('GET', `${path}?query={Patient{id}}`);
    expect(answer.status).toBe(501);
    expect(answer.json.issue[0].details.coding[0].code).toBe('fhir.not-offered');
  });
});
