import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { freePort } from '../peers/free-port.ts';
import { benchFolder } from './bench-folder.ts';
import { load, type Measured } from './fhir-load.ts';
import { activeSubscriptions } from './fhir-subscriptions.ts';
import { FhirTarget } from './fhir-target.ts';
import { type Seeded, type SeedSize, seed, stepOf, WORKLOADS, type Workload } from './fhir-workloads.ts';
import { median } from './percentile.ts';
import { BenchServer } from './processes.ts';

export interface FhirBenchOptions {
  readonly seconds: number;
  readonly warmUpS: number;
  readonly rounds: number;
  readonly connections: readonly number[];
  readonly workloads: readonly Workload[];
  readonly size: SeedSize;
  readonly subscriptions: number;
  readonly withFloor: boolean;
  readonly profile: boolean;
}

/**
 * The FHIR server against the HTTP floor over the same PostgreSQL, workload by workload, pair by pair in one run. Options: `--seconds`,
 * `--warmup`, `--rounds`, `--connections 1,8,32`, `--workloads read,create`, `--observations 4000`, `--subscriptions 100`, `--no-floor`,
 * `--profile` (CPU profiles of the server into bench-results).
 */
export async function benchFhir(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  const folder = await benchFolder();
  mkdirSync('bench-results', { recursive: true });
  const server = await startServer(folder);
  const floor = options.withFloor ? await startFloor(asOwner(server.ready.database, folder)) : null;
  const rows: Pair[] = [];
  try {
    const own = sideOf(`${server.ready.url}/fhir/`, server.ready.token, server.child.pid as number);
    const other = floor ? sideOf(`http://127.0.0.1:${floor.port}/`, null, floor.pid) : null;
    const ownSeeded = await seeded(own, options.size);
    const otherSeeded = other ? await seeded(other, options.size) : null;
    await activeSubscriptions(own.target(1), options.subscriptions);
    const postgres = await settle(server.ready.database);
    for (const workload of options.workloads) {
      for (const connections of options.connections) {
        const pairs: Pair[] = [];
        for (let round = 0; round < options.rounds; round++) {
          if (options.profile) server.send({ profile: 'start' });
          const measured = await measure(own, ownSeeded, workload, connections, postgres, options);
          if (options.profile)
            server.send({ profile: { file: `bench-results/${workload}-${connections}.cpuprofile` } });
          const against =
            other && otherSeeded
              ? await measure(other, otherSeeded, workload, connections, postgres, options)
              : null;
          pairs.push({ workload, connections, server: measured, floor: against });
        }
        const middle = middleOf(pairs);
        rows.push(middle);
        process.stdout.write(`${rowOf(middle)}\n`);
        for (const { server: one, floor: two } of pairs)
          for (const side of [one, two])
            if (side?.error) process.stdout.write(`  ${side.errors} errors: ${side.error}\n`);
      }
    }
  } finally {
    floor?.stop();
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const text = report(rows, options);
  writeFileSync('bench-results/fhir.md', `# FHIR server\n\n${text}\n`);
  process.stdout.write(`\n${text}\n\nbench-results/fhir.md\n`);
}

function readOptions(args: readonly string[]): FhirBenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '4' },
      warmup: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '1' },
      connections: { type: 'string', default: '1,8,32' },
      workloads: { type: 'string', default: WORKLOADS.join(',') },
      patients: { type: 'string', default: '200' },
      observations: { type: 'string', default: '4000' },
      reports: { type: 'string', default: '500' },
      subscriptions: { type: 'string', default: '100' },
      'no-floor': { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
    },
  });
  return {
    seconds: Number(values.seconds),
    warmUpS: Number(values.warmup),
    rounds: Number(values.rounds),
    connections: values.connections.split(',').map(Number),
    workloads: values.workloads.split(',').map(workloadOf),
    size: {
      patients: Number(values.patients),
      observations: Number(values.observations),
      reports: Number(values.reports),
    },
    subscriptions: Number(values.subscriptions),
    withFloor: !values['no-floor'],
    profile: values.profile,
  };
}

function workloadOf(name: string): Workload {
  const found = WORKLOADS.find((one) => one === name);
  if (!found) throw new Error(`no workload ${name}; there are ${WORKLOADS.join(', ')}`);
  return found;
}

