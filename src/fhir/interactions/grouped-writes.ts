import { mayHaveHappened } from '../../database/connection-failure.ts';
import {
  type Database,
  GUESS_FAILED_SQLSTATE,
  type Statement,
  type Transaction,
} from '../../database/database.ts';
import { actAsServer, actingNow } from '../../kernel/acting.ts';
import { Failure } from '../../kernel/errors.ts';
import { GroupCommit } from '../../kernel/group-commit.ts';
import type { AskedWrite, ResourceStore } from '../resource-store.ts';
import type { StoredResource } from '../stored-resource.ts';
import { guessNoMatch, type IdentifierCriteria, matchTogether } from './match-existing.ts';
import { writeOnce } from './write-once.ts';

/** One change of one request. */
export interface SingleWrite extends AskedWrite {
  /** R4 http.html#ccreate: only when nothing has this identifier. */
  readonly unless?: IdentifierCriteria;
}

export interface Written {
  readonly stored: StoredResource;
  /** False: the condition of a create found this, and nothing was written. */
  readonly created: boolean;
}

/**
 * Groups under way beside each other. While PostgreSQL writes one, requests of the next are read and validated; more than these would
 * make each smaller.
 */
const GROUPS_MAX = 2;
/**
 * Callers that were answered together send again together. Waiting for as many as were in the last group makes two groups of four out of three
 * or four smaller ones, for less than a commit takes; a caller by himself waits for nobody.
 */
const GATHER_MS = 1;
/**
 * A row or condition that another transaction holds makes all of a group wait; after this the group is given up, each of its writes waits by
 * itself, and the next group begins. Longer than an ordinary commit, shorter than anybody notices.
 */
export const GROUP_LOCK_MS_MAX = 50;
/**
 * After a condition that found something so many are looked up in earnest before the next is taken to find nothing: senders that repeat themselves repeat much, and a
 * guess that is wrong costs its group another try.
 */
export const LOOKS_AFTER_MATCH = 500;

/**
 * Creates, updates and deletes of single resources that come at the same time share one transaction: one statement for many rows, one commit, one
 * wait for the disk. Each is as if it had been alone: what one is refused for happens to it only, and the answer comes after the commit.
 */
export class GroupedWrites {
  private readonly group = new GroupCommit<SingleWrite, Written | Failure>(
    (items) => actAsServer('fhir', () => this.commit(items)),
    {
      groupsMax: GROUPS_MAX,
      gatherMs: GATHER_MS,
      patienceMs: GROUP_LOCK_MS_MAX,
      mayTryAlone: (error) => !mayHaveHappened(error),
    },
  );

  /** Conditions to look up in earnest, see `LOOKS_AFTER_MATCH`. */
  private looksLeft = 0;

  constructor(
    private readonly database: Database,
    private readonly store: ResourceStore,
  ) {}

  /** Throws what `ResourceStore.write` throws, and `fhir.multiple-matches`. */
  async add(item: SingleWrite): Promise<Written> {
    // The group runs for the request that began it; who asked for each of its writes must not be forgotten.
    const outcome = await this.group.add({ ...item, acting: actingNow() }, keysOf(item));
    if (outcome instanceof Failure) throw outcome;
    return outcome;
  }

  private async commit(items: readonly SingleWrite[]): Promise<(Written | Failure)[]> {
    if (items.length === 1) return writeOnce({ database: this.database }, (tx) => this.write(tx, items));
    const work = (tx: Transaction) => {
      if (items.some(waits)) tx.later?.(IMPATIENT);
      return this.write(tx, items);
    };
    const guesses = this.looksLeft === 0 && items.some(({ unless }) => unless);
    // Whatever a group fails of, each of its writes is tried again by itself; where a condition may have found something, all together once more.
    try {
      return await this.database.transaction(work, { guessing: true });
    } catch (error) {
      if (!guesses || !isWrongGuess(error)) throw error;
      this.looksLeft = Math.max(this.looksLeft, items.length);
      return this.database.transaction(work, { guessing: true });
    }
  }

  private async write(tx: Transaction, items: readonly SingleWrite[]): Promise<(Written | Failure)[]> {
    const asked = items.filter((item) => item.unless);
    const found = await this.match(
      tx,
      asked.flatMap(({ unless }) => unless ?? []),
    );
    const matches = new Map(asked.map((item, at) => [item, found[at] ?? null]));
    const fresh = items.filter((item) => !matches.get(item));
    const stored = await this.store.writeTogether(tx, fresh, { guess: true });
    const written = new Map(fresh.map((item, at) => [item, stored[at] as StoredResource]));
    return items.map((item) => {
      const match = matches.get(item);
      if (match instanceof Failure) return match;
      if (match) return { stored: match, created: false };
      return { stored: written.get(item) as StoredResource, created: true };
    });
  }

  /** What each of the conditions finds. Where nothing is expected, that they find nothing goes with the write, which saves a round trip. */
  private async match(
    tx: Transaction,
    criteria: readonly IdentifierCriteria[],
  ): Promise<readonly (StoredResource | Failure | null)[]> {
    if (criteria.length === 0) return [];
    if (tx.guessing && this.looksLeft === 0 && (await guessNoMatch(this.store, tx, criteria)))
      return criteria.map(() => null);
    const found = await matchTogether(this.store, tx, criteria);
    this.looksLeft = found.some((one) => one !== null)
      ? LOOKS_AFTER_MATCH
      : Math.max(0, this.looksLeft - criteria.length);
    return found;
  }
}

const isWrongGuess = (error: unknown): boolean =>
  (error as { code?: unknown } | null)?.code === GUESS_FAILED_SQLSTATE;

const waits = ({ write, unless }: SingleWrite): boolean => unless !== undefined || write.kind !== 'create';

const IMPATIENT: Statement = {
  name: 'fhir-group-impatient',
  text: `SET LOCAL lock_timeout = ${GROUP_LOCK_MS_MAX}`,
};

/** What two writes of one transaction must not share. */
function keysOf({ write, unless }: SingleWrite): string[] {
  const words = unless ? [unless.words] : [];
  if (write.kind === 'delete') return [`${write.type}/${write.id}`];
  const { resourceType, id } = write.resource;
  return id === undefined ? words : [`${resourceType}/${id}`, ...words];
}
