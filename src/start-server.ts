import 'reflect-metadata';
import { access, constants, mkdir } from 'node:fs/promises';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { Logger } from 'pino';
import { AccessTokens } from './access/access-tokens.ts';
import { requireToken } from './access/require-token.ts';
import { AppModule } from './app.module.ts';
import type { Settings } from './config/settings.ts';
import { OutcomeFilter } from './fhir/outcome.filter.ts';
import { Failure } from './kernel/errors.ts';
import { quietNestLogger } from './quiet-nest-logger.ts';

export interface RunningServer {
  readonly app: NestFastifyApplication;
  /** Where HTTP is served; null without the role `api`. */
  readonly url: string | null;
  stop(): Promise<void>;
}

/** Idle keep-alive of HTTP: longer than that of the usual load balancers (60 s), so that they never reuse what we just closed. */
const KEEP_ALIVE_MS = 65_000;

/**
 * Starts everything this process does (`PRELIM_ROLES`) and gives back once it serves.
 *
 * @throws Failure with all that is wrong: folder, database, ports
 */
export async function startServer(settings: Settings, log: Logger): Promise<RunningServer> {
  await checkDataFolder(settings.PRELIM_DATA);
  const adapter = new FastifyAdapter({ keepAliveTimeout: KEEP_ALIVE_MS, routerOptions: { maxParamLength: 256 } });
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(settings, log), adapter, {
    logger: quietNestLogger(log),
    abortOnError: false,
    forceCloseConnections: true,
  });
  requireToken(adapter.getInstance(), app.get(AccessTokens));
  app.useGlobalFilters(new OutcomeFilter(log));
  try {
    if (settings.PRELIM_ROLES.includes('api')) await app.listen(settings.PORT, settings.HOST);
    else await app.init();
  } catch (error) {
    await app.close().catch(() => undefined);
    throw portFailure(error, settings);
  }
  return { app, url: settings.PRELIM_ROLES.includes('api') ? await app.getUrl() : null, stop: () => app.close() };
}

async function checkDataFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    throw new Failure('data.unwritable', `PRELIM_DATA: the folder ${folder} cannot be written to. Make it writable, or name another.`, { cause });
  }
}

function portFailure(error: unknown, settings: Settings): unknown {
  const { code } = error as { code?: string };
  if (code === 'EADDRINUSE') return new Failure('config.invalid', `PORT: another program listens on ${settings.HOST}:${settings.PORT}. Stop it, or set PORT.`, { cause: error });
  if (code === 'EADDRNOTAVAIL') return new Failure('config.invalid', `HOST: this machine has no address ${settings.HOST}.`, { cause: error });
  if (code === 'EACCES') return new Failure('config.invalid', `PORT: this account may not listen on port ${settings.PORT}; use one above 1023.`, { cause: error });
  return error;
}
