import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';

/** A real PACS as the other end: Orthanc with its DICOMweb plugin, on loopback, with a store that goes with it. */
export interface Orthanc {
  /** DICOMweb service root. */
  readonly root: URL;
  /** Orthanc's own REST API, for what DICOMweb has no words for. */
  readonly api: URL;
  stop(): Promise<void>;
}

const BINARIES = [
  '/usr/sbin/Orthanc',
  '/usr/local/sbin/Orthanc',
  '/usr/bin/Orthanc',
  '/usr/local/bin/Orthanc',
];
const PLUGINS = ['/usr/share/orthanc/plugins', '/usr/lib/orthanc', '/usr/local/share/orthanc/plugins'].map(
  (folder) => join(folder, 'libOrthancDicomWeb.so'),
);
const START_MS_MAX = 30_000;

/** Why there is no Orthanc here, or null when there is one: the title of the tests that are skipped. */
export function orthancMissing(): string | null {
  if (!BINARIES.some(existsSync)) return 'skipped: no Orthanc binary';
  return PLUGINS.some(existsSync) ? null : 'skipped: no DICOMweb plugin of Orthanc';
}

/** Starts Orthanc and waits until it answers. `user` makes it ask for HTTP Basic. */
export async function startOrthanc(options: { user?: string; password?: string } = {}): Promise<Orthanc> {
  const folder = await mkdtemp(join(tmpdir(), 'orthanc-'));
  const [port, dicomPort] = [await freePort(), await freePort()];
  const configuration = join(folder, 'orthanc.json');
  await writeFile(
    configuration,
    JSON.stringify({
      StorageDirectory: join(folder, 'store'),
      IndexDirectory: join(folder, 'store'),
      HttpServerEnabled: true,
      HttpPort: port,
      HttpBindAddresses: ['127.0.0.1'],
      DicomPort: dicomPort,
      RemoteAccessAllowed: false,
      AuthenticationEnabled: options.user !== undefined,
      RegisteredUsers: options.user === undefined ? {} : { [options.user]: options.password ?? '' },
      OverwriteInstances: false,
      Plugins: PLUGINS.filter(existsSync).slice(0, 1),
      DicomWeb: { Enable: true, Root: '/dicom-web/', StudiesMetadata: 'Full', SeriesMetadata: 'Full' },
    }),
  );
  const child = spawn(BINARIES.find((path) => existsSync(path)) ?? 'Orthanc', [configuration], {
    stdio: 'ignore',
  });
  const api = new URL(`http://127.0.0.1:${port}/`);
  try {
    await answers(child, api);
  } catch (error) {
    await end(child, folder);
    throw error;
  }
  return { root: new URL('dicom-web', api), api, stop: () => end(child, folder) };
}

async function answers(child: ChildProcess, api: URL): Promise<void> {
  const until = Date.now() + START_MS_MAX;
  while (Date.now() < until) {
    if (child.exitCode !== null) throw new Error(`Orthanc ended with ${child.exitCode}`);
    const answer = await fetch(new URL('system', api)).catch(() => null);
    await answer?.body?.cancel();
    // 401 is an answer too: the server asks for a user.
    if (answer !== null && (answer.ok || answer.status === 401)) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('Orthanc does not answer');
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(patience);
  }
  await rm(folder, { recursive: true, force: true });
}
