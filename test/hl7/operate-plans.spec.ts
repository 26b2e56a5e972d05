import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Direction, readMessageQuery } from '../../src/steps/message-log/message-query.ts';
import { pageSql, selectionSql } from '../../src/steps/message-log/message-sql.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';

/** Enough that reading the whole table is never the cheap way. PRELIM_TEST_MESSAGES makes it more, to measure. */
const MESSAGES = Number(process.env['PRELIM_TEST_MESSAGES'] ?? 60_000);
/** Of one statement that fills the tables: it must end within the time limit of statements. */
const CHUNK = 50_000;
/** What a person waits without noticing; the tables of a test are in memory. */
const SEARCH_MS_EXPECTED = 250;

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly Plans?: readonly Plan[];
}

describe('a search goes by an index, whatever is asked and however many messages there are', () => {
  let fresh: FreshDatabase;
  beforeAll(async () => {
    fresh = await freshDatabase();
    for (let first = 1; first <= MESSAGES; first += CHUNK)
      await logMany(first, Math.min(MESSAGES, first + CHUNK - 1));
    await fresh.database.run({ text: 'VACUUM ANALYZE hl7_inbound' });
    await fresh.database.run({ text: 'VACUUM ANALYZE hl7_outbound' });
  }, 1_800_000);
  afterAll(() => fresh?.close());

  async function logMany(first: number, last: number): Promise<void> {
    await fresh.database.run({
      text: `INSERT INTO hl7_inbound (sending_application, sending_facility, control_id, content_sha256, raw, outcome, message_type, mrn, accession,
          filing_outcome, received_at)
        SELECT 'APP' || n % 5, 'FAC', 'C' || n, sha256(n::text::bytea), 'MSH|', CASE WHEN n % 5000 = 1 THEN 'hl7.missing' ELSE 'accept' END,
          (ARRAY['ADT^A08', 'ADT^A04', 'OMI^O23', 'ORM^O01'])[1 + n % 4], 'M' || n % (${MESSAGES} / 10), 'A' || n,
          CASE WHEN n % 5000 = 1 THEN 'refused' WHEN n % 5000 = 2 THEN 'fhir.multiple-matches' ELSE 'filed' END,
          now() - (${MESSAGES} - n) * interval '10 seconds'
        FROM generate_series(${first}, ${last}) n`,
    });
    await fresh.database.run({
      text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, state, report_id, report_version, message_time, mrn, accession,
          last_error, created_at)
        SELECT gen_random_uuid(), 'ris-' || n % 3, 'lane-' || n % (${MESSAGES} / 10), 'P' || n, 'MSH|', CASE WHEN n % 5000 = 1 THEN 'dead' ELSE 'acknowledged' END,
          'r' || n, 1, now(), 'M' || n % (${MESSAGES} / 10), 'A' || n, CASE WHEN n % 5000 = 1 THEN 'AE 207' END,
          now() - (${MESSAGES} - n) * interval '10 seconds'
        FROM generate_series(${first}, ${last}) n`,
    });
  }

  const SEARCHES: readonly (readonly [Direction, Record<string, string>])[] = [
    ['in', {}],
    ['in', { mrn: 'M7' }],
    ['in', { accession: 'A7' }],
    ['in', { controlId: 'C7' }],
    ['in', { type: 'ADT^A08' }],
    ['in', { type: 'ADT^A40' }],
    ['in', { status: 'held' }],
    ['in', { status: 'waiting' }],
    ['in', { status: 'refused' }],
    ['in', { status: 'held', reason: 'fhir.multiple-matches' }],
    ['in', { from: '2026-01-01', to: '2026-01-02' }],
    ['out', {}],
    ['out', { mrn: 'M7' }],
    ['out', { accession: 'A7' }],
    ['out', { controlId: 'P7' }],
    ['out', { lane: 'lane-7' }],
    ['out', { destination: 'nobody' }],
    ['out', { type: 'ORU^R03' }],
    ['out', { status: 'dead' }],
    ['out', { status: 'dead', reason: 'AE 207' }],
    ['out', { errorClass: 'answered-error' }],
  ];

  test.each(SEARCHES)('%s %j', async (direction, given) => {
    const query = readMessageQuery({ ...given, direction });
    for (const { text, values } of [pageSql(direction, query), selectionSql(direction, query, 1_000)]) {
      const [row] = await fresh.database.run<{ 'QUERY PLAN': { Plan: Plan }[] }>(
        { text: `EXPLAIN (FORMAT JSON) ${text}` },
        values,
      );
      expect(nodes(row?.['QUERY PLAN'][0]?.Plan).filter((node) => node['Node Type'] === 'Seq Scan')).toEqual(
        [],
      );
    }
    const page = pageSql(direction, query);
    const started = performance.now();
    await fresh.database.run({ text: page.text }, page.values);
    const ms = performance.now() - started;
    // Looked at by who asks for more messages, on a quiet machine.
    if (process.env['PRELIM_TEST_MESSAGES']) {
      process.stdout.write(`${direction} ${JSON.stringify(given)}: ${ms.toFixed(1)} ms\n`);
      expect(ms).toBeLessThan(SEARCH_MS_EXPECTED);
    }
  });

  test('an old page costs what the first one costs', async () => {
    const old = Buffer.from(JSON.stringify({ in: ['2026-01-02 00:00:00+00', '1000'] })).toString('base64url');
    const { text, values } = pageSql('in', readMessageQuery({ direction: 'in', after: old }));
    const [row] = await fresh.database.run<{ 'QUERY PLAN': { Plan: Plan }[] }>(
      { text: `EXPLAIN (FORMAT JSON) ${text}` },
      values,
    );
    expect(nodes(row?.['QUERY PLAN'][0]?.Plan).map((node) => node['Node Type'])).not.toContain('Seq Scan');
  });
});

function nodes(plan: Plan | undefined): Plan[] {
  return plan === undefined ? [] : [plan, ...(plan.Plans ?? []).flatMap(nodes)];
}
