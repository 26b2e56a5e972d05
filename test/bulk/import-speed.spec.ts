import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FhirTarget } from '../bench/fhir-target.ts';
import { PrelimServer } from '../peers/prelim-server.ts';

const LINES = 10_000;
const SINGLE_MS = 2_000;
let server: PrelimServer;
beforeAll(async () => {
  server = await PrelimServer.start();
});
afterAll(() => server.close());

const observation = (at: number) => ({
  resourceType: 'Observation',
  status: 'final',
  category: [
    {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs' }],
    },
  ],
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4', display: 'Heart rate' }] },
  subject: { reference: `Patient/p${at % 500}` },
  effectiveDateTime: new Date(1_700_000_000_000 + at * 60_000).toISOString(),
  valueQuantity: { value: 50 + (at % 60), unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
});

async function singleCreates(connections: number): Promise<number> {
  const target = new FhirTarget(`${server.url}/fhir/`, server.token, connections);
  let made = 0;
  const until = performance.now() + SINGLE_MS;
  const before = performance.now();
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (performance.now() < until) {
        const { status } = await target.send('POST', 'Observation', observation(made++));
        if (status !== 201) throw new Error(`a create answered ${status}`);
      }
    }),
  );
  const rate = (made * 1_000) / (performance.now() - before);
  target.close();
  return rate;
}

async function importOf(lines: number): Promise<number> {
  const body = Array.from({ length: lines }, (_, at) => JSON.stringify(observation(at))).join('\n');
  const before = performance.now();
  const start = await server.ask('POST', '/fhir/$import', body, {
    'content-type': 'application/fhir+ndjson',
  });
  const status = new URL(start.headers.get('content-location') ?? '').pathname;
  for (;;) {
    const answer = await server.ask('GET', status);
    if (answer.status === 200) {
      expect(answer.body.extension).toEqual({ imported: lines, refused: 0 });
      return (lines * 1_000) / (performance.now() - before);
    }
    await sleep(20);
  }
}

it('an import is at least five times as fast as creates one after the other, from the first byte sent to the manifest', async () => {
  await singleCreates(8); // warms both up
  await importOf(2_000);
  const one = await singleCreates(1);
  const imported = await importOf(LINES);
  process.stdout.write(
    `creates: ${Math.round(one)}/s on one connection; import: ${Math.round(imported)}/s\n`,
  );
  expect(imported / one).toBeGreaterThan(5);
}, 120_000);
