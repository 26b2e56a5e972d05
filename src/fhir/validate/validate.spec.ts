import type { Resource } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { Failure } from '../../kernel/errors.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import { ISSUES_MAX } from './check-elements.ts';
import { BUNDLE_ENTRIES_MAX, parseResource, RESOURCE_BYTES_MAX } from './parse-resource.ts';
import { ARRAY_ITEMS_MAX, JSON_DEPTH_MAX, NUMBER_CHARACTERS_MAX } from './scan-json.ts';
import { validateResource } from './validate-resource.ts';

beforeAll(async () => {
  await loadDefinitions();
});

const patient = (more: object): unknown => ({ resourceType: 'Patient', ...more });
const observation = (more: object): unknown => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  ...more,
});

function failureOf(work: () => void): Failure | null {
  try {
    work();
    return null;
  } catch (error) {
    return error as Failure;
  }
}

const INVALID: readonly (readonly [string, unknown])[] = [
  ['a code outside a required binding', patient({ gender: 'nonsense' })],
  ['a status outside its value set', observation({ status: 'done' })],
  ['an unknown element', patient({ nonsense: 1 })],
  ['a wrong primitive', patient({ active: 'yes' })],
  ['a single value for a list', patient({ name: { family: 'x' } })],
  ['a missing required element', { resourceType: 'Observation', status: 'final' }],
  ['an invariant', patient({ contact: [{ gender: 'male' }] })],
  ['a dateTime with a time but no zone', observation({ effectiveDateTime: '2024-01-01T10:00:00' })],
  ['the 30th of February', patient({ birthDate: '2024-02-30' })],
  ['month 13', patient({ birthDate: '2024-13-01' })],
  ['an id with an underscore', patient({ id: 'a_b' })],
  ['an id that is too long', patient({ id: 'a'.repeat(65) })],
  ['an empty string', patient({ language: '' })],
  ['a blank string', patient({ name: [{ family: ' ' }] })],
  ['an empty list', patient({ name: [] })],
  ['an empty object', patient({ maritalStatus: {} })],
  ['two types of one choice', observation({ valueString: 'x', valueInteger: 1 })],
  [
    'a reference to a type the element does not allow',
    observation({ subject: { reference: 'Organization/1' } }),
  ],
  ['a reference to an unknown type', observation({ subject: { reference: 'Foo/1' } })],
  ['a reference that is no reference', observation({ subject: { reference: 'no reference' } })],
  ['a reference to a contained resource that is not there', observation({ subject: { reference: '#x' } })],
  ['a contained resource without its type', patient({ contained: [{ id: 'x' }] })],
  [
    'a period that ends before it starts',
    patient({ name: [{ family: 'x', period: { start: '2024', end: '2023' } }] }),
  ],
  [
    'a primitive extension list beside a single primitive',
    patient({ gender: 'male', _gender: [{ id: 'x' }] }),
  ],
  ['a null', patient({ name: [null] })],
];

const VALID: readonly (readonly [string, unknown])[] = [
  ['a bare patient', patient({})],
  ['a year as birth date', patient({ birthDate: '1970' })],
  [
    'a primitive with an extension only',
    patient({ _birthDate: { extension: [{ url: 'urn:x', valueString: 'y' }] } }),
  ],
  [
    'a list with nulls beside its extensions',
    patient({
      name: [{ given: ['a', null], _given: [null, { extension: [{ url: 'urn:x', valueString: 'y' }] }] }],
    }),
  ],
  [
    'a period within one day',
    patient({ name: [{ family: 'x', period: { start: '2024-01-01T10:00:00Z', end: '2024-01-01' } }] }),
  ],
  ['a logical reference', observation({ subject: { identifier: { value: 'x' } } })],
  ['a reference to another server', observation({ subject: { reference: 'https://other/fhir/Patient/1' } })],
  ['a versioned reference', observation({ subject: { reference: 'Patient/1/_history/2' } })],
  [
    'a urn:uuid reference',
    observation({ subject: { reference: 'urn:uuid:8a4a7a1e-0000-4000-8000-000000000000' } }),
  ],
  [
    'a contained resource that is used',
    observation({ contained: [{ resourceType: 'Patient', id: 'p' }], subject: { reference: '#p' } }),
  ],
];

