import {
  type BeforeApplicationShutdown,
  Inject,
  Module,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { SETTINGS } from '../../config/settings.token.ts';
import type { Settings } from '../../config/settings.ts';
import { Database } from '../../database/database.ts';
import { FhirModule } from '../../fhir/fhir.module.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { findPageFolder, servePage } from '../../http/serve-page.ts';
import { WorklistController } from './worklist.controller.ts';
import { WorklistFeed } from './worklist.feed.ts';
import { WorklistStore } from './worklist.store.ts';
import { WorklistNotices } from './worklist-notices.ts';

/** Injection token: the folder with the built page. */
export const WORKLIST_PAGE_FOLDER = Symbol('WorklistPageFolder');

/** The worklist: page, what it reads, and what keeps it live. */
@Module({
  imports: [FhirModule],
  controllers: [WorklistController],
  providers: [
    WorklistStore,
    { provide: WORKLIST_PAGE_FOLDER, useFactory: () => findPageFolder('worklist') },
    {
      provide: WorklistFeed,
      inject: [WorklistStore],
      useFactory: (store: WorklistStore) => new WorklistFeed(store),
    },
    {
      provide: WorklistNotices,
      inject: [Database, WorklistFeed],
      useFactory: (database: Database, feed: WorklistFeed) =>
        new WorklistNotices(
          database,
          (payload) => feed.heard(payload),
          () => feed.missed(),
        ),
    },
  ],
})
export class WorklistModule implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(
    @Inject(ResourceStore) private readonly resources: ResourceStore,
    @Inject(WorklistFeed) private readonly feed: WorklistFeed,
    @Inject(WorklistNotices) private readonly notices: WorklistNotices,
    @Inject(HttpAdapterHost) private readonly http: HttpAdapterHost,
    @Inject(WORKLIST_PAGE_FOLDER) private readonly pageFolder: string,
    @Inject(SETTINGS) private readonly settings: Settings,
  ) {}

  onModuleInit(): void {
    this.resources.onChange((tx, changes) => this.feed.changed(tx, changes));
    servePage(this.http, {
      name: 'worklist',
      folder: this.pageFolder,
      frameAncestors: this.settings.FRAME_ANCESTORS,
    });
  }

  /** Open streams would keep the server from closing. */
  beforeApplicationShutdown(): void {
    this.feed.stop();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.notices.stop();
  }
}
