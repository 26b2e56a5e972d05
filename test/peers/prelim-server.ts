import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AccessTokens,
  ISSUER,
  LOCAL_TOKEN_LIFETIME_S,
  type TokenContent,
} from '../../src/access/access-tokens.ts';
import { LOCAL_CLIENT } from '../../src/access/clients.ts';
import { parseScopes } from '../../src/access/scope.ts';
import { signingKeyIn } from '../../src/access/signing-key.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { freePort } from './free-port.ts';

/** From the sources as from what was built of them. */
const PROGRAM =
  ['../../dist/server/main.js', '../../server/main.js']
    .map((place) => resolve(import.meta.dirname, place))
    .find((place) => existsSync(place)) ?? resolve('dist/server/main.js');
const START_MS_MAX = 60_000;
const STOP_MS_MAX = 25_000;

/** An answer, read to its end. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The body as JSON; null when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it expects, and fails when it is another
  readonly body: any;
}

/**
 * The built server (`dist/server/main.js`) as a process of its own, with a data folder and ports that stay the same over
 * restarts. `close` leaves nothing behind: no process, no embedded PostgreSQL, no folder.
 */
export class PrelimServer {
  /** Everything that all its lives have written to standard output and standard error, line by line. */
  readonly lines: string[] = [];
  token = '';
  private child: ChildProcess | null = null;
  private rest = '';

  private constructor(
    readonly folder: string,
    readonly port: number,
    readonly mllpPort: number,
    private readonly settings: Readonly<Record<string, string>>,
  ) {
    process.once('exit', this.killNow);
  }

  /** A place to start it in; settings as environment, over quick times for the looks at studies. */
  static async make(settings: Readonly<Record<string, string>> = {}): Promise<PrelimServer> {
    const folder = await mkdtemp(join(tmpdir(), 'prelim-flow-'));
    // As root the database runs under another account, which must be able to enter.
    await chmod(folder, 0o755);
    return new PrelimServer(folder, await freePort(), await freePort(), settings);
  }

  static async start(settings: Readonly<Record<string, string>> = {}): Promise<PrelimServer> {
    const server = await PrelimServer.make(settings);
    try {
      await server.start();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  output(): string {
    return [...this.lines, this.rest].join('\n');
  }

  /** Starts it, or starts it again; resolves when it says that it is ready. `more`: settings of this life only. */
  async start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    const child = this.spawn(more);
    const until = Date.now() + START_MS_MAX;
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the server ended with ${child.exitCode}:\n${this.output().slice(-4_000)}`);
      if (Date.now() > until) throw new Error(`the server is not ready:\n${this.output().slice(-4_000)}`);
      const ready = await fetch(`${this.url}/health/ready`).catch(() => null);
      await ready?.body?.cancel();
      if (ready?.ok) break;
      await sleep(20);
    }
    this.token = await this.issue('system/*.cruds');
  }

  /** Starts it and waits for nothing: for a test that asks in another way whether it is ready. */
  launch(more: Readonly<Record<string, string>> = {}): void {
    this.spawn(more);
  }

  /** Starts it and waits for its end: for starts that are refused. Gives the exit code and what it said in this life. */
  async startAndEnd(
    more: Readonly<Record<string, string>> = {},
  ): Promise<{ code: number | null; said: string }> {
    const before = this.output().length;
    const child = this.spawn(more);
    await once(child, 'close');
    return { code: child.exitCode, said: this.output().slice(before) };
  }

  /** Sends the signal and waits for the end. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.child;
    this.child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }

  /** Asks it to end. Gives the exit code: 0 when it ended by itself. */
  async stop(): Promise<number | null> {
    const child = this.child;
    const patience = setTimeout(() => child?.kill('SIGKILL'), STOP_MS_MAX);
    await this.kill('SIGTERM');
    clearTimeout(patience);
    return child?.exitCode ?? null;
  }

  async close(): Promise<void> {
    await this.stop();
    process.off('exit', this.killNow);
    await endPostgres(join(this.folder, 'postgres'));
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A token signed with the key in the data folder. */
  async issue(scope: string): Promise<string> {
    const tokens = new AccessTokens(await signingKeyIn(this.folder), ISSUER, systemClock);
    return tokens.issue(LOCAL_CLIENT, parseScopes(scope), LOCAL_TOKEN_LIFETIME_S);
  }

  /** The same with a patient, roles and what else a token may say. */
  async issueFor(content: TokenContent): Promise<string> {
    const tokens = new AccessTokens(await signingKeyIn(this.folder), ISSUER, systemClock);
    return (await tokens.issueFor(content, LOCAL_TOKEN_LIFETIME_S)).token;
  }

  /** One request with the token; `body` that is no text or bytes goes as FHIR JSON. */
  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Answer> {
    const isRaw = typeof body === 'string' || body instanceof Uint8Array || body === undefined;
    const response = await fetch(new URL(path, this.url), {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(isRaw ? {} : { 'content-type': 'application/fhir+json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: (isRaw ? body : JSON.stringify(body)) as string }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: jsonOf(text) };
  }

  private spawn(more: Readonly<Record<string, string>>): ChildProcess {
    if (!existsSync(PROGRAM)) throw new Error('dist/server/main.js is missing: run "npm run build" first');
    const { PATH = '', HOME = '', TZ = '' } = process.env;
    const child = spawn(process.execPath, [PROGRAM], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH,
        HOME,
        ...(TZ ? { TZ } : {}),
        PRELIM_DATA: this.folder,
        PORT: String(this.port),
        HL7_PORT: String(this.mllpPort),
        STUDY_LOOK_INTERVAL_MS: '50',
        STUDY_QUIET_MS: '100',
        ...this.settings,
        ...more,
      },
    });
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => this.hear(chunk));
    this.child = child;
    return child;
  }

  private hear(chunk: Buffer): void {
    const parts = (this.rest + chunk.toString('utf8')).split('\n');
    this.rest = parts.pop() ?? '';
    this.lines.push(...parts);
  }

  private readonly killNow = () => void this.child?.kill('SIGKILL');
}

/** The embedded database outlives a killed server on purpose; a test's does not outlive its test. */
async function endPostgres(data: string): Promise<void> {
  const lines = (await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 1) return;
  for (let round = 0; round < 500 && signal(pid, round === 0 ? 'SIGQUIT' : 0); round += 1) await sleep(20);
  const socketFolder = lines[4]?.trim();
  if (socketFolder?.startsWith('/tmp/prelim-')) await rm(socketFolder, { recursive: true, force: true });
}

function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
