import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BASE, type FhirApp, fhirApp } from '../../../test/fhir-app.ts';
import { indexResource } from './index-resource.ts';
import { isMainDate, MAIN_DATE_TYPES, mainDateOf } from './main-date.ts';
import { searchParametersOf } from './search-parameters.ts';

const examples = resolve(import.meta.dirname, '../../../../shared/data/fhir/r4-examples');
let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
});
afterAll(() => fhir.close());

const report = (id: string, more: object) =>
  fhir.send('PUT', `DiagnosticReport/${id}`, {
    resourceType: 'DiagnosticReport',
    id,
    status: 'final',
    code: { text: 'x' },
    ...more,
  });
const sorted = async (sort: string): Promise<string[]> => {
  const { json } = await fhir.send('GET', `DiagnosticReport?_id=a,b,c,d&_sort=${sort}`);
  return json.entry.map(({ resource }: { resource: Resource }) => resource.id);
};

describe('the date in the row', () => {
  it('is a date search parameter of its type', () => {
    for (const type of MAIN_DATE_TYPES) {
      const dates = [...searchParametersOf(type).values()].filter(({ code }) => isMainDate(type, code));
      expect(
        dates.map(({ kind }) => kind),
        type,
      ).toEqual(['date']);
    }
  });

  it('sorts by where a date begins, what has none last, and follows every change', async () => {
    await report('a', { effectiveDateTime: '2024-03-01' });
    await report('b', { effectivePeriod: { start: '2024-02-01', end: '2024-09-01' } });
    await report('c', {});
    await report('d', { effectivePeriod: { end: '2024-01-01' } });
    expect(await sorted('date')).toEqual(['d', 'b', 'a', 'c']);
    expect(await sorted('-date')).toEqual(['a', 'b', 'd', 'c']);
    await report('c', { effectiveDateTime: '2024-02-15T10:00:00Z' });
    await report('a', {});
    expect(await sorted('-date')).toEqual(['c', 'b', 'd', 'a']);
    await report('c', { effectiveDateTime: '2024-02-15T10:00:00Z', conclusion: 'the same date' });
    await fhir.send('DELETE', 'DiagnosticReport/b');
    expect(await sorted('-date')).toEqual(['c', 'd', 'a']);
    await report('b', { effectiveDateTime: '2025' });
    expect(await sorted('-date')).toEqual(['b', 'c', 'd', 'a']);
  });

  it('is what the index table says, for every official example', async (context) => {
    if (!existsSync(examples)) return context.skip('skipped: no shared data');
    let seen = 0;
    for (const name of readdirSync(examples).filter((one) => one.endsWith('.json'))) {
      const resource = JSON.parse(readFileSync(resolve(examples, name), 'utf8')) as Resource;
      const rows = indexResource(resource, BASE);
      const type = resource.resourceType;
      const dates = rows.dates.filter(({ param }) => isMainDate(type, param));
      expect(dates.length, name).toBeLessThanOrEqual(1);
      expect(mainDateOf(type, rows), name).toBe(dates[0]?.lo ?? null);
      seen += dates.length;
    }
    expect(seen).toBeGreaterThan(10);
  });
});
