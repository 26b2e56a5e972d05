import type { Logger } from 'pino';
import { isUnavailable } from '../database/connection-failure.ts';
import type { Database, Transaction } from '../database/database.ts';
import { actAsServer } from '../kernel/acting.ts';
import { Failure } from '../kernel/errors.ts';
import { promoteNext } from './claim.ts';
import type { Claim, Job, JobHandler, JobOutcome } from './job.ts';
import { lockLane } from './lock-lane.ts';

/** The first wait after a failed run; doubled each time. */
export const RETRY_DELAY_MS = 1_000;
/** A peer that is down for the night is asked about once a minute. */
export const RETRY_DELAY_MS_MAX = 60_000;
const REASON_CHARS_MAX = 500;

export type RunEnd =
  | { readonly kind: 'finished' }
  /** The row waits again: until then, or at once; under this number. */
  | { readonly kind: 'waits'; readonly afterMs: number; readonly id: string }
  | { readonly kind: 'dead' }
  /** Somebody else has the row now (our life sign was lost): all that this run wanted to write was undone. */
  | { readonly kind: 'lost' }
  /** The end could not be written: the row still says that it runs under our number, which must be given up. */
  | { readonly kind: 'unwritten' };

/** `runJob`, as the server's own work: what a job writes is not done by the client whose request woke the runner. */
export const runJobAsServer = (
  database: Database,
  handler: JobHandler,
  job: Job,
  claim: Claim,
  log: Logger,
): Promise<RunEnd> => actAsServer(job.queue, () => runJob(database, handler, job, claim, log));

/**
 * Runs one claimed job to one of its ends. Whatever the handler wants to write commits together with the end of the row, and only
 * when the row is still ours: a job that runs twice has its effect once.
 */
export async function runJob(
  database: Database,
  handler: JobHandler,
  job: Job,
  claim: Claim,
  log: Logger,
): Promise<RunEnd> {
  const { runner } = claim;
  let anew = false;
  const ground = {
    claim,
    progressed: () => {
      anew = true;
    },
  };
  try {
    const outcome = await handler
      .run(job, ground)
      .catch((error: unknown) => afterError(handler, job, error, log, anew));
    if (anew && outcome.kind === 'again') return await wait(database, job, runner, outcome, 'anew');
    return await finish(database, handler, job, runner, outcome, log);
  } catch (error) {
    if (error instanceof ClaimLost) return { kind: 'lost' };
    // The write itself failed (database down, conflict): treat it like a failed run.
    const outcome = afterError(handler, job, error, log);
    return await finish(database, handler, job, runner, outcome, log).catch((again: unknown) =>
      putBack(database, job, runner, again, log),
    );
  }
}

/**
 * Its end could not be written either. Where the database was away, nothing is wrong with the job: it waits as after any failure. Otherwise
 * it waits for a minute, so that one which can never end does not take all the time there is.
 */
async function putBack(
  database: Database,
  job: Job,
  runner: number,
  error: unknown,
  log: Logger,
): Promise<RunEnd> {
  if (error instanceof ClaimLost) return { kind: 'lost' };
  log.error(
    { queue: job.queue, job: job.id, err: nameOf(error) },
    'the end of a job could not be written; it runs again',
  );
  const afterMs = isUnavailable(error) ? backOff(job.attempt) : RETRY_DELAY_MS_MAX;
  try {
    return await wait(database, job, runner, { kind: 'again', afterMs, why: nameOf(error) }, null);
  } catch {
    return { kind: 'unwritten' };
  }
}

async function finish(
  database: Database,
  handler: JobHandler,
  job: Job,
  runner: number,
  outcome: JobOutcome,
  log: Logger,
): Promise<RunEnd> {
  switch (outcome.kind) {
    case 'done':
      return database.transaction((tx) => ending(tx, job, () => done(tx, job, runner, outcome.write)), {
        durable: outcome.durable ?? true,
      });
    case 'again':
      return wait(database, job, runner, outcome, outcome.free ? 'free' : null);
    case 'dead':
      await database.transaction((tx) =>
        ending(tx, job, async () => {
          await claimed(tx.run(BURY, [job.id, runner, reason(outcome.why)]));
          await outcome.write?.(tx);
          await handler.buried?.(job, outcome.why, tx);
        }),
      );
      log.warn({ queue: job.queue, job: job.id, code: codeOf(outcome.why) }, 'job given up: a dead letter');
      return { kind: 'dead' };
  }
}

async function wait(
  database: Database,
  job: Job,
  runner: number,
  { afterMs, why, behind }: Extract<JobOutcome, { kind: 'again' }>,
  attempts: 'free' | 'anew' | null,
): Promise<RunEnd> {
  const values = [job.id, runner, afterMs, reason(why), attempts];
  const [row] = await database.run<{ id: string }>(behind ? WAIT_BEHIND : WAIT, values);
  return row ? { kind: 'waits', afterMs, id: row.id } : { kind: 'lost' };
}

