import { Module, type OnModuleInit } from '@nestjs/common';
import type { Settings } from '../config/settings.ts';
import { SETTINGS } from '../config/settings.token.ts';
import { FhirModule } from '../fhir/fhir.module.ts';
import { ResourceStore } from '../fhir/resource-store.ts';
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
      inject: [ResourceStore, Outbox, SETTINGS],
      useFactory: (store: ResourceStore, outbox: Outbox, settings: Settings) => new MatchChange(store, outbox, settings),
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
  ) {}

  onModuleInit(): void {
    this.match.listen();
    queueActivations(this.store, this.outbox);
  }
}
