import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Direction,
  ERROR_CLASSES,
  readMessageQuery,
} from '../../src/steps/message-log/message-query.ts';
import { pageSql, selectionSql } from '../../src/steps/message-log/message-sql.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';

/** Enough that reading the whole table is never the cheap way. PRELIM_TEST_MESSAGES makes it more, to measure. */
const MESSAGES = Number(process.env['PRELIM_TEST_MESSAGES'] ?? 60_000);
/** Of one statement that fills the tables: it must end within the time limit of statements. */
const CHUNK = 50_000;
/** What a person waits without noticing; the tables of a test are in memory. */
const SEARCH_MS_EXPECTED = 250;

/** Of a hundred hours at ten seconds a message. */
const RECENT = {
  from: new Date(Date.now() - 360_000_000).toISOString(),
  to: new Date(Date.now() - 180_000_000).toISOString(),
};

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
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
    await fresh.database.run({ text: 'VACUUM ANALYZE hl7_unacknowledged' });
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
    ['out', { status: 'waiting' }],
    ['out', { status: 'superseded' }],
    ['out', { status: 'dead', reason: 'AE 207' }],
    ['out', { errorClass: 'answered-error' }],
    // Combined, and of what nobody or hardly anybody is: what is walked until a page is full must not be everything.
    ['in', { sender: 'APP1:FAC', status: 'held', reason: 'fhir.multiple-matches' }],
    ['in', { reason: 'hl7.missing' }],
    ['in', { reason: 'hl7.nothing' }],
    ['in', { reason: 'none', status: 'refused' }],
    ...ERROR_CLASSES.map((errorClass) => ['in', { errorClass }] as const),
    ...ERROR_CLASSES.map((errorClass) => ['out', { errorClass }] as const),
    ['in', { errorClass: 'filing', type: 'ADT^A08', ...RECENT }],
    ['in', { status: 'discarded' }],
    ['in', { status: 'held,refused' }],
    ['in', { status: 'waiting,held' }],
    ['in', { status: 'filed' }],
    ['in', { status: 'filed', ...RECENT }],
    ['in', { status: 'held', type: 'ADT^A08' }],
    ['in', { status: 'held', type: 'ADT^A40', ...RECENT }],
    ['in', { status: 'held', mrn: 'M7' }],
    ['in', { type: 'ADT^A08', mrn: 'M7' }],
    ['in', { type: 'ADT^A08', sender: 'NOBODY:FAC' }],
    ['in', { type: 'ADT^A08', ...RECENT }],
    ['in', { mrn: 'M7', accession: 'A8' }],
    ['in', { mrn: 'M7', ...RECENT }],
    ['in', { accession: 'A7', status: 'filed' }],
    ['in', { controlId: 'C7', mrn: 'M7' }],
    ['in', RECENT],
    ['out', { status: 'acknowledged' }],
    ['out', { status: 'acknowledged', type: 'ORU^R01' }],
    ['out', { status: 'acknowledged', ...RECENT }],
    ['out', { status: 'acknowledged', destination: 'nobody' }],
    ['out', { status: 'acknowledged', destination: 'ris-2', mrn: 'M7' }],
    ['out', { status: 'dead', type: 'ORU^R03' }],
    ['out', { status: 'dead', destination: 'ris-1', ...RECENT }],
    ['out', { status: 'dead,rejected,given-up', mrn: 'M7' }],
    ['out', { reason: 'none', status: 'dead' }],
    ['out', { reason: 'none' }],
    ['out', { errorClass: 'answered-error', destination: 'ris-1', ...RECENT }],
    ['out', { mrn: 'M7', ...RECENT }],
    ['out', { mrn: 'M7', accession: 'A8' }],
    ['out', { destination: 'ris-1', type: 'ORU^R01' }],
    ['out', { destination: 'ris-1', type: 'ORU^R03' }],
    ['out', { lane: 'lane-7', status: 'acknowledged' }],
    ['out', RECENT],
  ];

  test.each(SEARCHES)('%s %j', async (direction, given) => {
    const query = readMessageQuery({ ...given, direction });
    for (const { text, values } of [pageSql(direction, query), selectionSql(direction, query, 1_000)]) {
      const [row] = await fresh.database.run<{ 'QUERY PLAN': { Plan: Plan }[] }>(
        { text: `EXPLAIN (FORMAT JSON) ${text}` },
        values,
      );
      // What is not acknowledged is few: reading it whole is a plan.
      const read = nodes(row?.['QUERY PLAN'][0]?.Plan).filter((node) => node['Node Type'] === 'Seq Scan');
      expect(read.filter((node) => node['Relation Name'] !== 'hl7_unacknowledged')).toEqual([]);
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

  test('each message out that is not acknowledged has its row beside it, whoever changes it', async () => {
    const same = async () => {
      const [row] = await fresh.database.run<{ missing: number; left: number; open: number }>({
        text: `SELECT count(*) FILTER (WHERE u.id IS NULL AND m.state <> 'acknowledged')::int AS missing,
            count(*) FILTER (WHERE u.state IS DISTINCT FROM m.state AND u.id IS NOT NULL)::int AS left, count(u.id)::int AS open
          FROM hl7_outbound m FULL JOIN hl7_unacknowledged u ON u.id = m.id`,
      });
      return row;
    };
    const change = (set: string, n: number) =>
      fresh.database.run({ text: `UPDATE hl7_outbound SET ${set} WHERE control_id = 'P${n}'` });
    const dead = Math.floor((MESSAGES - 2) / 5_000) + 1;
    expect(await same()).toEqual({ missing: 0, left: 0, open: dead });
    await change(`state = 'waiting'`, 2);
    await change(`state = 'acknowledged'`, 2);
    await change(`state = 'waiting'`, 3);
    await change(`state = 'rejected', last_error = 'AR'`, 3);
    await change(`state = 'superseded'`, 1);
    expect(await same()).toEqual({ missing: 0, left: 0, open: dead + 1 });
    await change(`state = 'acknowledged'`, 3);
    expect(await same()).toEqual({ missing: 0, left: 0, open: dead });
  });

  test('a reason is found by its index though a receiver is down and very many messages wait', async () => {
    await fresh.database.run({
      text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time, created_at)
        SELECT gen_random_uuid(), 'ris-down', 'down-' || n % 5000, 'D' || n, 'MSH|', 'd' || n, 1, now(), now() - n * interval '1 second'
        FROM generate_series(1, 50000) n`,
    });
    for (const table of ['hl7_outbound', 'hl7_unacknowledged'])
      await fresh.database.run({ text: `VACUUM ANALYZE ${table}` });
    for (const given of [{ errorClass: 'timeout' }, { reason: 'AR 204' }, { reason: 'AE 207' }]) {
      const { text, values } = pageSql('out', readMessageQuery({ ...given, direction: 'out' }));
      const [row] = await fresh.database.run<{ 'QUERY PLAN': { Plan: Plan }[] }>(
        { text: `EXPLAIN (FORMAT JSON) ${text}` },
        values,
      );
      const used = nodes(row?.['QUERY PLAN'][0]?.Plan).map((node) => node['Index Name']);
      expect([given, used]).toEqual([given, expect.arrayContaining(['hl7_outbound_reason'])]);
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