describe('validation', () => {
  it.each(INVALID)('refuses %s', (_what, resource) => {
    expect(failureOf(() => validateResource(resource as Resource))).toMatchObject({
      code: 'fhir.validation',
    });
  });

  it.each(VALID)('accepts %s', (_what, resource) => {
    expect(failureOf(() => validateResource(resource as Resource))?.issues ?? []).toEqual([]);
  });

  it('names the place of a fault and never its value', () => {
    const failure = failureOf(() =>
      validateResource(patient({ gender: 'Secretname', birthDate: '2024-99-99', Secretname: 1 }) as Resource),
    );
    expect(JSON.stringify([failure?.message, failure?.issues.map((issue) => issue.text)])).not.toContain(
      'Secretname',
    );
    expect(failure?.issues.map((issue) => issue.at)).toContain('Patient.birthDate');
  });

  it('stops at a bounded number of issues', () => {
    const codings = Array.from({ length: 5_000 }, () => ({ system: 'x y', code: '' }));
    const failure = failureOf(() => validateResource(observation({ code: { coding: codings } }) as Resource));
    expect(failure?.issues).toHaveLength(ISSUES_MAX);
  });

  it('refuses extensions nested too deep in place of overflowing', () => {
    let extension: object = { url: 'urn:x', valueString: 'x' };
    for (let depth = 0; depth < 5_000; depth++) extension = { url: 'urn:x', extension: [extension] };
    expect(failureOf(() => validateResource(patient({ extension: [extension] }) as Resource))).toMatchObject({
      code: 'fhir.validation',
    });
  });
});

const nested = (depth: number): string =>
  `{"resourceType":"Patient","x":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

const BOMBS: readonly (readonly [string, string])[] = [
  ['nesting one level too deep', nested(JSON_DEPTH_MAX + 1)],
  ['nesting two million deep', '['.repeat(2_000_000)],
  ['a key twice', '{"resourceType":"Patient","id":"a","id":"b"}'],
  ['a key twice, once escaped', '{"resourceType":"Patient","id":"a","\\u0069d":"b"}'],
  ['the key __proto__', '{"resourceType":"Patient","__proto__":{"polluted":true}}'],
  ['the key constructor, escaped', '{"resourceType":"Patient","constr\\u0075ctor":{}}'],
  ['a giant exponent', '{"resourceType":"Observation","x":1e131000}'],
  ['a number of many digits', `{"resourceType":"Observation","x":${'1'.repeat(NUMBER_CHARACTERS_MAX + 1)}}`],
  ['too many items', `{"resourceType":"Patient","x":[${'1,'.repeat(ARRAY_ITEMS_MAX)}1]}`],
  ['U+0000', '{"resourceType":"Patient","language":"\\u0000"}'],
  ['half a character', '{"resourceType":"Patient","language":"\\ud800"}'],
  ['no JSON', '{"resourceType":"Patient",}'],
  ['an unfinished string', '{"resourceType":"Patient","id":"'],
  ['a list', '[]'],
  ['null', 'null'],
  ['an unknown type', '{"resourceType":"Foo"}'],
  ['no type', '{}'],
  ['a type that is a property of every object', '{"resourceType":"constructor"}'],
  ['nothing', ''],
];

describe('reading a body', () => {
  it.each(BOMBS)('refuses %s with 400', (_what, text) => {
    expect(failureOf(() => parseResource(Buffer.from(text)))).toMatchObject({ code: 'fhir.invalid' });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('refuses what is no UTF-8', () => {
    expect(failureOf(() => parseResource(Buffer.from([0x7b, 0xff, 0x7d])))).toMatchObject({
      code: 'fhir.invalid',
    });
  });

  it('refuses a resource and a Bundle above their limits', () => {
    const large = JSON.stringify({ resourceType: 'Patient', language: 'x'.repeat(RESOURCE_BYTES_MAX) });
    expect(failureOf(() => parseResource(Buffer.from(large)))).toMatchObject({ code: 'fhir.too-large' });
    const many = JSON.stringify({
      resourceType: 'Bundle',
      type: 'batch',
      entry: Array(BUNDLE_ENTRIES_MAX + 1).fill({}),
    });
    expect(failureOf(() => parseResource(Buffer.from(many)))).toMatchObject({ code: 'fhir.too-large' });
  });

  it('reads the deepest that is allowed, and strings that look like bombs', () => {
    expect(parseResource(Buffer.from(nested(JSON_DEPTH_MAX)))).toMatchObject({ resourceType: 'Patient' });
    const text = '{"resourceType":"Patient","language":"[[[ {\\"id\\":1,\\"id\\":2} 1e131000 \\\\","id":"x"}';
    expect(parseResource(Buffer.from(text))).toMatchObject({ id: 'x' });
  });
});
