import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import pg from 'pg';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { phantomUid } from '../../models/phantom/phantom-uid.ts';
import { phantomRadiograph } from '../../models/phantom/radiograph.ts';
import { dicomwebConnection } from '../../src/dicomweb/dicomweb-connection.ts';
import { storeInstances } from '../../src/dicomweb/stow.ts';
import { inspectAndRelease } from '../../src/governance/inspect-model.ts';
import { ModelRegister } from '../../src/governance/model-register.ts';
import { freePort } from '../peers/free-port.ts';
import { type RisPeer, startRis } from '../peers/ris.ts';
import { benchFolder } from './bench-folder.ts';
import type { FloorJob, FloorModel, FloorSetup } from './messages.ts';
import { median, percentile } from './percentile.ts';
import { BenchServer, Floor } from './processes.ts';

const CXR_MODELS = resolve('test/fixtures/models/cxr15-mobilenetv3-int8');
const CXR_FILE = resolve('../shared/data/models/cxr15-mobilenetv3-int8/model.onnx');
const TABLES = ['resource', 'search_date', 'search_string', 'search_number', 'search_quantity'];
const WAITING_STUDIES = 32;
const WAITING_ROUNDS = 3;

interface Kind {
  readonly name: string;
  readonly model: string;
  readonly runs: number;
  /** Pairs before those that count: a server in service has run its code before, and so has the floor. */
  readonly warmUps: number;
  files(uid: string, series: string): Iterable<Uint8Array>;
  readonly spacing: readonly number[];
}

/**
 * From the moment a study is complete to the ORU's ACK, study by study, each time followed by the floor on the same study. Then 32 studies that
 * wait at once, against two floors beside each other.
 */
export async function benchPipeline(runs: number): Promise<void> {
  const folder = await benchFolder();
  const ris = await startRis();
  const env = await environment(folder, ris);
  const first = await BenchServer.start(env);
  const firstStartMs = first.startedMs;
  await first.stop();
  const server = await BenchServer.start(env);
  const lines = [
    `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}. Ratios are of pairs taken one after the other.`,
    '',
  ];
  lines.push(
    `Ready to serve: first start ${ms(firstStartMs)}, later ${ms(server.startedMs)} (process start to the first 200 of /health/ready).`,
  );
  const rest = server.memory();
  lines.push(`Memory at rest: ${rest.now} MB resident (server process, models loaded).`, '');

  const floors = await floorSetup(server, ris);
  const floor = await Floor.start(floors);
  lines.push(
    '| study | runs | server p50 | p95 | floor p50 | p95 | ratio p50 | ratio p95 |',
    '|---|---:|---:|---:|---:|---:|---:|---:|',
  );
  const jobs = new Map<string, FloorJob>();
  for (const kind of kinds(runs)) {
    const pairs = await pairsOf(kind, server, floor, ris, jobs);
    lines.push(row(kind, pairs));
    process.stdout.write(`${lines.at(-1)}\n`);
  }
  lines.push('', `Memory at the CT's peak: ${server.memory().peak} MB resident at most (server process).`);
  floor.stop();
  await server.stop();

  lines.push('', await benchWaiting(env, ris, floors, jobs));
  await ris.close();
  await rm(folder, { recursive: true, force: true });
  mkdirSync('bench-results', { recursive: true });
  writeFileSync('bench-results/pipeline.md', `# Pipeline\n\n${lines.join('\n')}\n`);
  process.stdout.write(`\n${lines.join('\n')}\n\nbench-results/pipeline.md\n`);
}

async function environment(folder: string, ris: RisPeer): Promise<Record<string, string>> {
  const withCxr = existsSync(CXR_FILE);
  if (!withCxr) process.stdout.write('No shared data: the chest X-ray model is left out.\n');
  return {
    PRELIM_DATA: folder,
    PORT: String(await freePort()),
    HL7_PORT: '0',
    RIS_URL: ris.url.href,
    STUDY_LOOK_INTERVAL_MS: '50',
    STUDY_QUIET_MS: '100',
    LOG_LEVEL: 'error',
    // The way to the RIS is measured; SR and SEG are made after it, and the floor makes none.
    PACS_OBJECTS: 'none',
    ...(withCxr ? { PRELIM_MODELS: CXR_MODELS } : {}),
  };
}

