import { Global, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SETTINGS } from '../src/config/settings.token.ts';
import { Database } from '../src/database/database.ts';
import { FhirModule } from '../src/fhir/fhir.module.ts';
import { OutcomeFilter } from '../src/fhir/outcome.filter.ts';
import { freshDatabase } from './database.ts';

export type Headers = Record<string, string>;
export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD' | 'PATCH' | 'OPTIONS';

export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came.
  readonly json: any;
}

export interface FhirApp {
  readonly app: NestFastifyApplication;
  readonly database: Database;
  /** What the server logged, as JSON. */
  readonly logged: string[];
  /** `path` below the FHIR base. The scope comes in the header `x-scope`: `system/Patient.r`, `none`; left out: everything. */
  send(method: Method, path: string, body?: unknown, headers?: Headers): Promise<Answered>;
  close(): Promise<void>;
}

export const BASE = 'http://127.0.0.1:8080/fhir';

/** The FHIR door alone over a database of its own, without the token check. */
export async function fhirApp(): Promise<FhirApp> {
  const fresh = await freshDatabase();
  const logged: string[] = [];
  @Global()
  @Module({
    providers: [
      { provide: Database, useValue: fresh.database },
      { provide: SETTINGS, useValue: { baseUrl: 'http://127.0.0.1:8080' } },
    ],
    exports: [Database, SETTINGS],
  })
  class Surroundings {}
  @Module({ imports: [Surroundings, FhirModule] })
  class TestApp {}
  const app = await NestFactory.create<NestFastifyApplication>(TestApp, new FastifyAdapter(), {
    logger: ['error'],
  });
  app.useGlobalFilters(new OutcomeFilter({ error: (fields) => logged.push(JSON.stringify(fields)) }));
  const instance = app.getHttpAdapter().getInstance();
  instance.addHook('onRequest', async (request) => {
    const scope = String(request.headers['x-scope'] ?? 'system/*.cruds');
    const scopes = scope.split(' ').map((one) => {
      const [context = '', type = '', permissions = ''] = one.split(/[/.]/);
      return { context, type, permissions };
    });
    Object.assign(request, { grant: scope === 'none' ? undefined : { scopes } });
  });
  await app.init();
  await instance.ready();
  return {
    app,
    database: fresh.database,
    logged,
    send: (method, path, body, headers) => send(app, method, path, body, headers),
    close: async () => {
      await app.close();
      await fresh.close();
    },
  };
}

async function send(
  app: NestFastifyApplication,
  method: Method,
  path: string,
  body?: unknown,
  headers: Headers = {},
): Promise<Answered> {
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body);
  const payload = body === undefined ? undefined : isRaw ? body : JSON.stringify(body);
  const answer = await app.inject({
    method,
    url: `/fhir${path === '' || path.startsWith('?') ? path : `/${path}`}`,
    headers: { ...(payload === undefined ? {} : { 'content-type': 'application/fhir+json' }), ...headers },
    ...(payload === undefined ? {} : { payload }),
  });
  const isJson = String(answer.headers['content-type']).includes('json') && answer.body !== '';
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text: answer.body,
    json: isJson ? JSON.parse(answer.body) : null,
  };
}
