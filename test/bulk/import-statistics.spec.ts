import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { IMPORT_ANALYSE_LINES } from '../../src/fhir/bulk/run-import.ts';
import {
  CHANGED_ROWS_MIN,
  gatherStatistics,
  readStatistics,
} from '../../src/fhir/search/entry-statistics.ts';
import { type FhirApp, startFhirApp } from './fhir-app.ts';

let app: FhirApp;
beforeEach(async () => {
  app = await startFhirApp();
  // PostgreSQL's own gathering must not come first.
  await app.database.run({ text: 'ALTER TABLE resource SET (autovacuum_enabled = false)' });
});
afterEach(() => app.close());

async function importOf(lines: number): Promise<void> {
  const line = JSON.stringify({
    resourceType: 'Flag',
    status: 'active',
    code: { text: 'x' },
    subject: { reference: 'Patient/p' },
  });
  const start = await app.ask('POST', '$import', Array.from({ length: lines }, () => line).join('\n'), {
    'content-type': 'application/fhir+ndjson',
  });
  const url = start.headers.get('content-location') ?? '';
  const place = url.slice(url.indexOf('/fhir/') + 6);
  while ((await app.ask('GET', place)).status === 202) await sleep(50);
}

it('an import of IMPORT_ANALYSE_LINES resources leaves statistics behind, a smaller one does not', async () => {
  await importOf(100);
  expect(await readStatistics(app.database)).toBeNull();
  await importOf(IMPORT_ANALYSE_LINES);
  const known = await readStatistics(app.database);
  expect(known?.rowsOf('Flag')).toBeGreaterThan(IMPORT_ANALYSE_LINES * 0.9);
  expect(known?.rowsWith(['Flag.subject>Patient/p'])).toBeGreaterThan(IMPORT_ANALYSE_LINES * 0.9);
}, 60_000);

it('a search has the rows looked at when CHANGED_ROWS_MIN and more than half of them are new', async () => {
  await importOf(CHANGED_ROWS_MIN - 100);
  // PostgreSQL counts what changed a moment later.
  await vi.waitFor(async () => expect(await changedRows()).toBeGreaterThan(CHANGED_ROWS_MIN / 2), PATIENT);
  expect(await gatherStatistics(app.database)).toBeNull();
  await importOf(200);
  await vi.waitFor(async () => {
    await app.ask('GET', 'Flag?_count=1');
    expect((await readStatistics(app.database))?.rowsOf('Flag')).toBeGreaterThan(CHANGED_ROWS_MIN);
  }, PATIENT);
  expect(await changedRows()).toBe(0);
}, 60_000);

const PATIENT = { timeout: 30_000, interval: 100 };

async function changedRows(): Promise<number> {
  const text = "SELECT pg_stat_get_mod_since_analyze('resource'::regclass)::int AS changed";
  const [row] = await app.database.run<{ changed: number }>({ text });
  return row?.changed ?? 0;
}
