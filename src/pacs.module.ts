import { Global, Module } from '@nestjs/common';
import { ArchiveModule } from './archive/archive.module.ts';
import { ArchiveSource } from './archive/archive-source.ts';
import { SETTINGS } from './config/settings.token.ts';
import type { Settings } from './config/settings.ts';
import { STUDY_SOURCE } from './dicom/study-source.ts';
import { dicomwebSourceOf } from './dicomweb/dicomweb-source.ts';

/** Where studies come from: the PACS at `DICOMWEB_URL`, or the embedded archive. */
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
  ],
  exports: [STUDY_SOURCE],
})
export class PacsModule {}
