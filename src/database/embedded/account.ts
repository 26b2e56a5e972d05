import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Failure } from '../../kernel/errors.ts';

const run = promisify(execFile);

export interface PostgresAccount {
  readonly uid: number;
  readonly gid: number;
}

/** The account that PostgreSQL runs under: null for our own; as root the account `postgres`, made when there is none. */
export async function accountFor(): Promise<PostgresAccount | null> {
  if (process.getuid?.() !== 0) return null;
  return (await look()) ?? (await make());
}

async function look(): Promise<PostgresAccount | null> {
  try {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return null;
  }
}

async function make(): Promise<PostgresAccount> {
  try {
    await run('useradd', [
      '--system',
      '--user-group',
      '--no-create-home',
      '--shell',
      '/usr/sbin/nologin',
      'postgres',
    ]);
  } catch (error) {
    const made = await look(); // two starts at once: the other one made it
    if (made) return made;
    throw new Failure(
      'database.unavailable',
      'PostgreSQL refuses to run as root, and the account "postgres" could not be made. Make it (useradd --system postgres), start Prelim as an ordinary user, or set DATABASE_URL.',
      { cause: error },
    );
  }
  const made = await look();
  if (!made)
    throw new Failure('database.unavailable', 'The account "postgres" was made but cannot be found.');
  return made;
}
