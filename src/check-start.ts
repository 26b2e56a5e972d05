import { access, constants, mkdtemp, rmdir, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { Settings } from './config/settings.ts';
import { Failure, type FailureIssue } from './kernel/errors.ts';
import { AS_UMASK_SAYS, makeFolder } from './kernel/make-folder.ts';

type Place = Pick<
  Settings,
  'PRELIM_DATA' | 'PRELIM_ROLES' | 'HOST' | 'PORT' | 'HL7_HOST' | 'HL7_PORT' | 'BULK_IMPORT_FOLDER'
>;

/**
 * Looks at what a start needs of the machine before anything is started: the folder can be written to, the ports are free, the folder to import from is there.
 *
 * @throws Failure `data.unwritable` for the folder alone, else `config.invalid`, that names every fault at once
 */
export async function checkStart(settings: Place): Promise<void> {
  const listens = settings.PRELIM_ROLES.includes('listener');
  const same = listens && settings.PORT !== 0 && settings.PORT === settings.HL7_PORT;
  const found = await Promise.all([
    folderFault(settings.PRELIM_DATA),
    portFault('PORT', 'HOST', settings.PORT, settings.HOST),
    listens && !same ? portFault('HL7_PORT', 'HL7_HOST', settings.HL7_PORT, settings.HL7_HOST) : null,
    importFault(settings),
  ]);
  const [folder] = found;
  const faults = found.filter((fault) => fault !== null);
  if (same) faults.push({ at: 'HL7_PORT', text: 'is the same port as PORT. Set one of the two.' });
  if (faults.length === 0) return;
  const message =
    faults.length === 1
      ? textOf(faults[0] as FailureIssue)
      : `There are ${faults.length} faults:\n${faults.map((fault) => `  ${textOf(fault)}`).join('\n')}`;
  throw new Failure(folder && faults.length === 1 ? 'data.unwritable' : 'config.invalid', message, {
    issues: faults,
  });
}

const textOf = (fault: FailureIssue) => `${fault.at}: ${fault.text}`;

/** A full disk is no fault of the settings: a server with a database elsewhere still shows what is there, and says itself what it cannot write. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT']);

async function folderFault(folder: string): Promise<FailureIssue | null> {
  try {
    // Not for us alone: as root PostgreSQL works below it under an account of its own.
    await makeFolder(folder, AS_UMASK_SAYS);
    // Rights do not tell all: root may write everywhere, and a file system may still refuse.
    const probe = await mkdtemp(join(folder, '.start-')).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== undefined && FULL.has(error.code)) return null;
      throw error;
    });
    if (probe !== null) await rmdir(probe);
    return null;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown reason';
    return {
      at: 'PRELIM_DATA',
      text: `the folder ${folder} cannot be written to (${reason}). Make it writable, or name another.`,
    };
  }
}

/** Who listens only imports nothing. */
async function importFault({
  BULK_IMPORT_FOLDER: folder,
  PRELIM_ROLES: roles,
}: Place): Promise<FailureIssue | null> {
  if (folder === '' || !(roles.includes('api') || roles.includes('worker'))) return null;
  const text = await stat(folder).then(
    async (found) => {
      if (!found.isDirectory()) return `${folder} is no folder`;
      const isReadable = access(folder, constants.R_OK | constants.X_OK).then(
        () => true,
        () => false,
      );
      return (await isReadable) ? null : `the folder ${folder} cannot be read by this account`;
    },
    () => `the folder ${folder} is not there`,
  );
  if (text === null) return null;
  return {
    at: 'BULK_IMPORT_FOLDER',
    text: `${text}. Correct it, or leave it empty: $import takes bodies then.`,
  };
}

/** Listens for a moment. Port 0 means any, and there is always one. */
function portFault(name: string, hostName: string, port: number, host: string): Promise<FailureIssue | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(faultOf(error.code, name, hostName, port, host)),
    );
    probe.listen({ port, host }, () => probe.close(() => resolve(null)));
  });
}

function faultOf(
  code: string | undefined,
  name: string,
  hostName: string,
  port: number,
  host: string,
): FailureIssue {
  switch (code) {
    case 'EADDRINUSE':
      return { at: name, text: `another program listens on ${host}:${port}. Stop it, or set ${name}.` };
    case 'EACCES':
      return { at: name, text: `this account may not listen on port ${port}; use one above 1023.` };
    default:
      return { at: hostName, text: `this machine cannot listen on ${host} (${code ?? 'unknown reason'}).` };
  }
}