function kinds(runs: number): Kind[] {
  const radiograph = phantomRadiograph({ seed: 3 });
  const xray: Kind = {
    name: 'chest X-ray 1024×1024',
    model: 'cxr15-mobilenetv3-int8',
    runs,
    warmUps: 40,
    spacing: [],
    *files(study, series) {
      const uids = {
        StudyInstanceUID: study,
        SeriesInstanceUID: series,
        SOPInstanceUID: `${series}.1`,
        AccessionNumber: '',
      };
      yield phantomFile({ ...radiograph.attributes, ...uids }, radiograph.stored);
    },
  };
  const slices = [...phantomSeries({ seed: 7, emphysemaFraction: 0.12 }).slices()].map(
    ({ attributes, stored }) => ({ attributes, stored }),
  );
  const ct: Kind = {
    name: 'CT 120×512×512',
    model: 'ct-lung-density',
    runs: Math.max(5, Math.round(runs / 3)),
    warmUps: 2,
    spacing: [2.5, 0.72, 0.72],
    *files(study, series) {
      for (const [index, { attributes, stored }] of slices.entries()) {
        const uids = {
          StudyInstanceUID: study,
          SeriesInstanceUID: series,
          SOPInstanceUID: `${series}.${index + 1}`,
          AccessionNumber: '',
        };
        yield phantomFile({ ...attributes, ...uids }, stored);
      }
    },
  };
  return existsSync(CXR_FILE) ? [xray, ct] : [ct];
}

async function floorSetup(server: BenchServer, ris: RisPeer): Promise<FloorSetup> {
  const client = new pg.Client(server.ready.database as pg.ClientConfig);
  await client.connect();
  for (const table of TABLES) await client.query(`CREATE TABLE floor_${table} (LIKE ${table} INCLUDING ALL)`);
  await client.end();
  const register = await ModelRegister.read(
    { own: [resolve('models')], required: existsSync(CXR_FILE) ? [CXR_MODELS] : [] },
    inspectAndRelease,
  );
  const models: FloorModel[] = register.list().map(({ manifest, file }) => ({
    name: manifest.id,
    file,
    pixels: manifest.pixels,
    inputs: manifest.inputs as FloorModel['inputs'],
  }));
  return { database: server.ready.database, risPort: ris.port, token: server.ready.token, models };
}

interface Pair {
  readonly server: number;
  readonly floor: number;
}

async function pairsOf(
  kind: Kind,
  server: BenchServer,
  floor: Floor,
  ris: RisPeer,
  jobs: Map<string, FloorJob>,
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (let run = -kind.warmUps; run < kind.runs; run += 1) {
    const study = phantomUid(`bench ${kind.name} ${Date.now()} ${run}`);
    const series = phantomUid(`bench series ${study}`);
    const messages = ris.messages.length;
    await store(server, kind.files(study, series));
    await ris.waitFor(messages + 1, 60_000);
    const ackAt = performance.timeOrigin + performance.now();
    const completeAt = await completeTime(server, study);
    const job = await floorJob(kind, server, study, series, ris);
    const floorMs = await floor.run(job);
    jobs.set(kind.name, job);
    if (run >= 0) pairs.push({ server: ackAt - completeAt, floor: floorMs });
  }
  return pairs;
}

async function store(server: BenchServer, files: Iterable<Uint8Array>): Promise<void> {
  const connection = dicomwebConnection(new URL(`${server.ready.url}/dicomweb`), {
    token: server.ready.token,
  });
  const result = await storeInstances(connection, files);
  if (result.failed.length > 0) throw new Error(`${result.failed.length} instances were refused`);
}

