import { Injectable } from '@nestjs/common';
import { Database, type Sql, type Transaction } from '../database/database.ts';
import type { Granted } from '../fhir/access-context.ts';

/** What happened: which version of what, for which Subscription. */
export interface EventDue {
  readonly subscriptionId: string;
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly interaction: 'create' | 'update' | 'delete';
}

/** An event as it stands in the log of its Subscription. */
export interface SubscriptionEvent {
  /** From 1, without gaps. */
  readonly number: number;
  readonly at: Date;
  readonly type: string;
  readonly id: string;
  readonly version: number;
  readonly interaction: 'create' | 'update' | 'delete';
}

export interface DeliveryState {
  /** Number of the last event that was given. */
  readonly events: number;
  /** Number of the last event that the subscriber took. */
  readonly delivered: number;
  /** Deliveries in a row that failed. */
  readonly failures: number;
  readonly lastSent: Date | null;
  /** The types its author could read; null: all. */
  readonly readable: readonly string[] | null;
  /** The grant under which it was written last; null: the server's own, or of before grants were kept. */
  readonly author: Granted | null;
}

/** Events of the past that `$events` can still give; older ones that were delivered are dropped. */
export const EVENTS_KEPT_MAX = 1_000;

/** The channel of NOTIFY by which processes with WebSockets hear of events. */
export const SOCKET_CHANNEL = 'subscription_event';

/** The numbers, logs and progress of Subscriptions. */
@Injectable()
export class SubscriptionStore {
  constructor(private readonly database: Database) {}

  /**
   * Gives each event the next number of its Subscription and writes it; in the transaction of the change. `sockets`: Subscriptions whose events
   * nobody takes by a delivery: their log is kept short here.
   */
  async give(tx: Transaction, due: readonly EventDue[], sockets: ReadonlySet<string>): Promise<void> {
    const given = await tx.run<{ subscription_id: string; number: string }>(GIVE, [
      due.map((event) => event.subscriptionId),
      due.map((event) => event.type),
      due.map((event) => event.id),
      due.map((event) => event.version),
      due.map((event) => event.interaction),
    ]);
    for (const { subscription_id: id, number } of given)
      if (sockets.has(id) && Number(number) % PRUNE_EVERY === 0)
        await tx.run(PRUNE, [id, Number(number) - EVENTS_KEPT_MAX]);
  }

  /** All that are active, or in error: those are told again until they answer, and what happens meanwhile is theirs too. */
  live(sql: Sql): Promise<SubscriptionRow[]> {
    return sql.run(LIVE);
  }

  /** Those that changed after `since`; `live`: they are (still) active or in error. */
  changedSince(sql: Sql, since: Date): Promise<SubscriptionRow[]> {
    return sql.run(CHANGED, [since]);
  }

  /** Value sets and code systems that changed after `since`, each version by a key of its own. */
  terminologySince(sql: Sql, since: Date): Promise<{ key: string; at: Date }[]> {
    return sql.run(TERMINOLOGY_CHANGED, [since]);
  }

  /** Events of a Subscription above `after`, in order. */
  async events(id: string, after: number, limit: number, until = MAX): Promise<SubscriptionEvent[]> {
    const rows = await this.database.run<EventRow>(EVENTS, [id, after, until, limit]);
    return rows.map((row) => ({ ...row, id: row.resource_id, number: Number(row.number) }));
  }

  async state(id: string, sql: Sql = this.database): Promise<DeliveryState> {
    const [row] = await sql.run<StateRow>(STATE, [id]);
    return {
      events: Number(row?.events ?? 0),
      delivered: Number(row?.delivered ?? 0),
      failures: row?.failures ?? 0,
      lastSent: row?.last_sent ?? null,
      readable: row?.readable ?? null,
      author: row?.author ?? null,
    };
  }

  /** The authors of those that have one, by id. */
  async authors(
    sql: Sql,
    ids: readonly string[],
  ): Promise<ReadonlyMap<string, Pick<DeliveryState, 'readable' | 'author'>>> {
    if (ids.length === 0) return new Map();
    const rows = await sql.run<StateRow & { id: string }>(AUTHORS, [ids]);
    return new Map(rows.map(({ id, readable, author }) => [id, { readable, author }]));
  }

