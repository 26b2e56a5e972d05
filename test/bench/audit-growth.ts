import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { AuditChain } from '../../src/access/audit/audit-chain.ts';
import { insertRow, sortInKeys } from '../../src/access/audit/audit-event.store.ts';
import { parseAuditQuery } from '../../src/access/audit/audit-event-query.ts';
import { searchAudit } from '../../src/access/audit/audit-search.store.ts';
import type { AuditEntry } from '../../src/database/audit-sink.ts';
import { migrate, openDataSource } from '../../src/database/data-source.ts';
import { Database } from '../../src/database/database.ts';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres.ts';
import { systemClock } from '../../src/kernel/clock.ts';

const DAY_MS = 86_400_000;
/** Events of a made row, and of a row that is timed. */
const MADE_EVENTS = 4;
const TIMED_EVENTS = 8;
const TIMED_ROWS = 3_000;
const SORTED_IN_ROWS = 1_000;
/** An event as it is kept, of one of forty clients. */
const EVENT = `["rest","read","R",0,200,"client'||(n%40)||'",null,null,"4fb9c1de-9a02-4c8e-8f6d-1b2a3c4d5e6f","10.0.0.7",null,"req-1a2b","Observation/4fb9c1de-9a02-4c8e-8f6d-1b2a3c4d5e6f",null,null,null,["4fb9c1de-9a02-4c8e-8f6d-1b2a3c4d5e6f"]]`;
/** A year of rows with keys of 200,000 patients and of an entity for each event; the last of them now. */
const FILL = `INSERT INTO audit_event
  SELECT 900 + n % 4, n, now() - interval '365 days' * (1 - n::float8 / $2), sha256(n::text::bytea), sha256((n + 1)::text::bytea),
    (SELECT array_agg(DISTINCT k ORDER BY k) FROM (
      SELECT hashtext('client' || (n % 40)) k UNION ALL SELECT 1 UNION ALL SELECT 2
      UNION ALL SELECT hashtext('p' || (random() * 200000)::int || ' ' || n % 1) FROM generate_series(1, ${MADE_EVENTS})
      UNION ALL SELECT hashtext('o' || random()::text || g || n) FROM generate_series(1, ${MADE_EVENTS}) g) keys),
    '[' || repeat('${EVENT},', ${MADE_EVENTS - 1}) || '${EVENT}]'
  FROM generate_series($1::int + 1, $1::int + 100000) n`;

/**
 * `npm run bench -- audit-growth`: does the audit stay quick as it grows? Fills the table to each of `--rows` (of four events each), then times rows that are added as the server adds them,
 * the sorting in of their keys, and what auditors ask; at the last size with the plans.
 */
export async function benchAuditGrowth(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { rows: { type: 'string', default: '100000,1000000,2500000' } },
  });
  const sizes = values.rows.split(',').map(Number);
  const folder = await mkdtemp(join(tmpdir(), 'prelim-audit-growth-'));
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres(folder);
  const lines: string[] = [];
  try {
    const dataSource = await openDataSource(postgres.url, 4);
    await migrate(dataSource);
    const database = new Database(dataSource);
    let filled = 0;
    for (const size of sizes) {
      for (; filled < size; filled += 100_000) await database.run({ text: FILL }, [filled, sizes.at(-1)]);
      await sortInKeys(database);
      await dataSource.query('VACUUM ANALYZE audit_event');
      lines.push(`${filled} rows, ${filled * MADE_EVENTS} events`);
      const patient = await timeInserts(database, filled, lines);
      for (const query of queriesOf(patient)) await timeSearch(database, query, lines, size === sizes.at(-1));
      process.stdout.write(`${lines.join('\n')}\n`);
    }
    await dataSource.destroy();
  } finally {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
  mkdirSync('bench-results', { recursive: true });
  writeFileSync('bench-results/audit-growth.md', `# The audit grows\n\n${lines.join('\n')}\n`);
}

/** Gives a patient who is in three of the rows. */
async function timeInserts(database: Database, segment: number, lines: string[]): Promise<string> {
  const chain = new AuditChain(1_000_000 + segment, systemClock);
  const patient = randomUUID();
  const times: number[] = [];
  const sorts: string[] = [];
  const entry = (of: string): AuditEntry => ({
    kind: 'rest',
    interaction: 'read',
    action: 'R',
    outcome: 0,
    status: 200,
    entity: `Observation/${randomUUID()}`,
    patients: [of],
    actor: { client: 'ehr', person: 'Practitioner/x', address: '10.0.0.7' },
  });
  for (let n = 0; n < TIMED_ROWS; n++) {
    const row = chain.append(
      Array.from({ length: TIMED_EVENTS }, (_, at) => ({
        entry: entry(n % SORTED_IN_ROWS === 5 && at === 0 ? patient : randomUUID()),
        actor: null,
      })),
    );
    times.push(await timed(() => insertRow(database, row)));
    if (n % SORTED_IN_ROWS === SORTED_IN_ROWS - 1)
      sorts.push((await timed(() => sortInKeys(database))).toFixed(0));
  }
  times.sort((a, b) => a - b);
  const [p50, p99, max] = [0.5, 0.99, 1].map((part) => times[Math.ceil(times.length * part) - 1]?.toFixed(2));
  lines.push(`  a row of ${TIMED_EVENTS} events added: p50 ${p50} ms, p99 ${p99}, max ${max}`);
  lines.push(`  keys of ${SORTED_IN_ROWS} rows sorted in: ${sorts.join(', ')} ms`);
  return patient;
}

const day = (ago: number) => new Date(Date.now() - ago * DAY_MS).toISOString().slice(0, 10);
const queriesOf = (patient: string): readonly string[] => [
  `patient=Patient/${patient}`,
  'agent=Practitioner/x',
  '_count=50',
  `date=ge${day(200)}&date=lt${day(199)}`,
  'subtype=delete',
  'outcome=4',
];

async function timeSearch(
  database: Database,
  query: string,
  lines: string[],
  explains: boolean,
): Promise<void> {
  const parsed = parseAuditQuery(new URLSearchParams(query), 'http://127.0.0.1/fhir');
  let found = 0;
  let best = Number.POSITIVE_INFINITY;
  for (let n = 0; n < 3; n++)
    best = Math.min(
      best,
      await timed(async () => {
        found = (await searchAudit(database, parsed)).found.length;
      }),
    );
  lines.push(`  ${query}: ${found} found in ${best.toFixed(1)} ms`);
  if (!explains) return;
  const where = parsed.conditions.length > 0 ? `WHERE ${parsed.conditions.join(' AND ')}` : '';
  const plan = await database.run<Record<string, string>>(
    {
      text: `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT segment, seq FROM audit_event e ${where}
        ORDER BY e.at DESC, e.segment DESC, e.seq DESC LIMIT 500`,
    },
    parsed.parameters.values,
  );
  lines.push(...plan.map((row) => `      ${row['QUERY PLAN']}`));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}
