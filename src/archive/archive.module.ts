import { join } from 'node:path';
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { systemClock } from '../kernel/clock.ts';
import { ARCHIVE_PLACE, ArchiveController, type ArchivePlace } from './archive.controller.ts';
import { ArchiveStore } from './archive.store.ts';
import { ArchiveIntake } from './archive-intake.ts';
import { ArchiveSource } from './archive-source.ts';
import { sweepIncoming } from './instance-file.ts';
import { QidoStore } from './qido.store.ts';
import { ReceivingStudies } from './receiving-studies.ts';

/** The embedded PACS: a DICOMweb service under `/dicomweb`, files under `PRELIM_DATA/archive`, index in the database. */
@Module({
  controllers: [ArchiveController],
  providers: [
    {
      provide: ARCHIVE_PLACE,
      inject: [SETTINGS],
      useFactory: (settings: Settings): ArchivePlace => ({
        folder: join(settings.PRELIM_DATA, 'archive'),
        root: `${settings.baseUrl}/dicomweb`,
      }),
    },
    ArchiveStore,
    QidoStore,
    ReceivingStudies,
    {
      provide: ArchiveIntake,
      inject: [ArchiveStore, ARCHIVE_PLACE, ReceivingStudies],
      useFactory: (store: ArchiveStore, place: ArchivePlace, receiving: ReceivingStudies) =>
        new ArchiveIntake(store, place.folder, receiving),
    },
    {
      provide: ArchiveSource,
      inject: [ArchiveStore, ARCHIVE_PLACE, ReceivingStudies],
      useFactory: (store: ArchiveStore, place: ArchivePlace, receiving: ReceivingStudies) =>
        new ArchiveSource(store, place, receiving),
    },
  ],
  exports: [ArchiveIntake, ArchiveSource],
})
export class ArchiveModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(ARCHIVE_PLACE) private readonly place: ArchivePlace,
  ) {}

  /** Fastify hands multipart bodies on as a stream: the parser of a kind that nobody else here uses. */
  async onModuleInit(): Promise<void> {
    await sweepIncoming(this.place.folder, systemClock.now());
    const server = this.host.httpAdapter?.getInstance<FastifyInstance | undefined>();
    if (
      typeof server?.addContentTypeParser !== 'function' ||
      server.hasContentTypeParser('multipart/related')
    )
      return;
    server.addContentTypeParser('multipart/related', (_request, payload, done) => done(null, payload));
  }
}