/** The end of a lane's head lets the next one go. */
async function ending<T>(tx: Transaction, job: Job, end: () => Promise<T>): Promise<T> {
  if (job.lane === null) return end();
  await lockLane(tx, job.lane);
  const ended = await end();
  await promoteNext(tx, job.lane);
  return ended;
}

async function done(
  tx: Transaction,
  job: Job,
  runner: number,
  write?: (tx: Transaction) => Promise<void>,
): Promise<RunEnd> {
  const deleted = await tx.run(FINISH, [job.id, runner]);
  if (deleted.length > 0) {
    await write?.(tx);
    return { kind: 'finished' };
  }
  // Not deleted: marked to run again by a cause that came meanwhile, or not ours any more.
  await claimed(tx.run(RUN_AGAIN, [job.id, runner]));
  await write?.(tx);
  return { kind: 'waits', afterMs: 0, id: job.id };
}

async function claimed(rows: Promise<unknown[]>): Promise<void> {
  if ((await rows).length === 0) throw new ClaimLost();
}

class ClaimLost extends Error {}

function afterError(handler: JobHandler, job: Job, error: unknown, log: Logger, anew = false): JobOutcome {
  const why = nameOf(error);
  const attempt = anew ? 1 : job.attempt;
  // Something was written while the job worked: the next run reads it.
  const isOvertaken = error instanceof Failure && error.code === 'fhir.version-conflict';
  const hopeless = error instanceof Failure && !error.retry && !isOvertaken;
  log.warn({ queue: job.queue, job: job.id, attempt, err: why, stack: stackOf(error) }, 'job failed');
  if (hopeless || attempt >= handler.attemptsMax) return { kind: 'dead', why };
  return { kind: 'again', afterMs: backOff(attempt), why };
}

/** Doubling from one second to a minute, with a third of jitter so that many do not come back at the same moment. */
function backOff(attempt: number): number {
  const base = Math.min(RETRY_DELAY_MS * 2 ** (attempt - 1), RETRY_DELAY_MS_MAX);
  return Math.round(base * (1 + Math.random() / 3));
}

/** Our own failures say what to do and hold no patient data; of others only the class is kept. */
function nameOf(error: unknown): string {
  if (error instanceof Failure) return `${error.code}: ${error.message}`;
  if (error instanceof Error) {
    const code = (error as { code?: unknown }).code;
    return typeof code === 'string' ? `${error.name} ${code}` : error.name;
  }
  return 'unknown error';
}

/** What a dead letter's reason begins with: a failure's code, an error's class; `given-up` where its step said so in words. */
function codeOf(why: string): string {
  return /^([a-z0-9-]+\.[a-z0-9.-]+(?=:|$)|[A-Z][A-Za-z]*Error( [A-Z0-9_]+)?$)/.exec(why)?.[0] ?? 'given-up';
}

/** Where an unexpected error came from: the frames, without the message line. */
function stackOf(error: unknown): string | undefined {
  if (error instanceof Failure || !(error instanceof Error)) return undefined;
  return error.stack
    ?.split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 6)
    .join('\n');
}

const reason = (why: string) => why.slice(0, REASON_CHARS_MAX);

const FINISH = {
  name: 'outbox-finish',
  text: 'DELETE FROM outbox WHERE id = $1 AND runner = $2 AND NOT again RETURNING id',
};

const RUN_AGAIN = {
  name: 'outbox-run-again',
  text: `UPDATE outbox SET state = 'waiting', again = false, attempt = 0, runner = NULL, not_before = now()
    WHERE id = $1 AND runner = $2 RETURNING id`,
};

const WAITS = `state = 'waiting', runner = NULL, reason = $4, again = false,
      attempt = CASE $5::text WHEN 'free' THEN attempt - 1 WHEN 'anew' THEN 0 ELSE attempt END,
      not_before = now() + $3::float * interval '1 millisecond'
    WHERE id = $1 AND runner = $2 RETURNING id`;
const WAIT = { name: 'outbox-wait', text: `UPDATE outbox SET ${WAITS}` };
/** Those that wait run in the order of their numbers: it gets a new one. */
const WAIT_BEHIND = { name: 'outbox-wait-behind', text: `UPDATE outbox SET id = DEFAULT, ${WAITS}` };

const BURY = {
  name: 'outbox-bury',
  text: `UPDATE outbox SET state = 'dead', runner = NULL, again = false, reason = $3 WHERE id = $1 AND runner = $2 RETURNING id`,
};
