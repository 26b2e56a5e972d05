import { mayHaveHappened } from '../../database/connection-failure.ts';
import type { Database, Statement, Transaction } from '../../database/database.ts';
import { actAsServer, actingNow } from '../../kernel/acting.ts';
import { Failure } from '../../kernel/errors.ts';
import { GroupCommit } from '../../kernel/group-commit.ts';
import type { AskedWrite, ResourceStore } from '../resource-store.ts';
import type { StoredResource } from '../stored-resource.ts';
import { type IdentifierCriteria, matchTogether } from './match-existing.ts';
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

  private commit(items: readonly SingleWrite[]): Promise<(Written | Failure)[]> {
    if (items.length === 1) return writeOnce({ database: this.database }, (tx) => this.write(tx, items));
    const work = (tx: Transaction) => {
      if (items.some(waits)) tx.later?.(IMPATIENT);
      return this.write(tx, items);
    };
    // Whatever a group fails of, each of its writes is tried again by itself.
    return this.database.transaction(work, { guessing: true });
  }

  private async write(tx: Transaction, items: readonly SingleWrite[]): Promise<(Written | Failure)[]> {
    const asked = items.filter((item) => item.unless);
    const criteria = asked.flatMap(({ unless }) => unless ?? []);
    const found = await matchTogether(this.store, tx, criteria);
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
}

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
