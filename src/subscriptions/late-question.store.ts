import type { Sql, Transaction } from '../database/database.ts';
import type { EventDue } from './subscription.store.ts';

/** A change that a Subscription may have to be told of. `query`: the criteria to be asked; null: it is to be told, but not before those ahead of it. */
export interface LateQuestion extends EventDue {
  readonly query: string | null;
}

export type KeptQuestion = LateQuestion & { readonly number: string };

/** Of these Subscriptions, those that wait for an answer. */
export async function openOf(sql: Sql, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const rows = await sql.run<{ id: string }>(OPEN, [ids]);
  return new Set(rows.map(({ id }) => id));
}

export async function keepQuestions(tx: Transaction, questions: readonly LateQuestion[]): Promise<void> {
  await tx.run(KEEP, [
    questions.map((one) => one.subscriptionId),
    questions.map((one) => one.type),
    questions.map((one) => one.id),
    questions.map((one) => one.version),
    questions.map((one) => one.interaction),
    questions.map((one) => one.query),
  ]);
}

export async function firstQuestion(sql: Sql, subscriptionId: string): Promise<KeptQuestion | null> {
  const [row] = await sql.run<KeptQuestion>(FIRST, [subscriptionId]);
  return row ?? null;
}

/** False: it was taken, or the Subscription is over. Until the transaction ends nobody else takes it. */
export async function takeQuestion(
  tx: Transaction,
  { subscriptionId, number }: KeptQuestion,
): Promise<boolean> {
  return (await tx.run(TAKE, [subscriptionId, number])).length > 0;
}

/** Of a Subscription that is told of nothing (any more). */
export async function dropQuestions(sql: Sql, subscriptionId: string): Promise<void> {
  await sql.run(DROP, [subscriptionId]);
}

const OPEN = {
  name: 'subscription-question-open',
  text: `SELECT s.id FROM unnest($1::text[]) AS s(id)
    WHERE EXISTS (SELECT 1 FROM subscription_question q WHERE q.subscription_id = s.id COLLATE "C")`,
};

const KEEP = {
  name: 'subscription-question-keep',
  text: `INSERT INTO subscription_question (subscription_id, type, resource_id, version, interaction, query)
    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[])`,
};

const FIRST = {
  name: 'subscription-question-first',
  text: `SELECT subscription_id AS "subscriptionId", number, type, resource_id AS id, version, interaction, query
    FROM subscription_question WHERE subscription_id = $1 ORDER BY number LIMIT 1`,
};

const TAKE = {
  name: 'subscription-question-take',
  text: 'DELETE FROM subscription_question WHERE subscription_id = $1 AND number = $2 RETURNING number',
};

const DROP = {
  name: 'subscription-question-drop',
  text: 'DELETE FROM subscription_question WHERE subscription_id = $1',
};
