import type { Statement, Transaction } from '../database/database.ts';
import { FULL_ACCESS } from './access-context.ts';
import type { LinkedEntries } from './linked-entries.ts';
import { type Criteria, type Entries, entriesOf } from './match-criteria.ts';
import { findReferrers, referrersMax } from './search/find-referrers.ts';
import type { Link } from './search/judge-filter.ts';
import { type ResourceId, readResources } from './storage/read-resources.ts';

/** Beyond this many resources at the other ends SQL is asked at once: reading them would cost as much. */
export const LINKED_MAX = 200;

export interface LinkedAsked {
  readonly criteria: Criteria;
  /** The resource that was written. */
  readonly id: string;
  readonly entries: Entries;
}

/**
 * Chains and `_has` are about other resources. Those are read once for all criteria of a transaction, and each is asked in memory; what this leaves is asked of
 * SQL. So a thousand chains cost a look at the patient, not a thousand searches.
 */
export class LinkedResources {
  /** What was asked for, by `Type/id`; null: it is not there. */
  private readonly named = new Map<string, Entries | null>();
  /** What refers to something, by entry; null: there is too much of it. */
  private readonly naming = new Map<string, readonly Entries[] | null>();

  /** `kept`: what was read before is taken for what is there; when it is not, the transaction fails with `OUTDATED_SQLSTATE` and is to be tried again. */
  constructor(
    private readonly tx: Transaction,
    private readonly base: string,
    private readonly kept: LinkedEntries | null = null,
  ) {}

  /** These have been written since: what was read of them, and of who refers to whom, is over. */
  forget(changed: readonly ResourceId[]): void {
    for (const { type, id } of changed) this.named.delete(`${type}/${id}`);
    this.naming.clear();
  }

  /** Reads what the resources refer to by the heads. */
  async load(
    of: readonly { entries: Entries; heads: readonly { head: string; type: string }[] }[],
  ): Promise<void> {
    const wanted = new Map<string, { type: string; id: string }>();
    for (const { entries, heads } of of)
      for (const { head, type } of heads)
        for (const id of referredBy(entries, head))
          if (!this.named.has(`${type}/${id}`)) wanted.set(`${type}/${id}`, { type, id });
    if (wanted.size === 0 || this.named.size + wanted.size > LINKED_MAX) return;
    this.takeKept(wanted);
    if (wanted.size === 0) return;
    for (const key of wanted.keys()) this.named.set(key, null);
    for (const stored of await readResources(this.tx, [...wanted.values()], FULL_ACCESS)) {
      const entries = entriesOf(stored.parse(), this.base);
      this.named.set(`${stored.type}/${stored.id}`, entries);
      this.kept?.keep(stored, entries);
    }
  }

  /** What is kept need not be read: whether it is still that version is asked along with the next statement, or the commit. */
  private takeKept(wanted: Map<string, ResourceId>): void {
    const { tx, kept } = this;
    if (!kept || !tx.later) return;
    const taken = [...wanted].flatMap(([key, { type, id }]) => {
      const known = kept.get(type, id);
      return known ? [{ key, type, id, known }] : [];
    });
    if (taken.length === 0) return;
    const still = taken.length === 1 ? STILL_ONE : STILL;
    for (const { key, type, id, known } of taken) {
      this.named.set(key, known.entries);
      wanted.delete(key);
      tx.later(still, [type, id, known.versionId, known.lastUpdated.toISOString()]);
    }
    tx.afterRollback(() => kept.shun(taken.map(({ key }) => key)));
  }

  /** Those that are there of what the entries `<head><id>` name; null: not known. */
  readonly linked = (entries: Entries, head: string, type: string): readonly Entries[] | null => {
    const found: Entries[] = [];
    for (const id of referredBy(entries, head)) {
      const other = this.named.get(`${type}/${id}`);
      if (other === undefined) return null;
      if (other) found.push(other);
    }
    return found;
  };