  /** The subscriber took everything up to this number. Drops what is older than `$events` reaches. */
  async delivered(id: string, number: number): Promise<void> {
    await this.database.run(DELIVERED, [id, number]);
    if (number % PRUNE_EVERY === 0) await this.prune(id, number);
  }

  async prune(id: string, number: number): Promise<void> {
    await this.database.run(PRUNE, [id, number - EVENTS_KEPT_MAX]);
  }

  /** A delivery or heartbeat failed. Gives how many did in a row. */
  async failed(id: string): Promise<number> {
    const [row] = await this.database.run<{ failures: number }>(FAILED, [id]);
    return row?.failures ?? 1;
  }

  /** Its author is known from here on: the types they may read; null: the server itself, which changes nothing of it. */
  async keepAuthor(
    tx: Transaction,
    id: string,
    readable: readonly string[] | null,
    author: Granted | null,
  ): Promise<void> {
    if (readable !== null) await tx.run(READABLE, [id, readable, author && JSON.stringify(kept(author))]);
  }

  /** Wakes the processes that hold WebSockets, at the commit. */
  async tellSockets(tx: Transaction, ids: readonly string[]): Promise<void> {
    for (const id of ids) await tx.run(NOTIFY, [SOCKET_CHANNEL, id]);
  }

  /** It was switched on: counts as told just now, without failures. */
  async start(tx: Transaction, id: string): Promise<void> {
    await tx.run(START, [id]);
  }

  /** Nothing of the Subscription stays: no events, no numbers, no bindings. */
  async forget(sql: Sql, id: string): Promise<void> {
    await sql.run(FORGET, [id]);
  }

  async bind(sha256: Buffer, ids: readonly string[], expiresAt: Date, reader: Granted): Promise<void> {
    const { tokenId, family } = reader;
    const bound = JSON.stringify({ ...kept(reader), tokenId, family });
    await this.database.run(BIND, [sha256, ids, expiresAt, bound]);
  }

  /** The Subscriptions a token binds, and who asked for it; null when it is unknown or has expired. */
  async bound(sha256: Buffer): Promise<{ ids: readonly string[]; reader: Granted } | null> {
    const [row] = await this.database.run<{ subscription_ids: string[]; reader: Granted }>(BOUND, [sha256]);
    return row ? { ids: row.subscription_ids, reader: row.reader } : null;
  }
}

export interface SubscriptionRow {
  readonly id: string;
  readonly version: number;
  readonly last_updated: Date;
  readonly live: boolean;
}

const IS_LIVE = `NOT deleted AND tokens && ARRAY['Subscription.status#active', 'Subscription.status#error']`;

const LIVE = {
  name: 'subscription-live',
  text: `SELECT id, version, last_updated, true AS live FROM resource
    WHERE type = 'Subscription' AND ${IS_LIVE} ORDER BY id`,
};

const CHANGED = {
  name: 'subscription-changed',
  text: `SELECT id, version, last_updated, (${IS_LIVE}) AS live FROM resource
    WHERE type = 'Subscription' AND last_updated > $1 ORDER BY id`,
};

const TERMINOLOGY_CHANGED = {
  name: 'subscription-terminology-changed',
  text: `SELECT type || '/' || id || '/' || version AS key, last_updated AS at FROM resource
    WHERE type IN ('CodeSystem', 'ValueSet') AND last_updated > $1`,
};

/** Deleting each time would cost more than a few rows too many. */
const PRUNE_EVERY = 50;

const MAX = Number.MAX_SAFE_INTEGER;

interface EventRow {
  number: string;
  at: Date;
  type: string;
  resource_id: string;
  version: number;
  interaction: SubscriptionEvent['interaction'];
}

interface StateRow {
  events: string | null;
  delivered: string | null;
  failures: number | null;
  last_sent: Date | null;
  readable: string[] | null;
  author: Granted | null;
}

/** Sets of letters are no JSON. */
const kept = ({ scopes, clientId, subject, patient, fhirUser, roles, purposeOfUse }: Granted): Granted => ({
  scopes: scopes.map((scope) => ({ ...scope, permissions: [...scope.permissions] })),
  ...JSON.parse(JSON.stringify({ clientId, subject, patient, fhirUser, roles, purposeOfUse })),
});

