import type { Subscription } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import type { Settings } from '../config/settings.ts';
import type { Transaction } from '../database/database.ts';
import { type AccessContext, demandAccess } from '../fhir/access-context.ts';
import { type ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { ANALYSIS_QUEUE, type AnalysisRequested } from '../kernel/handoffs.ts';
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

/**
 * Looks at every change in its own transaction: which active Subscriptions does the new version match? The match is the search itself, in
 * SQL, over the index rows just written, so a Subscription and a search never disagree. What is due becomes a job in the
 * same transaction: it commits with the change or not at all.
 */
@Injectable()
export class MatchChange {
  /** Id and version of those that the log has: one line each, not one per study. */
  private readonly reported = new Set<string>();
  /** Read ones by id, so that an unchanged one is read once. */
  private parsed = new Map<string, { version: number; active: ActiveSubscription | null }>();
  private knownUntil = 0;
  /** Changes of Subscriptions committed here. A look that began before the newest of them may have missed it. */
  private changes = 0;

  constructor(
    private readonly store: ResourceStore,
    private readonly outbox: Outbox,
    private readonly settings: Pick<Settings, 'baseUrl' | 'SUBSCRIPTION_HOSTS'>,
    private readonly log: Pick<Logger, 'warn'>,
    private readonly knownMs = KNOWN_MS,
  ) {}

  listen(): void {
    this.store.onChange((tx, changes, access) => this.match(tx, changes, access));
  }

  private async match(
    tx: Transaction,
    changes: readonly ResourceChange[],
    access: AccessContext,
  ): Promise<void> {
    for (const change of changes) {
      if (change.type === 'Subscription' && change.resource)
        await this.check(tx, change.resource as Subscription, access);
    }
    const touched = changes.some((change) => change.type === 'Subscription');
    if (touched) {
      this.knownUntil = 0;
      tx.afterCommit(() => {
        this.knownUntil = 0;
        this.changes += 1;
      });
    }
    const written = changes.filter(
      (change) => change.interaction !== 'delete' && !NEVER_MATCHED.has(change.type),
    );
    if (written.length === 0) return;
    if (Date.now() >= this.knownUntil) await this.lookUp(tx, touched);
    const types = new Set(written.map((change) => change.type));
    const subscriptions = [...this.parsed.values()].flatMap(({ active }) =>
      active && types.has(active.type) ? active : [],
    );
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
  private async check(tx: Transaction, subscription: Subscription, access: AccessContext): Promise<void> {
    const { type, query } = this.read(subscription);
    // What is delivered is read: nobody has others sent what they may not see.
    demandAccess(access, type, 'read');
    await this.store.matches(tx, type, 'none', query);
  }

  /**
   * Which Subscriptions are active. What this process writes counts at once; what another one writes, within `KNOWN_MS`. Not kept when this very
   * transaction changes one: it may still be rolled back.
   */
  private async lookUp(tx: Transaction, touched: boolean): Promise<void> {
    const before = this.changes;
    const rows = await tx.run<{ id: string; version: number }>(ACTIVE);
    const changed = rows
      .filter((row) => this.parsed.get(row.id)?.version !== row.version)
      .map((row) => ({ type: 'Subscription', id: row.id }));
    const read = new Map(
      (changed.length > 0 ? await this.store.readMany(changed, tx) : []).map((stored) => [stored.id, stored]),
    );
    const parsed: typeof this.parsed = new Map();
    for (const { id, version } of rows) {
      const stored = read.get(id);
      const entry = stored
        ? { version, active: this.readQuietly(stored.parse<Subscription>()) }
        : this.parsed.get(id);
      if (entry) parsed.set(id, entry);
    }
    this.parsed = parsed;
    this.knownUntil = touched || before !== this.changes ? 0 : Date.now() + this.knownMs;
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

/** How late a change of a Subscription in another process may be seen here; a write in between is spared a look. */
const KNOWN_MS = 1_000;

const ACTIVE = {
  name: 'subscriptions-active',
  text: `SELECT id, version FROM resource
    WHERE type = 'Subscription' AND NOT deleted AND tokens @> ARRAY['Subscription.status#active'] ORDER BY id`,
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
