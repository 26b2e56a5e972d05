import type { Subscription } from '@medplum/fhirtypes';
import type { ResourceStore } from '../fhir/resource-store.ts';
import type { Job, JobHandler, JobOutcome } from '../queue/job.ts';
import type { Outbox } from '../queue/outbox.ts';

interface ActivationDue {
  readonly subscriptionId: string;
}

const QUEUE = 'subscription-activation';

/** A client may only ask (`requested`); the server switches on (subscription.html, "status"). */
export function queueActivations(store: ResourceStore, outbox: Outbox): void {
  store.onChange(async (tx, changes) => {
    for (const change of changes) {
      if (
        change.type !== 'Subscription' ||
        (change.resource as Subscription | undefined)?.status !== 'requested'
      )
        continue;
      await outbox.add(tx, [
        { queue: QUEUE, payload: { subscriptionId: change.id } satisfies ActivationDue },
      ]);
    }
  });
}

export function activationHandler(store: ResourceStore): JobHandler<ActivationDue> {
  return {
    queue: QUEUE,
    concurrency: 2,
    attemptsMax: 10,
    async run(job: Job<ActivationDue>): Promise<JobOutcome> {
      const kept = await store.read('Subscription', job.payload.subscriptionId);
      const subscription = kept && !kept.deleted ? kept.parse<Subscription>() : null;
      if (!kept || subscription?.status !== 'requested') return { kind: 'done' };
      return {
        kind: 'done',
        write: async (tx) => {
          const active = { ...subscription, id: kept.id, status: 'active' as const };
          await store.write(tx, [{ kind: 'update', resource: active, ifVersion: kept.versionId }]);
        },
      };
    },
  };
}
