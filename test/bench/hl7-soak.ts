import { mkdirSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { type DayMessage, simulatedDay } from '../../scripts/simulate-day.ts';
import { MllpClient } from '../../src/hl7/mllp-client.ts';
import { FaultyRis } from '../peers/faulty-ris.ts';
import { freePort } from '../peers/free-port.ts';
import { percentile } from './percentile.ts';
import { BenchServer } from './processes.ts';

const CONNECTIONS = 8;
const OUT_LANES = 40;
/** One result goes out for so many messages that come in. */
const IN_FOR_ONE_OUT = 5;
const REPORT_MS = 15_000;
/** So often in a run, however long it is, the heap is emptied of what nobody needs and what stays is noted. */
const HEAP_LOOKS = 12;
/** The last quarter beside the second: what is made once and kept is there by then. */
const GROWTH_MAX = 0.1;
/**
 * In a run shorter than this the process still takes in memory that it will use again, and code that is compiled once: then only what the heap holds is judged, and
 * wider. In two minutes at 100/s a quarter is a leak of about 2 kB per message.
 */
const LONG_MS = 600_000;
const HEAP_GROWTH_SHORT_MAX = 0.25;
/** More of them than this and the sender waits: a busy machine makes the run slower, not wrong. */
const IN_FLIGHT_MAX = 500;
/** A message without AA goes out again with the same bytes, as a sender must do. */
const TRIES_MAX = 5;
/** At the end, as long as something is still filed or sent within this time, it is waited for. */
const STANDSTILL_MS_MAX = 120_000;

/**
 * A day of a department at a steady rate: registrations, corrections, orders of three kinds, cancellations, merges, final reports in; results out
 * meanwhile. Prints memory over time; then checks that nothing was lost, stored twice or put out of order on either side. Ends with 1 when something
 * was, or when memory grew. Speed is reported, not judged. `--minutes 30 --rate 100`.
 */
export async function benchHl7Soak(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: { minutes: { type: 'string', default: '30' }, rate: { type: 'string', default: '100' } },
  });
  const [minutes, rate] = [Number(values.minutes), Number(values.rate)];
  const folder = await mkdtemp(join(tmpdir(), 'prelim-hl7-soak-'));
  await chmod(folder, 0o755);
  const ris = new FaultyRis({ fault: 'none', every: 1_000, lateMs: 1_000 });
  await ris.listen();
  const port = await freePort();
  const profile = join(folder, 'profile.json');
  writeFileSync(profile, JSON.stringify({ connectionsMax: CONNECTIONS }));
  const server = await BenchServer.start({
    PRELIM_DATA: join(folder, 'data'),
    PORT: String(await freePort()),
    HL7_PORT: String(port),
    RIS_URL: `mllp://127.0.0.1:${ris.port}`,
    RIS_PROFILE: profile,
    LOG_LEVEL: 'error',
  });
  const sql = new pg.Client(server.ready.database);
  const lines: string[] = [];
  const say = (line: string) => {
    lines.push(line);
    process.stdout.write(`${line}\n`);
  };
  let wrong: string[] = [];
  try {
    await sql.connect();
    say(`${minutes} minutes, ${rate} messages/s in, ${rate / IN_FOR_ONE_OUT} results/s out.\n`);
    const soak = new Soak(server, sql, port, ris);
    const memory = await soak.run(minutes * 60_000, rate, say);
    wrong = [...(await soak.check(say)), ...memory.judge(minutes * 60_000, say)];
    say(
      wrong.length > 0
        ? `\nWRONG: ${wrong.join('; ')}`
        : '\nNothing lost, nothing twice, order kept, memory flat.',
    );
  } finally {
    await sql.end();
    await server.stop();
    await ris.close();
    await rm(folder, { recursive: true, force: true });
  }
  mkdirSync('bench-results', { recursive: true });
  const head = `# HL7 v2: soak\n\n${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`;
  writeFileSync('bench-results/hl7-soak.md', `${head}\n\n${lines.join('\n')}\n`);
  if (wrong.length > 0) process.exit(1);
}

/** What the server's process takes, and what its heap holds, in MB, over time. */
class Memory {
  readonly resident: number[] = [];
  readonly heap: number[] = [];

  judge(ms: number, say: (line: string) => void): string[] {
    const isLong = ms >= LONG_MS;
    const named = [
      { name: 'resident', of: this.resident, isJudged: isLong, max: GROWTH_MAX },
      {
        name: 'heap in use',
        of: this.heap,
        isJudged: true,
        max: isLong ? GROWTH_MAX : HEAP_GROWTH_SHORT_MAX,
      },
    ];
    return named.flatMap(({ name, of, isJudged, max }) => {
      const quarter = Math.floor(of.length / 4);
      if (quarter === 0) return isJudged ? [`too short to judge memory (${name})`] : [];
      const mean = (from: number) =>
        of.slice(from, from + quarter).reduce((sum, one) => sum + one, 0) / quarter;
      const [before, after] = [mean(quarter), mean(of.length - quarter)];
      const points = [of[0], of[Math.floor(of.length / 2)], of.at(-1)].map((one) => one?.toFixed(0));
      const growth = after / before - 1;
      say(
        `Memory, ${name}: ${points.join(', ')} MB at the start, in the middle, at the end; mean of the second quarter ${before.toFixed(0)} MB, of the last ${after.toFixed(0)} MB (${(growth * 100).toFixed(1)} %).`,
      );
      return isJudged && growth > max ? [`memory grew (${name})`] : [];
    });
  }
}