  /** May they match? Criteria without links cost nothing. */
  async mayMatch(asked: readonly LinkedAsked[]): Promise<boolean[]> {
    const open = asked.filter(({ criteria }) => criteria.links.length > 0);
    if (open.length === 0) return asked.map(() => true);
    await this.load(
      open.map(({ entries, criteria }) => ({
        entries,
        heads: linksOf(criteria, 'refers').flatMap(({ heads, type }) =>
          heads.map((head) => ({ head, type })),
        ),
      })),
    );
    await this.loadReferrers(open);
    return asked.map(({ criteria, id, entries }) =>
      criteria.links.every((ways) => ways.some((way) => this.meets(way, id, entries))),
    );
  }

  /** After `mayMatch`: more refers to the resource than is read, so how long SQL takes for criteria that go by that is not known. */
  isTooMuch({ links, unbounded }: Criteria, id: string): boolean {
    if (unbounded !== 'written') return unbounded === 'linked';
    return links
      .flat()
      .some(
        ({ kind, heads }) => kind === 'referred' && heads.some((head) => this.naming.get(head + id) === null),
      );
  }

  private meets(link: Link, id: string, entries: Entries): boolean {
    return link.heads.some((head) => {
      const others =
        link.kind === 'refers' ? this.linked(entries, head, link.type) : (this.naming.get(head + id) ?? null);
      return others === null || others.some((other) => link.decide(other) !== false);
    });
  }

  private async loadReferrers(asked: readonly LinkedAsked[]): Promise<void> {
    const wanted = new Map<string, Set<string>>();
    for (const { criteria, id } of asked)
      for (const { heads, type } of linksOf(criteria, 'referred')) {
        const those = wanted.get(type) ?? new Set();
        for (const head of heads) if (!this.naming.has(head + id)) those.add(head + id);
        wanted.set(type, those);
      }
    const max = referrersMax(asked.length);
    for (const [type, entries] of wanted) {
      if (entries.size === 0) continue;
      const found = await findReferrers(this.tx, type, [...entries], max);
      const read = found?.map((one) => entriesOf(one.parse(), this.base));
      for (const entry of entries)
        this.naming.set(entry, read?.filter(({ tokens }) => tokens.has(entry)) ?? null);
    }
  }
}

/** Fails (division by zero, `OUTDATED_SQLSTATE`) when one of them is not the current version any more. */
const STILL: Statement = {
  name: 'fhir-linked-still',
  text: `SELECT 1 / (NOT EXISTS (
    SELECT FROM unnest((SELECT $1::text[]), $2::text[], $3::int[], $4::timestamptz[]) AS w(type, id, version, at)
    WHERE NOT EXISTS (SELECT FROM resource r WHERE r.type = w.type AND r.id = w.id AND r.version = w.version
      AND r.last_updated = w.at AND NOT r.deleted)))::int AS still`,
  manyRows: true,
};
/** The same for one row, in half the time. */
const STILL_ONE: Statement = {
  name: 'fhir-linked-still-one',
  text: `SELECT 1 / (EXISTS (SELECT FROM resource
    WHERE type = $1::text AND id = $2::text AND version = $3::int AND last_updated = $4::timestamptz AND NOT deleted))::int AS still`,
};

const linksOf = ({ links }: Criteria, kind: Link['kind']): Link[] =>
  links.flat().filter((link) => link.kind === kind);

/** Ids that follow a head such as `Observation.subject>Patient/`, worked out once per resource. */
function referredBy(entries: Entries, head: string): readonly string[] {
  let byHead = referredBefore.get(entries);
  if (!byHead) {
    byHead = new Map();
    for (const entry of entries.tokens) {
      const [, start, id] = REFERENCE.exec(entry) ?? [];
      if (start !== undefined && id !== undefined) byHead.set(start, [...(byHead.get(start) ?? []), id]);
    }
    referredBefore.set(entries, byHead);
  }
  return byHead.get(head) ?? [];
}

const REFERENCE = /^([A-Za-z]+\.[^>]+>[A-Z][A-Za-z]+\/)([A-Za-z0-9.-]{1,64})$/;
const referredBefore = new WeakMap<Entries, Map<string, string[]>>();
