import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { freePort } from '../peers/free-port.ts';
import { MESSAGE_BYTES, NOISE } from './hl7-load.ts';
import { FLOOR_TABLE, Hl7LoadProcess } from './hl7-load-process.ts';
import { median } from './percentile.ts';
import { costOf } from './process-cost.ts';
import { BenchServer } from './processes.ts';

const LANES = 8;

/**
 * Results out beside the floor, in turn on one PostgreSQL: raw `pg` that commits one row a transaction over as many connections as there are lanes. The
 * messages are in the queue already, as the step before leaves them; the receiver is a process of its own that answers at once and checks the order in each
 * lane. `--rounds 3`, `--messages 4000`, `--backlog 100000` (also: that many results while the receiver is down, then up),
 * `--profile <file>` (a CPU profile of the server).
 */
export async function benchHl7Out(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      messages: { type: 'string', default: '4000' },
      backlog: { type: 'string', default: '0' },
      profile: { type: 'string', default: '' },
    },
  });
  const lines: string[] = [];
  const say = (line: string) => {
    lines.push(line);
    process.stdout.write(`${line}\n`);
  };
  const world = await OutWorld.make();
  try {
    if (values.profile) world.server.send({ profile: 'start' });
    await sayRates(world, say, Number(values.rounds), Number(values.messages));
    if (values.profile) {
      world.server.send({ profile: { file: values.profile } });
      await sleep(2_000);
    }
    if (Number(values.backlog) > 0) await sayBacklog(world, say, Number(values.backlog));
    say(`\nServer: ${world.server.memory().now} MB, at most ${world.server.memory().peak} MB.`);
  } finally {
    await world.close();
  }
  mkdirSync('bench-results', { recursive: true });
  const head = `# HL7 v2 out\n\n${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`;
  writeFileSync('bench-results/hl7-out.md', `${head}\n\n${lines.join('\n')}\n`);
}

/** The ratio on `LANES` lanes, and on one. */
async function sayRates(
  world: OutWorld,
  say: (line: string) => void,
  rounds: number,
  messages: number,
): Promise<void> {
  await world.drain('W', LANES, 400);
  say(`ORU^R01 of ${MESSAGE_BYTES} characters, stop and wait in each lane; median of ${rounds} rounds.\n`);
  say('| lanes | raw pg, one row a commit | sent and acknowledged | ratio |\n|---|---|---|---|');
  const costs: string[] = [];
  for (const lanes of [1, LANES]) {
    const pairs: [number, number][] = [];
    for (let n = 0; n < rounds; n += 1) {
      const base = await world.floor(lanes, 3);
      const rate = await world.drain(`R${lanes}x${n}x`, lanes, lanes === 1 ? messages / 4 : messages);
      pairs.push([base, rate]);
    }
    const [base, rate] = [median(pairs.map(([one]) => one)), median(pairs.map(([, two]) => two))];
    costs.push(`${lanes === 1 ? '1 lane' : `${lanes} lanes`}: ${world.costs}`);
    say(`| ${lanes} | ${base.toFixed(0)}/s | ${rate.toFixed(0)}/s | ${(rate / base).toFixed(2)} |`);
  }
  const { received, repeated, disordered } = await world.state();
  say(`\nProcessor time for each message, ms: ${costs.join('; ')}.`);
  say(`\nReceived ${received}, repeated ${repeated}, out of order in a lane ${disordered}.`);
}

/** A receiver that is away for the length of so many results of 5,000 patients. */
async function sayBacklog(world: OutWorld, say: (line: string) => void, count: number): Promise<void> {
  const before = await world.state();
  await world.tell('down');
  const patients = Math.min(5_000, Math.max(1, Math.floor(count / 20)));
  await world.queue('B', patients, count);
  await sleep(20_000);
  const down = world.server.memory().now;
  const claim = await world.claimMs();
  say(
    `\n${count} results of ${patients} patients while the receiver is away: ${down} MB after 20 s; a claim takes ${claim.toFixed(1)} ms.`,
  );
  await world.tell('up');
  const started = performance.now();
  let peak = 0;
  for (let last = 0; ; ) {
    const { received } = await world.state();
    peak = Math.max(peak, world.server.memory().now);
    if (received - before.received >= count) break;
    if (performance.now() - last > 30_000) {
      last = performance.now();
      process.stdout.write(`  ${received - before.received} of ${count}, ${world.server.memory().now} MB\n`);
    }
    await sleep(500);
  }
  const seconds = (performance.now() - started) / 1_000;
  const { disordered, repeated } = await world.state();
  say(
    `Back: all sent in ${seconds.toFixed(0)} s (${(count / seconds).toFixed(0)}/s), at most ${peak} MB; repeated ${repeated}, out of order ${disordered}.`,
  );
}

interface RisState {
  readonly received: number;
  readonly repeated: number;
  readonly disordered: number;
  readonly ms: number;
}

/** A server, its database, and a receiver. */
class OutWorld {
  private readonly load = new Hl7LoadProcess();

  private constructor(
    private readonly folder: string,
    private readonly ris: ChildProcess,
    /** As the server calls the receiver of `RIS_URL`. */
    private readonly destination: string,
    readonly server: BenchServer,
    private readonly sql: pg.Client,
    private readonly postmaster: number,
  ) {}

