import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { freePort } from '../peers/free-port.ts';
import { type Hl7LoadResult, MESSAGE_BYTES } from './hl7-load.ts';
import { FLOOR_TABLE, Hl7LoadProcess } from './hl7-load-process.ts';
import { median } from './percentile.ts';
import { BenchServer } from './processes.ts';

const CONNECTIONS = [1, 8, 32] as const;
const LARGE_BYTES = 12 * 1024 * 1024;

/**
 * The MLLP door beside the floor, in turn on one PostgreSQL: raw `pg` that commits the same bytes, one row a transaction, over as many
 * connections. The sender is a process of its own for both. Every commit waits for the disk. The server does all its work meanwhile, so messages are
 * filed while others come; what that takes from the door is in the figures. `--rounds 3`, `--seconds 4`, `--roles listener` (only the
 * door in the server).
 */
export async function benchHl7(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '4' },
      roles: { type: 'string', default: '' },
    },
  });
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  const folder = await mkdtemp(join(tmpdir(), 'prelim-hl7-bench-'));
  await chmod(folder, 0o755);
  const port = await freePort();
  const lines: string[] = [];
  const say = (line: string) => {
    lines.push(line);
    process.stdout.write(`${line}\n`);
  };
  const load = new Hl7LoadProcess();
  let server: BenchServer | null = null;
  try {
    server = await BenchServer.start({
      PRELIM_DATA: join(folder, 'data'),
      PORT: String(await freePort()),
      HL7_PORT: String(port),
      LOG_LEVEL: 'error',
      ...(values.roles ? { PRELIM_ROLES: values.roles } : {}),
    });
    const { database } = server.ready;
    const client = new pg.Client(database);
    await client.connect();
    await client.query(FLOOR_TABLE);
    const floor = (connections: number) => load.run({ kind: 'floor', database, connections, seconds });
    const door = (connections: number, more: { rate?: number; bytes?: number; seconds?: number } = {}) =>
      load.run({ kind: 'send', port, connections, seconds, rate: 0, bytes: MESSAGE_BYTES, ...more });

    await floor(8);
    await door(8, { seconds: 2 });
    say(
      `Messages of ${MESSAGE_BYTES} bytes, each on disk before it is answered; median of ${rounds} rounds of ${seconds} s.\n`,
    );
    say(
      '| connections | raw pg, one row a commit | the door | ratio | door p50 | p95 | p99 ms |\n|---|---|---|---|---|---|---|',
    );
    let refused = 0;
    for (const connections of CONNECTIONS) {
      const both: [Hl7LoadResult, Hl7LoadResult][] = [];
      for (let n = 0; n < rounds; n += 1) both.push([await floor(connections), await door(connections)]);
      refused += both.reduce((sum, [, one]) => sum + one.refused, 0);
      const of = (at: 0 | 1, what: keyof Hl7LoadResult) => median(both.map((pair) => pair[at][what]));
      const [base, rate] = [of(0, 'perSecond'), of(1, 'perSecond')];
      const times = (['p50', 'p95', 'p99'] as const).map((what) => of(1, what).toFixed(1)).join(' | ');
      say(
        `| ${connections} | ${base.toFixed(0)}/s | ${rate.toFixed(0)}/s | ${(rate / base).toFixed(2)} | ${times} |`,
      );
    }
    const { rows } = await client.query<{ waiting: string; stored: string }>(
      `SELECT count(*) FILTER (WHERE filing_outcome IS NULL) AS waiting, count(*) AS stored FROM hl7_inbound`,
    );
    say(
      `\nStored ${rows[0]?.stored}, of these not yet filed ${rows[0]?.waiting}; answers other than AA: ${refused}.`,
    );
    say(await drained(client));
    const steady = await door(8, { rate: 200, seconds: 10 });
    say(
      `\n200 messages/s offered on 8 connections for 10 s, filed meanwhile: ${steady.perSecond.toFixed(0)}/s, p50 ${steady.p50.toFixed(1)} ms, p95 ${steady.p95.toFixed(1)} ms, p99 ${steady.p99.toFixed(1)} ms.`,
    );
    const large = [];
    for (let n = 0; n < 3; n += 1) large.push((await door(1, { bytes: LARGE_BYTES, seconds: 0.001 })).p50);
    say(`\nOne message of 12 MiB, three times: ${large.map((ms) => `${ms.toFixed(0)} ms`).join(', ')}.`);
    const echo = await echoFloor();
    if (echo) say(`\n${echo}`);
    say(`\nServer: ${server.memory().now} MB, at most ${server.memory().peak} MB.`);
    await client.end();
  } finally {
    load.stop();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  }
  mkdirSync('bench-results', { recursive: true });
  const head = `# HL7 v2 in\n\n${cpus()[0]?.model}, ${cpus().length} cores, Node ${process.version}`;
  writeFileSync('bench-results/hl7.md', `${head}\n\n${lines.join('\n')}\n`);
}

/** Waits until what was stored is filed, for half a minute at most, and sets the rest aside: the next figures are about a server that keeps up. */
async function drained(client: pg.Client): Promise<string> {
  const waiting = async () => {
    const { rows } = await client.query<{ n: string }>(
      'SELECT count(*) AS n FROM hl7_inbound WHERE filing_outcome IS NULL',
    );
    return Number(rows[0]?.n);
  };
  const [began, first] = [performance.now(), await waiting()];
  let left = first;
  while (left > 0 && performance.now() - began < DRAIN_MS_MAX) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    left = await waiting();
  }
  const perSecond = Math.round((first - left) / ((performance.now() - began) / 1_000));
  await client.query(`UPDATE hl7_inbound SET filing_outcome = 'filed' WHERE filing_outcome IS NULL`);
  return `Then filed, with nobody sending: ${perSecond} messages/s${left > 0 ? `; ${left} left out of what follows` : ''}.`;
}

const DRAIN_MS_MAX = 30_000;

/** What two processes do that store nothing, by the harness where it is there. */
async function echoFloor(): Promise<string | null> {
  const place = resolve('../shared/tools/mllp-load.mjs');
  if (!existsSync(place)) return null;
  const tool = realpathSync(place); // it runs only under its own name, not that of a link to it
  const rates: string[] = [];
  for (const connections of CONNECTIONS) {
    const child = spawn(
      process.execPath,
      [tool, 'self', '--conns', String(connections), '--messages', '10000', '--rx-minimal'],
      {
        stdio: ['ignore', 'pipe', 'ignore'],
      },
    );
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += String(chunk);
    });
    await once(child, 'close');
    const rate = /"perSecond":\s*([\d.]+)/.exec(out)?.[1];
    rates.push(`${connections}: ${rate ? `${Math.round(Number(rate))}/s` : 'no figure'}`);
  }
  return `Echo that stores nothing (\`mllp-load self --rx-minimal\`), by connections: ${rates.join(', ')}.`;
}
