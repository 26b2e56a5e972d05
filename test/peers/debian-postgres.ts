import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
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

export interface DebianPostgresOptions {
  /** Listens on this port of 127.0.0.1 too, and there over TLS only; with `ca` only for clients whose certificate it signed. PEM texts. */
  readonly tls?: { readonly port: number; readonly cert: string; readonly key: string; readonly ca?: string };
}

export interface DebianPostgres {
  /** Connection string of a database on it. */
  url(database: string): string;
  tool(name: string, args: readonly string[]): Promise<string>;
  stop(): Promise<void>;
}

/** Starts it on a Unix socket in a folder of its own. PostgreSQL refuses to run as root: then it runs as the account `postgres`. */
export async function startDebianPostgres(
  bin: string,
  options: DebianPostgresOptions = {},
): Promise<DebianPostgres> {
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
  const listening = options.tls ? await overTls(data, options.tls, account) : ['-c', 'listen_addresses='];
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-k', folder, ...listening, '-F'], {
    ...account,
    stdio: 'ignore',
  });
  const url = (database: string) => `postgres://prelim:x@/${database}?host=${encodeURIComponent(folder)}`;
  for (let look = 0; ; look += 1) {
    const client = new pg.Client({
      host: folder,
      port: options.tls?.port ?? 5432,
      user: 'prelim',
      database: 'postgres',
    });
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
    tool: async (name, args) =>
      (
        await run(join(bin, name), [
          '-h',
          folder,
          '-p',
          String(options.tls?.port ?? 5432),
          '-U',
          'prelim',
          ...args,
        ])
      ).stdout,
    stop: async () => {
      const ended = once(server, 'exit');
      server.kill('SIGINT');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function overTls(
  data: string,
  { port, cert, key, ca }: NonNullable<DebianPostgresOptions['tls']>,
  { uid, gid }: { uid?: number; gid?: number },
): Promise<string[]> {
  const auth = ca ? 'trust clientcert=verify-ca' : 'trust';
  await writeFile(join(data, 'pg_hba.conf'), `local all all trust\nhostssl all all 127.0.0.1/32 ${auth}\n`);
  for (const [name, text] of [
    ['server.crt', cert],
    ['server.key', key],
    ['ca.crt', ca ?? cert],
  ] as const) {
    await writeFile(join(data, name), text, { mode: 0o600 });
    if (uid !== undefined && gid !== undefined) await chown(join(data, name), uid, gid);
  }
  const settings = { listen_addresses: '127.0.0.1', port, ssl: 'on', ssl_ca_file: 'ca.crt' };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function accountOf(name: string): Promise<{ uid?: number; gid?: number }> {
  const [uid, gid] = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])]);
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
}