/** The start of the look that found the study complete. */
async function completeTime(server: BenchServer, study: string): Promise<number> {
  for (;;) {
    const step = server.steps.find(
      (one) =>
        one.step === 'study' &&
        one.end === 'done' &&
        (one.handoff as { studyInstanceUid: string }).studyInstanceUid === study,
    );
    if (step) return step.at - step.ms;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The same rows as the server wrote for the study, and the same message. */
async function floorJob(
  kind: Kind,
  server: BenchServer,
  study: string,
  series: string,
  ris: RisPeer,
): Promise<FloorJob> {
  const client = new pg.Client(server.ready.database as pg.ClientConfig);
  await client.connect();
  const { rows: resources } = await client.query(
    'SELECT type, id FROM resource WHERE position($1 IN content) > 0',
    [study],
  );
  const reports = resources
    .filter((row) => row.type === 'DiagnosticReport')
    .map((row) => `DiagnosticReport/${row.id}`);
  const { rows: others } = await client.query(
    `SELECT type, id FROM resource WHERE type IN ('Binary', 'Provenance', 'Media') AND position($1 IN content) > 0`,
    [reports[0] ?? study],
  );
  const ids = [...resources, ...others].map((row) => row.id);
  const tables: Record<string, object[]> = {};
  for (const table of TABLES)
    tables[table] = (await client.query(`SELECT * FROM ${table} WHERE id = ANY($1)`, [ids])).rows;
  // The floor writes them again under other ids, so that keys do not clash.
  const text = JSON.stringify(tables);
  await client.end();
  const renamed = JSON.parse(
    ids.reduce(
      (all: string, id: string) =>
        all.replaceAll(id, `${id.slice(0, -6)}${Math.random().toString(16).slice(2, 8)}`),
      text,
    ),
  );
  return {
    model: kind.model,
    seriesUrl: `${server.ready.url}/dicomweb/studies/${study}/series/${series}`,
    spacing: kind.spacing,
    tables: renamed,
    oru: ris.messages.at(-1)?.toString('utf8') ?? '',
  };
}

function row(kind: Kind, pairs: readonly Pair[]): string {
  const server = pairs.map((pair) => pair.server);
  const floor = pairs.map((pair) => pair.floor);
  const cells = [
    percentile(server, 0.5),
    percentile(server, 0.95),
    percentile(floor, 0.5),
    percentile(floor, 0.95),
  ].map(ms);
  const ratio = (share: number) => (percentile(server, share) / percentile(floor, share)).toFixed(2);
  return `| ${kind.name} | ${pairs.length} | ${cells.join(' | ')} | ${ratio(0.5)} | ${ratio(0.95)} |`;
}

/**
 * 32 studies at once, in two situations: they arrive together (one STOW request) at a server in service, and they lie there when a server starts,
 * which then runs every line for the first time. The floor does as many, in two processes that have run the work as often as the server in service.
 */
async function benchWaiting(
  env: Record<string, string>,
  ris: RisPeer,
  setup: FloorSetup,
  jobs: Map<string, FloorJob>,
): Promise<string> {
  const [kind] = kinds(1);
  if (!kind) return '';
  const inService: Compared[] = [];
  const restarted: Compared[] = [];
  for (let round = 0; round < WAITING_ROUNDS; round += 1) {
    const idle = await BenchServer.start({ ...env, PRELIM_ROLES: 'api' });
    await store(idle, waitingFiles(kind, WAITING_STUDIES));
    await idle.stop();
    const messages = ris.messages.length;
    const server = await BenchServer.start({ ...env, STUDY_QUIET_MS: '0' });
    const cold = await rateOf(server, ris, messages, 0);
    const seen = server.steps.length;
    const before = ris.messages.length;
    await store(server, waitingFiles(kind, WAITING_STUDIES));
    const warm = await rateOf(server, ris, before, seen);
    const floor = await floorThroughput(setup, server, jobs.get(kind.name) as FloorJob);
    restarted.push({ server: cold, floor });
    inService.push({ server: warm, floor });
    await server.stop();
  }
  return [
    `32 waiting (${kind.name}), studies per second on both cores, median of ${WAITING_ROUNDS} rounds:`,
    '',
    '| | server | floor | ratio |',
    '|---|---:|---:|---:|',
    waitingRow('arriving together at a server in service', inService),
    waitingRow('lying there when a server starts', restarted),
  ].join('\n');
}

interface Compared {
  readonly server: number;
  readonly floor: number;
}

function* waitingFiles(kind: Kind, studies: number): Iterable<Uint8Array> {
  for (let n = 0; n < studies; n += 1) {
    const study = phantomUid(`waiting ${Date.now()} ${n}`);
    yield* kind.files(study, phantomUid(`waiting series ${study}`));
  }
}

/** Studies per second from the first look that found one complete to the last ACK. */
async function rateOf(
  server: BenchServer,
  ris: RisPeer,
  messagesBefore: number,
  stepsBefore: number,
): Promise<number> {
  await ris.waitFor(messagesBefore + WAITING_STUDIES, 120_000);
  const ended = performance.timeOrigin + performance.now();
  const began = Math.min(
    ...server.steps
      .slice(stepsBefore)
      .filter((step) => step.step === 'study' && step.end === 'done')
      .map((step) => step.at - step.ms),
  );
  return (WAITING_STUDIES * 1_000) / (ended - began);
}

function waitingRow(name: string, rounds: readonly Compared[]): string {
  const of = (value: (one: Compared) => number, digits: number) => median(rounds.map(value)).toFixed(digits);
  return `| ${name} | ${of((one) => one.server, 1)} | ${of((one) => one.floor, 1)} | ${of((one) => one.server / one.floor, 2)} |`;
}

async function floorThroughput(setup: FloorSetup, server: BenchServer, job: FloorJob): Promise<number> {
  const current = { ...setup, database: server.ready.database, token: server.ready.token };
  const floors = await Promise.all([Floor.start(current), Floor.start(current)]);
  const share = WAITING_STUDIES / floors.length;
  const runs = (floor: Floor) => async () => {
    for (let n = 0; n < share; n += 1) await floor.run(freshIds(job));
  };
  await Promise.all(floors.map((floor) => runs(floor)()));
  const start = performance.now();
  await Promise.all(floors.map((floor) => runs(floor)()));
  const rate = (WAITING_STUDIES * 1_000) / (performance.now() - start);
  for (const floor of floors) floor.stop();
  return rate;
}

function freshIds(job: FloorJob): FloorJob {
  const ids = new Set((job.tables['resource'] as { id: string }[]).map((one) => one.id));
  let text = JSON.stringify(job.tables);
  for (const id of ids)
    text = text.replaceAll(id, `${id.slice(0, -8)}${Math.random().toString(16).slice(2, 10).padEnd(8, '0')}`);
  return { ...job, tables: JSON.parse(text) };
}

const ms = (value: number) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
