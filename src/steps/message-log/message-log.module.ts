import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { QueueModule } from '../../queue/queue.module.ts';
import { ActionStore } from './action.store.ts';
import { AlertStore } from './alert.store.ts';
import { AlertWatch } from './alert-watch.ts';
import { LaneStore } from './lane.store.ts';
import { MessageLogController } from './message-log.controller.ts';
import { MessageLogStore } from './message-log.store.ts';
import { OperatorActionsController } from './operator-actions.controller.ts';
import { OperatorActions } from './operator-actions.ts';
import { operatorPage } from './operator-page.ts';
import { RetentionStore } from './retention.store.ts';
import { Retention } from './retention.ts';

/** Injection token: the folder with the built page. */
export const OPERATOR_PAGE_FOLDER = Symbol('OperatorPageFolder');

/** The HL7 message log: search, what an operator does, alerts, retention, and the page for all that. */
@Module({
  imports: [QueueModule],
  controllers: [MessageLogController, OperatorActionsController],
  providers: [
    MessageLogStore,
    ActionStore,
    LaneStore,
    AlertStore,
    AlertWatch,
    OperatorActions,
    RetentionStore,
    Retention,
    { provide: OPERATOR_PAGE_FOLDER, useFactory: findPageFolder },
  ],
  exports: [AlertWatch, LaneStore, Retention],
})
export class MessageLogModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly http: HttpAdapterHost,
    @Inject(OPERATOR_PAGE_FOLDER) private readonly pageFolder: string,
  ) {}

  onModuleInit(): void {
    // A process without the api role has no HTTP server.
    const fastify = this.http.httpAdapter?.getInstance<FastifyInstance | undefined>();
    // Not awaited: that would make Fastify load everything now, before Nest has set its error handler.
    if (typeof fastify?.register === 'function')
      void fastify.register(operatorPage, { folder: this.pageFolder });
  }
}

/** Where `vite build` put the page, seen from the sources, from `dist/src` and from `dist`. */
function findPageFolder(): string {
  const places = ['../../../dist/operator', '../../../operator', '../../operator'];
  const folders = places.map((place) => fileURLToPath(new URL(place, import.meta.url)));
  return folders.find((folder) => existsSync(join(folder, 'index.html'))) ?? (folders[0] as string);
}
