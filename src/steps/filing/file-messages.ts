import { FULL_ACCESS } from '../../fhir/access-context.ts';
import type { AskedWrite } from '../../fhir/resource-store.ts';
import type { Acting } from '../../kernel/acting.ts';
import { Failure } from '../../kernel/errors.ts';
import type { FilingPlan, SentPlan } from './filing-plan.ts';
import { type FilingGround, type Identified, OpenRecord } from './open-record.ts';
import { readTold, type ToldElements, writeTold } from './told.store.ts';

/** One message: filed with what was got over, or refused for good. */
export type Filed =
  | { readonly kind: 'filed'; readonly flags: readonly string[] }
  | { readonly kind: 'refused'; readonly failure: Failure };

/** A message that has a round of its own and was refused half-way: the transaction is to be rolled back, and those before it filed without it. */
export class RefusedHalfWay extends Error {
  constructor(
    /** Its place among the messages. */
    readonly at: number,
    readonly failure: Failure,
  ) {
    super(failure.message, { cause: failure });
  }
}

/**
 * Files messages in their order, in the open transaction. Messages that share no number go together: all their numbers are looked up in one
 * statement and all their changes written in one go, so that a batch takes as many round trips as its busiest patient has
 * messages. A message that is refused changes nothing; the others are filed. Throws `RefusedHalfWay`, what may pass with a later try, and what nobody foresaw.
 */
export async function fileMessages(ground: FilingGround, plans: readonly SentPlan[]): Promise<Filed[]> {
  const filed: Filed[] = [];
  for (const round of roundsOf(plans)) {
    const those = round.map((at) => plans[at]!);
    try {
      for (const [n, end] of (await fileRound(ground, those)).entries()) filed[round[n]!] = end;
    } catch (error) {
      const isRefused = those[0]?.alone && error instanceof Failure && !error.retry && !isConflict(error);
      throw isRefused ? new RefusedHalfWay(round[0]!, error) : error;
    }
  }
  return filed;
}

/** Somebody else wrote the same resource between our look and our write. */
export const isConflict = (error: unknown): boolean =>
  error instanceof Failure && (error.code === 'fhir.version-conflict' || error.code === 'fhir.conflict');

/**
 * Which messages go together: each as early as it may, after all earlier ones that it shares a number with. One that may touch anything goes by itself, after all
 * earlier ones and before all later ones.
 */
export function roundsOf(plans: readonly Pick<FilingPlan, 'keys' | 'alone'>[]): number[][] {
  const rounds: number[][] = [];
  const lastOf = new Map<string, number>();
  let first = 0;
  for (const [at, { keys, alone }] of plans.entries()) {
    const after = 1 + Math.max(first - 1, ...keys.map((key) => lastOf.get(key) ?? -1));
    const round = alone ? rounds.length : after;
    rounds[round] ??= [];
    rounds[round].push(at);
    if (alone) first = round + 1;
    for (const key of keys) lastOf.set(key, round);
  }
  return rounds;
}

async function fileRound(ground: FilingGround, plans: readonly SentPlan[]): Promise<Filed[]> {
  const found = await ground.store.findByIdentifiers(
    plans.flatMap(({ lookups }) => lookups),
    ground.tx,
  );
  const known = found.map((stored) => stored.parse<Identified>());
  const before = await readTold(
    ground.tx,
    known.map((one) => `${one.resourceType}/${one.id}`),
  );
  const told = new Map<string, ToldElements>();
  const nowMs = Date.now();
  const asked: AskedWrite[] = [];
  const filed: Filed[] = [];
  for (const plan of plans) {
    try {
      const record = new OpenRecord(ground, known, { ...plan, told: before, nowMs });
      await plan.place(record);
      const acting = actingFor(plan.sender);
      asked.push(...record.writes().map((write) => ({ write, access: FULL_ACCESS, acting })));
      for (const [ref, elements] of record.told) told.set(ref, elements);
      filed.push({ kind: 'filed', flags: [...plan.flags, ...record.flags] });
    } catch (error) {
      if (!(error instanceof Failure) || error.retry || plan.alone) throw error;
      filed.push({ kind: 'refused', failure: error });
    }
  }
  await ground.store.writeTogether(ground.tx, asked);
  await writeTold(ground.tx, told);
  return filed;
}

/** Who sent a message has made what is filed of it. */
function actingFor(client: string): Acting {
  return { actor: () => ({ client }), written: 0, shown: [], ended: false };
}
