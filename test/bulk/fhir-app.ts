import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SETTINGS } from '../../src/config/settings.token.ts';
import { readSettings } from '../../src/config/settings.ts';
import { Database } from '../../src/database/database.ts';
import { BulkModule } from '../../src/fhir/bulk.module.ts';
import { OutcomeFilter } from '../../src/fhir/outcome.filter.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { LOGGER, makeLogger } from '../../src/kernel/log.ts';
import { JobEngines } from '../../src/queue/job-engines.ts';
import { Outbox } from '../../src/queue/outbox.ts';
import { freshDatabase } from '../database.ts';

export interface FhirApp {
  readonly url: string;
  readonly folder: string;
  readonly database: Database;
  readonly store: ResourceStore;
  /** One request as `client` (default `a`) with the scope (default all). `body` that is no text goes as FHIR JSON. */
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Asked>;
  close(): Promise<void>;
}

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever shape it expects, and fails when it is another
  readonly json: any;
}

/** The FHIR server with its operations, bulk jobs and job runner, on a database of its own. Stands for the token check: client and scope come as headers. */
export async function startFhirApp(
  env: Record<string, string> = {},
  options: { runJobs?: boolean } = {},
): Promise<FhirApp> {
  const fresh = await freshDatabase({ connections: 8 });
  const folder = await mkdtemp(join(tmpdir(), 'prelim-bulk-'));
  const settings = readSettings({ PRELIM_DATA: folder, LOG_LEVEL: 'silent', ...env });
  @Global()
  @Module({
    providers: [
      { provide: Database, useValue: fresh.database },
      { provide: SETTINGS, useValue: settings },
      { provide: LOGGER, useValue: makeLogger('silent') },
      Outbox,
      {
        provide: JobEngines,
        inject: [Outbox],
        useFactory: (outbox: Outbox) =>
          new JobEngines(fresh.database, outbox, settings, makeLogger('silent')),
      },
    ],
    exports: [Database, SETTINGS, LOGGER, Outbox, JobEngines],
  })
  class Surroundings {}
  @Module({ imports: [Surroundings, BulkModule] })
  class TestApp {}
  const app = await NestFactory.create<NestFastifyApplication>(TestApp, new FastifyAdapter(), {
    logger: ['error'],
  });
  app.useGlobalFilters(
    new OutcomeFilter({ error: (fields) => process.stderr.write(`${JSON.stringify(fields)}\n`) }),
  );
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', async (request) => {
      const [context = '', type = '', permissions = ''] = String(
        request.headers['x-scope'] ?? 'system/*.cruds',
      ).split(/[/.]/);
      const clientId = String(request.headers['x-client'] ?? 'a');
      Object.assign(request, { grant: { clientId, scopes: [{ context, type, permissions }] } });
    });
  await app.listen(0, '127.0.0.1');
  if (options.runJobs !== false) await app.get(JobEngines).start([]);
  const url = await app.getUrl();
  return {
    url,
    folder,
    database: fresh.database,
    store: app.get(ResourceStore),
    ask: (method, path, body, headers = {}) => ask(url, method, path, body, headers),
    close: async () => {
      await app.close();
      await fresh.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function ask(
  url: string,
  method: string,
  path: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<Asked> {
  const isText = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(path.startsWith('http') ? path : `${url}/fhir/${path}`, {
    method,
    headers: {
      ...(body !== undefined && !isText ? { 'content-type': 'application/fhir+json' } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body: (isText ? body : JSON.stringify(body)) as string }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: jsonOf(text) };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
