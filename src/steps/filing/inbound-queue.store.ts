import { Injectable } from '@nestjs/common';
import type { Statement, Transaction } from '../../database/database.ts';

/** A stored message that waits to be filed. */
export interface WaitingMessage {
  readonly id: string;
  readonly raw: Buffer;
}

/** What became of one. */
export interface FiledMark {
  readonly id: string;
  /** `filed`, or the code of why not. */
  readonly outcome: string;
  /** Where the fault is, as an ERR segment says it: `PID^1^3`; '' for none. */
  readonly location: string;
  readonly flags: readonly string[];
  /** Null keeps what the door read. */
  readonly mrn: string | null;
  readonly accession: string | null;
}

/** What the audit says of one. */
export interface MarkedMessage {
  /** MSH-3, MSH-4. */
  readonly application: string;
  readonly facility: string;
  /** SHA-256 of its content. */
  readonly hash: string;
  readonly outcome: string;
}

/** At most so many messages are filed with one commit: more saves little, and the door in the same process waits while their writes are put together. */
export const BATCH_MESSAGES_MAX = 48;
/** Bounds the memory of a batch; a larger message goes alone. */
export const BATCH_BYTES_MAX = 4 * 1024 * 1024;

/** The part of table `hl7_inbound` that is filing's: which messages wait, and what became of them. */
@Injectable()
export class InboundQueueStore {
  /**
   * The next messages in the order of their ids, which is the order in which they were answered. Until the transaction ends nobody else
   * files: a second process that runs the same job waits here, and then finds them filed.
   */
  async next(tx: Transaction, max = BATCH_MESSAGES_MAX): Promise<WaitingMessage[]> {
    await this.lock(tx);
    return tx.run<WaitingMessage>(NEXT, [max, BATCH_BYTES_MAX]);
  }

  /** Is it still waiting? Nobody else files until the transaction ends. */
  async claim(tx: Transaction, id: string): Promise<boolean> {
    await this.lock(tx);
    return (await tx.run(STILL, [id])).length > 0;
  }

  /** Filing is one thing after another, whatever process does it. */
  async lock(tx: Transaction): Promise<void> {
    await tx.run(LOCK);
  }

  /** Gives who sent each. */
  async mark(tx: Transaction, marks: readonly FiledMark[]): Promise<MarkedMessage[]> {
    if (marks.length === 0) return [];
    return tx.run<MarkedMessage>(MARK, [
      marks.map(({ id }) => id),
      marks.map(({ outcome }) => outcome),
      marks.map(({ location }) => location),
      marks.map(({ flags }) => [...new Set(flags)].join(',')),
      marks.map(({ mrn }) => mrn && columnText(mrn)),
      marks.map(({ accession }) => accession && columnText(accession)),
    ]);
  }
}

/** As the door cuts its keys: longer ones are no numbers. */
const KEY_CHARACTERS_MAX = 200;

const columnText = (text: string) => text.replaceAll('\0', '').slice(0, KEY_CHARACTERS_MAX);

const LOCK: Statement = {
  name: 'filing-lock',
  text: `SELECT pg_advisory_xact_lock(hashtextextended('hl7-filing', 0))`,
};
/** The size of a value is in its header: the sum reads none of them. */
const NEXT: Statement = {
  name: 'filing-next',
  text: `SELECT m.id, m.raw FROM (
      SELECT id, sum(octet_length(raw)) OVER (ORDER BY id) - octet_length(raw) AS before FROM (
        SELECT id, raw FROM hl7_inbound WHERE filing_outcome IS NULL ORDER BY id LIMIT $1) w) n
    JOIN hl7_inbound m ON m.id = n.id WHERE n.before < $2 ORDER BY m.id`,
};
const STILL: Statement = {
  name: 'filing-still',
  text: 'SELECT 1 FROM hl7_inbound WHERE id = $1 AND filing_outcome IS NULL',
};
const MARK: Statement = {
  name: 'filing-mark',
  text: `UPDATE hl7_inbound m SET filed_at = now(), filing_outcome = d.outcome, filing_location = d.location,
      flags = m.flags || ARRAY(SELECT f FROM string_to_table(nullif(d.flags, ''), ',') AS f WHERE f <> ALL (m.flags)),
      mrn = coalesce(d.mrn, m.mrn), accession = coalesce(d.accession, m.accession)
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
      AS d(id, outcome, location, flags, mrn, accession)
    WHERE m.id = d.id
    RETURNING m.sending_application AS application, m.sending_facility AS facility, encode(m.content_sha256, 'hex') AS hash,
      m.filing_outcome AS outcome`,
};
