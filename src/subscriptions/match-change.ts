import { Injectable } from '@nestjs/common';
import type { Subscription } from '@medplum/fhirtypes';
import type { Settings } from '../config/settings.ts';
import type { Transaction } from '../database/database.ts';
import { type ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import type { AnalysisRequested } from '../kernel/handoffs.ts';
import type { JobRequest } from '../queue/job.ts';
import { Outbox } from '../queue/outbox.ts';
import { type ActiveSubscription, readSubscription } from './subscription-criteria.ts';

/** A hook that is to be delivered: which Subscription, which version of what. */
export interface HookDue {
  readonly subscriptionId: string;
  readonly type: string;
  readonly id: string;
  readonly versionId: string;
}

export const HOOK_QUEUE = 'rest-hook';
/** The step that takes up an analysis; see `flow/study-flow.ts`. */
const ANALYSIS_QUEUE = 'analysis';

/**
 * Looks at every change in its own transaction: which active Subscriptions does the new version match? The match is the search itself, in
 * SQL, over the index rows just written, so a Subscription and a search never disagree. What is due becomes a job in the
 * same transaction: it commits with the change or not at all.
 */
@Injectable()
export class MatchChange {
  constructor(
    private readonly store: ResourceStore,
    private readonly outbox: Outbox,
    private readonly settings: Pick<Settings, 'baseUrl' | 'SUBSCRIPTION_HOSTS'>,
  ) {}

  listen(): void {
    this.store.onChange((tx, changes) => this.match(tx, changes));
  }

  private async match(tx: Transaction, changes: readonly ResourceChange[]): Promise<void> {
    for (const change of changes) {
      // A Subscription that could never work is refused while its author is still there to read why.
      if (change.type === 'Subscription' && change.resource) this.read(change.resource as Subscription);
    }
    const written = changes.filter((change) => change.interaction !== 'delete' && !NEVER_MATCHED.has(change.type));
    if (written.length === 0) return;
    const subscriptions = await this.activeFor(tx, new Set(written.map((change) => change.type)));
    for (const subscription of subscriptions) {
      for (const change of written) {
        if (change.type === subscription.type && (await this.store.matches(tx, change.type, change.id, subscription.query))) {
          await this.outbox.add(tx, [jobFor(subscription, change)]);
        }
      }
    }
  }

  private async activeFor(tx: Transaction, types: ReadonlySet<string>): Promise<ActiveSubscription[]> {
    const rows = await tx.run<{ content: string }>(ACTIVE, [[...types].map((type) => `"criteria":"${type}`)]);
    return rows
      .map((row) => this.readQuietly(JSON.parse(row.content) as Subscription))
      .filter((subscription) => subscription !== null && types.has(subscription.type)) as ActiveSubscription[];
  }

  private read(subscription: Subscription): ActiveSubscription {
    const active = readSubscription(subscription, this.settings.baseUrl, this.settings.SUBSCRIPTION_HOSTS);
    if (NEVER_MATCHED.has(active.type)) throw new Failure('fhir.unsupported', `Nobody can subscribe to ${active.type}.`);
    this.store.checkCriteria(active.type, active.query);
    return active;
  }

  /** One that could not be stored today (its host was taken off the list since) stays silent; it must not stop the write of a study. */
  private readQuietly(subscription: Subscription): ActiveSubscription | null {
    try {
      return this.read(subscription);
    } catch {
      return null;
    }
  }
}

/** Kinds of resource nobody can subscribe to: they follow from deliveries and reads, and would feed on themselves. */
const NEVER_MATCHED: ReadonlySet<string> = new Set(['AuditEvent', 'Subscription']);

/** Active Subscriptions whose criteria begin with one of the types; the text is our own printing of the JSON. */
const ACTIVE = {
  name: 'subscriptions-active',
  text: `SELECT content FROM resource
    WHERE type = 'Subscription' AND NOT deleted AND tokens @> ARRAY['Subscription.status#active'] AND EXISTS (
      SELECT 1 FROM unnest($1::text[]) AS wanted WHERE position(wanted IN content) > 0)
    ORDER BY id`,
};

function jobFor(subscription: ActiveSubscription, change: ResourceChange): JobRequest<object> {
  if (subscription.target.kind === 'analyze') {
    const payload: AnalysisRequested = { imagingStudyId: change.id, model: subscription.target.model };
    return { queue: ANALYSIS_QUEUE, payload };
  }
  const payload: HookDue = { subscriptionId: subscription.id, type: change.type, id: change.id, versionId: change.versionId };
  return { queue: HOOK_QUEUE, payload, lane: `hook:${subscription.id}:${change.type}/${change.id}` };
}
