import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bundle } from '@medplum/fhirtypes';
import pg from 'pg';
import {
  AccessTokens,
  ISSUER,
  LOCAL_TOKEN_LIFETIME_S,
  type TokenContent,
} from '../../src/access/access-tokens.ts';
import { signingKeyIn } from '../../src/access/signing-key.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { freePort } from '../peers/free-port.ts';
import { load, type Measured } from './fhir-load.ts';
import { snomedOf } from './fhir-resources.ts';
import { FhirTarget } from './fhir-target.ts';
import { type Seeded, seed } from './fhir-workloads.ts';
import { median } from './percentile.ts';
import { BenchServer } from './processes.ts';

/** What the predicate may cost, of the throughput of a token that sees all. */
const SEARCH_COST_MAX = 0.15;
const READ_COST_MAX = 0.1;
/** Patients who have opted out, none of those that are asked for. */
const OPT_OUTS = 200;

interface Options {
  readonly seconds: number;
  readonly warmUpS: number;
  readonly rounds: number;
  readonly connections: number;
  readonly only: string;
}

interface Case {
  readonly name: string;
  readonly kind: 'read' | 'search';
  /** Whose rights; the other side sees all. */
  readonly token: Partial<TokenContent> & { readonly scope: string };
  /** The same rows come of both; for the token that sees all the patient is named where the other's rights say it. */
  readonly limited: (n: number) => string;
  readonly all?: (n: number) => string;
}

/**
 * `npm run bench -- access`: the same server and the same answers, asked with a token that sees all and with one whose rights are a condition in SQL, turn about.
 * Options: `--seconds`, `--warmup`, `--rounds`, `--connections`, `--only read`.
 */
export async function benchAccess(args: readonly string[]): Promise<void> {
  const options = readOptions(args);
  const folder = await mkdtemp(join(tmpdir(), 'prelim-access-bench-'));
  mkdirSync('bench-results', { recursive: true });
  const roles = join(folder, 'roles.yaml');
  await writeFile(roles, await rolesWithBystander());
  const server = await BenchServer.start({
    PRELIM_DATA: folder,
    PORT: String(await freePort()),
    HL7_PORT: '0',
    LOG_LEVEL: 'error',
    ACCESS_ROLES_FILE: roles,
    RATE_CLIENT_PER_SECOND: '1000000',
  });
  const rows: Row[] = [];
  try {
    const base = `${server.ready.url}/fhir/`;
    const seeding = new FhirTarget(base, server.ready.token, 8);
    const seeded = await seed(seeding, { patients: 200, observations: 4_000, reports: 500 });
    await optOut(seeding);
    seeding.close();
    await settle(server.ready.database);
    const tokens = new AccessTokens(await signingKeyIn(folder), ISSUER, systemClock);
    for (const one of casesOf(seeded).filter(({ name }) => name.includes(options.only))) {
      const content = { clientId: 'bench', subject: 'somebody', ...one.token };
      const { token } = await tokens.issueFor(content, LOCAL_TOKEN_LIFETIME_S);
      const row = await measure(
        one,
        { base, all: server.ready.token, limited: token, pid: server.child.pid as number },
        options,
      );
      rows.push(row);
      process.stdout.write(`${printed(row)}\n`);
    }
  } finally {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
  const text = report(rows, options);
  writeFileSync('bench-results/access.md', `# The access predicate\n\n${text}\n`);
  process.stdout.write(`\n${text}\n\nbench-results/access.md\n`);
}

function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '1.5' },
      warmup: { type: 'string', default: '0.3' },
      rounds: { type: 'string', default: '3' },
      connections: { type: 'string', default: '8' },
      only: { type: 'string', default: '' },
    },
  });
  return {
    seconds: Number(values.seconds),
    warmUpS: Number(values.warmup),
    rounds: Number(values.rounds),
    connections: Number(values.connections),
    only: values.only,
  };
}

/** The shipped roles, but an operator who reads clinical data without treating anybody: consent is asked of each row. */
async function rolesWithBystander(): Promise<string> {
  const shipped = await readFile(join(import.meta.dirname, '../../../access-roles/roles.yaml'), 'utf8');
  return shipped.replace(/(operator:\n {2}resources:\n {4}'\*': )''/, '$1rs');
}

async function optOut(target: FhirTarget): Promise<void> {
  for (let n = 0; n < OPT_OUTS; n++) {
    const { status } = await target.send('POST', 'Consent', {
      resourceType: 'Consent',
      status: 'active',
      scope: {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }],
      },
      category: [{ coding: [{ system: 'http://loinc.org', code: '59284-0' }] }],
      policyRule: { text: 'opt out' },
      patient: { reference: `Patient/opted-out-${n}` },
      provision: { type: 'deny' },
    });
    if (status !== 201) throw new Error(`a Consent answered ${status}`);
  }
}

async function settle(database: object): Promise<void> {
  const client = new pg.Client(database as pg.ClientConfig);
  await client.connect();
  await client.query('VACUUM ANALYZE');
  await client.end();
}

const CLINICIAN = { scope: 'user/*.rs', roles: ['clinician'] } as const;
const BYSTANDER = { scope: 'user/*.rs', roles: ['operator'] } as const;
const GRANULAR = {
  scope:
    'system/Patient.rs system/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|imaging',
  subject: 'bench',
} as const;

