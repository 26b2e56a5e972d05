import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { pino } from 'pino';
import { parseEvents } from '../../src/access/audit/audit-content.ts';
import { AuditModule } from '../../src/access/audit.module.ts';
import { auditRequests } from '../../src/access/audit-requests.ts';
import { patientsOfStudies } from '../../src/access/patients-of-studies.ts';
import { SETTINGS } from '../../src/config/settings.token.ts';
import { Database } from '../../src/database/database.ts';
import { FhirModule } from '../../src/fhir/fhir.module.ts';
import { OutcomeFilter } from '../../src/fhir/outcome.filter.ts';
import { ResourceStore } from '../../src/fhir/resource-store.ts';
import { LOGGER } from '../../src/kernel/log.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';

export interface AuditApp {
  readonly fresh: FreshDatabase;
  readonly database: Database;
  readonly store: ResourceStore;
  readonly app: NestFastifyApplication;
  /** The data folder, with the key that signs heads. */
  readonly folder: string;
  /** `path` below `/fhir/`. */
  send(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
    // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came.
  ): Promise<{ status: number; json: any; headers: Record<string, unknown> }>;
  /** Rows after the one with this number, oldest first, without those of the chain itself. */
  // biome-ignore lint/suspicious/noExplicitAny: rows as they are in the database.
  rows(after?: number): Promise<any[]>;
  last(): Promise<number>;
  close(): Promise<void>;
}

/** The FHIR door with its audit over a database of its own; the token is what the header `x-grant` says, as JSON. */
export async function auditApp(given?: FreshDatabase): Promise<AuditApp> {
  const fresh = given ?? (await freshDatabase());
  const database = given ? new Database(given.database.dataSource) : fresh.database;
  const folder = await mkdtemp(join(tmpdir(), 'prelim-audit-'));
  @Global()
  @Module({
    providers: [
      { provide: Database, useValue: database },
      {
        provide: SETTINGS,
        useValue: {
          baseUrl: 'http://127.0.0.1:8080',
          AUDIT: 'on',
          AUDIT_SYSLOG_URL: null,
          PRELIM_DATA: folder,
        },
      },
      { provide: LOGGER, useValue: pino({ level: 'silent' }) },
    ],
    exports: [Database, SETTINGS, LOGGER],
  })
  class Surroundings {}
  @Module({ imports: [Surroundings, FhirModule, AuditModule] })
  class TestApp {}
  const app = await NestFactory.create<NestFastifyApplication>(TestApp, new FastifyAdapter(), {
    logger: ['error'],
    abortOnError: false,
  });
  app.useGlobalFilters(new OutcomeFilter({ error: () => undefined }));
  const instance = app.getHttpAdapter().getInstance();
  const store = app.get(ResourceStore);
  auditRequests(instance, database, patientsOfStudies(store));
  instance.addHook('onRequest', async (request) => {
    const grant = request.headers['x-grant'];
    Object.assign(request, { grant: typeof grant === 'string' ? JSON.parse(grant) : GRANT });
  });
  await app.init();
  await instance.ready();
  const last = async () => {
    const [row] = await database.run<{ seq: string }>({ text: 'SELECT max(seq) AS seq FROM audit_event' });
    return Number(row?.seq ?? 0);
  };
  return {
    fresh,
    database,
    store,
    app,
    folder,
    last,
    rows: async (after = 0) => {
      const rows = await database.run<{ content: string }>(
        { text: 'SELECT content FROM audit_event WHERE seq > $1 ORDER BY segment, seq' },
        [after],
      );
      return rows.flatMap(({ content }) => parseEvents(content)).filter(({ kind }) => kind !== 'chain');
    },
    send: async (method, path, body, headers = {}) => {
      const answer = await app.inject({
        method,
        url: `/fhir/${path}`,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/fhir+json' }), ...headers },
        ...(body === undefined ? {} : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const isJson = String(answer.headers['content-type']).includes('json') && answer.body !== '';
      return {
        status: answer.statusCode,
        json: isJson ? JSON.parse(answer.body) : null,
        headers: answer.headers,
      };
    },
    close: async () => {
      await app.close();
      await rm(folder, { recursive: true, force: true });
      if (!given) await fresh.close();
    },
  };
}

/** All rights, as the token check leaves them. */
export const grantOf = (more: object = {}, scope = 'system/*.cruds') => {
  const scopes = scope.split(' ').map((one) => {
    const [context = '', type = '', permissions = ''] = one.split(/[/.]/);
    return { context, type, permissions: new Set(permissions) };
  });
  return { clientId: 'ehr', subject: 'ehr', scopes, roles: [], tokenId: 't-1', ...more };
};

const GRANT = grantOf();

/** The header for another grant. Sets do not survive JSON, so letters go as a list. */
export const as = (more: object, scope = 'system/*.cruds'): Record<string, string> => ({
  'x-grant': JSON.stringify(grantOf(more, scope), (_key, value) =>
    value instanceof Set ? [...value] : value,
  ),
});
