import type { Resource } from '@medplum/fhirtypes';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import type { Logger } from 'pino';
import { Database } from './database/database.ts';
import { publishedProfiles } from './fhir/published-profiles.ts';
import { ResourceStore } from './fhir/resource-store.ts';
import { subscriptionFor, subscriptionId } from './flow/flow-subscriptions.ts';
import type { RegisteredModel } from './governance/check-model.ts';
import { manifestToDevice } from './governance/manifest-to-device.ts';
import { ModelRegister } from './governance/model-register.ts';
import { readCard } from './governance/read-card.ts';
import { LOGGER } from './kernel/log.ts';

/**
 * The records a server starts with: a Device per model version, one Subscription per model, and the profiles we publish (`terminology` writes its own). What is there and the same is
 * left alone; a Subscription is written once and then belongs to the hospital.
 */
@Injectable()
export class SeedFirstRecords implements OnApplicationBootstrap {
  constructor(
    private readonly database: Database,
    private readonly store: ResourceStore,
    private readonly models: ModelRegister,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const models = this.models.list();
    const devices: Resource[] = [
      ...(await Promise.all(models.map((model) => this.device(model)))),
      ...publishedProfiles(),
    ];
    await this.database.transaction(async (tx) => {
      await this.store.write(
        tx,
        devices.map(
          (resource) =>
            ({ kind: 'update', resource: resource as Resource & { id: string }, unchanged: 'skip' }) as const,
        ),
      );
      for (const id of new Set(models.map((model) => model.manifest.id))) {
        const newest = this.models.get(id);
        const there = await this.store.read('Subscription', subscriptionId(id), tx);
        // A deleted one was deleted by somebody: the model stays off.
        if (newest && !there)
          await this.store.write(tx, [{ kind: 'create', resource: subscriptionFor(newest.manifest) }]);
      }
    });
    for (const { folder, get } of this.models.absent())
      this.log.info({ folder, get }, 'model without its file');
    for (const refusal of this.models.refusals()) {
      this.log.error({ folder: refusal.folder, faults: refusal.faults }, 'model refused');
    }
  }

  private async device(model: RegisteredModel) {
    const state = this.models.stateOf(model.ref);
    return manifestToDevice(model.manifest, { state, ...(await readCard(model)) });
  }
}
