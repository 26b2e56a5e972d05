import type { Basic, Subscription } from '@medplum/fhirtypes';
import { Injectable } from '@nestjs/common';
import type { Transaction } from '../database/database.ts';
import { type AccessContext, demandAccess, FULL_ACCESS } from '../fhir/access-context.ts';
import { LinkedEntries } from '../fhir/linked-entries.ts';
import {
  type Criteria,
  type Entries,
  entriesOf,
  type MatchAsked,
  matchCriteria,
} from '../fhir/match-criteria.ts';
import { LinkedResources } from '../fhir/match-links.ts';
import { type ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import { ANALYSIS_QUEUE, type AnalysisRequested } from '../kernel/handoffs.ts';
import { Outbox } from '../queue/outbox.ts';
import { ActiveSubscriptions } from './active-subscriptions.ts';
import { DELIVERY_QUEUE, type DeliveryDue } from './delivery-due.ts';
import type { LateQuestion } from './late-question.store.ts';
import { type Answering, keepLate, type Late } from './late-questions.ts';
import { NEVER_MATCHED, type ReadSubscription } from './read-subscription.ts';
import { authorOf, checkReach, checkStatus, readableTypes } from './subscriber-access.ts';
import { type EventDue, SubscriptionStore } from './subscription.store.ts';
import { isTopic } from './topics/basic-to-topic.ts';
import { queueCriteriaCheck } from './unfollowed.ts';
import type { Candidate, Linked, WatchIndex } from './watch-index.ts';

/** A Subscription, and a change that it may be told of. */
interface Fired {
  readonly subscription: ReadSubscription;
  readonly change: ResourceChange;
}

/** Those that fire, and those of which it is not known within this write. */
interface Found {
  readonly fired: readonly Fired[];
  readonly open: readonly Late[];
}

/** Who may fire for a change, and what the new version must meet for it; null where nothing is left to be asked. */
interface MayFire extends Fired {
  readonly criteria: Criteria | null;
  readonly entries: Entries;
}

/**
 * Looks at every change in its own transaction: which active Subscriptions does the new version match? An index in memory leaves the few
 * that may; those are matched by the search itself, in SQL, over the index rows just written, so a Subscription and a search never
 * disagree. What is due is written in the same transaction, with its number: it commits with the change or not at all.
 */
@Injectable()
export class MatchChange {
  private readonly linked = new LinkedEntries();
  /** What a transaction has read for chains; it writes up to three times, mostly about the same patient. */
  private readonly readFor = new WeakMap<Transaction, LinkedResources>();

  constructor(
    private readonly resources: ResourceStore,
    private readonly store: SubscriptionStore,
    private readonly active: ActiveSubscriptions,
    private readonly outbox: Outbox,
  ) {}

  listen(): void {
    this.resources.onChange((...change) => this.match(...change));
  }

  private async match(
    tx: Transaction,
    changes: readonly ResourceChange[],
    access: AccessContext,
    guess: boolean,
  ): Promise<void> {
    for (const { type, id } of changes) this.linked.drop(`${type}/${id}`);
    this.readFor.get(tx)?.forget(changes);
    const touched = await this.checkWritten(tx, changes, access);
    const others = changes.filter((change) => !NEVER_MATCHED.has(change.type));
    if (others.length === 0) return;
    const index = await this.active.look(tx, touched);
    if (this.active.takeDoubt()) await queueCriteriaCheck(this.outbox, tx);
    const watched = others.filter((change) => index.has(change.type));
    if (watched.length === 0) return;
    const { fired, open } = await this.find(tx, watched, index, guess);
    const events = fired.map((one) => ({ ...one, due: dueOf(one, null) }));
    const places = new Map(watched.map(({ type, id }, at) => [`${type}/${id}`, at]));
    const placeOf = ({ type, id }: LateQuestion) => places.get(`${type}/${id}`) ?? 0;
    const now = await keepLate(tx, this.outbox, { asked: open, events, placeOf });
    if (now.length > 0) await this.write(tx, now);
  }

  /** How an answer that came late becomes an event. */
  readonly tell: Answering['tell'] = (tx, subscription, due) => this.write(tx, [{ subscription, due }]);

  /** Subscriptions and topics that could never work are refused while their author is still there to read why. True: there are such. */
  private async checkWritten(
    tx: Transaction,
    changes: readonly ResourceChange[],
    access: AccessContext,
  ): Promise<boolean> {
    let subscriptions = false;
    let topics = false;
    let terminology = false;
    for (const change of changes) {
      if (change.type === 'Subscription') {
        subscriptions = true;
        await this.checkSubscription(tx, change, access);
      } else if (change.type === 'Basic') {
        topics ||= [change.resource, change.previous].some((one) => one && isTopic(one as Basic));
        if (change.resource) await this.active.checkTopic(tx, change.resource as Basic, this.resources.base);
      } else if (change.type === 'ValueSet' || change.type === 'CodeSystem') terminology = true;
    }
    if (subscriptions || topics || terminology) this.active.touch(tx, { topics, terminology });
    if (topics || (terminology && this.active.usesTerminology)) await queueCriteriaCheck(this.outbox, tx);
    return subscriptions || topics;
  }

  private async checkSubscription(
    tx: Transaction,
    change: ResourceChange,
    access: AccessContext,
  ): Promise<void> {
    const subscription = change.resource as Subscription | null;
    // Off by the author's wish, or by its end: nothing stays. One that was given up keeps its events, for $events.
    if (!subscription || (subscription.status === 'off' && !subscription.error))
      await this.store.forget(tx, change.id);
    if (!subscription || subscription.status === 'off') return;
    checkStatus(subscription, change.previous as Subscription | undefined, access);
    // The server says that it cannot be followed: that it cannot be read is no reason to refuse this.
    if (access === FULL_ACCESS && subscription.status === 'error') return;
    const { watches } = await this.active.read(tx, subscription);
    // What is delivered is read: nobody has others sent what they may not see.
    for (const { type } of watches) demandAccess(access, type, 'read');
    for (const { always } of watches) checkReach(always.filters, access);
    await this.store.keepAuthor(tx, change.id, readableTypes(access), authorOf(access));
    // The search is run once: an error of the database at a later match would take the write of a study with it.
    const asked = watches.map(({ always }): MatchAsked => ({ criteria: always, ids: ['none'] }));
    await matchCriteria(tx, asked, this.resources.base);
  }

  private async find(
    tx: Transaction,
    changes: readonly ResourceChange[],
    index: WatchIndex,
    guess: boolean,
  ): Promise<Found> {
    const fired: Fired[] = [];
    const late: Late[] = [];
    // What many ask in the same words is asked once.
    const asked = new Map<string, { criteria: Criteria; ids: Set<string>; may: Fired[] }>();
    const linked = this.linkedFor(tx, guess);
    await linked.load(this.namedBy(changes, index));
    const candidates = changes.flatMap((change) => this.candidates(change, index, linked.linked));
    const asking = candidates.flatMap(({ criteria, change, entries }) =>
      criteria ? { criteria, entries, id: change.id } : [],
    );
    const may = (await linked.mayMatch(asking)).values();
    for (const { subscription, criteria, change } of candidates) {
      if (criteria === null) fired.push({ subscription, change });
      else if (may.next().value === true) {
        if (linked.isTooMuch(criteria, change.id)) {
          late.push({ subscription, due: dueOf({ subscription, change }, criteria.query) });
          continue;
        }
        const words = `${criteria.type}?${criteria.query}`;
        const of = asked.get(words) ?? { criteria, ids: new Set(), may: [] };
        of.ids.add(change.id);
        of.may.push({ subscription, change });
        asked.set(words, of);
      }
    }
    const all = [...asked.values()];
    const questions = all.map(({ criteria, ids }): MatchAsked => ({ criteria, ids: [...ids] }));
    const answers = questions.length > 0 ? await matchCriteria(tx, questions, this.resources.base) : [];
    for (const [at, { may }] of all.entries())
      fired.push(...may.filter(({ change }) => answers[at]?.has(change.id)));
    const told = new Set(
      fired.map(({ subscription, change }) => `${subscription.id} ${change.type}/${change.id}`),
    );
    const open = late.filter(({ due }) => !told.has(`${due.subscriptionId} ${due.type}/${due.id}`));
    return { fired: inOrder(fired, changes), open };
  }

  private linkedFor(tx: Transaction, guess: boolean): LinkedResources {
    const read =
      this.readFor.get(tx) ?? new LinkedResources(tx, this.resources.base, guess ? this.linked : null);
    this.readFor.set(tx, read);
    return read;
  }

  /** What the changed resources refer to by chains that many Subscriptions go by. */
  private namedBy(changes: readonly ResourceChange[], index: WatchIndex) {
    return changes.flatMap(({ type, resource }) => {
      const heads = resource ? index.heads(type) : [];
      return resource && heads.length > 0 ? { entries: entriesOf(resource, this.resources.base), heads } : [];
    });
  }

  private candidates(change: ResourceChange, index: WatchIndex, linked: Linked): MayFire[] {
    const { base } = this.resources;
    let before: Entries | null | undefined;
    const previous = () => {
      if (before === undefined) before = change.previous ? entriesOf(change.previous, base) : null;
      return before;
    };
    if (change.resource === null) {
      const entries = previous() ?? NO_ENTRIES;
      return index
        .onDelete(change.type)
        .filter(
          ({ watch, subscription }) =>
            watch.firesOnDelete(entries) && mayLearn(subscription, change, entries.tokens),
        )
        .map(({ subscription }) => ({ subscription, change, criteria: null, entries }));
    }
    const now = Date.now();
    const entries = entriesOf(change.resource, base);
    const wants = ({ subscription, watch }: Candidate) =>
      watch.interactions.has(change.interaction) &&
      (subscription.channel.end === null || subscription.channel.end.getTime() > now);
    return index
      .among(change.type, entries, linked)
      .filter((candidate) => wants(candidate) && mayLearn(candidate.subscription, change, entries.tokens))
      .flatMap(({ subscription, watch }): MayFire[] => {
        const criteria = watch.asks(previous);
        if (criteria === null) return [];
        return [{ subscription, change, entries, criteria: criteria.filters.length === 0 ? null : criteria }];
      });
  }

  private async write(tx: Transaction, fired: readonly Told[]): Promise<void> {
    const events: EventDue[] = [];
    for (const { subscription, due } of fired) {
      const { target } = subscription.channel;
      if (target.kind === 'analyze') {
        const payload: AnalysisRequested = { imagingStudyId: due.id, model: target.model };
        await this.outbox.add(tx, [{ queue: ANALYSIS_QUEUE, payload }]);
      } else events.push(due);
    }
    if (events.length === 0) return;
    // In one order for all, so that two writes that concern the same Subscriptions do not wait for each other.
    for (const id of idsOf(fired, 'rest-hook'))
      await this.outbox.add(tx, [
        { queue: DELIVERY_QUEUE, key: id, payload: { subscriptionId: id } satisfies DeliveryDue },
      ]);
    const sockets = idsOf(fired, 'websocket');
    await this.store.tellSockets(tx, sockets);
    // Last, since it locks the counters until the commit.
    await this.store.give(tx, events, new Set(sockets));
  }
}

/** A Subscription, and what it is told of. */
interface Told {
  readonly subscription: ReadSubscription;
  readonly due: LateQuestion;
}

function dueOf({ subscription, change }: Fired, query: string | null): LateQuestion {
  const { type, id, interaction } = change;
  return { subscriptionId: subscription.id, type, id, version: Number(change.versionId), interaction, query };
}

const NO_ENTRIES: Entries = { tokens: new Set(), spans: new Map() };

/** Nobody is told of what they may not see: not that it is, not that it changed. */
const mayLearn = ({ access }: ReadSubscription, { type, id }: ResourceChange, entries: ReadonlySet<string>) =>
  !access || (access.allows(type, 'read') && access.shows?.(type, id, entries) !== false);

const idsOf = (fired: readonly Told[], kind: 'rest-hook' | 'websocket'): string[] => {
  const those = fired.filter(({ subscription }) => subscription.channel.target.kind === kind);
  return [...new Set(those.map(({ subscription }) => subscription.id))].sort();
};

/** One event per Subscription and change, in the order of the changes. */
function inOrder(fired: readonly Fired[], changes: readonly ResourceChange[]): Fired[] {
  const place = new Map(changes.map((change, at) => [change, at]));
  const seen = new Set<string>();
  return [...fired]
    .sort((a, b) => (place.get(a.change) ?? 0) - (place.get(b.change) ?? 0))
    .filter(({ subscription, change }) => {
      const key = `${subscription.id} ${change.type}/${change.id}`;
      return !seen.has(key) && seen.add(key);
    });
}
