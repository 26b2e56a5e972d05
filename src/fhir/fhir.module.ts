import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { loadDefinitions } from './definitions/definitions.ts';
import { FhirController } from './fhir.controller.ts';
import { OperationRegistry } from './operation-registry.ts';
import { noteLabels } from './operations/meta.store.ts';
import { registerOperations } from './operations/register.ts';
import { ProfileKeeper } from './profiles/profile-keeper.ts';
import { describeProfiles } from './published-profiles.ts';
import { keepRawBodies } from './raw-bodies.ts';
import { ResourceStore } from './resource-store.ts';
import { keepIntegrity } from './validate/keep-integrity.ts';

/** The FHIR R4 server. Needs the global DatabaseModule and SETTINGS. */
@Module({
  controllers: [FhirController],
  providers: [
    OperationRegistry,
    ProfileKeeper,
    {
      // Nobody gets a store before the definitions are loaded.
      provide: ResourceStore,
      inject: [Database, SETTINGS],
      useFactory: async (database: Database, settings: Settings) => {
        await loadDefinitions();
        return new ResourceStore(database, settings);
      },
    },
  ],
  exports: [ResourceStore, OperationRegistry],
})
export class FhirModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(OperationRegistry) private readonly operations: OperationRegistry,
    @Inject(ResourceStore) private readonly store: ResourceStore,
    @Inject(Database) private readonly database: Database,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    registerOperations(this.operations, this.store, this.database, this.settings);
    describeProfiles(this.operations);
    noteLabels(this.store);
    if (this.settings.FHIR_REFERENTIAL_INTEGRITY === 'check') keepIntegrity(this.store);
    // A process without the api role has no HTTP server.
    const instance = this.host.httpAdapter?.getInstance<FastifyInstance | undefined>();
    if (typeof instance?.addContentTypeParser === 'function') keepRawBodies(instance);
  }
}
