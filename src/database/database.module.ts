import { Global, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Settings } from '../config/settings.ts';
import { SETTINGS } from '../config/settings.token.ts';
import { Failure } from '../kernel/errors.ts';
import { Database } from './database.ts';
import { migrate, openDataSource } from './data-source.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from './embedded-postgres.ts';

const EMBEDDED = Symbol('EmbeddedPostgres');

/** Opens the database of the process: the embedded one, or `DATABASE_URL`; migrated before anything else starts. */
@Global()
@Module({
  providers: [
    {
      provide: EMBEDDED,
      inject: [SETTINGS],
      useFactory: (settings: Settings) => (settings.DATABASE_URL ? null : startEmbeddedPostgres(settings.PRELIM_DATA)),
    },
    {
      provide: DataSource,
      inject: [SETTINGS, EMBEDDED],
      useFactory: async (settings: Settings, embedded: EmbeddedPostgres | null) => {
        const url = embedded?.url ?? (settings.DATABASE_URL as URL).href;
        const dataSource = await openDataSource(url, settings.DATABASE_CONNECTIONS_MAX).catch((cause: unknown) => {
          throw new Failure('database.unavailable', 'The database does not answer. Check DATABASE_URL, its user and password.', { cause });
        });
        await migrate(dataSource);
        return dataSource;
      },
    },
    Database,
  ],
  exports: [Database, DataSource],
})
export class DatabaseModule implements OnApplicationShutdown {
  constructor(
    private readonly dataSource: DataSource,
    @Inject(EMBEDDED) private readonly embedded: EmbeddedPostgres | null,
  ) {}

  async onApplicationShutdown(): Promise<void> {
    await this.dataSource.destroy();
    await this.embedded?.stop();
  }
}
