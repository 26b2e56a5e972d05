import { readSettings } from './config/settings.ts';
import { Failure } from './kernel/errors.ts';
import { makeLogger } from './kernel/log.ts';
import type { RunningServer } from './start-server.ts';

/** A second signal ends at once: what was not finished goes on at the next start. */
const STOP_WAIT_MS = 20_000;

try {
  const settings = readSettings();
  const log = makeLogger(settings.LOG_LEVEL);
  // Not before: settings that are wrong are said at once, and the server is most of what there is to load.
  const { startServer } = await import('./start-server.ts');
  const server = await startServer(settings, log);
  log.info(
    { url: server.url, roles: settings.PRELIM_ROLES, ready_ms: Math.round(performance.now()) },
    'ready',
  );
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop(server, signal));
} catch (error) {
  process.stderr.write(`Prelim did not start. ${describe(error)}\n`);
  process.exit(1);
}

async function stop(server: RunningServer, signal: NodeJS.Signals): Promise<void> {
  process.once(signal, () => process.exit(130));
  setTimeout(() => process.exit(1), STOP_WAIT_MS).unref();
  await server.stop();
  process.exit(0);
}

function describe(error: unknown): string {
  if (error instanceof Failure) return error.message;
  return error instanceof Error ? `${error.name}: ${error.stack ?? error.message}` : String(error);
}
