import type { CodeSystem, ElementDefinition, OperationOutcome, ValueSet } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp } from '../../test/fhir-app.ts';
import { knownProfiles } from '../fhir/profiles/known-profiles.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { registerTerminology } from '../fhir/terminology-registry.ts';
import { knownCodes } from '../fhir/validate/bound-codes.ts';
import { searchTerminology } from './search-terminology.ts';
import { TerminologySources } from './terminology-sources.ts';

const ANIMALS = 'http://example.org/animals';
let server: FhirApp;
/** Value sets that terminology was asked about, in order. */
const asked: string[] = [];

beforeAll(async () => {
  server = await fhirApp();
  const terminology = searchTerminology(
    new TerminologySources(server.app.get(ResourceStore), server.database),
  );
  registerTerminology({
    ...terminology,
    holds: (valueSet, ...more) => {
      asked.push(valueSet);
      return terminology.holds(valueSet, ...more);
    },
  });
  const codes: CodeSystem = {
    ...{ resourceType: 'CodeSystem', id: 'animals', url: ANIMALS, status: 'active', content: 'complete' },
    concept: [
      { code: 'mammal', concept: [{ code: 'cat' }, { code: 'dog' }] },
      { code: 'bird', concept: [{ code: 'hen' }] },
    ],
  };
  await put(codes);
  await put(valueSet('mammals', [{ property: 'concept', op: 'is-a', value: 'mammal' }]));
  await put({ ...codes, id: 'part', url: `${ANIMALS}/part`, content: 'fragment' });
  await put({
    ...valueSet('part', []),
    compose: { include: [{ system: `${ANIMALS}/part` }] },
  });
  await put(profile('required', [bound('Observation.code', 'required', 'mammals')]));
  await put(profile('extensible', [bound('Observation.code', 'extensible', 'mammals')]));
  await put(profile('nowhere', [bound('Observation.code', 'required', 'nowhere')]));
  await put(profile('partly', [bound('Observation.code', 'required', 'part')]));
  await put(
    profile('sliced', [
      {
        path: 'Observation.component',
        slicing: { discriminator: [{ type: 'value', path: 'code' }], rules: 'open' },
        min: 1,
      } as ElementDefinition,
      {
        id: 'Observation.component:mammal',
        path: 'Observation.component',
        sliceName: 'mammal',
        min: 1,
        max: '1',
      },
      {
        ...bound('Observation.component.code', 'required', 'mammals'),
        id: 'Observation.component:mammal.code',
      },
      {
        ...bound('Observation.component.value[x]', 'required', 'mammals'),
        id: 'Observation.component:mammal.value[x]',
      },
    ]),
  );
});
afterAll(async () => {
  registerTerminology(null);
  await server.close();
});
beforeEach(() => {
  asked.length = 0;
});

const put = async (resource: Record<string, unknown> | CodeSystem | ValueSet) => {
  const { status, text } = await server.send('PUT', `${resource.resourceType}/${resource.id}`, resource);
  expect(status, text).toBeLessThan(300);
};
const valueSet = (id: string, filter: object[]): ValueSet =>
  ({
    ...{ resourceType: 'ValueSet', id, url: `${ANIMALS}/vs/${id}`, status: 'active' },
    compose: { include: [{ system: ANIMALS, filter }] },
  }) as ValueSet;
const bound = (path: string, strength: 'required' | 'extensible', id: string): ElementDefinition => ({
  path,
  binding: { strength, valueSet: `${ANIMALS}/vs/${id}` },
});
const profile = (id: string, element: readonly ElementDefinition[]) => ({
  ...{ resourceType: 'StructureDefinition', id, url: `${ANIMALS}/${id}`, name: id, status: 'active' },
  ...{ kind: 'resource', abstract: false, type: 'Observation', derivation: 'constraint' },
  baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Observation',
  differential: { element: [{ path: 'Observation' }, ...element].map((one) => ({ id: one.path, ...one })) },
});
const concept = (code: string, system = ANIMALS) => ({ coding: [{ system, code }] });
const observation = (id: string, code: object, more: object = {}) => ({
  ...{ resourceType: 'Observation', status: 'final', meta: { profile: [`${ANIMALS}/${id}`] }, code },
  ...more,
});
const create = (body: object) => server.send('POST', 'Observation', body);
const issuesOf = async (body: object): Promise<string[]> => {
  const { json } = await server.send('POST', 'Observation/$validate', body);
  return (json as OperationOutcome).issue.map(
    (one) => `${one.severity} ${one.code} ${one.expression?.[0] ?? ''}`,
  );
};

