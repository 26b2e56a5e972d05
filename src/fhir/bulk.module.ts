import { join } from 'node:path';
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { JobEngines } from '../queue/job-engines.ts';
import { Outbox } from '../queue/outbox.ts';
import { BULK_PARTS, BulkController } from './bulk/bulk.controller.ts';
import { BulkFolder } from './bulk/bulk-folder.ts';
import { BulkJobsStore } from './bulk/bulk-jobs.store.ts';
import { expireHandler } from './bulk/expire.ts';
import { exportHandler } from './bulk/run-export.ts';
import { importHandler } from './bulk/run-import.ts';
import { bulkOperations, type StartParts } from './bulk/start-job.ts';
import { FhirModule } from './fhir.module.ts';
import { OperationRegistry } from './operation-registry.ts';
import { ResourceStore } from './resource-store.ts';

/** `$export` and `$import`: work that goes on after its answer. Needs the queue, unlike the rest of the FHIR server. */
@Module({
  imports: [FhirModule],
  controllers: [BulkController],
  providers: [
    BulkJobsStore,
    {
      provide: BULK_PARTS,
      inject: [ResourceStore, Database, BulkJobsStore, Outbox, SETTINGS],
      useFactory: (
        store: ResourceStore,
        database: Database,
        jobs: BulkJobsStore,
        outbox: Outbox,
        settings: Settings,
      ) => ({
        store,
        database,
        jobs,
        outbox,
        folder: new BulkFolder(settings.PRELIM_DATA),
        filesHours: settings.BULK_FILES_HOURS,
        uploadBytesMax: settings.BULK_IMPORT_BYTES_MAX,
        importFolder: settings.BULK_IMPORT_FOLDER === '' ? '' : join(settings.BULK_IMPORT_FOLDER),
      }),
    },
  ],
})
export class BulkModule implements OnModuleInit {
  constructor(
    @Inject(BULK_PARTS) private readonly parts: StartParts,
    @Inject(OperationRegistry) private readonly operations: OperationRegistry,
    @Inject(JobEngines) private readonly engines: JobEngines,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    const instance = this.host.httpAdapter?.getInstance<FastifyInstance | undefined>();
    if (typeof instance?.addContentTypeParser === 'function') passNdjsonOn(instance);
    for (const operation of bulkOperations(this.parts)) this.operations.register(operation);
    this.engines.alsoRun([exportHandler(this.parts), importHandler(this.parts), expireHandler(this.parts)]);
  }
}

/** NDJSON is not read into memory: the handler gets the stream. */
function passNdjsonOn(instance: FastifyInstance): void {
  for (const type of ['application/fhir+ndjson', 'application/ndjson', 'application/x-ndjson'])
    instance.addContentTypeParser(type, (_request, payload, done) => done(null, payload));
}
