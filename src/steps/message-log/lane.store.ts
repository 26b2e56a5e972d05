import { Injectable } from '@nestjs/common';
import { Database, type Statement } from '../../database/database.ts';

/** What waits for one destination. */
export interface DestinationDepth {
  readonly destination: string;
  readonly waiting: number;
  readonly lanes: number;
  readonly oldest_s: number;
}

/** A lane with something in it: one patient at one destination, in order. */
export interface LaneDepth {
  readonly lane: string;
  readonly destination: string;
  readonly waiting: number;
  readonly oldest_s: number;
  /** The message that is next, or on its way; what follows waits for it. */
  readonly head_id: string;
  readonly head_control_id: string;
  readonly head_attempts: number;
  readonly head_error: string | null;
  readonly head_sent_at: Date | null;
}

export interface Hold {
  readonly destination: string;
  /** Null: the whole destination. */
  readonly lane: string | null;
  readonly held_at: Date;
  readonly held_by: string;
  readonly reason: string;
}

/** The inbound side: what is stored and not yet filed, and what filing holds. */
export interface FilingDepth {
  readonly waiting: number;
  readonly oldest_s: number;
  readonly held: number;
  readonly head_id: string | null;
}

/** Of each destination, so that one that stands for days does not hide another. */
export const LANES_SHOWN_MAX = 50;

/** How deep the lanes are. Only rows that wait are looked at, in the table of what is not acknowledged. */
@Injectable()
export class LaneStore {
  constructor(private readonly database: Database) {}

  destinations(): Promise<DestinationDepth[]> {
    return this.database.run<DestinationDepth>(DESTINATIONS);
  }

  /** When each last acknowledged something, of those that did within a day. */
  async lastAcks(destinations: readonly string[]): Promise<Map<string, Date>> {
    const rows = await this.database.run<{ destination: string; at: Date | null }>(LAST_ACKS, [destinations]);
    return new Map(rows.flatMap(({ destination, at }) => (at ? [[destination, at]] : [])));
  }

  /** The lanes that have waited longest, up to `LANES_SHOWN_MAX` of each destination, and all that are held. */
  lanes(): Promise<LaneDepth[]> {
    return this.database.run<LaneDepth>(LANES, [LANES_SHOWN_MAX]);
  }

  holds(): Promise<Hold[]> {
    return this.database.run<Hold>(HOLDS);
  }

  async filing(): Promise<FilingDepth> {
    const [row] = await this.database.run<FilingDepth>(FILING);
    return row ?? { waiting: 0, oldest_s: 0, held: 0, head_id: null };
  }
}

const DESTINATIONS: Statement = {
  name: 'hl7-lanes-destinations',
  text: `SELECT destination, count(*)::int AS waiting, count(DISTINCT lane)::int AS lanes,
      extract(epoch FROM now() - min(created_at))::float AS oldest_s
    FROM hl7_unacknowledged WHERE state = 'waiting' GROUP BY destination`,
};
/** By the index on the tries that ended well, from its end. */
const LAST_ACKS: Statement = {
  name: 'hl7-lanes-last-acks',
  text: `SELECT d.destination, (SELECT a.ended_at FROM hl7_attempt a WHERE a.error IS NULL
      AND a.destination = d.destination AND a.ended_at > now() - interval '1 day' ORDER BY a.ended_at DESC LIMIT 1) AS at
    FROM unnest($1::text[]) AS d(destination)`,
};
/**
 * What was sent again keeps its age and goes behind the others: the head is the first by its number, not the oldest. What is shown is bounded before anything
 * is looked up for it, so that the large tables are read by number however many lanes there are.
 */
const LANES: Statement = {
  name: 'hl7-lanes',
  text: `WITH waits AS MATERIALIZED (
      SELECT lane, destination, count(*)::int AS waiting, min(created_at) AS oldest
      FROM hl7_unacknowledged WHERE state = 'waiting' GROUP BY lane, destination
    ), shown AS MATERIALIZED (
      SELECT w.* FROM (SELECT DISTINCT destination FROM waits) AS d
        CROSS JOIN LATERAL (SELECT * FROM waits WHERE waits.destination = d.destination ORDER BY oldest, lane LIMIT $1) AS w
      UNION SELECT waits.* FROM waits JOIN hl7_lane_hold h ON h.lane = waits.lane
      LIMIT 2000
    )
    SELECT l.lane, l.destination, l.waiting, extract(epoch FROM now() - l.oldest)::float AS oldest_s, m.id::text AS head_id,
      m.control_id AS head_control_id, m.attempts AS head_attempts, m.last_error AS head_error, m.sent_at AS head_sent_at
    FROM shown l
    CROSS JOIN LATERAL (
      SELECT u.id FROM hl7_unacknowledged u WHERE u.lane = l.lane AND u.state = 'waiting' ORDER BY u.seq LIMIT 1) AS head
    JOIN hl7_outbound m ON m.id = head.id ORDER BY l.oldest`,
};
const HOLDS: Statement = {
  name: 'hl7-lanes-holds',
  text: `SELECT destination, NULL AS lane, held_at, held_by, reason FROM hl7_destination
    UNION ALL SELECT destination, lane, held_at, held_by, reason FROM hl7_lane_hold ORDER BY held_at DESC LIMIT 1000`,
};
const FILING: Statement = {
  name: 'hl7-lanes-filing',
  text: `SELECT (SELECT count(*)::int FROM hl7_inbound WHERE filing_outcome IS NULL) AS waiting,
      coalesce((SELECT extract(epoch FROM now() - min(received_at))::float FROM hl7_inbound WHERE filing_outcome IS NULL), 0) AS oldest_s,
      (SELECT count(*)::int FROM hl7_inbound WHERE filing_outcome NOT IN ('filed', 'refused')) AS held,
      (SELECT id::text FROM hl7_inbound WHERE filing_outcome IS NULL ORDER BY id LIMIT 1) AS head_id`,
};
