import { access, constants, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Settings } from './config/settings.ts';
import { Failure, type FailureIssue } from './kernel/errors.ts';

type Place = Pick<Settings, 'PRELIM_DATA' | 'PRELIM_ROLES' | 'HOST' | 'PORT' | 'HL7_HOST' | 'HL7_PORT'>;

/**
 * Looks at what a start needs of the machine before anything is started: the folder can be written to, the ports are free.
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

async function folderFault(folder: string): Promise<FailureIssue | null> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
    return null;
  } catch {
    return {
      at: 'PRELIM_DATA',
      text: `the folder ${folder} cannot be written to. Make it writable, or name another.`,
    };
  }
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
