import { type DynamicModule, Module } from '@nestjs/common';
import type { Logger } from 'pino';
import { AccessModule } from './access/access.module.ts';
import { AccessRulesModule } from './access/access-rules.module.ts';
import { AuditModule } from './access/audit.module.ts';
import { ArchiveModule } from './archive/archive.module.ts';
import type { Settings } from './config/settings.ts';
import { DatabaseModule } from './database/database.module.ts';
import { BulkModule } from './fhir/bulk.module.ts';
import { FhirModule } from './fhir/fhir.module.ts';
import { ReindexModule } from './fhir/reindex.module.ts';
import { FlowModule } from './flow/flow.module.ts';
import { ConformanceModule } from './governance/conformance.module.ts';
import { GovernanceModule } from './governance/governance.module.ts';
import { HealthController } from './health.controller.ts';
import { JobsController } from './jobs.controller.ts';
import { LogRisTrouble } from './log-ris-trouble.ts';
import { MetricsController } from './metrics.controller.ts';
import { PacsModule } from './pacs.module.ts';
import { ProcessModule } from './process.module.ts';
import { QueueModule } from './queue/queue.module.ts';
import { RootController } from './root.controller.ts';
import { SeedFirstRecords } from './seed-first-records.ts';
import { InletModule } from './steps/inlet/inlet.module.ts';
import { MessageLogModule } from './steps/message-log/message-log.module.ts';
import { RisModule } from './steps/ris/ris.module.ts';
import { WorklistModule } from './steps/worklist/worklist.module.ts';
import { SubscriptionsModule } from './subscriptions/subscriptions.module.ts';
import { TerminologyModule } from './terminology/terminology.module.ts';
import { WatchListenerCertificate } from './watch-listener-certificate.ts';

/** The modules, lowest first. No logic. */
@Module({})
export class AppModule {
  static with(settings: Settings, log: Logger): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ProcessModule.with(settings, log),
        DatabaseModule,
        QueueModule,
        ArchiveModule,
        FhirModule,
        BulkModule,
        ReindexModule,
        AccessModule,
        AccessRulesModule,
        AuditModule,
        TerminologyModule,
        SubscriptionsModule,
        GovernanceModule,
        ConformanceModule,
        PacsModule,
        InletModule,
        WorklistModule,
        RisModule,
        MessageLogModule,
        FlowModule,
      ],
      controllers: [RootController, HealthController, MetricsController, JobsController],
      providers: [SeedFirstRecords, LogRisTrouble, WatchListenerCertificate],
    };
  }
}
