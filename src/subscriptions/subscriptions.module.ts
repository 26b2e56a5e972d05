import {
  type BeforeApplicationShutdown,
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnModuleInit,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Logger } from 'pino';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { Database } from '../database/database.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { OperationRegistry } from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { systemClock } from '../kernel/clock.ts';
import { LOGGER } from '../kernel/log.ts';
import type { JobHandler } from '../queue/job.ts';
import { Outbox } from '../queue/outbox.ts';
import { activationHandler, endHandler, queueActivations } from './activate-subscriptions.ts';
import { ActiveSubscriptions } from './active-subscriptions.ts';
import { criteriaHandler } from './check-criteria.ts';
import { type Delivery, deliveryHandler } from './deliver-events.ts';
import { heartbeatHandler } from './heartbeat.ts';
import { questionHandler } from './late-questions.ts';
import { ListenForEvents } from './listen-for-events.ts';
import { MatchChange } from './match-change.ts';
import { NotifyHost } from './notify-host.ts';
import { subscriptionOperations } from './operations.ts';
import { describeSubscriptions, keepTopics } from './publish-topics.ts';
import { SOCKET_PATH, SocketHub } from './socket-hub.ts';
import { SubscriptionStore } from './subscription.store.ts';

/** The jobs of this folder, run beside those of the flow. */
export const SUBSCRIPTION_HANDLERS = Symbol('SubscriptionHandlers');

@Module({
  imports: [FhirModule],
  providers: [
    SubscriptionStore,
    MatchChange,
    {
      provide: ActiveSubscriptions,
      inject: [ResourceStore, SubscriptionStore, SETTINGS, LOGGER],
      useFactory: (resources: ResourceStore, store: SubscriptionStore, settings: Settings, log: Logger) =>
        new ActiveSubscriptions(resources, store, settings, log),
    },
    {
      provide: SocketHub,
      inject: [ResourceStore, SubscriptionStore, Database, SETTINGS, LOGGER],
      useFactory: (
        resources: ResourceStore,
        store: SubscriptionStore,
        database: Database,
        settings: Settings,
        log: Logger,
      ) => new SocketHub(resources, store, new ListenForEvents(database), settings, log),
    },
    {
      provide: SUBSCRIPTION_HANDLERS,
      inject: [
        Database,
        ResourceStore,
        SubscriptionStore,
        Outbox,
        SETTINGS,
        ActiveSubscriptions,
        MatchChange,
      ],
      useFactory: handlers,
    },
  ],
  exports: [SUBSCRIPTION_HANDLERS],
})
export class SubscriptionsModule implements OnModuleInit, OnApplicationBootstrap, BeforeApplicationShutdown {
  constructor(
    private readonly match: MatchChange,
    private readonly resources: ResourceStore,
    private readonly store: SubscriptionStore,
    private readonly outbox: Outbox,
    private readonly operations: OperationRegistry,
    private readonly sockets: SocketHub,
    private readonly database: Database,
    @Inject(HttpAdapterHost) private readonly http: HttpAdapterHost,
  ) {}

  onModuleInit(): void {
    this.match.listen();
    queueActivations(this.resources, this.outbox);
    const { resources, store } = this;
    const socketUrl = `${resources.base.replace(/^http/, 'ws').replace(/\/fhir$/, '')}${SOCKET_PATH}`;
    for (const operation of subscriptionOperations({ resources, store, socketUrl }))
      this.operations.register(operation);
    describeSubscriptions(this.operations, socketUrl);
  }

  async onApplicationBootstrap(): Promise<void> {
    await keepTopics(this.database, this.resources);
    const server = this.http.httpAdapter?.getHttpServer();
    if (server) this.sockets.attach(server);
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.sockets.stop();
  }
}

function handlers(
  database: Database,
  resources: ResourceStore,
  store: SubscriptionStore,
  outbox: Outbox,
  settings: Settings,
  active: ActiveSubscriptions,
  match: MatchChange,
): JobHandler<never>[] {
  const host = new NotifyHost(resources, settings, systemClock);
  const delivery: Delivery = { database, resources, store, host, settings };
  return [
    deliveryHandler(delivery),
    activationHandler(delivery, outbox),
    heartbeatHandler(delivery),
    endHandler(delivery),
    criteriaHandler(delivery, active, outbox),
    questionHandler({ database, resources, active, tell: match.tell }),
  ] as JobHandler<never>[];
}
