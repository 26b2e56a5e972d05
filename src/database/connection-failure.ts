import { Failure } from '../kernel/errors.ts';

/**
 * Node's codes for a server that is not there, and PostgreSQL's for one that is going, coming or full (appendix A: 53300, 57P01 to 57P03, class 08).
 */
const AWAY: ReadonlySet<string> = new Set([
  ...[
    'ECONNREFUSED',
    'ECONNRESET',
    'ENOENT',
    'EPIPE',
    'ETIMEDOUT',
    'EHOSTUNREACH',
    'ENETUNREACH',
    'ENOTFOUND',
    'EAI_AGAIN',
  ],
  ...['53300', '57P01', '57P02', '57P03'],
]);

/** Appendix A: PostgreSQL is there and refuses every write, and whoever runs it must do something. What is said of it, for the person at 3 a.m. */
const TAKES_NO_WRITES: ReadonlyMap<string, string> = new Map([
  ['25006', 'The database takes no writes: it is read only, or another one has taken its place.'],
  ['53100', 'The disk of the database is full.'],
  ['53200', 'The database has no memory left.'],
  ['58030', 'The disk of the database cannot be read or written.'],
]);

/** `pg` says these in words only. */
const AWAY_IN_WORDS =
  /^(Connection terminated|Client has encountered a connection error|timeout expired|timeout exceeded when trying to connect|Client was closed|Cannot use a pool after)/;

/** Codes with which a statement was never taken, or was undone: nothing can have happened. */
const NEVER_TAKEN: ReadonlySet<string> = new Set([
  ...['ECONNREFUSED', 'ENOENT', '53300', '57P03'],
  ...TAKES_NO_WRITES.keys(),
]);

/** `database.unavailable` for an error of `pg` that says that the database is away; every other error as it is. */
function asFailure(error: unknown): unknown {
  if (codeOf(error) === QUERY_CANCELED)
    return new Failure(
      'database.timeout',
      'The question takes too long here. Ask for less, or more precisely.',
      {
        cause: error,
      },
    );
  const refusal = TAKES_NO_WRITES.get(codeOf(error));
  if (refusal === undefined && !isAway(error)) return error;
  if (refusal !== undefined) lastRefusal = { words: refusal, at: performance.now() };
  const words = refusal === undefined ? 'The database does not answer.' : `${refusal} Nothing was stored.`;
  return new Failure('database.unavailable', `${words} Try again in a few seconds.`, { cause: error });
}

/** Reading goes on where nothing can be stored, so only who was refused knows of it. Longer than the looks of a monitor lie apart. */
export const REFUSAL_SHOWN_MS = 60_000;
/** Of this process, whatever connection it was on. */
let lastRefusal: { readonly words: string; readonly at: number } | null = null;

/** Why the database refused to store something a moment ago, in words; null: it did not. */
export const refusedLately = (now = performance.now()): string | null =>
  lastRefusal !== null && now - lastRefusal.at < REFUSAL_SHOWN_MS ? lastRefusal.words : null;

/** Appendix A: stopped by `statement_timeout`, or by us. */
const QUERY_CANCELED = '57014';

/** Only what `pg` itself rejects with: an error of the work inside a transaction stays what it is. */
export async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asFailure(error);
  }
}

/** The database was away, took no writes, or its connection was lost. */
export const isUnavailable = (error: unknown): error is Failure =>
  error instanceof Failure && error.code === 'database.unavailable';

/** For the log: our own words where the database is away or takes no writes, else the name of the error, whose words may hold values. */
export const whyUnavailable = (error: unknown): string =>
  isUnavailable(error) ? error.message : (error as Error).name;

/** The connection was lost after a statement had left: it may have been done. */
export function mayHaveHappened(error: unknown): boolean {
  return isUnavailable(error) && !NEVER_TAKEN.has(codeOf(error.cause));
}

function isAway(error: unknown): boolean {
  const code = codeOf(error);
  if (AWAY.has(code) || /^08...$/.test(code)) return true;
  return error instanceof Error && AWAY_IN_WORDS.test(error.message);
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}
