import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

/**
 * Where Debian keeps a PostgreSQL of its own with server and client tools; the newest. Null: none is installed. `pg_dump` must not be older than the
 * server it reads, so the tools are tried on the server they came with.
 */
export function debianPostgres(): string | null {
  const root = '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = versions.map((version) => join(root, version, 'bin'));
  return (
    folders.find((bin) =>
      ['initdb', 'postgres', 'pg_dump', 'pg_restore'].every((name) => existsSync(join(bin, name))),
    ) ?? null
  );
}

export interface DebianPostgres {
  /** Connection string of a database on it. */
  url(database: string): string;
  tool(name: string, args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it on a Unix socket in a folder of its own. PostgreSQL refuses to run as root: then it runs as the account `postgres`. */
export async function startDebianPostgres(bin: string): Promise<DebianPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'pl-pg-'));
  const account = process.getuid?.() === 0 ? await accountOf('postgres') : {};
  if (account.uid !== undefined && account.gid !== undefined) await chown(folder, account.uid, account.gid);
  await chmod(folder, 0o700);
  const data = join(folder, 'data');
  await run(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'prelim', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    account,
  );
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-k', folder, '-c', 'listen_addresses=', '-F'], {
    ...account,
    stdio: 'ignore',
  });
  const url = (database: string) => `postgres://prelim:x@/${database}?host=${encodeURIComponent(folder)}`;
  for (let look = 0; ; look += 1) {
    const client = new pg.Client({ host: folder, user: 'prelim', database: 'postgres' });
    const isUp = await client.connect().then(
      () => true,
      () => false,
    );
    if (isUp) await client.end();
    if (isUp) break;
    if (look > 200) throw new Error('the PostgreSQL of Debian does not start');
    await sleep(50);
  }
  return {
    url,
    tool: async (name, args) => (await run(join(bin, name), ['-h', folder, '-U', 'prelim', ...args])).stdout,
    stop: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function accountOf(name: string): Promise<{ uid?: number; gid?: number }> {
  const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
