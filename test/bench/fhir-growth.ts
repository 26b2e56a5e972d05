import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chmod, mkdir, rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { STATISTICS_AGE_MAX_MS } from '../../src/fhir/search/entry-statistics.ts';
import { freePort } from '../peers/free-port.ts';
import { benchFolder } from './bench-folder.ts';
import { growthSeeded, growthSize, writeGrowthFiles } from './fhir-growth-files.ts';
import { load, type Measured } from './fhir-load.ts';
import { FhirTarget } from './fhir-target.ts';
import { type SeedSize, stepOf, WORKLOADS, type Workload } from './fhir-workloads.ts';
import { BenchServer } from './processes.ts';

interface GrowthOptions {
  readonly sizes: readonly number[];
  readonly seconds: number;
  readonly warmUpS: number;
  readonly connections: number;
  readonly workloads: readonly Workload[];
  readonly profile: boolean;
  /** Where the sets stay from one run to the next; null: they are made and thrown away. */
  readonly data: string | null;
}

/**
 * What happens to each workload when the data grow: servers with an embedded database, filled by `$import`. The one with the smallest set stays,
 * and each larger one is measured against it, workload by workload in turns, so that what else the machine does falls on both. Options: `--sizes
 * 10000,100000,1000000` (Observations; a tenth as many reports), `--seconds`, `--warmup`, `--connections`, `--workloads`, `--profile` (of each import, export and
 * workload), `--data <folder>` (filled sets stay there and are used again), `--fill-only` (with `--data`: measure in a later run, when the machine is quiet).
 */
export async function benchGrowth(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  mkdirSync('bench-results', { recursive: true });
  if (args.includes('--fill-only')) {
    for (const size of options.sizes) await (await Filled.start(size, options)).stop();
    return;
  }
  const parts: string[] = [];
  const tell = (text: string): void => {
    parts.push(text);
    process.stdout.write(`${text}\n`);
    writeFileSync(
      'bench-results/fhir-growth.md',
      `# Growth\n\n${machine(options)}\n\n${parts.join('\n\n')}\n`,
    );
  };
  const [smallest = 0, ...larger] = options.sizes;
  const small = await Filled.start(smallest, options);
  try {
    tell(small.figures);
    for (const size of larger) {
      const large = await Filled.start(size, options);
      try {
        tell(large.figures);
        tell(
          [
            `Workloads at ${size} against ${smallest}:`,
            '',
            ...HEAD,
            ...(await compare(small, large, options)),
          ].join('\n'),
        );
      } finally {
        await large.stop();
      }
    }
  } finally {
    await small.stop();
  }
}

function readOptions(args: readonly string[]): GrowthOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      sizes: { type: 'string', default: '10000,100000,1000000' },
      seconds: { type: 'string', default: '4' },
      warmup: { type: 'string', default: '1' },
      connections: { type: 'string', default: '8' },
      workloads: { type: 'string', default: WORKLOADS.join(',') },
      profile: { type: 'boolean', default: false },
      data: { type: 'string' },
      'fill-only': { type: 'boolean', default: false },
    },
  });
  return {
    sizes: values.sizes.split(',').map(Number),
    seconds: Number(values.seconds),
    warmUpS: Number(values.warmup),
    connections: Number(values.connections),
    workloads: WORKLOADS.filter((one) => values.workloads.split(',').includes(one)),
    profile: values.profile,
    data: values.data === undefined ? null : resolve(values.data),
  };
}

/** A server with one set in it. */
class Filled {
  figures = '';

  private constructor(
    readonly size: SeedSize,
    readonly server: BenchServer,
    private readonly folder: string,
    private readonly options: GrowthOptions,
  ) {}

  static async start(observations: number, options: GrowthOptions): Promise<Filled> {
    const folder = options.data ? await keptFolder(options.data, observations) : await benchFolder();
    const server = await BenchServer.start({
      PRELIM_DATA: folder,
      PORT: String(await freePort()),
      HL7_PORT: '0',
      LOG_LEVEL: 'error',
      AUDIT: 'off',
      BULK_IMPORT_FOLDER: folder,
    });
    const filled = new Filled(growthSize(observations), server, folder, options);
    try {
      filled.figures = await filled.fillOnce();
    } catch (error) {
      await filled.stop();
      throw error;
    }
    return filled;
  }

