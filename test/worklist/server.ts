import type { Resource } from '@medplum/fhirtypes';
import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { readRoles } from '../../src/access/access-of-grant.ts';
import { AccessTokens, ISSUER } from '../../src/access/access-tokens.ts';
import { requireToken } from '../../src/access/require-token.ts';
import { parseScopes } from '../../src/access/scope.ts';
import { signingKeyIn } from '../../src/access/signing-key.ts';
import { SETTINGS } from '../../src/config/settings.token.ts';
import { readSettings } from '../../src/config/settings.ts';
import { Database } from '../../src/database/database.ts';
import { OutcomeFilter } from '../../src/fhir/outcome.filter.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { WorklistFeed } from '../../src/steps/worklist/worklist.feed.ts';
import { WORKLIST_PAGE_FOLDER, WorklistModule } from '../../src/steps/worklist/worklist.module.ts';

export interface WorklistServer {
  readonly url: string;
  readonly feed: WorklistFeed;
  token(scope?: string, client?: string): Promise<string>;
  /** Writes resources in one transaction of this process. */
  write(resources: readonly Resource[]): Promise<void>;
  remove(type: string, id: string): Promise<void>;
  /** Ends all connections and stops listening; another one may take the same port. */
  stop(): Promise<void>;
}

export interface WorklistServerOptions {
  /** Folder of the signing key. */
  readonly keys: string;
  /** Folder of the built page. */
  readonly page: string;
  readonly port?: number;
}

/** The worklist with the FHIR server under it and nothing else, on real PostgreSQL, with real tokens. */
export async function startWorklist(
  database: Database,
  options: WorklistServerOptions,
): Promise<WorklistServer> {
  const globals = [
    { provide: SETTINGS, useValue: readSettings({ PRELIM_DATA: options.keys }) },
    { provide: Database, useValue: database },
  ];
  @Global()
  @Module({ providers: globals, exports: globals })
  class Globals {}

  const page = { provide: WORKLIST_PAGE_FOLDER, useValue: options.page };
  @Module({ imports: [Globals, { module: WorklistModule, providers: [page] }] })
  class WorklistOnly {}

  const app = await NestFactory.create<NestFastifyApplication>(
    WorklistOnly,
    new FastifyAdapter({ forceCloseConnections: true }),
    {
      logger: false,
    },
  );
  app.useGlobalFilters(new OutcomeFilter({ error: () => undefined }));
  const tokens = new AccessTokens(await signingKeyIn(options.keys), ISSUER, systemClock);
  requireToken(app.getHttpAdapter().getInstance() as unknown as FastifyInstance, tokens, readRoles());
  await app.listen(options.port ?? 0, '127.0.0.1');
  const resources = app.get(ResourceStore, { strict: false });
  return {
    url: await app.getUrl(),
    feed: app.get(WorklistFeed, { strict: false }),
    token: (scope = 'system/*.rs', client = 'reader') => tokens.issue(client, parseScopes(scope), 3_600),
    write: (written) => writeAll(database, resources, written),
    remove: async (type, id) => {
      await database.transaction((tx) => resources.write(tx, [{ kind: 'delete', type, id }]));
    },
    stop: () => app.close(),
  };
}

/** Writes without a door: the same store that steps use. */
export async function writeAll(
  database: Database,
  store: ResourceStore,
  written: readonly Resource[],
): Promise<void> {
  const writes = written.map(
    (resource) => ({ kind: 'update', resource: { ...resource, id: String(resource.id) } }) as const,
  );
  await database.transaction((tx) => store.write(tx, writes));
}
