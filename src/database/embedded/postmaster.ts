import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../kernel/errors.ts';
import type { PostgresAccount } from './account.ts';
import type { Binaries } from './place.ts';

/** A recovery after a crash replays the log: minutes on a slow disk, and killing it would only start it again. */
const START_WAIT_MS = 120_000;
const STOP_WAIT_MS = 30_000;
const POLL_MS = 10;

export interface PostmasterPlace {
  readonly data: string;
  readonly binaries: Binaries;
  readonly account: PostgresAccount | null;
  readonly socketFolder: string;
  readonly log: string;
}

/**
 * Starts PostgreSQL, or takes over the one that runs on this folder already (a killed server leaves it behind).
 * It runs in a process group of its own, so that Ctrl-C reaches the server first and the database last.
 */
export async function startPostmaster(place: PostmasterPlace): Promise<void> {
  if (!(await isRunning(place.data))) {
    const log = openSync(place.log, 'a');
    const child = spawn(place.binaries.postgres, ['-D', place.data, ...SETTINGS, '-c', `unix_socket_directories=${place.socketFolder}`], {
      detached: true,
      stdio: ['ignore', log, log],
      ...(place.account ?? {}),
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
    });
    child.on('error', () => undefined);
    child.unref();
  }
  const end = Date.now() + START_WAIT_MS;
  while (!(await isReady(place))) {
    if (Date.now() > end || (Date.now() > end - START_WAIT_MS + 2_000 && !(await isRunning(place.data)))) {
      throw new Failure('database.unavailable', `The embedded PostgreSQL did not start; its log is ${place.log}`);
    }
    await sleep(POLL_MS);
  }
}

/**
 * For one department on one machine: enough buffers for the hot indexes, no TCP port at all. `synchronous_commit` stays on:
 * an acknowledged message is on the disk.
 */
const SETTINGS = [
  ...['-c', 'listen_addresses='],
  ...['-c', 'shared_buffers=128MB'],
  ...['-c', 'max_connections=100'],
  ...['-c', 'random_page_cost=1.1'],
  ...['-c', 'jit=off'],
  ...['-c', 'log_min_error_statement=panic'], // statements carry patient data
  ...['-c', 'log_error_verbosity=terse'], // so do details of errors
];

/** Fast shutdown (SIGINT): open transactions are rolled back, all is flushed. */
export async function stopPostmaster(data: string): Promise<void> {
  const pid = await readPid(data);
  if (pid === null || !isAlive(pid)) return;
  process.kill(pid, 'SIGINT');
  for (const end = Date.now() + STOP_WAIT_MS; isAlive(pid) && Date.now() < end; ) await sleep(POLL_MS);
}

/** The status line of postmaster.pid is written last, and says `ready` once connections are accepted. */
async function isReady(place: PostmasterPlace): Promise<boolean> {
  const lines = await pidFile(place.data);
  if (lines?.[7]?.trim() !== 'ready') return false;
  return new Promise((resolve) => {
    const socket = connect(join(place.socketFolder, '.s.PGSQL.5432'));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function isRunning(data: string): Promise<boolean> {
  const pid = await readPid(data);
  return pid !== null && isAlive(pid) && (await isPostgres(pid));
}

async function readPid(data: string): Promise<number | null> {
  const pid = Number((await pidFile(data))?.[0]);
  return Number.isInteger(pid) && pid > 1 ? pid : null;
}

async function pidFile(data: string): Promise<string[] | null> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => null);
  return text === null ? null : text.split('\n');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** After a reboot another program may have the old number. */
async function isPostgres(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
  return name.trim() === 'postgres';
}

/** Runs a program of PostgreSQL to its end. Rejects with what it said on standard error. */
export function runToEnd(program: string, args: readonly string[], account: PostgresAccount | null, input?: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      cwd: '/',
      ...(account ?? {}),
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2_000);
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(said.trim() || `exit code ${code}`))));
    child.stdin.end(input ?? '');
  });
}