  target(connections: number): FhirTarget {
    return new FhirTarget(`${this.server.ready.url}/fhir/`, this.server.ready.token, connections);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    if (!this.options.data) await rm(this.folder, { recursive: true, force: true });
  }

  /** The figures stand beside a set that was filled before. */
  private async fillOnce(): Promise<string> {
    const file = join(this.folder, 'filled.md');
    if (!existsSync(file)) writeFileSync(file, await this.fill());
    return `${readFileSync(file, 'utf8')} ${await this.bytes()}`;
  }

  private async fill(): Promise<string> {
    const files = await writeGrowthFiles(this.folder, this.size);
    const rates: string[] = [];
    let lines = 0;
    let seconds = 0;
    for (const file of files) {
      const took = await this.import(file);
      lines += file.lines;
      seconds += took;
      rates.push(`${file.name} ${(file.lines / took).toFixed(0)}/s`);
    }
    const imported = this.server.memory().peak;
    const exported = await this.export(lines);
    return [
      `**${this.size.observations} Observations**, ${this.size.reports} reports, ${this.size.patients} patients and studies:`,
      `imported in ${seconds.toFixed(0)} s, ${(lines / seconds).toFixed(0)} resources/s (${rates.join(', ')}), at most ${imported} MB;`,
      `exported ${exported.toFixed(0)} resources/s, at most ${this.server.memory().peak} MB;`,
    ].join('\n');
  }

  /** Seconds, from the kick-off to the manifest. */
  private async import({ name, lines }: { name: string; lines: number }): Promise<number> {
    const parameter = [{ name: 'input', part: [{ name: 'url', valueUri: name }] }];
    return this.profiled(`import-${lines}-${name}`, async () => {
      const { seconds, manifest } = await this.job('POST', '$import', {
        resourceType: 'Parameters',
        parameter,
      });
      const { imported } = (manifest as { extension: { imported: number } }).extension;
      if (imported !== lines) throw new Error(`${imported} of ${lines} lines of ${name} were imported`);
      return seconds;
    });
  }

  /** Resources per second. */
  private async export(lines: number): Promise<number> {
    return this.profiled(`export-${lines}`, async () => {
      const { seconds, manifest } = await this.job(
        'GET',
        '$export?_type=Patient,ImagingStudy,Observation,DiagnosticReport',
      );
      const count = (manifest as { output: { count: number }[] }).output.reduce(
        (sum, one) => sum + one.count,
        0,
      );
      if (count !== lines) throw new Error(`${count} of ${lines} resources were exported`);
      return count / seconds;
    });
  }

