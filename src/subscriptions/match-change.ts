import type { Subscription } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
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
  /** Id and version of those that the log has: one line each, not one per study. */
  private readonly reported = new Set<string>();

  constructor(
    private readonly store: ResourceStore,
    private readonly outbox: Outbox,
    private readonly settings: Pick<Settings, 'baseUrl' | 'SUBSCRIPTION_HOSTS'>,
    private readonly log: Pick<Logger, 'warn'>,
  ) {}

  listen(): void {
    this.store.onChange((tx, changes) => this.match(tx, changes));
  }

  private async match(tx: Transaction, changes: readonly ResourceChange[]): Promise<void> {
    for (const change of changes) {
      if (change.type === 'Subscription' && change.resource)
        await this.check(tx, change.resource as Subscription);
    }
    const written = changes.filter(
      (change) => change.interaction !== 'delete' && !NEVER_MATCHED.has(change.type),
    );
    if (written.length === 0) return;
    const subscriptions = await this.activeFor(tx, new Set(written.map((change) => change.type)));
    for (const subscription of subscriptions) {
      for (const change of written) {
        if (
          change.type === subscription.type &&
          (await this.store.matches(tx, change.type, change.id, subscription.query))
        ) {
          await this.outbox.add(tx, [jobFor(subscription, change)]);
        }
      }
    }
  }

  /**
   * A Subscription that could never work is refused while its author is still there to read why. The search is run once, too: an error of
   * the database at a later match would take the write of a study with it, since it ends the transaction.
   */
  private async check(tx: Transaction, subscription: Subscription): Promise<void> {
    const { type, query } = this.read(subscription);
    await this.store.matches(tx, type, 'none', query);
  }

  private async activeFor(tx: Transaction, types: ReadonlySet<string>): Promise<ActiveSubscription[]> {
    const rows = await tx.run<{ content: string }>(ACTIVE, [[...types].map((type) => `"criteria":"${type}`)]);
    return rows
      .map((row) => this.readQuietly(JSON.parse(row.content) as Subscription))
      .filter(
        (subscription) => subscription !== null && types.has(subscription.type),
      ) as ActiveSubscription[];
  }

  private read(subscription: Subscription): ActiveSubscription {
    const active = readSubscription(subscription, this.settings.baseUrl, this.settings.SUBSCRIPTION_HOSTS);
    if (NEVER_MATCHED.has(active.type))
      throw new Failure('fhir.unsupported', `Nobody can subscribe to ${active.type}.`);
    try {
      this.store.checkCriteria(active.type, active.query);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      throw new Failure(error.code, error.message, {
        cause: error,
        issues: [{ at: 'Subscription.criteria', text: error.message }],
      });
    }
    return active;
  }

  /**
   * One that could not be stored today (its host was taken off the list, a parameter is not known any more) is passed over; it must not stop
   * the write of a study. No SQL runs in here, so nothing that ended the transaction is caught.
   */
  private readQuietly(subscription: Subscription): ActiveSubscription | null {
    try {
      return this.read(subscription);
    } catch (error) {
      this.report(subscription, error);
      return null;
    }
  }

  private report({ id, meta }: Subscription, error: unknown): void {
    const key = `${id}/${meta?.versionId}`;
    if (this.reported.has(key)) return;
    if (this.reported.size >= REPORTED_MAX) this.reported.clear();
    this.reported.add(key);
    const err = error instanceof Failure ? error.code : 'internal';
    this.log.warn(
      { subscription: id, err },
      'a Subscription cannot be understood and is passed over: write it again, or delete it',
    );
  }
}

/** More broken Subscriptions than a hospital has Subscriptions; beyond it they are named again. */
const REPORTED_MAX = 1_000;

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
  const payload: HookDue = {
    subscriptionId: subscription.id,
    type: change.type,
    id: change.id,
    versionId: change.versionId,
  };
  return { queue: HOOK_QUEUE, payload, lane: `hook:${subscription.id}:${change.type}/${change.id}` };
}
