import { rm } from 'node:fs/promises';
import type { Observation, Subscription } from '@medplum/fhirtypes';
import pg from 'pg';
import { migrate, openDataSource } from '../../src/database/data-source.ts';
import { Database } from '../../src/database/database.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres.ts';
import { FULL_ACCESS } from '../../src/fhir/access-context.ts';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { ActiveSubscriptions } from '../../src/subscriptions/active-subscriptions.ts';
import { MatchChange } from '../../src/subscriptions/match-change.ts';
import { SubscriptionStore } from '../../src/subscriptions/subscription.store.ts';
import { benchFolder } from './bench-folder.ts';
import { percentile } from './percentile.ts';

/** Creates before anything is counted: plans are made, code is compiled. */
const WARM_UP = 300;
const CREATES_PER_RUN = 100;

interface Case {
  readonly name: string;
  readonly subscriptions: readonly string[];
}

const SETTINGS = { baseUrl: 'http://127.0.0.1:8080', SUBSCRIPTION_HOSTS: ['ehr.example'] };

/** All on the type that is written, none met: what matching costs, not what telling costs. */
const byEntry = Array.from(
  { length: 1_000 },
  (_, n) =>
    [
      `Observation?code=http://loinc.org|c-${n}`,
      `Observation?patient=Patient/other-${n}`,
      `Observation?status=final&code=http://loinc.org|c-${n}`,
      `Observation?category=laboratory&patient=Patient/other-${n}`,
      `Observation?code=http://loinc.org|c-${n}&value-quantity=gt5`,
    ][n % 5] as string,
);

const CASES: readonly Case[] = [
  { name: 'no Subscription', subscriptions: [] },
  { name: '1,000 on the type', subscriptions: byEntry },
  {
    name: '1,000 on another type',
    subscriptions: byEntry.map((criteria) =>
      criteria.replace('Observation?', 'DiagnosticReport?').replace(/&value-quantity.*/, ''),
    ),
  },
  {
    name: '1,000 on the type, all by a range, a date or a text only',
    subscriptions: Array.from(
      { length: 1_000 },
      (_, n) =>
        [
          `Observation?value-quantity=gt${n + 1_000}`,
          `Observation?value-quantity=lt${-n}||/min`,
          `Observation?date=gt${2030 + n}`,
          `Observation?value-string=text-${n}`,
        ][n % 4] as string,
    ),
  },
  {
    name: '1,000 on the type, by time of change, :text, :missing, a system or :of-type only',
    subscriptions: Array.from(
      { length: 1_000 },
      (_, n) =>
        [
          `Observation?_lastUpdated=gt${2100 + n}`,
          `Observation?code:text=words ${n}`,
          'Observation?code:missing=true',
          `Observation?code=http://example.org/${n}|`,
          `Observation?identifier:of-type=http://example.org|MR|${n}`,
        ][n % 5] as string,
    ),
  },
  {
    name: '1,000 on the type, by a chain only',
    subscriptions: Array.from({ length: 1_000 }, (_, n) => `Observation?subject:Patient.name=name-${n}`),
  },
];

/**
 * What active Subscriptions cost a create: the same create, case after case in turn, in one process and one PostgreSQL, each case with a database of its own.
 * One connection, commits that wait for the disk as everywhere.
 */
export async function benchSubscriptions(runs: number): Promise<void> {
  const folder = await benchFolder();
  const postgres = await startEmbeddedPostgres(folder);
  try {
    await loadDefinitions();
    const cases = [];
    for (const [at, one] of CASES.entries())
      cases.push({ ...one, ...(await prepare(postgres.url, at, one.subscriptions)), ms: [] as number[] });
    for (let n = 0; n < WARM_UP; n++) for (const { create } of cases) await create(n);
    // As autovacuum does on a server that has lived for a minute.
    for (const { analyze } of cases) await analyze();
    for (let n = 0; n < runs * CREATES_PER_RUN; n++) {
      // In turn, and each first as often as the others: what the machine does meanwhile falls on all alike.
      for (let k = 0; k < cases.length; k++) {
        const one = cases[(n + k) % cases.length];
        if (!one) continue;
        const began = performance.now();
        await one.create(n);
        one.ms.push(performance.now() - began);
      }
    }
    print(cases);
    for (const { close } of cases) await close();
  } finally {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function prepare(url: string, at: number, criteria: readonly string[]) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`CREATE DATABASE bench_${at}`);
  await client.end();
  const dataSource = await openDataSource(url.replace('/prelim?', `/bench_${at}?`), 2);
  await migrate(dataSource);
  const database = new Database(dataSource);
  const store = new ResourceStore(database, SETTINGS);
  const rows = new SubscriptionStore(database);
  const active = new ActiveSubscriptions(store, rows, SETTINGS, { warn: () => undefined });
  new MatchChange(store, rows, active, new Outbox()).listen();
  for (const one of criteria)
    await database.transaction((tx) => store.write(tx, [{ kind: 'create', resource: subscription(one) }]), {
      durable: false,
    });
  await database.transaction((tx) =>
    store.write(
      tx,
      Array.from({ length: 100 }, (_, n) => ({
        kind: 'update' as const,
        resource: { resourceType: 'Patient' as const, id: `p-${n}`, name: [{ family: 'Somebody' }] },
      })),
    ),
  );
  const create = (n: number) =>
    database.transaction((tx) =>
      store.writeTogether(
        tx,
        [{ write: { kind: 'create', resource: observation(n) }, access: FULL_ACCESS }],
        { guess: true },
      ),
    );
  const analyze = () => database.run({ text: 'ANALYZE' });
  return { create, analyze, close: () => dataSource.destroy() };
}

const subscription = (criteria: string): Subscription => ({
  resourceType: 'Subscription',
  status: 'active',
  reason: 'benchmark',
  criteria,
  channel: { type: 'rest-hook', endpoint: 'https://ehr.example/hook' },
});

const observation = (n: number): Observation => ({
  resourceType: 'Observation',
  status: 'final',
  category: [
    {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'laboratory' }],
    },
  ],
  code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
  subject: { reference: `Patient/p-${n % 100}` },
  effectiveDateTime: '2026-11-22T10:00:00Z',
  valueQuantity: { value: n % 200, system: 'http://unitsofmeasure.org', code: '/min' },
});

function print(cases: readonly { name: string; ms: readonly number[] }[]): void {
  const base = cases[0]?.ms ?? [];
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |\n`;
  process.stdout.write(
    line(['active Subscriptions', 'creates', 'p50 ms', 'mean ms', 'p95 ms', 'p50 to none', 'mean to none']),
  );
  process.stdout.write(line(['---', '---', '---', '---', '---', '---', '---']));
  for (const { name, ms } of cases) {
    const [p50, p95, mean] = [percentile(ms, 0.5), percentile(ms, 0.95), meanOf(ms)];
    const part = (value: number, of: number) => `${(value / of).toFixed(3)}`;
    process.stdout.write(
      line([
        name,
        String(ms.length),
        p50.toFixed(3),
        mean.toFixed(3),
        p95.toFixed(3),
        part(p50, percentile(base, 0.5)),
        part(mean, meanOf(base)),
      ]),
    );
  }
}

/** Without the slowest hundredth: a checkpoint falls on whom it falls. */
function meanOf(ms: readonly number[]): number {
  const kept = [...ms].sort((a, b) => a - b).slice(0, Math.ceil(ms.length * 0.99));
  return kept.reduce((sum, one) => sum + one, 0) / kept.length;
}
