import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { evalFhirPathTyped, parseFhirPath, type TypedValue, toTypedValue } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { definitions, loadDefinitions } from '../definitions/definitions.ts';
import { compilePath } from './compile-path.ts';
import type { CompositeElement } from './parameters/composite-roots.ts';
import { indexedParametersOf, parametersPresentIn } from './search-parameters.ts';

const EXAMPLES = join(import.meta.dirname, '../../../../shared/data/fhir/r4-examples');

beforeAll(async () => {
  await loadDefinitions();
});

const interpreted = (expression: string, resource: Resource) =>
  evalFhirPathTyped(parseFhirPath(expression), [toTypedValue(resource)]).map(({ type, value }) => ({
    type,
    value,
  }));

/** Of the repeated elements of a resource: what each part of each composite finds in them. */
const compositesOf = (resource: Resource) =>
  composites(resource).flatMap(({ values }) =>
    values(resource).map(({ value }) => (value as CompositeElement).parts.map(bare)),
  );

const interpretedComposites = (resource: Resource) => {
  const whole = toTypedValue(resource);
  const all = (expression: string, on: TypedValue) =>
    evalFhirPathTyped(parseFhirPath(expression), [on], { '%resource': whole });
  return composites(resource).flatMap(({ code, composite }) =>
    (composite ?? [])
      .filter(({ repeats, owner }) => repeats && owner === code)
      .flatMap(({ path, parts }) =>
        all(path, whole).map((element) => parts.map(({ expression }) => bare(all(expression, element)))),
      ),
  );
};

const composites = ({ resourceType }: Resource) =>
  indexedParametersOf(resourceType).filter(({ kind }) => kind === 'composite');

const bare = (values: readonly TypedValue[]) => values.map(({ type, value }) => ({ type, value }));

/** As many components and contexts, about, are in the official examples. */
const COMPOSITES_MIN = 20;

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

  it('finds what the parts of a composite have, where a path is left to the interpreter too', () => {
    const resource = {
      resourceType: 'Observation',
      component: [
        { code: { text: 'a' }, valueQuantity: { value: 1 } },
        { code: { text: 'b' }, valueString: 'x', _valueString: { extension: [{ url: 'x' }] } },
      ],
    } as unknown as Resource;
    const values = compositesOf(resource);
    expect(values.length).toBeGreaterThan(0);
    expect(values).toEqual(interpretedComposites(resource));
  });

  it.skipIf(!existsSync(EXAMPLES))(
    'gives the same composites as the interpreter in every official example (skipped: no shared data)',
    () => {
      let compared = 0;
      for (const resource of examples()) {
        const values = compositesOf(resource);
        if (values.length === 0) continue;
        expect([resource.id, values]).toEqual([resource.id, interpretedComposites(resource)]);
        compared += values.length;
      }
      expect(compared).toBeGreaterThan(COMPOSITES_MIN);
    },
  );

  it.skipIf(!existsSync(EXAMPLES))(
    'is asked of every resource that it has values in, of every official example (skipped: no shared data)',
    () => {
      let left = 0;
      for (const resource of examples()) {
        const asked = new Set(parametersPresentIn(resource));
        for (const parameter of indexedParametersOf(resource.resourceType)) {
          if (asked.has(parameter)) continue;
          left += 1;
          expect([resource.id, parameter.code, parameter.values(resource)]).toEqual([
            resource.id,
            parameter.code,
            [],
          ]);
        }
      }
      expect(left).toBeGreaterThan(300);
    },
    120_000,
  );

  it('is asked by the elements of each resource, whatever another one had', () => {
    const asked = (more: object) =>
      parametersPresentIn({ resourceType: 'Observation', ...more } as unknown as Resource).map(
        ({ code }) => code,
      );
    expect(asked({ 'status,subject': 'x' })).not.toContain('subject');
    expect(asked({ status: 'final', subject: {} })).toEqual(expect.arrayContaining(['status', 'subject']));
    expect(asked({ valueQuantity: {} })).toEqual(expect.arrayContaining(['value-quantity']));
    expect(asked({ meta: {} })).toEqual(expect.arrayContaining(['_tag', '_profile']));
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
