import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { PrelimServer } from '../peers/prelim-server.ts';
import { percentile } from './percentile.ts';

/**
 * What an import does to those who ask meanwhile: how late the server's event loop comes to what is due (its own measure, 10 ms apart), and how long a
 * read takes, beside an import and beside nothing. The first is what the work on the main thread blocks; the second has the wait for CPU and database in it too.
 */
export async function benchImport(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({ args: [...args], options: { lines: { type: 'string', default: '30000' } } });
  const server = await PrelimServer.start();
  try {
    await importOf(server, 2_000); // warms it up
    const quiet = await beside(server, () => sleep(5_000));
    const lines = Number(values.lines);
    const began = performance.now();
    const busy = await beside(server, () => importOf(server, lines));
    const rate = (lines * 1_000) / (performance.now() - began);
    const row = (cells: readonly string[]) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
    row(['beside', 'event loop late p50 ms', 'p99 ms', 'max ms', 'read p50 ms', 'p99 ms', 'max ms']);
    row(['---', '---', '---', '---', '---', '---', '---']);
    row(['nothing', ...quiet]);
    row([`an import, ${Math.round(rate)} resources/s`, ...busy]);
  } finally {
    await server.close();
  }
}

async function beside(server: PrelimServer, work: () => Promise<unknown>): Promise<string[]> {
  let over = false;
  await lateness(server);
  const reads: number[] = [];
  const reading = (async () => {
    while (!over) {
      const began = performance.now();
      await server.ask('GET', '/fhir/Patient/none');
      reads.push(performance.now() - began);
      await sleep(10);
    }
  })();
  await work();
  over = true;
  await reading;
  const late = await lateness(server);
  return [...late, percentile(reads, 0.5), percentile(reads, 0.99), Math.max(...reads)].map((ms) =>
    ms.toFixed(1),
  );
}

/** Since it was asked last. */
async function lateness(server: PrelimServer): Promise<number[]> {
  const { text } = await server.ask('GET', '/metrics');
  const of = (name: string): number => {
    const found = new RegExp(`^nodejs_eventloop_lag_${name}_seconds(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(
      text,
    )?.[1];
    return Number(found) * 1_000;
  };
  return [of('p50'), of('p99'), of('max')];
}

const observation = (at: number) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4', display: 'Heart rate' }] },
  subject: { reference: `Patient/p${at % 500}` },
  effectiveDateTime: new Date(1_700_000_000_000 + at * 60_000).toISOString(),
  valueQuantity: { value: 50 + (at % 60), unit: '/min', system: 'http://unitsofmeasure.org', code: '/min' },
});

async function importOf(server: PrelimServer, lines: number): Promise<void> {
  const body = Array.from({ length: lines }, (_, at) => JSON.stringify(observation(at))).join('\n');
  const start = await server.ask('POST', '/fhir/$import', body, {
    'content-type': 'application/fhir+ndjson',
  });
  const status = new URL(start.headers.get('content-location') ?? '').pathname;
  while ((await server.ask('GET', status)).status !== 200) await sleep(50);
}
