import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../../kernel/errors.ts';
import type { PostgresAccount } from './account.ts';
import type { Binaries } from './place.ts';

/** A recovery after a crash replays the log: minutes on a slow disk, and killing it would only start it again. */
const START_WAIT_MS = 120_000;
const STOP_WAIT_MS = 30_000;
const POLL_MS = 10;
/**
 * A postmaster that was killed keeps its number until the system's first process has collected it (in containers that can take seconds), and its
 * children keep its memory for a moment; until then PostgreSQL refuses to start, so it is tried again.
 */
const TRY_AGAIN_MS = 700;
const TRIES_MAX = 10;

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
  const end = Date.now() + START_WAIT_MS;
  let tries = 0;
  let triedAt = 0;
  while (!(await isReady(place))) {
    const due = Date.now() - triedAt > TRY_AGAIN_MS && !(await isRunning(place.data));
    if (Date.now() > end || (due && tries === TRIES_MAX)) {
      throw new Failure(
        'database.unavailable',
        `The embedded PostgreSQL did not start; its log is ${place.log}`,
      );
    }
    if (due) {
      spawnPostmaster(place);
      triedAt = Date.now();
      tries += 1;
    }
    await sleep(POLL_MS);
  }
}

function spawnPostmaster(place: PostmasterPlace): void {
  const log = openSync(place.log, 'a');
  const child = spawn(
    place.binaries.postgres,
    [
      ...['-D', place.data, ...SETTINGS],
      ...['-c', `shared_buffers=${sharedBuffersMb(machineBytes())}MB`],
      ...['-c', `unix_socket_directories=${place.socketFolder}`],
    ],
    {
      detached: true,
      stdio: ['ignore', log, log],
      ...(place.account ?? {}),
      env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C' },
    },
  );
  closeSync(log);
  child.on('error', () => undefined);
  child.unref();
}

/**
 * For one department on one machine: no TCP port at all. `synchronous_commit` stays on:
 * an acknowledged message is on the disk.
 */
const SETTINGS = [
  ...['-c', 'listen_addresses='],
  ...['-c', 'max_connections=100'],
  ...['-c', 'random_page_cost=1.1'],
  ...['-c', 'jit=off'],
  ...['-c', 'log_min_error_statement=panic'], // statements carry patient data
  ...['-c', 'log_error_verbosity=terse'], // so do details of errors
];

/** PostgreSQL's own default, enough for a small site. */
const SHARED_BUFFERS_MB_MIN = 128;
/** Ten million resources have 50 GB: beyond this a checkpoint has more to look through than a larger cache is worth. */
const SHARED_BUFFERS_MB_MAX = 8_192;
/** PostgreSQL's manual begins at a quarter on a machine of its own; here the models, the volumes and the server live too. */
const SHARED_BUFFERS_SHARE = 1 / 8;

/** PostgreSQL's own cache in MB, for a machine of so many bytes. It takes the memory when it fills it, not before. */
export function sharedBuffersMb(machineBytes: number): number {
  const share = Math.floor((machineBytes * SHARED_BUFFERS_SHARE) / 2 ** 20);
  return Math.min(SHARED_BUFFERS_MB_MAX, Math.max(SHARED_BUFFERS_MB_MIN, share));
}

/** What this machine has, or the container it runs in. */
function machineBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

/** Fast shutdown (SIGINT): open transactions are rolled back, all is flushed. */
export async function stopPostmaster(data: string): Promise<void> {
  const pid = await readPid(data);
  if (pid === null || !isAlive(pid)) return;
  process.kill(pid, 'SIGINT');
  for (const end = Date.now() + STOP_WAIT_MS; isAlive(pid) && (await isPostgres(pid)) && Date.now() < end; )
    await sleep(POLL_MS);
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

/** Does a PostgreSQL run on this folder? One that is starting or recovering counts. */
export async function isRunning(data: string): Promise<boolean> {
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

/** After a reboot another program may have the old number; and a dead one keeps its number until its parent asks (state Z). */
async function isPostgres(pid: number): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return /^\d+ \(postgres\) [^ZX]/.test(stat);
}

/** Runs a program of PostgreSQL to its end. Rejects with what it said on standard error. */
export function runToEnd(
  program: string,
  args: readonly string[],
  account: PostgresAccount | null,
  input?: string,
): Promise<void> {
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
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(said.trim() || `exit code ${code}`)),
    );
    child.stdin.end(input ?? '');
  });
}
