import type { Database, Transaction } from '../database/database.ts';
import { aboutReferrers, type Criteria, matchCriteria } from '../fhir/match-criteria.ts';
import type { ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import type { Job, JobHandler, JobOutcome } from '../queue/job.ts';
import type { Outbox } from '../queue/outbox.ts';
import type { ActiveSubscriptions } from './active-subscriptions.ts';
import {
  dropQuestions,
  firstQuestion,
  type KeptQuestion,
  keepQuestions,
  type LateQuestion,
  openOf,
  takeQuestion,
} from './late-question.store.ts';
import type { ReadSubscription } from './read-subscription.ts';

export const QUESTION_QUEUE = 'subscription-question';

/** A write waits for none of these. Alone, in the background, one may take so long; then the change is told without an answer: a message too many can be read over. */
export const QUESTION_MS_MAX = 30_000;
/** Questions of one run of the job; then others have their turn. */
export const QUESTIONS_PER_RUN_MAX = 50;
/** Each takes a connection, for as long as PostgreSQL goes through what refers to a resource. */
const SUBSCRIPTIONS_AT_ONCE = 2;

interface QuestionDue {
  readonly subscriptionId: string;
}

/** What is kept for a Subscription: a question, or (`query` null) an event. */
export interface Late {
  readonly subscription: Pick<ReadSubscription, 'id' | 'watches'>;
  readonly due: LateQuestion;
}

/** Can it have questions that are open? Only then it costs a look. */
const mayBeLate = ({ watches }: Pick<ReadSubscription, 'watches'>): boolean =>
  watches.some(({ always }) => always.unbounded !== null);

export interface LateAndDue<Event extends Late> {
  readonly asked: readonly Late[];
  readonly events: readonly Event[];
  /** Where the change stands among those of the write. */
  placeOf(due: LateQuestion): number;
}

/**
 * Keeps what cannot be decided within a write, in its transaction. Of the events that are due, gives those that may be told at once: one behind an open
 * question of its Subscription waits with it, so that a Subscription is told in the order of the changes.
 */
export async function keepLate<Event extends Late>(
  tx: Transaction,
  outbox: Outbox,
  { asked, events, placeOf }: LateAndDue<Event>,
): Promise<readonly Event[]> {
  const slow = new Set(
    events.filter(({ subscription }) => mayBeLate(subscription)).map(({ subscription }) => subscription.id),
  );
  const open = new Set(slow.size > 0 ? await openOf(tx, [...slow]) : []);
  for (const { subscription } of asked) open.add(subscription.id);
  if (open.size === 0) return events;
  const behind = events.filter(({ subscription }) => open.has(subscription.id));
  const kept = [...asked, ...behind].map(({ due }) => due);
  if (kept.length === 0) return events;
  await keepQuestions(
    tx,
    kept.sort((a, b) => placeOf(a) - placeOf(b)),
  );
  for (const id of [...open].sort())
    await outbox.add(tx, [
      { queue: QUESTION_QUEUE, key: id, payload: { subscriptionId: id } satisfies QuestionDue },
    ]);
  return events.filter(({ subscription }) => !open.has(subscription.id));
}

/** With what the questions are answered. */
export interface Answering {
  readonly database: Database;
  readonly resources: ResourceStore;
  readonly active: Pick<ActiveSubscriptions, 'find'>;
  /** Writes the event of a change, with its number. */
  tell(tx: Transaction, subscription: ReadSubscription, due: LateQuestion): Promise<void>;
}

/** Answers the questions of a Subscription one after the other, in their order. An answer and its event commit together: each is told once. */
export function questionHandler(answering: Answering): JobHandler<QuestionDue> {
  const { database, active } = answering;
  return {
    queue: QUESTION_QUEUE,
    concurrency: SUBSCRIPTIONS_AT_ONCE,
    attemptsMax: 50,
    async run(job: Job<QuestionDue>): Promise<JobOutcome> {
      const { subscriptionId: id } = job.payload;
      for (let asked = 0; asked < QUESTIONS_PER_RUN_MAX; asked++) {
        const question = await firstQuestion(database, id);
        if (!question) return { kind: 'done' };
        const subscription = await database.transaction((tx) => active.find(tx, id));
        if (!subscription) {
          await dropQuestions(database, id);
          return { kind: 'done' };
        }
        const isTold = await isToBeTold(question, subscription, answering);
        await database.transaction(async (tx) => {
          if ((await takeQuestion(tx, question)) && isTold) await answering.tell(tx, subscription, question);
        });
      }
      return { kind: 'again', afterMs: 0, why: 'more questions wait', free: true };
    },
  };
}

/**
 * A version that has been followed by another has no rows any more: of it only who refers to the resource is asked. Where that says nothing (it was deleted, or the
 * question is about what it refers to) it is told, since it may have met the criteria.
 */
async function isToBeTold(
  { type, id, version, query }: KeptQuestion,
  { watches }: ReadSubscription,
  { database, resources }: Answering,
): Promise<boolean> {
  if (query === null) return true;
  // The Subscription was written anew: what it waits for now is asked of changes from then on.
  const criteria = criteriaOf(watches, type, query);
  if (!criteria) return false;
  const current = await resources.read(type, id);
  const isOvertaken = Number(current?.versionId) !== version;
  if (!current || current.deleted || (isOvertaken && criteria.unbounded === 'linked')) return true;
  const asked = isOvertaken ? aboutReferrers(criteria) : criteria;
  try {
    const timed: Pick<Database, 'run'> = {
      run: (statement, values) => database.run({ ...statement, timeoutMs: QUESTION_MS_MAX }, values),
    };
    const [found] = await matchCriteria(timed, [{ criteria: asked, ids: [id] }], resources.base);
    return found?.has(id) === true;
  } catch (error) {
    if (error instanceof Failure && error.code === 'database.timeout') return true;
    throw error;
  }
}

const criteriaOf = (
  watches: ReadSubscription['watches'],
  type: string,
  query: string,
): Criteria | undefined =>
  watches
    .filter((watch) => watch.type === type)
    .flatMap(({ asked }) => asked)
    .find((one) => one.query === query);
