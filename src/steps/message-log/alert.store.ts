import { Injectable } from '@nestjs/common';
import { Database, type Statement } from '../../database/database.ts';

/** Share of messages that went wrong. */
export interface ErrorShare {
  readonly messages: number;
  readonly errors: number;
}

/** Over which time the share of errors is looked at. */
export const ERROR_WINDOW_MINUTES = 15;

/** What alerts are made of. Each statement looks at a bounded time, by the index on it. */
@Injectable()
export class AlertStore {
  constructor(private readonly database: Database) {}

  /** Did a message come from this sender (MSH-3:MSH-4) within so many minutes? */
  async heardFrom(sender: string, minutes: number): Promise<boolean> {
    const at = sender.indexOf(':');
    const [application, facility] = at < 0 ? [sender, ''] : [sender.slice(0, at), sender.slice(at + 1)];
    return (await this.database.run(HEARD, [application, facility, minutes])).length > 0;
  }

  /** Did the destination take a message within so many minutes? */
  async takenBy(destination: string, minutes: number): Promise<boolean> {
    return (await this.database.run(TAKEN, [destination, minutes])).length > 0;
  }

  /** Result messages in queues that nobody takes from: their destination is not configured (any more). `queues`: those of the destinations there are. */
  async unconfigured(queues: readonly string[]): Promise<{ destination: string; messages: number }[]> {
    return this.database.run(UNCONFIGURED, [queues]);
  }

  /** Result messages that wait for a person, by destination. */
  deadOut(): Promise<{ destination: string; messages: number }[]> {
    return this.database.run(DEAD_OUT);
  }

  /** In: refused at the door or held by filing. */
  async inbound(): Promise<ErrorShare> {
    const [row] = await this.database.run<ErrorShare>(INBOUND, [ERROR_WINDOW_MINUTES]);
    return row ?? { messages: 0, errors: 0 };
  }

  /** Out: tries that did not end with an acknowledgement. */
  async outbound(): Promise<ErrorShare> {
    const [row] = await this.database.run<ErrorShare>(OUTBOUND, [ERROR_WINDOW_MINUTES]);
    return row ?? { messages: 0, errors: 0 };
  }
}

const DEAD_OUT: Statement = {
  name: 'hl7-alert-dead-out',
  text: `SELECT destination, count(*)::int AS messages FROM hl7_unacknowledged
    WHERE state IN ('rejected', 'given-up', 'dead', 'unmade') GROUP BY destination`,
};
const UNCONFIGURED: Statement = {
  name: 'hl7-alert-unconfigured',
  text: `SELECT coalesce(nullif(split_part(o.queue, '@', 2), ''), 'RIS_URL') AS destination, count(*)::int AS messages
    FROM outbox o JOIN hl7_unacknowledged u ON u.lane = o.key AND u.state = 'waiting'
    WHERE (o.queue = 'ris-send' OR o.queue LIKE 'ris-send@%') AND o.queue <> ALL ($1::text[]) AND o.state <> 'dead' GROUP BY 1`,
};
const HEARD: Statement = {
  name: 'hl7-alert-heard',
  text: `SELECT 1 FROM hl7_inbound WHERE received_at > now() - make_interval(mins => $3) AND sending_application = $1
    AND sending_facility = $2 ORDER BY received_at DESC LIMIT 1`,
};
const TAKEN: Statement = {
  name: 'hl7-alert-taken',
  text: `SELECT 1 FROM hl7_attempt WHERE error IS NULL AND ended_at > now() - make_interval(mins => $2) AND destination = $1 LIMIT 1`,
};
const INBOUND: Statement = {
  name: 'hl7-alert-inbound',
  text: `SELECT count(*)::int AS messages, count(*) FILTER (WHERE filing_outcome <> 'filed')::int AS errors
    FROM hl7_inbound WHERE received_at > now() - make_interval(mins => $1)`,
};
const OUTBOUND: Statement = {
  name: 'hl7-alert-outbound',
  text: `SELECT count(*)::int AS messages, count(*) FILTER (WHERE error IS NOT NULL)::int AS errors
    FROM hl7_attempt WHERE ended_at > now() - make_interval(mins => $1)`,
};
