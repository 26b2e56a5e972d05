import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Roles } from './access/access-of-grant.ts';
import { AccessTokens } from './access/access-tokens.ts';
import { auditRequests } from './access/audit-requests.ts';
import { allowOtherOrigins } from './access/cross-origin.ts';
import { ACCESS_ROLES } from './access/injection.ts';
import { PageSessions } from './access/page-sessions.ts';
import { patientsOfStudies } from './access/patients-of-studies.ts';
import { requireToken } from './access/require-token.ts';
import { AppModule } from './app.module.ts';
import { checkStart } from './check-start.ts';
import { forbidTelemetry } from './config/forbid-telemetry.ts';
import { growHeap } from './config/grow-heap.ts';
import type { Settings } from './config/settings.ts';
import { Database } from './database/database.ts';
import { drainRequests } from './drain-requests.ts';
import { OutcomeFilter } from './fhir/outcome.filter.ts';
import { ResourceStore } from './fhir/resource-store.ts';
import { limitAddresses, limitClients, limitGuesses } from './http/limit-rates.ts';
import { limitSlowBodies } from './http/limit-slow-bodies.ts';
import { plainUrl } from './http/plain-url.ts';
import { leaveWhenFound, queueSearches } from './http/queue-searches.ts';
import { refuseEncodings } from './http/refuse-encodings.ts';
import { refusedByHttp } from './http/refused-by-http.ts';
import { requireSameOrigin } from './http/require-same-origin.ts';
import { secureHeaders } from './http/secure-headers.ts';
import { reloadTls, tlsOptions } from './http/serve-tls.ts';
import { SharedRates } from './http/shared-rates.ts';
import { Failure } from './kernel/errors.ts';
import { quietNestLogger } from './quiet-nest-logger.ts';
import { DatabaseRateUse } from './rate-use.store.ts';

export interface RunningServer {
  readonly app: NestFastifyApplication;
  /** Where HTTP is served: everything, or without the role `api` health and metrics only. */
  readonly url: string;
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
  forbidTelemetry();
  growHeap();
  await checkStart(settings);
  const adapter = makeAdapter(settings);
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.with(settings, log), adapter, {
    logger: quietNestLogger(log),
    abortOnError: false,
    forceCloseConnections: true,
  });
  const fastify = adapter.getInstance();
  secureHeaders(fastify, settings);
  if (!settings.PRELIM_ROLES.includes('api')) serveOnlyWatching(fastify);
  const drain = drainRequests(fastify);
  leaveWhenFound(fastify);
  if (settings.AUDIT === 'on')
    auditRequests(fastify, app.get(Database), patientsOfStudies(app.get(ResourceStore)));
  const addresses = limitAddresses(fastify, settings);
  allowOtherOrigins(fastify);
  requireSameOrigin(fastify, settings);
  refuseEncodings(fastify);
  const trustBody = limitSlowBodies(fastify);
  requireToken(
    fastify,
    app.get(AccessTokens),
    app.get<Roles>(ACCESS_ROLES),
    app.get(PageSessions),
    limitGuesses(addresses.address),
  );
  trustBody();
  const clients = limitClients(fastify, settings);
  queueSearches(fastify, settings);
  sayWhenToRetry(fastify);
  app.useGlobalFilters(new OutcomeFilter(log));
  try {
    await app.listen(settings.PORT, settings.HOST);
  } catch (error) {
    await app.close().catch(() => undefined);
    throw portFailure(error, settings);
  }
  const stopReload = reloadTls(fastify.server, settings, log);
  const rates = new SharedRates(
    { ...addresses, ...clients },
    new DatabaseRateUse(app.get(Database)),
    randomUUID(),
  );
  const stopSharing = settings.PRELIM_ROLES.includes('api') ? rates.start() : () => undefined;
  const stop = async () => {
    stopReload();
    stopSharing();
    await drain();
    await app.close();
  };
  return { app, url: await app.getUrl(), stop };
}

function makeAdapter(settings: Settings): FastifyAdapter {
  const tls = tlsOptions(settings);
  return new FastifyAdapter({
    keepAliveTimeout: KEEP_ALIVE_MS,
    routerOptions: { maxParamLength: 256 },
    ...refusedByHttp,
    rewriteUrl: ({ url = '/' }) => plainUrl(url),
    trustProxy: settings.TRUSTED_PROXIES.length > 0 ? [...settings.TRUSTED_PROXIES] : false,
    ...(tls ? { https: tls } : {}),
  });
}

/** What a process without the role `api` serves, so that it can be watched: before tokens are looked at, all else is not there. */
const WATCHING = /^\/(health\/(live|ready)|metrics)$/;

function serveOnlyWatching(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', async (request) => {
    if (!WATCHING.test(request.url.split('?', 1)[0] as string))
      throw new Failure(
        'http.not-found',
        'This process serves /health/live, /health/ready and /metrics only: it has no role "api".',
      );
  });
}

/** A database that died is started again, or fails over, within seconds (RFC 9110 10.2.3). */
const RETRY_AFTER_S = 5;

function sayWhenToRetry(fastify: FastifyInstance): void {
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    if ((reply.statusCode === 503 || reply.statusCode === 429) && !reply.hasHeader('retry-after'))
      reply.header('retry-after', RETRY_AFTER_S);
    done();
  });
}

/** A port that was taken after the look at it. */
function portFailure(error: unknown, settings: Settings): unknown {
  const { code } = error as { code?: string };
  if (code === 'EADDRINUSE')
    return new Failure(
      'config.invalid',
      `PORT: another program listens on ${settings.HOST}:${settings.PORT}. Stop it, or set PORT.`,
      { cause: error },
    );
  if (code === 'EADDRNOTAVAIL')
    return new Failure('config.invalid', `HOST: this machine has no address ${settings.HOST}.`, {
      cause: error,
    });
  if (code === 'EACCES')
    return new Failure(
      'config.invalid',
      `PORT: this account may not listen on port ${settings.PORT}; use one above 1023.`,
      { cause: error },
    );
  return error;
}
