import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { evalFhirPathTyped, getParsedExpressionForResourceType, toTypedValue } from '@medplum/core';
import type { Resource } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { BASE, storedResources } from '../../../test/stored-resources.ts';
import { definitions } from '../definitions/definitions.ts';
import { indexResource } from './index-resource.ts';
import { searchParametersOf } from './search-parameters.ts';

const folder = resolve(import.meta.dirname, '../../../../shared/data/fhir/r4-examples');
const examples = (): Resource[] =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(resolve(folder, name), 'utf8')) as Resource);

const stored = storedResources();

/** R4's two of the text search, and the named query: not offered. */
const NOT_OFFERED = new Set(['_text', '_content', '_query']);

describe('all search parameters of R4', () => {
  it('are there, for every type', () => {
    const missing: string[] = [];
    let pairs = 0;
    for (const parameter of definitions().searchParameters) {
      for (const base of parameter.base) {
        const types = ['Resource', 'DomainResource'].includes(base) ? definitions().resourceTypes : [base];
        for (const type of types) {
          pairs += 1;
          if (!NOT_OFFERED.has(parameter.code) && !searchParametersOf(type).has(parameter.code))
            missing.push(`${type}.${parameter.code}`);
        }
      }
    }
    expect(pairs).toBeGreaterThan(1_700);
    expect(missing).toEqual([]);
  });

  const asked: Record<string, string> = {
    token: 'x',
    reference: 'Patient/1',
    date: '2024',
    string: 'abc',
    number: '1',
    quantity: '1',
    uri: 'http://x/y',
    special: '1|2|3|km',
  };

  it('can be asked, with every modifier they say they have', async () => {
    for (const type of definitions().resourceTypes) {
      const queries = [...searchParametersOf(type).values()].flatMap(({ code, kind, composite }) => {
        const parts = composite?.[0]?.parts.map((part) => asked[part.kind]).join('$');
        return [`${code}=${encodeURIComponent(parts ?? asked[kind] ?? '')}`, `${code}:missing=false`];
      });
      // Those of a type go to the database together.
      const found = await Promise.all(queries.map((query) => stored.search(type, query)));
      expect(found.flatMap(({ matches }) => matches)).toEqual([]);
    }
  }, 60_000);

  it.skipIf(!existsSync(folder))(
    'index the official examples without a fault and without a row twice',
    () => {
      const all = examples();
      expect(all.length).toBeGreaterThan(40);
      for (const resource of all) {
        const rows = indexResource(resource, BASE);
        for (const table of [rows.dates, rows.strings]) {
          const texts = table.map((row) => JSON.stringify(row));
          expect(new Set(texts).size, `${resource.resourceType}/${resource.id}`).toBe(texts.length);
        }
        for (const row of rows.quantities)
          for (const text of [row.lo, row.hi, row.canonicalLo, row.canonicalHi])
            expect(text).toMatch(/^(-?Infinity|-?\d+(\.\d+)?(e[+-]?\d+)?)$/);
      }
    },
  );

  it.skipIf(!existsSync(folder))(
    'find every example that has a value for them, and no other way round',
    async () => {
      const all = examples().filter(({ id }) => id !== undefined);
      await stored.write(...all.map((resource) => ({ kind: 'create' as const, resource })));
      const wrong: string[] = [];
      for (const resource of all) {
        const type = resource.resourceType;
        for (const { code, kind, composite } of searchParametersOf(type).values()) {
          if (composite || code.startsWith('_')) continue;
          const union = definitions().searchParameters.find(
            (one) => one.code === code && one.base.includes(type),
          );
          const parsed = getParsedExpressionForResourceType(type, union?.expression ?? '');
          const there = evalFhirPathTyped(parsed, [toTypedValue(resource)]).length > 0;
          const { matches } = await stored.search(type, `${code}:missing=false&_id=${resource.id}`);
          if (there !== matches.length > 0) wrong.push(`${type}/${resource.id} ${code} (${kind})`);
        }
      }
      expect(wrong).toEqual([]);
    },
    60_000,
  );
});
