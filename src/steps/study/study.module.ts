import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { Logger } from 'pino';
import { ArchiveModule } from '../../archive/archive.module.ts';
import { ArchiveIntake } from '../../archive/archive-intake.ts';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { Database } from '../../database/database.ts';
import { STUDY_SOURCE, type StudySource } from '../../dicom/study-source.ts';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { GovernanceModule } from '../../governance/governance.module.ts';
import { StudyContextStore } from '../../governance/study-context.store.ts';
import { systemClock } from '../../kernel/clock.ts';
import { LOGGER } from '../../kernel/log.ts';
import { Outbox } from '../../queue/outbox.ts';
import { FindPriorsStep } from './find-priors.ts';
import { StudyStep } from './study.step.ts';
import { StudyWatchStore } from './study-watch.store.ts';
import { announceStored, PacsWatch } from './watch-pacs.ts';

/** A net under a crash between storing and telling, which one transaction already rules out: rare looks are enough. */
const ARCHIVE_LOOK_INTERVAL_MS_MIN = 10_000;

@Module({
  imports: [FhirModule, ArchiveModule, GovernanceModule],
  providers: [
    StudyWatchStore,
    {
      provide: FindPriorsStep,
      inject: [STUDY_SOURCE, ResourceStore, StudyContextStore],
      useFactory: (source: StudySource, store: ResourceStore, contexts: StudyContextStore) =>
        new FindPriorsStep(source, store, contexts, systemClock),
    },
    {
      provide: StudyStep,
      inject: [STUDY_SOURCE, ResourceStore, StudyWatchStore, SETTINGS],
      useFactory: (source: StudySource, store: ResourceStore, watches: StudyWatchStore, settings: Settings) =>
        new StudyStep(source, store, watches, {
          quietMs: settings.STUDY_QUIET_MS,
          lookIntervalMs: settings.STUDY_LOOK_INTERVAL_MS,
          timeZone: settings.SITE_TIME_ZONE,
          clock: systemClock,
        }),
    },
    {
      provide: PacsWatch,
      inject: [STUDY_SOURCE, StudyWatchStore, Outbox, Database, SETTINGS, LOGGER],
      useFactory: (
        source: StudySource,
        watches: StudyWatchStore,
        outbox: Outbox,
        database: Database,
        settings: Settings,
        log: Logger,
      ) =>
        new PacsWatch(source, watches, (jobs) => database.transaction((tx) => outbox.add(tx, jobs)), {
          // The embedded archive tells by itself what it stored; looking is only the net below.
          lookIntervalMs: settings.DICOMWEB_URL
            ? settings.STUDY_LOOK_INTERVAL_MS
            : Math.max(settings.STUDY_LOOK_INTERVAL_MS, ARCHIVE_LOOK_INTERVAL_MS_MIN),
          lookBackHours: settings.STUDY_LOOK_BACK_HOURS,
          clock: systemClock,
          onFailure: (code) => log.warn({ code }, 'a look at the PACS failed'),
          onRecovery: () => log.warn('looks at the PACS succeed again'),
        }),
    },
  ],
  exports: [StudyStep, FindPriorsStep],
})
export class StudyModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(PacsWatch) private readonly watch: PacsWatch,
    @Inject(ArchiveIntake) private readonly intake: ArchiveIntake,
    @Inject(Outbox) private readonly outbox: Outbox,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  onApplicationBootstrap(): void {
    // With a PACS of the site, the embedded archive is not where studies come from.
    if (!this.settings.DICOMWEB_URL)
      this.intake.onStored(announceStored((tx, jobs) => this.outbox.add(tx, jobs)));
    if (this.settings.PRELIM_ROLES.includes('worker')) this.watch.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.watch.stop();
  }
}
