import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres.ts';
import { freePort } from '../peers/free-port.ts';
import { load, type Measured } from './fhir-load.ts';
import { FhirTarget } from './fhir-target.ts';
import { type Seeded, seed, stepOf, type Workload } from './fhir-workloads.ts';
import { median } from './percentile.ts';
import { BenchServer } from './processes.ts';

const WORKLOADS: readonly Workload[] = ['read', 'search-by-code', 'create', 'update'];

interface Row {
  readonly workload: Workload;
  readonly connections: number;
  readonly on: Measured;
  readonly off: Measured;
}

/**
 * The same server with its audit and without, over one database, workload by workload, round by round in one run. Both have answered each workload often enough before, or V8 compiles
 * while they are measured, more in the one that has done less. Options: `--seconds`, `--warmup`, `--warm` (requests of each workload), `--rounds`, `--connections 8,32`, `--workloads read,create`.
 */
export async function benchAudit(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '3' },
      warmup: { type: 'string', default: '1' },
      warm: { type: 'string', default: '8000' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '8,32' },
      workloads: { type: 'string', default: WORKLOADS.join(',') },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'prelim-audit-bench-'));
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres(folder);
  const on = await serverWith(folder, postgres.url, 'on');
  const off = await serverWith(folder, postgres.url, 'off');
  const rows: Row[] = [];
  try {
    const seeded = await seedAll(off);
    const workloads = values.workloads.split(',') as Workload[];
    await Promise.all([on, off].map((server) => warm(server, seeded, workloads, Number(values.warm))));
    const postmaster = await vacuum(postgres.url);
    for (const workload of workloads) {
      for (const connections of values.connections.split(',').map(Number)) {
        const rounds: Row[] = [];
        for (let round = 0; round < Number(values.rounds); round++) {
          const measureOne = (server: BenchServer) =>
            measure(
              server,
              seeded,
              workload,
              connections,
              Number(values.seconds),
              Number(values.warmup),
              postmaster,
            );
          // Who goes first changes, so that what both leave behind weighs on both.
          const first = round % 2 === 0;
          const one = await measureOne(first ? on : off);
          const two = await measureOne(first ? off : on);
          rounds.push({ workload, connections, on: first ? one : two, off: first ? two : one });
        }
        const middle = median(rounds.map(ratioOf));
        const row = rounds.find((round) => ratioOf(round) === middle) ?? (rounds[0] as Row);
        rows.push(row);
        process.stdout.write(`${lineOf(row)}\n`);
      }
    }
  } finally {
    await on.stop();
    await off.stop();
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const text = report(rows);
  mkdirSync('bench-results', { recursive: true });
  writeFileSync('bench-results/audit.md', `# Audit\n\n${text}\n`);
  process.stdout.write(`\n${text}\n\nbench-results/audit.md\n`);
}

async function serverWith(folder: string, url: string, audit: 'on' | 'off'): Promise<BenchServer> {
  const data = join(folder, audit);
  return BenchServer.start({
    PRELIM_DATA: data,
    PRELIM_ROLES: 'api',
    DATABASE_URL: url.replace('@/', '@localhost/'),
    PORT: String(await freePort()),
    HL7_PORT: '0',
    LOG_LEVEL: 'fatal',
    AUDIT: audit,
    RATE_CLIENT_PER_SECOND: '100000',
    RATE_CLIENT_OPEN_MAX: '10000',
  });
}

async function seedAll(server: BenchServer): Promise<Seeded> {
  const target = targetOf(server, 8);
  try {
    return await seed(target, { patients: 200, observations: 4_000, reports: 500 });
  } finally {
    target.close();
  }
}

const targetOf = ({ ready }: BenchServer, connections: number) =>
  new FhirTarget(`${ready.url}/fhir/`, ready.token, connections);

const WARM_CONNECTIONS = 16;

async function warm(
  server: BenchServer,
  seeded: Seeded,
  workloads: readonly Workload[],
  requests: number,
): Promise<void> {
  const target = targetOf(server, WARM_CONNECTIONS);
  for (const workload of workloads) {
    const step = stepOf(workload, target, seeded, WARM_CONNECTIONS);
    let next = 0;
    const worker = async (at: number): Promise<void> => {
      while (next < requests) await step(at, next++);
    };
    await Promise.all(Array.from({ length: WARM_CONNECTIONS }, (_, at) => worker(at)));
  }
  target.close();
}

/** Statistics as a server in service has them. Gives the process id of PostgreSQL. */
async function vacuum(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('VACUUM ANALYZE');
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const parent = Number(/\nPPid:\s+(\d+)/.exec(readFileSync(`/proc/${rows[0]?.pid}/status`, 'utf8'))?.[1]);
  await client.end();
  return parent;
}

async function measure(
  server: BenchServer,
  seeded: Seeded,
  workload: Workload,
  connections: number,
  seconds: number,
  warmUpS: number,
  postmaster: number,
): Promise<Measured> {
  const target = targetOf(server, connections);
  try {
    return await load(stepOf(workload, target, seeded, connections), {
      connections,
      seconds,
      warmUpS,
      watched: { node: server.child.pid as number, postgres: postmaster },
    });
  } finally {
    target.close();
  }
}

const ratioOf = ({ on, off }: Row): number => on.perSecond / off.perSecond;

const HEAD = [
  '| workload | conn. | req/s audited | req/s not | cost | p50 ms audited | not | p99 audited | not | Node ms CPU audited | not | PostgreSQL ms CPU audited | not | errors |',
  '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
];

function lineOf(row: Row): string {
  const { workload, connections, on, off } = row;
  const cells = [
    workload,
    connections,
    on.perSecond.toFixed(0),
    off.perSecond.toFixed(0),
    `${((1 - ratioOf(row)) * 100).toFixed(1)} %`,
    on.p50.toFixed(2),
    off.p50.toFixed(2),
    on.p99.toFixed(2),
    off.p99.toFixed(2),
    cpu(on, 'node'),
    cpu(off, 'node'),
    cpu(on, 'postgres'),
    cpu(off, 'postgres'),
    `${on.errors + off.errors}${(on.error ?? off.error) ? ` (${on.error ?? off.error})` : ''}`,
  ];
  return `| ${cells.join(' | ')} |`;
}

const cpu = (measured: Measured, name: string): string => (measured.cpuMs[name] ?? 0).toFixed(3);

const report = (rows: readonly Row[]): string =>
  [
    `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; load, both servers and PostgreSQL all on it; median of the rounds.`,
    '',
    ...HEAD,
    ...rows.map(lineOf),
  ].join('\n');
