import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { Database } from '../database/database.ts';
import { JobEngines } from '../queue/job-engines.ts';
import { Outbox } from '../queue/outbox.ts';
import { FhirModule } from './fhir.module.ts';
import { OperationRegistry } from './operation-registry.ts';
import { keepSiteParameters } from './reindex/keep-site-parameters.ts';
import { reindexHandler } from './reindex/reindex.job.ts';
import { reindexOperations } from './reindex/reindex.operation.ts';
import { ReindexRunsStore } from './reindex/reindex-runs.store.ts';
import { SiteParameterStore } from './reindex/site-parameter.store.ts';
import { SiteParameterWatch } from './reindex/site-parameter-watch.ts';
import { ResourceStore } from './resource-store.ts';
import { keepPatientCodes } from './storage/keep-patient-codes.ts';

/** Search parameters of the site's own, `$reindex`, and an index that is made beside the work. Needs the queue, unlike the rest of the FHIR server. */
@Module({
  imports: [FhirModule],
  providers: [
    ReindexRunsStore,
    SiteParameterStore,
    {
      provide: SiteParameterWatch,
      inject: [SiteParameterStore, Database],
      useFactory: (store: SiteParameterStore, database: Database) => new SiteParameterWatch(store, database),
    },
  ],
})
export class ReindexModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(ResourceStore) private readonly store: ResourceStore,
    @Inject(OperationRegistry) private readonly operations: OperationRegistry,
    @Inject(JobEngines) private readonly engines: JobEngines,
    @Inject(Outbox) private readonly outbox: Outbox,
    @Inject(Database) private readonly database: Database,
    @Inject(ReindexRunsStore) private readonly runs: ReindexRunsStore,
    @Inject(SiteParameterStore) private readonly parameters: SiteParameterStore,
    @Inject(SiteParameterWatch) private readonly watch: SiteParameterWatch,
  ) {}

  async onModuleInit(): Promise<void> {
    const { store, outbox, database, runs, parameters, watch } = this;
    await watch.start();
    store.onChange(keepSiteParameters({ parameters, runs, watch, outbox }));
    for (const operation of reindexOperations({ database, runs, outbox, base: store.base }))
      this.operations.register(operation);
    this.engines.alsoRun([reindexHandler({ database, runs, parameters, watch, base: store.base })]);
  }

  /** Not waited for. Cut off by the end of the process, or without a database, it is begun anew at the next start. */
  onApplicationBootstrap(): void {
    void keepPatientCodes(this.database).catch(() => undefined);
  }

  onApplicationShutdown(): void {
    this.watch.stop();
  }
}
