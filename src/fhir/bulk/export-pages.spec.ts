import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, startFhirApp } from '../../../test/bulk/fhir-app.ts';
import { accessOfGrant } from '../access-context.ts';
import { EXPORT_PAGE_BYTES, EXPORT_PAGE_ROWS, readExportPage } from './export-pages.store.ts';

const TEXT_BYTES = 1_500_000;
let app: FhirApp;
beforeAll(async () => {
  app = await startFhirApp({}, { runJobs: false });
  const basic = (id: string, text: string) =>
    ({ kind: 'create', resource: { resourceType: 'Basic', id, code: { text } } }) as const;
  await app.database.transaction(async (tx) => {
    for (const id of ['a', 'b', 'c', 'd', 'e']) await app.store.write(tx, [basic(id, id.repeat(TEXT_BYTES))]);
    const small = Array.from({ length: EXPORT_PAGE_ROWS + 1 }, (_, at) => basic(`s${at}`, 'small'));
    await app.store.write(tx, small);
  });
});
afterAll(() => app.close());

const access = accessOfGrant({ scopes: [{ context: 'system', type: '*', permissions: 'rs' }] });

async function page(after: string) {
  const source = { type: 'Basic', filters: null, after, until: new Date(), since: null };
  const { resources, next } = await readExportPage(app.database, source, access, app.store.base);
  return { ids: resources.map((one) => one.id), next };
}

describe('a page of an export', () => {
  it('ends with the resource that reaches EXPORT_PAGE_BYTES, and the next goes on behind it', async () => {
    const whole = Math.ceil(EXPORT_PAGE_BYTES / TEXT_BYTES);
    const first = await page('');
    expect(first.ids).toEqual(['a', 'b', 'c', 'd', 'e'].slice(0, whole));
    expect(first.next).toBe(first.ids.at(-1));
    const second = await page(first.next ?? '');
    expect(second.ids.slice(0, 5 - whole)).toEqual(['a', 'b', 'c', 'd', 'e'].slice(whole));
  });

  it('has EXPORT_PAGE_ROWS resources at most, and the last says that there are no more', async () => {
    const first = await page('e');
    expect(first.ids.length).toBe(EXPORT_PAGE_ROWS);
    const last = await page(first.next ?? '');
    expect(last.ids.length).toBe(1);
    expect(last.next).toBeNull();
  });
});
