import type { CodeSystem, Parameters } from '@medplum/fhirtypes';

export const SCT = 'http://snomed.info/sct';
export const SYSTEM = 'http://example.org/animals';
/** A small code system with all that operations ask of one. */
export const ANIMALS: CodeSystem = {
  resourceType: 'CodeSystem',
  id: 'animals',
  url: SYSTEM,
  version: '2',
  name: 'Animals',
  status: 'active',
  content: 'complete',
  caseSensitive: true,
  property: [
    { code: 'legs', type: 'integer' },
    { code: 'notSelectable', type: 'boolean' },
    { code: 'status', type: 'code' },
  ],
  concept: [
    {
      code: 'animal',
      display: 'Animal',
      property: [{ code: 'notSelectable', valueBoolean: true }],
      concept: [
        {
          code: 'mammal',
          display: 'Mammal',
          concept: [
            {
              code: 'dog',
              display: 'Dog',
              definition: 'Barks.',
              designation: [{ language: 'de', value: 'Hund' }],
              property: [{ code: 'legs', valueInteger: 4 }],
            },
            { code: 'whale', display: 'Whale', property: [{ code: 'legs', valueInteger: 0 }] },
          ],
        },
        { code: 'dodo', display: 'Dodo', property: [{ code: 'status', valueCode: 'retired' }] },
      ],
    },
    { code: 'plant', display: 'Plant' },
  ],
};

export const set = (id: string, compose: object) => ({
  resourceType: 'ValueSet',
  id,
  url: `http://example.org/vs/${id}`,
  status: 'active',
  compose,
});
/** Value sets over it: whole, by filter, by list, in a circle, of what is not here. */
export const VALUE_SETS = [
  set('all', { include: [{ system: SYSTEM }] }),
  set('mammals', {
    include: [{ system: SYSTEM, filter: [{ property: 'concept', op: 'is-a', value: 'mammal' }] }],
  }),
  set('below', {
    include: [{ system: SYSTEM, filter: [{ property: 'concept', op: 'descendent-of', value: 'animal' }] }],
    exclude: [{ system: SYSTEM, concept: [{ code: 'whale' }] }],
  }),
  set('four', { include: [{ system: SYSTEM, filter: [{ property: 'legs', op: '=', value: '4' }] }] }),
  set('both', {
    include: [{ valueSet: ['http://example.org/vs/mammals', 'http://example.org/vs/four'] }],
  }),
  set('listed', {
    include: [
      { system: 'http://not.here', concept: [{ code: 'x', display: 'Ex' }, { code: 'y' }] },
      { system: SYSTEM, concept: [{ code: 'dog', display: 'Good dog' }, { code: 'unicorn' }] },
    ],
  }),
  set('loop', { include: [{ valueSet: ['http://example.org/vs/loop-b'] }] }),
  set('loop-b', { include: [{ valueSet: ['http://example.org/vs/loop'] }] }),
  set('unknown-system', { include: [{ system: 'http://not.here' }] }),
  set('bad-regex', {
    include: [{ system: SYSTEM, filter: [{ property: 'code', op: 'regex', value: '^(a+)+$' }] }],
  }),
  set('good-regex', {
    include: [{ system: SYSTEM, filter: [{ property: 'code', op: 'regex', value: 'd[a-z]*' }] }],
  }),
  set('sct', { include: [{ system: SCT }] }),
  set('no-property', { include: [{ system: SYSTEM, filter: [{ property: 'wings', op: '=', value: '2' }] }] }),
];

/** name → value of the simple parameters. */
export const valuesOf = (parameters: Parameters): Record<string, unknown> =>
  Object.fromEntries(
    (parameters.parameter ?? []).map((one) => [
      one.name,
      Object.entries(one).find(([key]) => key.startsWith('value'))?.[1],
    ]),
  );

export const propertiesOf = (parameters: Parameters): [unknown, unknown][] =>
  (parameters.parameter ?? [])
    .filter(({ name }) => name === 'property')
    .map(({ part }) => {
      const values = valuesOf({ resourceType: 'Parameters', parameter: part ?? [] });
      return [values['code'], values['value']];
    });