describe('a profile that binds to a value set which only terminology knows', () => {
  it('as required: a code of the set is stored, another is refused by its place', async () => {
    expect((await create(observation('required', concept('dog')))).status).toBe(201);
    const { status, json } = await create(observation('required', concept('hen')));
    expect(status).toBe(422);
    expect((json as OperationOutcome).issue).toMatchObject([
      { severity: 'error', code: 'code-invalid', expression: ['Observation.code'] },
    ]);
    expect(JSON.stringify(json)).not.toContain('hen');
  });

  it('takes one good coding of several, and a coding without a system', async () => {
    const two = { coding: [{ system: ANIMALS, code: 'hen' }, ...concept('cat').coding] };
    expect((await create(observation('required', two))).status).toBe(201);
    expect((await create(observation('required', { coding: [{ code: 'cat' }] }))).status).toBe(201);
    const foreign = concept('cat', 'http://example.org/others');
    expect((await create(observation('required', foreign))).status).toBe(422);
  });

  it('is held to it by update, patch, transaction and conditional update alike', async () => {
    const bad = { ...observation('required', concept('hen')), id: 'held' };
    expect((await server.send('PUT', 'Observation/held', bad)).status).toBe(422);
    expect((await server.send('PUT', 'Observation?_id=held', bad)).status).toBe(422);
    const entry = [{ resource: bad, request: { method: 'PUT', url: 'Observation/held' } }];
    const bundle = { resourceType: 'Bundle', type: 'transaction', entry };
    expect((await server.send('POST', '', bundle)).status).toBe(422);
    await put({ ...bad, code: concept('cat') });
    const patch = [{ op: 'replace', path: '/code/coding/0/code', value: 'hen' }];
    const patched = await server.send('PATCH', 'Observation/held', JSON.stringify(patch), {
      'content-type': 'application/json-patch+json',
    });
    expect(patched.status).toBe(422);
  });

  it('as extensible: every code is stored, and $validate warns of those that are not in it', async () => {
    expect((await create(observation('extensible', concept('hen')))).status).toBe(201);
    expect(asked).toEqual([]);
    expect(await issuesOf(observation('extensible', concept('hen')))).toEqual([
      'warning code-invalid Observation.code',
    ]);
    expect(await issuesOf(observation('extensible', concept('dog')))).toEqual(['information informational ']);
  });

  it.each(['nowhere', 'partly'])(
    '%s: what cannot be told is stored, with a warning that says so',
    async (id) => {
      const unknown = observation(id, concept('whale', `${ANIMALS}/part`));
      expect((await create(unknown)).status).toBe(201);
      expect(await issuesOf(unknown)).toEqual(['warning not-found Observation.code']);
    },
  );

  it('finds the slice that a code decides, and what is bound in there', async () => {
    const component = (value: string) => [
      { code: concept('hen'), valueString: 'x' },
      { code: concept('dog'), valueCodeableConcept: concept(value) },
    ];
    const of = (value: string) => observation('sliced', { text: 'x' }, { component: component(value) });
    expect((await create(of('cat'))).status).toBe(201);
    expect((await create(of('hen'))).json.issue).toMatchObject([
      { expression: ['Observation.component[1].valueCodeableConcept'] },
    ]);
    const none = observation('sliced', { text: 'x' }, { component: component('cat').slice(0, 1) });
    expect((await create(none)).status).toBe(422);
  });

  it('asks once per value set, and of codes met lately not at all', async () => {
    knownCodes.forget();
    const component = ['cat', 'dog', 'mammal'].map((code) => ({
      code: concept(code),
      valueCodeableConcept: concept(code),
    }));
    await create(observation('sliced', { text: 'x' }, { component }));
    expect(asked).toEqual([`${ANIMALS}/vs/mammals`]);
    await create(observation('sliced', { text: 'x' }, { component }));
    expect(asked).toHaveLength(1);
    await create({ resourceType: 'Observation', status: 'final', code: concept('hen') });
    expect(asked).toHaveLength(1);
  });

  it('follows a change of the value set and of the code system with their commits', async () => {
    expect((await create(observation('required', concept('hen')))).status).toBe(422);
    await put({ ...valueSet('mammals', []), compose: { include: [{ system: ANIMALS }] } });
    expect((await create(observation('required', concept('hen')))).status).toBe(201);
    expect((await create(observation('required', concept('bee')))).status).toBe(422);
    const animals = (await server.send('GET', 'CodeSystem/animals')).json as CodeSystem;
    await put({ ...animals, concept: [...(animals.concept ?? []), { code: 'bee' }] });
    expect((await create(observation('required', concept('bee')))).status).toBe(201);
  });

  it('of a package comes from the package, also where only its code system tells the members', async () => {
    knownProfiles.addPackage([
      {
        ...{ resourceType: 'CodeSystem', url: `${ANIMALS}/p`, status: 'active', content: 'complete' },
        property: [{ code: 'legs', type: 'integer' }],
        concept: [
          { code: 'cow', property: [{ code: 'legs', valueInteger: 4 }] },
          { code: 'crow', property: [{ code: 'legs', valueInteger: 2 }] },
        ],
      } as CodeSystem,
      {
        ...valueSet('four', []),
        compose: {
          include: [{ system: `${ANIMALS}/p`, filter: [{ property: 'legs', op: '=', value: '4' }] }],
        },
      } as ValueSet,
    ]);
    await put(profile('packaged', [bound('Observation.code', 'required', 'four')]));
    // What a client stores under its URL changes nothing.
    await put({ ...valueSet('four', []), compose: { include: [{ system: ANIMALS }] } });
    expect((await create(observation('packaged', concept('cow', `${ANIMALS}/p`)))).status).toBe(201);
    expect((await create(observation('packaged', concept('crow', `${ANIMALS}/p`)))).status).toBe(422);
  });

  it('as required: words alone are refused, beside a code of the set they may stand', async () => {
    const refused = await create(observation('required', { text: 'a dog' }));
    expect(refused.status).toBe(422);
    expect((refused.json as OperationOutcome).issue[0]?.details?.text).toMatch(/words alone/);
    expect((await create(observation('required', { coding: [{ display: 'dog' }] }))).status).toBe(422);
    const beside = { text: 'a dog', coding: [{ display: 'dog' }, ...concept('dog').coding] };
    expect((await create(observation('required', beside))).status).toBe(201);
    expect((await create(observation('extensible', { text: 'a dog' }))).status).toBe(201);
    expect(await issuesOf(observation('extensible', { text: 'a dog' }))).toEqual([
      'information informational ',
    ]);
  });

  it('with maxValueSet: what lies outside of it is refused, whatever the strength', async () => {
    await put({ ...valueSet('cats', [{ property: 'concept', op: 'is-a', value: 'cat' }]) });
    await put({ ...valueSet('furred', [{ property: 'concept', op: 'is-a', value: 'mammal' }]) });
    for (const strength of ['extensible', 'preferred']) {
      const binding = {
        strength,
        valueSet: `${ANIMALS}/vs/cats`,
        extension: [
          {
            url: 'http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet',
            valueCanonical: `${ANIMALS}/vs/furred`,
          },
        ],
      };
      await put(profile(strength, [{ path: 'Observation.code', binding } as ElementDefinition]));
      expect((await create(observation(strength, concept('cat')))).status).toBe(201);
      expect((await create(observation(strength, concept('dog')))).status).toBe(201);
      expect((await create(observation(strength, concept('hen')))).status).toBe(422);
      expect((await create(observation(strength, { text: 'hen' }))).status).toBe(422);
    }
  });

  it('of a profile that the same transaction brings are followed too, and unknown profiles are no longer unknown', async () => {
    knownProfiles.unknownProfiles = 'refuse';
    try {
      const entry = (resource: { resourceType: string }) => ({
        resource,
        request: { method: 'POST', url: resource.resourceType },
      });
      const send = (...resources: { resourceType: string }[]) =>
        server.send('POST', '', {
          ...{ resourceType: 'Bundle', type: 'transaction', entry: resources.map(entry) },
        });
      await put(valueSet('late', [{ property: 'concept', op: 'is-a', value: 'bird' }]));
      const { id: _id, ...late } = profile('late', [bound('Observation.code', 'required', 'late')]);
      expect((await send(observation('late', concept('hen')))).status).toBe(422);
      const dog = await send(observation('late', concept('dog')), late);
      expect(dog.json.issue).toMatchObject([
        { code: 'code-invalid', expression: ['Bundle.entry[0].resource.code'] },
      ]);
      expect((await send(observation('late', concept('hen')))).status).toBe(422);
      expect((await send(observation('late', concept('hen')), late)).status).toBe(200);
      expect((await create(observation('late', concept('hen')))).status).toBe(201);
    } finally {
      knownProfiles.unknownProfiles = 'accept';
    }
  });

  it('that the same transaction brings counts for its other entries, and for nobody when it is rolled back', async () => {
    await put(profile('brought', [bound('Observation.code', 'required', 'brought')]));
    const birds = valueSet('brought', [{ property: 'concept', op: 'is-a', value: 'bird' }]);
    const transaction = (...resources: { resourceType: string; id?: string }[]) =>
      server.send('POST', '', {
        ...{ resourceType: 'Bundle', type: 'transaction' },
        entry: resources.map((resource) => ({
          resource,
          request: resource.id
            ? { method: 'PUT', url: `${resource.resourceType}/${resource.id}` }
            : { method: 'POST', url: resource.resourceType },
        })),
      });
    const hen = observation('brought', concept('hen'));
    const dog = observation('brought', concept('dog'));
    const refused = await transaction(dog, birds);
    expect(refused.status).toBe(422);
    expect(refused.json.issue).toMatchObject([{ expression: ['Bundle.entry[0].resource.code'] }]);
    // It was rolled back: nothing can be told.
    expect((await create(dog)).status).toBe(201);
    expect((await transaction(hen, birds)).status).toBe(200);
    expect((await create(dog)).status).toBe(422);
    // A code system too, and a change of what is there.
    const insects: CodeSystem = {
      ...{ resourceType: 'CodeSystem', id: 'insects', url: `${ANIMALS}/insects`, status: 'active' },
      ...{ content: 'complete', concept: [{ code: 'ant' }] },
    };
    const changed = { ...birds, compose: { include: [{ system: `${ANIMALS}/insects` }] } };
    const ant = observation('brought', concept('ant', `${ANIMALS}/insects`));
    expect((await create(ant)).status).toBe(422);
    expect((await transaction(ant, changed, insects)).status).toBe(200);
    expect((await create(hen)).status).toBe(422);
  });
});