  private async job(
    method: string,
    path: string,
    body?: object,
  ): Promise<{ seconds: number; manifest: unknown }> {
    const headers = {
      ...this.server.auth,
      prefer: 'respond-async',
      ...(body ? { 'content-type': 'application/fhir+json' } : {}),
    };
    const before = performance.now();
    const started = await fetch(`${this.server.ready.url}/fhir/${path}`, {
      method,
      headers,
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    const location = new URL(started.headers.get('content-location') ?? '').pathname;
    for (;;) {
      const answer = await fetch(this.server.ready.url + location, { headers: this.server.auth });
      const text = await answer.text();
      if (answer.status === 200)
        return { seconds: (performance.now() - before) / 1_000, manifest: JSON.parse(text) };
      if (answer.status !== 202) throw new Error(`${path} answered ${answer.status}: ${text}`);
      await sleep(100);
    }
  }

  async profiled<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (!this.options.profile) return work();
    this.server.send({ profile: 'start' });
    try {
      return await work();
    } finally {
      this.server.send({ profile: { file: `bench-results/${name}.cpuprofile` } });
    }
  }

  /** After the import's own statistics; vacuumed here, so that it does not begin while something is measured. */
  private async bytes(): Promise<string> {
    const client = new pg.Client(this.server.ready.database as pg.ClientConfig);
    await client.connect();
    try {
      await client.query('VACUUM (ANALYZE)');
      const { rows } = await client.query<{ name: string; data: string; indexes: string }>(BYTES);
      const { rows: counted } = await client.query<{ n: string }>('SELECT count(*) AS n FROM resource');
      const per = (bytes: string | number): string => (Number(bytes) / Number(counted[0]?.n)).toFixed(0);
      const sum = (of: 'data' | 'indexes'): number => rows.reduce((all, row) => all + Number(row[of]), 0);
      return [
        `bytes per resource: ${per(sum('data'))} in tables, ${per(sum('indexes'))} in indexes`,
        '',
        '| table | bytes per resource | its indexes |',
        '|---|---:|---:|',
        ...rows.map((row) => `| ${row.name} | ${per(row.data)} | ${per(row.indexes)} |`),
      ].join('\n');
    } finally {
      await client.end();
    }
  }
}

/** Open to the account of the embedded PostgreSQL, as `benchFolder`. */
async function keptFolder(data: string, observations: number): Promise<string> {
  const folder = join(data, String(observations));
  await mkdir(folder, { recursive: true });
  for (const one of [data, folder]) await chmod(one, 0o755);
  return folder;
}

const BYTES = `
  SELECT relname AS name, pg_table_size(oid) AS data, pg_indexes_size(oid) AS indexes FROM pg_class
  WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND (relname LIKE 'resource%' OR relname LIKE 'search%')
    AND pg_table_size(oid) > 65536 ORDER BY relname`;

const HEAD = [
  '| workload | small set req/s | large set req/s | ratio | p50 ms | p99 ms | PostgreSQL and Node ms CPU, small | large | memory MB | errors |',
  '|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|',
];

async function compare(small: Filled, large: Filled, options: GrowthOptions): Promise<string[]> {
  // The servers look at the statistics once a minute, and beside a request.
  await sleep(STATISTICS_AGE_MAX_MS);
  for (const { server } of [small, large])
    await fetch(`${server.ready.url}/fhir/Patient?_count=1`, { headers: server.auth });
  const seeded = { small: growthSeeded(small.size), large: growthSeeded(large.size) };
  const rows: string[] = [];
  for (const workload of options.workloads) {
    const one = await measure(small, seeded.small, workload, options);
    const other = await measure(large, seeded.large, workload, options);
    rows.push(rowOf(workload, one, other));
    process.stdout.write(`${rows.at(-1)}\n`);
    for (const side of [one, other])
      if (side.error) process.stdout.write(`  ${side.errors} errors: ${side.error}\n`);
  }
  return rows;
}

async function measure(
  filled: Filled,
  seeded: ReturnType<typeof growthSeeded>,
  workload: Workload,
  { connections, seconds, warmUpS }: GrowthOptions,
): Promise<Measured> {
  const target = filled.target(connections);
  try {
    const watched = { node: filled.server.child.pid as number, postgres: await postmasterOf(filled) };
    return await filled.profiled(`${workload}-at-${filled.size.observations}`, () =>
      load(stepOf(workload, target, seeded, connections), {
        connections,
        seconds,
        warmUpS,
        watched,
      }),
    );
  } finally {
    target.close();
  }
}

/** The parent of what serves a connection. */
async function postmasterOf(filled: Filled): Promise<number> {
  const client = new pg.Client(filled.server.ready.database as pg.ClientConfig);
  await client.connect();
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  const parent = Number(/\nPPid:\s+(\d+)/.exec(readFileSync(`/proc/${rows[0]?.pid}/status`, 'utf8'))?.[1]);
  await client.end();
  return parent;
}

function rowOf(workload: Workload, small: Measured, large: Measured): string {
  const both = ({ cpuMs }: Measured): string => ((cpuMs['node'] ?? 0) + (cpuMs['postgres'] ?? 0)).toFixed(2);
  const cells = [
    workload,
    small.perSecond.toFixed(0),
    large.perSecond.toFixed(0),
    (large.perSecond / small.perSecond).toFixed(2),
    large.p50.toFixed(2),
    large.p99.toFixed(2),
    both(small),
    both(large),
    large.memoryMb['node'],
    small.errors + large.errors,
  ];
  return `| ${cells.join(' | ')} |`;
}

const machine = ({ connections, seconds }: GrowthOptions): string =>
  `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; load, servers and PostgreSQL all on it. ${connections} connections, ${seconds} s each.`;
