import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { DataSource, QueryFailedError } from 'typeorm';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Failure } from '../kernel/errors.ts';
import { LOGGER } from '../kernel/log.ts';
import { Database } from './database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';
import { EmbeddedWatch } from './embedded-watch.ts';
import { openMigrated } from './open-database.ts';

const EMBEDDED = Symbol('EmbeddedPostgres');

/** Opens the database of the process: the embedded one, or `DATABASE_URL`; migrated before anything else starts. */
@Global()
@Module({
  providers: [
    {
      provide: EMBEDDED,
      inject: [SETTINGS],
      useFactory: (settings: Settings) =>
        settings.DATABASE_URL ? null : startEmbeddedPostgres(settings.PRELIM_DATA),
    },
    {
      provide: DataSource,
      inject: [SETTINGS, EMBEDDED],
      useFactory: async (settings: Settings, embedded: EmbeddedPostgres | null) => {
        const access = embedded
          ? { url: embedded.serverUrl, ownerUrl: embedded.url }
          : {
              url: (settings.DATABASE_URL as URL).href,
              ownerUrl: settings.DATABASE_OWNER_URL?.href ?? null,
            };
        return openMigrated(access, settings.DATABASE_CONNECTIONS_MAX).catch((cause: unknown) => {
          if (cause instanceof Failure || isMigrationFault(cause)) throw cause;
          throw new Failure(
            'database.unavailable',
            'The database does not answer. Check DATABASE_URL, its user and password.',
            { cause },
          );
        });
      },
    },
    Database,
  ],
  exports: [Database, DataSource],
})
export class DatabaseModule implements OnApplicationShutdown {
  private readonly watch: EmbeddedWatch | null;

  constructor(
    private readonly dataSource: DataSource,
    @Inject(EMBEDDED) private readonly embedded: EmbeddedPostgres | null,
    @Inject(LOGGER) log: Logger,
  ) {
    this.watch = embedded && new EmbeddedWatch(embedded, log);
  }

  async onApplicationShutdown(): Promise<void> {
    await this.watch?.stop();
    // A pool that cannot say goodbye to a database that is away must not keep it from being stopped.
    await this.dataSource.destroy().catch(() => undefined);
    await this.embedded?.stop();
  }
}

/** A statement of a migration failed: its own message says why, the database does answer. */
const isMigrationFault = (error: unknown): boolean => error instanceof QueryFailedError;
