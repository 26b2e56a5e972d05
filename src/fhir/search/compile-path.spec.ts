import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { evalFhirPathTyped, parseFhirPath, toTypedValue } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { definitions, loadDefinitions } from '../definitions/definitions.ts';
import { compilePath } from './compile-path.ts';
import { indexedParametersOf } from './search-parameters.ts';

const EXAMPLES = join(import.meta.dirname, '../../../../shared/data/fhir/r4-examples');

beforeAll(async () => {
  await loadDefinitions();
});

const interpreted = (expression: string, resource: Resource) =>
  evalFhirPathTyped(parseFhirPath(expression), [toTypedValue(resource)]).map(({ type, value }) => ({
    type,
    value,
  }));

describe('a compiled path', () => {
  it('is there for nearly all published search parameters', () => {
    const expressions = definitions().resourceTypes.flatMap((type) =>
      indexedParametersOf(type).flatMap(({ expression, kind }) =>
        expression && kind !== 'composite' ? [{ type, expression }] : [],
      ),
    );
    const compiled = expressions.filter(({ type, expression }) => compilePath(type, expression));
    expect(compiled.length / expressions.length).toBeGreaterThan(0.9);
  });

  it.each([
    ['Observation.value.ofType(Quantity)', { valueQuantity: { value: 1 } }, 1],
    ['Observation.value.ofType(Quantity)', { valueString: 'x' }, 0],
    ['Observation.component.code', { component: [{ code: { text: 'a' } }, {}, { code: { text: 'b' } }] }, 2],
    ['Observation.effective', { effectivePeriod: { start: '2024' } }, 1],
    ['Observation.status', {}, 0],
  ])('%s gives what the interpreter gives', (expression, more, count) => {
    const resource = { resourceType: 'Observation', ...more } as Resource;
    const values = compilePath('Observation', expression)?.(resource);
    expect(values).toHaveLength(count);
    expect(values).toEqual(interpreted(expression, resource));
  });

  it.each([
    ['a primitive with an extension', { status: 'final', _status: { extension: [{ url: 'x' }] } }],
    ['a null in a list', { status: ['a', null] }],
    ['a list in a list', { status: [['a']] }],
  ])('leaves %s to the interpreter', (_, more) => {
    const resource = { resourceType: 'Observation', ...more } as unknown as Resource;
    expect(compilePath('Observation', 'Observation.status')?.(resource)).toBeNull();
  });

  it.each([
    'Observation.component.where(code.exists()).value',
    'Patient.name',
    'Observation.contained.id',
    'Observation.nothing',
    'Bundle.entry[0].resource',
  ])('is not made of %s', (expression) => {
    expect(compilePath('Observation', expression)).toBeNull();
  });

  it.skipIf(!existsSync(EXAMPLES))(
    'gives the same values as the interpreter in every official example (skipped: no shared data)',
    () => {
      let compared = 0;
      for (const resource of examples()) {
        for (const { expression, kind } of indexedParametersOf(resource.resourceType)) {
          const compiled =
            expression && kind !== 'composite' ? compilePath(resource.resourceType, expression) : null;
          const values = compiled?.(resource);
          if (!expression || !values) continue;
          expect([resource.id, expression, values]).toEqual([
            resource.id,
            expression,
            interpreted(expression, resource),
          ]);
          if (values.length > 0) compared += 1;
        }
      }
      expect(compared).toBeGreaterThan(300);
    },
    120_000,
  );
});

function* examples(folder = EXAMPLES): Generator<Resource> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) yield* examples(path);
    else if (name.endsWith('.json') && statSync(path).size < 500_000) {
      const resource = JSON.parse(readFileSync(path, 'utf8')) as Resource;
      if (definitions().resourceTypes.includes(resource.resourceType)) yield resource;
    }
  }
}
