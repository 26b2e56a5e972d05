import { Module, type OnModuleInit } from '@nestjs/common';
import type { Logger } from 'pino';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { OperationRegistry } from '../fhir/operation-registry.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
import { LOGGER } from '../kernel/log.ts';
import type { JobHandler } from '../queue/job.ts';
import { Outbox } from '../queue/outbox.ts';
import { activationHandler, queueActivations } from './activate-subscriptions.ts';
import { restHookHandler } from './deliver-rest-hook.ts';
import { MatchChange } from './match-change.ts';

/** The jobs of this folder, run beside those of the flow. */
export const SUBSCRIPTION_HANDLERS = Symbol('SubscriptionHandlers');

@Module({
  imports: [FhirModule],
  providers: [
    {
      provide: MatchChange,
      inject: [ResourceStore, Outbox, SETTINGS, LOGGER],
      useFactory: (store: ResourceStore, outbox: Outbox, settings: Settings, log: Logger) =>
        new MatchChange(store, outbox, settings, log),
    },
    {
      provide: SUBSCRIPTION_HANDLERS,
      inject: [ResourceStore, SETTINGS],
      useFactory: (store: ResourceStore, settings: Settings) =>
        [restHookHandler(store, settings), activationHandler(store)] as JobHandler<never>[],
    },
  ],
  exports: [SUBSCRIPTION_HANDLERS],
})
export class SubscriptionsModule implements OnModuleInit {
  constructor(
    private readonly match: MatchChange,
    private readonly store: ResourceStore,
    private readonly outbox: Outbox,
    private readonly operations: OperationRegistry,
  ) {}

  onModuleInit(): void {
    this.match.listen();
    queueActivations(this.store, this.outbox);
    this.operations.describe('Subscription', CHANNELS);
  }
}

/** For the CapabilityStatement: R4 has an element for websocket only. */
const CHANNELS =
  'Channels: rest-hook, with or without payload application/fhir+json. Criteria: a search on one type. The endpoint is on a host that the ' +
  'setting SUBSCRIPTION_HOSTS names, or ImagingStudy/$analyze?model=<id> of this server.';
