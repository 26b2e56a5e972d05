import { Global, Module } from '@nestjs/common';
import { ArchiveModule } from './archive/archive.module.ts';
import { ArchiveInstanceStore } from './archive/archive-instance-store.ts';
import { ArchiveIntake } from './archive/archive-intake.ts';
import { ArchiveSource } from './archive/archive-source.ts';
import { SETTINGS } from './config/settings.token.ts';
import type { Settings } from './config/settings.ts';
import { INSTANCE_STORE } from './dicom/instance-store.ts';
import { STUDY_SOURCE } from './dicom/study-source.ts';
import { dicomwebSourceOf } from './dicomweb/dicomweb-source.ts';
import { dicomwebStoreOf } from './dicomweb/stow.ts';

/** Where studies come from and results go: the PACS at `DICOMWEB_URL`, or the embedded archive. */
@Global()
@Module({
  imports: [ArchiveModule],
  providers: [
    {
      provide: STUDY_SOURCE,
      inject: [SETTINGS, ArchiveSource],
      useFactory: (settings: Settings, archive: ArchiveSource) =>
        settings.DICOMWEB_URL ? dicomwebSourceOf(settings) : archive,
    },
    {
      provide: INSTANCE_STORE,
      inject: [SETTINGS, ArchiveIntake],
      useFactory: (settings: Settings, intake: ArchiveIntake) =>
        settings.DICOMWEB_URL ? dicomwebStoreOf(settings) : new ArchiveInstanceStore(intake),
    },
  ],
  exports: [STUDY_SOURCE, INSTANCE_STORE],
})
export class PacsModule {}