class Soak {
  private readonly clients: MllpClient[];
  /** One chain for each connection: a patient's messages go one after the other. */
  private readonly chains: Promise<void>[] = Array.from({ length: CONNECTIONS }, () => Promise.resolve());
  private readonly kinds = new Map<string, number>();
  /** Control ids by lane, in the order in which they were sent. */
  private readonly sent = new Map<number, string[]>();
  private times: number[] = [];
  private accepted = 0;
  private refused = 0;
  private inFlight = 0;
  private made = 0;
  private queued = 0;

  constructor(
    private readonly server: BenchServer,
    private readonly sql: pg.Client,
    port: number,
    private readonly ris: FaultyRis,
  ) {
    const url = new URL(`mllp://127.0.0.1:${port}`);
    this.clients = Array.from({ length: CONNECTIONS }, () => new MllpClient(url));
  }

  async run(ms: number, rate: number, say: (line: string) => void): Promise<Memory> {
    const day = withReports(simulatedDay(1, 'K', () => new Date()));
    const memory = new Memory();
    const began = performance.now();
    let [reported, looked] = [0, 0];
    say(
      '| s | in, answered | p50 ms | p95 ms | not yet filed | out | server MB | heap MB |\n|---|---|---|---|---|---|---|---|',
    );
    for (let now = 0; now < ms; now = performance.now() - began) {
      for (; this.made < (now / 1_000) * rate && this.inFlight < IN_FLIGHT_MAX; this.made += 1)
        this.send(day.next().value as DayMessage);
      await this.queueUpTo(Math.floor(this.made / IN_FOR_ONE_OUT));
      if (now - looked >= ms / (HEAP_LOOKS + 1)) {
        looked = now;
        memory.heap.push(await this.server.heapInUse());
      }
      if (now - reported >= REPORT_MS) {
        reported = now;
        const { now: mb } = this.server.memory();
        memory.resident.push(mb);
        const { times } = this;
        this.times = [];
        say(
          `| ${(now / 1_000).toFixed(0)} | ${this.accepted} | ${percentile(times, 0.5).toFixed(1)} | ${percentile(times, 0.95).toFixed(1)} | ${await this.unfiled()} | ${this.ris.tally.received} | ${mb} | ${memory.heap.at(-1)?.toFixed(0) ?? ''} |`,
        );
      }
      await sleep(20);
    }
    await Promise.all(this.chains);
    return memory;
  }

  /** Until all is filed and sent, or nothing moves any more. */
  private async settle(): Promise<void> {
    let [left, until] = [Number.POSITIVE_INFINITY, 0];
    for (;;) {
      const now = (await this.unfiled()) + this.queued - this.ris.tally.applied.size;
      if (now < left) [left, until] = [now, Date.now() + STANDSTILL_MS_MAX];
      if (left === 0 || Date.now() > until) return;
      await sleep(200);
    }
  }

