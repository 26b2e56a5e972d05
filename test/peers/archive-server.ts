import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Global, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { ArchiveModule } from '../../src/archive/archive.module.ts';
import { SETTINGS } from '../../src/config/settings.token.ts';
import { readSettings } from '../../src/config/settings.ts';
import { Database } from '../../src/database/database.ts';
import { type FreshDatabase, freshDatabase } from '../database.ts';

/** The archive alone, as an HTTP server on loopback, with a database and a folder of its own. */
export interface ArchiveServer {
  readonly root: string;
  /** Where the archive's files are. */
  readonly folder: string;
  readonly database: Database;
  get<T>(type: Type<T>): T;
  stop(): Promise<void>;
}

export async function startArchive(): Promise<ArchiveServer> {
  const data = await mkdtemp(join(tmpdir(), 'archive-'));
  const fresh = await freshDatabase();
  const app = await NestFactory.create<NestFastifyApplication>(
    moduleWith(fresh, data),
    new FastifyAdapter(),
    { logger: false },
  );
  await app.listen(0, '127.0.0.1');
  return {
    root: `${await app.getUrl()}/dicomweb`,
    folder: join(data, 'archive'),
    database: fresh.database,
    get: (type) => app.get(type),
    stop: async () => {
      await app.close();
      await fresh.close();
      await rm(data, { recursive: true, force: true });
    },
  };
}

function moduleWith(fresh: FreshDatabase, data: string): Type {
  @Global()
  @Module({
    providers: [
      { provide: SETTINGS, useValue: readSettings({ PRELIM_DATA: data }) },
      { provide: Database, useValue: fresh.database },
    ],
    exports: [SETTINGS, Database],
  })
  class Surroundings {}
  @Module({ imports: [Surroundings, ArchiveModule] })
  class ArchiveAlone {}
  return ArchiveAlone;
}