async function startServer(folder: string): Promise<BenchServer> {
  const env = {
    PRELIM_DATA: folder,
    PORT: String(await freePort()),
    HL7_PORT: '0',
    LOG_LEVEL: 'error',
    // What the audit costs is measured by itself: `npm run bench -- audit`.
    AUDIT: 'off',
    SUBSCRIPTION_HOSTS: '127.0.0.1:9',
    SUBSCRIPTION_NETWORKS: '127.0.0.0/8',
  };
  return BenchServer.start(env);
}

/** The floor makes a schema of its own, which the role that the server works as must not. */
const asOwner = (database: object, folder: string): object => ({
  ...database,
  user: 'prelim',
  password: readFileSync(join(folder, 'keys', 'postgres-password'), 'utf8').trim(),
});

async function startFloor(database: object): Promise<{ port: number; pid: number; stop: () => void }> {
  const child = fork(join(import.meta.dirname, 'fhir-floor.js'), [JSON.stringify(database)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return { port, pid: child.pid as number, stop: () => child.disconnect() };
}

interface Side {
  readonly pid: number;
  target(connections: number): FhirTarget;
}

const sideOf = (base: string, token: string | null, pid: number): Side => ({
  pid,
  target: (connections) => new FhirTarget(base, token, connections),
});

async function seeded(side: Side, size: SeedSize): Promise<Seeded> {
  const target = side.target(8);
  try {
    return await seed(target, size);
  } finally {
    target.close();
  }
}

/** Statistics as a server in service has them. Gives the process id of PostgreSQL. */
async function settle(database: object): Promise<number> {
  const client = new pg.Client(database as pg.ClientConfig);
  await client.connect();
  await client.query('VACUUM ANALYZE');
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const parent = Number(/\nPPid:\s+(\d+)/.exec(readFileSync(`/proc/${rows[0]?.pid}/status`, 'utf8'))?.[1]);
  await client.end();
  return parent;
}

async function measure(
  side: Side,
  seeded: Seeded,
  workload: Workload,
  connections: number,
  postgres: number,
  { seconds, warmUpS }: FhirBenchOptions,
): Promise<Measured> {
  const target = side.target(connections);
  try {
    const watched = { node: side.pid, postgres, client: process.pid };
    return await load(stepOf(workload, target, seeded, connections), {
      connections,
      seconds,
      warmUpS,
      watched,
    });
  } finally {
    target.close();
  }
}

interface Pair {
  readonly workload: Workload;
  readonly connections: number;
  readonly server: Measured;
  readonly floor: Measured | null;
}

const ratioOf = ({ server, floor }: Pair): number =>
  floor ? server.perSecond / floor.perSecond : Number.NaN;

/** The pair whose ratio is the median: what was measured together stays together. */
function middleOf(pairs: readonly Pair[]): Pair {
  const middle = median(pairs.map(ratioOf));
  return pairs.find((pair) => ratioOf(pair) === middle) ?? (pairs[0] as Pair);
}

const HEAD = [
  '| workload | conn. | req/s | floor req/s | ratio | p50 ms | p95 | p99 | p99/p50 | Node ms CPU | PostgreSQL ms CPU | both | floor both | memory MB | errors |',
  '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
];

function rowOf(pair: Pair): string {
  const { server, floor } = pair;
  const both = (one: Measured): string =>
    ((one.cpuMs['node'] ?? 0) + (one.cpuMs['postgres'] ?? 0)).toFixed(2);
  const cells = [
    pair.workload,
    pair.connections,
    server.perSecond.toFixed(0),
    floor ? floor.perSecond.toFixed(0) : '',
    floor ? ratioOf(pair).toFixed(2) : '',
    server.p50.toFixed(2),
    server.p95.toFixed(2),
    server.p99.toFixed(2),
    (server.p99 / server.p50).toFixed(1),
    server.cpuMs['node']?.toFixed(2),
    server.cpuMs['postgres']?.toFixed(2),
    both(server),
    floor ? both(floor) : '',
    server.memoryMb['node'],
    server.errors + (floor?.errors ?? 0),
  ];
  return `| ${cells.join(' | ')} |`;
}

function report(rows: readonly Pair[], { size, subscriptions, seconds, rounds }: FhirBenchOptions): string {
  return [
    `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; load, server, floor and PostgreSQL all on it. ` +
      `${size.patients} patients, ${size.observations} Observations, ${size.reports} reports, ${subscriptions} active Subscriptions; ` +
      `${seconds} s each, ${rounds} round(s). The floor checks nothing (see test/bench/fhir-floor.ts).`,
    '',
    ...HEAD,
    ...rows.map(rowOf),
  ].join('\n');
}