  static async make(): Promise<OutWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'prelim-hl7-out-'));
    await chmod(folder, 0o755);
    const ris = fork(join(import.meta.dirname, 'hl7-out-ris.js'), {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const { port } = await heard<{ port: number }>(ris, 'listening');
    const destination = `127.0.0.1:${port}`;
    const profile = join(folder, 'profile.json');
    writeFileSync(profile, JSON.stringify({ connectionsMax: LANES }));
    const server = await BenchServer.start({
      PRELIM_DATA: join(folder, 'data'),
      PORT: String(await freePort()),
      HL7_PORT: String(await freePort()),
      RIS_URL: `mllp://${destination}`,
      RIS_PROFILE: profile,
      LOG_LEVEL: 'error',
      BENCH_STEPS: 'untold',
    });
    const sql = new pg.Client(server.ready.database);
    await sql.connect();
    await sql.query(FLOOR_TABLE);
    const { rows } = await sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const status = readFileSync(`/proc/${rows[0]?.pid}/status`, 'utf8');
    return new OutWorld(folder, ris, destination, server, sql, Number(/\nPPid:\s+(\d+)/.exec(status)?.[1]));
  }

  /** Milliseconds of processor time for each message of the last drain. */
  costs = '';

  async state(): Promise<RisState> {
    this.ris.send('state');
    return heard<RisState>(this.ris, 'state');
  }

  async tell(what: 'up' | 'down'): Promise<void> {
    this.ris.send(what);
    await heard(this.ris, 'state');
  }

  /** Messages as the step that makes them leaves them: stored, with a job for each lane. */
  async queue(name: string, lanes: number, count: number): Promise<void> {
    await this.sql.query('BEGIN');
    await this.sql.query(QUEUE_MESSAGES, [name, lanes, count, this.destination, NOISE]);
    await this.sql.query(QUEUE_JOBS, [name]);
    await this.sql.query('COMMIT');
    await this.sql.query(`SELECT pg_notify('outbox', 'ris-send')`);
  }

  /** Messages per second from the first to the last. */
  async drain(name: string, lanes: number, count: number): Promise<number> {
    const before = (await this.state()).received;
    await this.queue(name, lanes, count);
    const queued = performance.now();
    const watched = {
      server: this.server.child.pid as number,
      PostgreSQL: this.postmaster,
      receiver: this.ris.pid as number,
    };
    const costs = costOf(watched);
    while ((await this.state()).received < before + count) await sleep(10);
    for (;;) {
      const { rows } = await this.sql.query(`SELECT 1 FROM outbox WHERE queue = 'ris-send' LIMIT 1`);
      if (rows.length === 0) break;
      await sleep(5);
    }
    const spent = costOf(watched);
    const families = Object.keys(watched) as (keyof typeof watched)[];
    this.costs = families
      .map((one) => `${one} ${((spent[one].cpuMs - costs[one].cpuMs) / count).toFixed(2)}`)
      .join(', ');
    return count / ((performance.now() - queued) / 1_000);
  }

  /** Single-row transactions a second, each on disk: the floor of messages in. */
  async floor(connections: number, seconds: number): Promise<number> {
    const { database } = this.server.ready;
    return (await this.load.run({ kind: 'floor', database, connections, seconds })).perSecond;
  }

  /** How long the statement takes that finds due jobs. */
  async claimMs(): Promise<number> {
    const { rows } = await this.sql.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE) SELECT id FROM outbox
      WHERE queue = 'ris-send' AND state = 'waiting' AND not_before <= now() ORDER BY priority, id LIMIT 8 FOR UPDATE SKIP LOCKED`);
    return Number(/Execution Time: ([\d.]+)/.exec(rows.map((row) => row['QUERY PLAN']).join('\n'))?.[1]);
  }

  async close(): Promise<void> {
    this.load.stop();
    await this.sql.end();
    await this.server.stop();
    this.ris.kill();
    await rm(this.folder, { recursive: true, force: true });
  }
}

function heard<T>(child: ChildProcess, kind: string): Promise<T> {
  return new Promise((resolve) => {
    const hear = (message: { kind?: string }) => {
      if (message.kind !== kind) return;
      child.off('message', hear);
      resolve(message as T);
    };
    child.on('message', hear);
  });
}

const QUEUE_MESSAGES = `INSERT INTO hl7_outbound
    (id, destination, lane, control_id, raw, report_id, report_version, message_time, patient_id, mrn, accession, result_status)
  SELECT gen_random_uuid(), $4, 'ris:' || $4 || ':' || $1 || lane, $1 || lane || '-' || number,
    convert_to(rpad(E'MSH|^~\\\\&|PRELIM|RADIOLOGY|RIS|HOSPITAL|20260115101522+0000||ORU^R01^ORU_R01|' || $1 || lane || '-' || number
      || E'|P|2.5.1\\rPID|1||' || lane || E'\\rOBX|1|TX|19005-8^Impression^LN|1|', ${MESSAGE_BYTES}, substr($5, 1 + (n * 977) % 4096)), 'UTF8'),
    $1 || n, 1, now(), $1 || lane, 'M' || lane, 'A' || $1 || n, 'P'
  FROM (SELECT n, n % $2::int AS lane, n / $2::int + 1 AS number FROM generate_series(0, $3::int - 1) AS n) AS all_of_them ORDER BY n`;
const QUEUE_JOBS = `INSERT INTO outbox (queue, key, payload)
  SELECT DISTINCT 'ris-send', lane, jsonb_build_object('lane', lane) FROM hl7_outbound WHERE state = 'waiting' AND control_id LIKE $1 || '%'`;
