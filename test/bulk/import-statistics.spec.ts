import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { IMPORT_ANALYSE_LINES } from '../../src/fhir/bulk/run-import.ts';
import { readStatistics } from '../../src/fhir/search/entry-statistics.ts';
import { type FhirApp, startFhirApp } from './fhir-app.ts';

let app: FhirApp;
beforeAll(async () => {
  app = await startFhirApp();
  // PostgreSQL's own gathering must not come first.
  await app.database.run({ text: 'ALTER TABLE resource SET (autovacuum_enabled = false)' });
});
afterAll(() => app.close());

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