  async check(say: (line: string) => void): Promise<string[]> {
    await this.settle();
    for (const client of this.clients) client.close();
    const { rows } = await this.sql.query<{ control_id: string; filing_outcome: string | null }>(
      'SELECT control_id, filing_outcome FROM hl7_inbound ORDER BY id',
    );
    const place = new Map(rows.map((row, at) => [row.control_id, at]));
    const lanes = [...this.sent.values()];
    const lost = lanes.flat().filter((id) => !place.has(id)).length;
    const disordered = lanes.reduce(
      (sum, ids) => sum + ids.filter((id, at) => at > 0 && place.get(id)! < place.get(ids[at - 1]!)!).length,
      0,
    );
    const outcomes = new Map<string, number>();
    for (const row of rows)
      outcomes.set(
        row.filing_outcome ?? 'not filed',
        (outcomes.get(row.filing_outcome ?? 'not filed') ?? 0) + 1,
      );
    const { applied, repeats, changed, disordered: outDisordered, inFlightMax } = this.ris.tally;
    const words = (counts: Map<string, number>) =>
      [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
    say(`\nIn: ${words(this.kinds)}; not AA ${this.refused}; filing: ${words(outcomes)}.`);
    say(`In: lost ${lost}, stored twice ${rows.length - place.size}, out of order ${disordered}.`);
    say(
      `Out: ${this.queued} queued, ${applied.size} applied, repeated ${repeats}, out of order ${outDisordered}, in flight in a lane at most ${inFlightMax}.`,
    );
    return [
      ...(lost > 0 ? [`${lost} lost`] : []),
      ...(this.refused > 0 ? [`${this.refused} not accepted`] : []),
      ...(outcomes.has('not filed') ? [`${outcomes.get('not filed')} not filed in time`] : []),
      ...(rows.length > place.size ? ['stored twice'] : []),
      ...(disordered + outDisordered > 0 ? ['out of order'] : []),
      ...(applied.size < this.queued ? [`${this.queued - applied.size} results not sent`] : []),
      ...(changed > 0 || inFlightMax > 1 ? ['repeated with other bytes, or two of a lane in flight'] : []),
    ];
  }

  private send({ controlId, kind, lane, bytes }: DayMessage): void {
    const at = lane % CONNECTIONS;
    const ids = this.sent.get(lane) ?? [];
    this.sent.set(lane, ids);
    ids.push(controlId);
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.inFlight += 1;
    this.chains[at] = this.chains[at]!.then(async () => {
      const began = performance.now();
      let ack = await this.clients[at]!.send(bytes, controlId).catch(() => null);
      for (let tries = 1; ack?.code !== 'AA' && tries < TRIES_MAX; tries += 1)
        ack = await this.clients[at]!.send(bytes, controlId).catch(() => null);
      this.times.push(performance.now() - began);
      this.inFlight -= 1;
      if (ack?.code === 'AA') this.accepted += 1;
      else this.refused += 1;
    });
  }

  private async queueUpTo(count: number): Promise<void> {
    if (count <= this.queued) return;
    await this.sql.query('BEGIN');
    await this.sql.query(QUEUE_MESSAGES, [OUT_LANES, this.queued, count - 1, `127.0.0.1:${this.ris.port}`]);
    await this.sql.query(QUEUE_JOBS, [OUT_LANES, this.queued, count - 1]);
    await this.sql.query(`SELECT pg_notify('outbox', 'ris-send')`);
    await this.sql.query('COMMIT');
    this.queued = count;
  }

  private async unfiled(): Promise<number> {
    const { rows } = await this.sql.query(
      'SELECT count(*)::int AS n FROM hl7_inbound WHERE filing_outcome IS NULL',
    );
    return Number(rows[0]?.n);
  }
}

/** The reporting system's final report for one order in three, after it. */
function* withReports(day: Generator<DayMessage>): Generator<DayMessage> {
  let orders = 0;
  for (const message of day) {
    yield message;
    if (message.kind !== 'ORM^O01') continue;
    orders += 1;
    const report = orders % 3 === 0 ? reportOf(message) : null;
    if (report !== null) yield report;
  }
}

function reportOf({ controlId, lane, bytes }: DayMessage): DayMessage | null {
  const segments = bytes.toString('utf8').split('\r');
  const one = (name: string) => segments.find((segment) => segment.startsWith(`${name}|`))?.split('|');
  const [msh, pid, orc, obr] = [one('MSH'), one('PID'), one('ORC'), one('OBR')];
  if (!msh || !pid || !orc || !obr) return null;
  const id = `${controlId}R`;
  msh[8] = 'ORU^R01^ORU_R01';
  msh[9] = id;
  orc[1] = 'RE';
  while (obr.length < 26) obr.push('');
  obr[22] = '20260115101522';
  obr[25] = 'F';
  const text = [msh, pid, orc, obr].map((segment) => segment.join('|'));
  text.push('OBX|1|TX|19005-8^Impression^LN|1|No acute finding.||||||F');
  return { controlId: id, kind: 'ORU^R01', lane, bytes: Buffer.from(`${text.join('\r')}\r`) };
}

const LANE = (n: string) => `'ris:soak:S' || ${n} % $1::int`;
const QUEUE_MESSAGES = `INSERT INTO hl7_outbound
    (id, destination, lane, control_id, raw, report_id, report_version, message_time, patient_id, mrn, accession, result_status)
  SELECT gen_random_uuid(), $4, ${LANE('n')}, 'S' || n % $1::int || '-' || n / $1::int + 1,
    convert_to(rpad(E'MSH|^~\\\\&|PRELIM|RADIOLOGY|RIS|HOSPITAL|20260115101522+0000||ORU^R01^ORU_R01|S' || n % $1::int || '-' || n / $1::int + 1
      || E'|P|2.5.1\\rPID|1||' || n || E'\\rOBX|1|TX|19005-8^Impression^LN|1|', 2085, 'Nothing abnormal. '), 'UTF8'),
    'S' || n, 1, now(), 'S' || n % $1::int, 'M' || n, 'A' || n, 'P'
  FROM generate_series($2::int, $3::int) AS n ORDER BY n`;
/** As the outbox does it: the job of a lane that runs is told to look again. Lanes always in one order, for a run locks the rows of several. */
const QUEUE_JOBS = `INSERT INTO outbox (queue, key, payload)
  SELECT 'ris-send', lane, jsonb_build_object('lane', lane) FROM (SELECT DISTINCT ${LANE('n')} AS lane FROM generate_series($2::int, $3::int) AS n) AS lanes
  ORDER BY lane COLLATE "C"
  ON CONFLICT (queue, key) WHERE key IS NOT NULL AND state <> 'dead' DO UPDATE SET again = outbox.state = 'running'`;