/** Counters are locked in the order of their ids, so that two writes that concern the same Subscriptions do not wait for each other. */
const GIVE = {
  name: 'subscription-give',
  text: `WITH due AS (
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[])
        WITH ORDINALITY AS d(subscription_id, type, resource_id, version, interaction, at)
    ), counted AS (
      INSERT INTO subscription_counter AS c (id, events)
      SELECT subscription_id, count(*) FROM due GROUP BY subscription_id ORDER BY subscription_id COLLATE "C"
      ON CONFLICT (id) DO UPDATE SET events = c.events + excluded.events
      RETURNING id, events
    )
    INSERT INTO subscription_event (subscription_id, number, type, resource_id, version, interaction)
    SELECT d.subscription_id,
      c.events - count(*) OVER (PARTITION BY d.subscription_id) + row_number() OVER (PARTITION BY d.subscription_id ORDER BY d.at),
      d.type, d.resource_id, d.version, d.interaction
    FROM due d JOIN counted c ON c.id = d.subscription_id
    RETURNING subscription_id, number`,
};

const EVENTS = {
  name: 'subscription-events',
  text: `SELECT number, at, type, resource_id, version, interaction FROM subscription_event
    WHERE subscription_id = $1 AND number > $2 AND number <= $3 ORDER BY number LIMIT $4`,
};

const STATE = {
  name: 'subscription-state',
  text: `SELECT c.events, d.delivered, d.failures, d.last_sent, d.readable, d.author
    FROM (SELECT $1::text COLLATE "C" AS id) s
    LEFT JOIN subscription_counter c ON c.id = s.id LEFT JOIN subscription_delivery d ON d.id = s.id`,
};

const DELIVERED = {
  name: 'subscription-delivered',
  text: `INSERT INTO subscription_delivery AS d (id, delivered, last_sent) VALUES ($1, $2, now())
    ON CONFLICT (id) DO UPDATE SET delivered = greatest(d.delivered, excluded.delivered), failures = 0, last_sent = now()`,
};

const START = {
  name: 'subscription-start',
  text: `INSERT INTO subscription_delivery (id, last_sent) VALUES ($1, now())
    ON CONFLICT (id) DO UPDATE SET failures = 0, last_sent = now()`,
};

const FAILED = {
  name: 'subscription-failed',
  text: `INSERT INTO subscription_delivery AS d (id, failures) VALUES ($1, 1)
    ON CONFLICT (id) DO UPDATE SET failures = d.failures + 1 RETURNING failures`,
};

const READABLE = {
  name: 'subscription-readable',
  text: `INSERT INTO subscription_delivery (id, readable, author) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET readable = excluded.readable, author = excluded.author`,
};

const AUTHORS = {
  name: 'subscription-authors',
  text: 'SELECT id, readable, author FROM subscription_delivery WHERE id = ANY($1::text[]) AND readable IS NOT NULL',
};

const NOTIFY = { name: 'subscription-notify', text: 'SELECT pg_notify($1, $2)' };

const PRUNE = {
  name: 'subscription-prune',
  text: 'DELETE FROM subscription_event WHERE subscription_id = $1 AND number <= $2',
};

const FORGET = {
  name: 'subscription-forget',
  text: `WITH e AS (DELETE FROM subscription_event WHERE subscription_id = $1),
      d AS (DELETE FROM subscription_delivery WHERE id = $1),
      b AS (DELETE FROM subscription_binding WHERE $1 = ANY(subscription_ids)),
      q AS (DELETE FROM subscription_question WHERE subscription_id = $1)
    DELETE FROM subscription_counter WHERE id = $1`,
};

const BIND = {
  name: 'subscription-bind',
  text: `WITH gone AS (DELETE FROM subscription_binding WHERE expires_at < now())
    INSERT INTO subscription_binding (token_sha256, subscription_ids, expires_at, reader) VALUES ($1, $2, $3, $4)`,
};

const BOUND = {
  name: 'subscription-bound',
  text: `SELECT subscription_ids, reader FROM subscription_binding
    WHERE token_sha256 = $1 AND expires_at > now() AND reader IS NOT NULL`,
};