function casesOf({ patients, observations }: Seeded): Case[] {
  const searched = Math.floor(patients.length * 0.8);
  const patient = patients[0] as string;
  const id = patient.slice('Patient/'.length);
  const own = { scope: 'patient/*.rs', patient: id };
  // Owners go round: every `searched`-th Observation is the first patient's.
  const mine = observations.filter((_, n) => n % searched === 0);
  const some = (n: number) => observations[n % observations.length] as string;
  const code = (n: number) => encodeURIComponent(snomedOf(n));
  const reads: Case[] = [
    { name: 'read, one patient', kind: 'read', token: own, limited: (n) => mine[n % mine.length] as string },
    { name: 'read, labels', kind: 'read', token: CLINICIAN, limited: some },
    { name: 'read, labels and consent', kind: 'read', token: BYSTANDER, limited: some },
    { name: 'read, query of a scope', kind: 'read', token: GRANULAR, limited: some },
  ];
  const ofPatient = (n: number) => `Observation?subject=${patients[n % searched]}&code=${code(n)}&_count=20`;
  const byCode = (n: number) => `Observation?code=${code(n)}&_count=20`;
  const byDate = () => 'Observation?_sort=-date&_count=20';
  const searches = [
    ['labels', CLINICIAN],
    ['labels and consent', BYSTANDER],
    ['query of a scope', GRANULAR],
  ] as const;
  return [
    ...reads,
    {
      name: 'search by code, one patient',
      kind: 'search',
      token: own,
      limited: (n) => `Observation?code=${code(n)}&_count=20`,
      all: (n) => `Observation?subject=${patient}&code=${code(n)}&_count=20`,
    },
    ...searches.flatMap(([name, token]): Case[] => [
      { name: `search of a patient, ${name}`, kind: 'search', token, limited: ofPatient },
      { name: `search by code, ${name}`, kind: 'search', token, limited: byCode },
      { name: `search by date, ${name}`, kind: 'search', token, limited: byDate },
    ]),
  ];
}

interface Sides {
  readonly base: string;
  readonly all: string;
  readonly limited: string;
  readonly pid: number;
}

interface Row {
  readonly name: string;
  readonly kind: Case['kind'];
  readonly all: Measured;
  readonly limited: Measured;
  /** Share of the throughput; median over the rounds. */
  readonly cost: number;
}

async function measure(one: Case, sides: Sides, options: Options): Promise<Row> {
  await compare(one, sides);
  const rounds: Omit<Row, 'name' | 'kind'>[] = [];
  for (let round = 0; round < options.rounds; round++) {
    const side = (token: string, path: Case['limited']) => run({ ...sides, token, path }, options);
    // Who begins changes: the machine may grow slower or quicker meanwhile.
    const first = round % 2 === 0;
    const early = first
      ? await side(sides.all, one.all ?? one.limited)
      : await side(sides.limited, one.limited);
    const late = first
      ? await side(sides.limited, one.limited)
      : await side(sides.all, one.all ?? one.limited);
    const [all, limited] = first ? [early, late] : [late, early];
    rounds.push({ all, limited, cost: 1 - limited.perSecond / all.perSecond });
  }
  const middle = median(rounds.map(({ cost }) => cost));
  const found = rounds.find(({ cost }) => cost === middle) ?? (rounds[0] as (typeof rounds)[number]);
  return { name: one.name, kind: one.kind, ...found };
}

/** The comparison is one only when both answer the same. */
async function compare(one: Case, { base, all, limited }: Sides): Promise<void> {
  const ask = async (token: string, path: string) => {
    const target = new FhirTarget(base, token, 1);
    const { status, body } = await target.send('GET', path);
    target.close();
    const entries = (body as Bundle).entry?.map(({ resource }) => resource?.id).sort();
    return JSON.stringify([status, entries ?? (body as { id?: string }).id]);
  };
  const [a, b] = [await ask(all, (one.all ?? one.limited)(0)), await ask(limited, one.limited(0))];
  if (a !== b) throw new Error(`${one.name}: the two tokens are answered differently`);
}

async function run(
  { base, token, path, pid }: { base: string; token: string; path: Case['limited']; pid: number },
  { connections, seconds, warmUpS }: Options,
): Promise<Measured> {
  const target = new FhirTarget(base, token, connections);
  try {
    const step = async (_: number, n: number): Promise<void> => {
      const { status } = await target.send('GET', path(n));
      if (status !== 200) throw new Error(`${path(n)} answered ${status}`);
    };
    return await load(step, { connections, seconds, warmUpS, watched: { node: pid } });
  } finally {
    target.close();
  }
}

const printed = ({ name, all, limited, cost, kind }: Row): string => {
  const most = kind === 'read' ? READ_COST_MAX : SEARCH_COST_MAX;
  const cells = [
    name,
    all.perSecond.toFixed(0),
    limited.perSecond.toFixed(0),
    `${(cost * 100).toFixed(1)} %`,
    `${most * 100} %`,
    cost <= most ? 'yes' : 'NO',
    all.p50.toFixed(2),
    limited.p50.toFixed(2),
    limited.p99.toFixed(2),
    all.errors + limited.errors,
  ];
  return `| ${cells.join(' | ')} |`;
};

function report(rows: readonly Row[], { seconds, rounds, connections }: Options): string {
  return [
    `Machine: ${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}; load, server and PostgreSQL all on it. 200 patients, 4,000 Observations, ${OPT_OUTS} other patients who opted out; ` +
      `${connections} connections, ${seconds} s each side, ${rounds} rounds turn about, the median pair.`,
    '',
    '| what is asked, what limits it | sees all, req/s | limited, req/s | cost | at most | kept | p50 ms, sees all | p50 | p99 | errors |',
    '|---|---:|---:|---:|---:|---|---:|---:|---:|---:|',
    ...rows.map(printed),
  ].join('\n');
}
