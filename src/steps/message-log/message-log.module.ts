import { Inject, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { findPageFolder, servePage } from '../../http/serve-page.ts';
import { QueueModule } from '../../queue/queue.module.ts';
import { ActionStore } from './action.store.ts';
import { AlertStore } from './alert.store.ts';
import { AlertWatch } from './alert-watch.ts';
import { LaneStore } from './lane.store.ts';
import { MessageLogController } from './message-log.controller.ts';
import { MessageLogStore } from './message-log.store.ts';
import { OperatorActionsController } from './operator-actions.controller.ts';
import { OperatorActions } from './operator-actions.ts';
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
    { provide: OPERATOR_PAGE_FOLDER, useFactory: () => findPageFolder('operator') },
  ],
  exports: [AlertWatch, LaneStore, Retention],
})
export class MessageLogModule implements OnModuleInit {
  constructor(
    @Inject(HttpAdapterHost) private readonly http: HttpAdapterHost,
    @Inject(OPERATOR_PAGE_FOLDER) private readonly pageFolder: string,
  ) {}

  onModuleInit(): void {
    servePage(this.http, { name: 'operator', folder: this.pageFolder });
  }
}
