import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { AuditEntry } from '../../database/audit-sink.ts';
import { Database, type Statement } from '../../database/database.ts';
import type { MessageHeader } from '../../hl7/message-header.ts';
import { senderName } from '../../hl7/sender-name.ts';
import { splitMessages, withoutMessageTime } from '../../hl7/split-batch.ts';

/** What makes two messages the same: sender, control id, and the content without its time. */
export interface MessageKey {
  readonly application: string;
  readonly facility: string;
  readonly controlId: string;
  /** SHA-256 of everything but MSH-7. */
  readonly hash: Buffer;
}

/** A message as it is stored: its bytes, where it came from, what people search by, and what it will be answered. */
export interface InboundMessage {
  readonly key: MessageKey;
  readonly bytes: Buffer;
  /** Address of the sender, and the subject of its TLS certificate. */
  readonly peer: string;
  /** MSH-9.1^MSH-9.2. */
  readonly messageType: string;
  readonly mrn: string | null;
  readonly accession: string | null;
  readonly acks: readonly Buffer[];
  /** `accept`, or the code of the refusal. */
  readonly outcome: string;
}

/** A message just stored, a repeat with the answers given when it came before, or a repeat whose row has gone meanwhile. */
export type Kept =
  | { readonly kind: 'new' }
  | { readonly kind: 'repeat'; readonly acks: readonly Buffer[] }
  | { readonly kind: 'gone' };

/** Longer numbers are cut: an index takes no more, and the hash tells messages apart all the same. */
export const KEY_CHARACTERS_MAX = 200;

/** Table `hl7_inbound`: every message received and what was answered. What is accepted waits there to be filed, in the order of its ids. */
@Injectable()
export class InboundMessageStore {
  constructor(private readonly database: Database) {}

  /**
   * Stores messages, of which no two are the same, in one statement that is its own transaction: when this resolves they are on disk. One
   * result each, in their order, which is that of their ids. Of two that race with the same bytes the unique key lets one in; the
   * other waits for it and finds its answers. A used control id is flagged `control-id-reused`.
   */
  async keep(messages: readonly InboundMessage[]): Promise<Kept[]> {
    const rows = await this.insert(messages);
    if (rows.length === messages.length) return messages.map(() => NEW);
    const fresh = new Set(rows.map((row) => row.hash));
    const repeated = messages.filter(({ key }) => !fresh.has(key.hash.toString('hex')));
    const known = await this.answersTo(repeated.map(({ key }) => key));
    return messages.map(({ key }): Kept => {
      const hash = key.hash.toString('hex');
      if (fresh.has(hash)) return NEW;
      const ack = known.get(hash);
      return ack === undefined ? { kind: 'gone' } : { kind: 'repeat', acks: splitMessages(ack) };
    });
  }

  /** What was refused is audited with its row; what was accepted is when it is filed, so that the usual case stays one statement. */
  private insert(messages: readonly InboundMessage[]): Promise<{ hash: string }[]> {
    const { statement, values } = insertOf(messages);
    const { database } = this;
    const refused = messages.filter(({ outcome }) => outcome !== 'accept');
    if (refused.length === 0 || database.audit === null || database.audit === undefined)
      return database.run<{ hash: string }>(statement, values);
    return database.transaction(async (tx) => {
      const rows = await tx.run<{ hash: string }>(statement, values);
      const fresh = new Set(rows.map((row) => row.hash));
      const those = refused.filter(({ key }) => fresh.has(key.hash.toString('hex')));
      await database.audit?.recordIn(tx, those.map(auditOfRefused));
      return rows;
    });
  }

  /** Does anything wait to be filed? */
  async waits(): Promise<boolean> {
    return (await this.database.run(WAITS)).length > 0;
  }

  private async answersTo(keys: readonly MessageKey[]): Promise<Map<string, Buffer>> {
    const rows = await this.database.run<{ hash: string; ack: Buffer }>(REPEATED, [
      keys.map((key) => key.application),
      keys.map((key) => key.facility),
      keys.map((key) => key.controlId),
      keys.map((key) => key.hash.toString('hex')),
    ]);
    return new Map(rows.map((row) => [row.hash, row.ack]));
  }
}

/** The code says why; the row of the message log has the rest. */
function auditOfRefused({ key, outcome, peer }: InboundMessage): AuditEntry {
  const address = peer.split(' ')[0] ?? '';
  return {
    kind: 'message',
    interaction: 'hl7-in',
    action: 'C',
    outcome: 4,
    entity: `urn:prelim:hl7:${key.hash.toString('hex')}`,
    detail: outcome,
    actor: { client: senderName(key.application, key.facility), ...(address === '' ? {} : { address }) },
  };
}

/**
 * MSH-3, MSH-4 and MSH-10 as received and a hash of everything but MSH-7. `header` is the message's own, null where it has none; `refusal` the code of why it is refused, else
 * ''. It goes into the hash: the same bytes again have the same answer, but where a setting was mended since, they are taken.
 */
export function keyOf(bytes: Buffer, header: MessageHeader | null, refusal: string): MessageKey {
  const field = (n: number) => columnText(header?.field(n) ?? '');
  const hash = createHash('sha256').update(withoutMessageTime(bytes, header)).update(refusal).digest();
  return { application: field(3), facility: field(4), controlId: field(10), hash };
}

/** Text as a column and its index take it. */
export function columnText(text: string): string {
  return text.replaceAll('\0', '').slice(0, KEY_CHARACTERS_MAX);
}

const NEW: Kept = { kind: 'new' };

/**
 * Messages go as a list of rows of 1, 2, 4 … 64, the rest of it empty: so few statements are planned once for each connection. One statement over
 * arrays would be planned anew every time, which costs more than storing a message does.
 */
function insertOf(messages: readonly InboundMessage[]): { statement: Statement; values: unknown[] } {
  const size = ROW_COUNTS.find((one) => one >= messages.length) ?? messages.length;
  const values: unknown[] = messages.flatMap((message) => [
    message.key.application,
    message.key.facility,
    message.key.controlId,
    message.key.hash,
    message.bytes,
    message.acks.length === 1 ? message.acks[0] : Buffer.concat(message.acks),
    message.outcome,
    message.peer,
    message.messageType,
    message.mrn,
    message.accession,
  ]);
  const wanted = size * COLUMN_TYPES.length;
  while (values.length < wanted) values.push(null);
  return { statement: INSERTS.get(size) ?? insertStatement(size), values };
}

const COLUMN_TYPES = [
  'text',
  'text',
  'text',
  'bytea',
  'bytea',
  'bytea',
  'text',
  'text',
  'text',
  'text',
  'text',
] as const;

function insertStatement(rows: number): Statement {
  const row = (at: number) =>
    `(${COLUMN_TYPES.map((type, n) => `$${at * COLUMN_TYPES.length + n + 1}::${type}`).join(', ')})`;
  return {
    name: `hl7-inlet-insert-${rows}`,
    text: `INSERT INTO hl7_inbound (sending_application, sending_facility, control_id, content_sha256, raw, ack, outcome,
        peer, message_type, mrn, accession, flags, filing_outcome)
      SELECT m.application, m.facility, m.control_id, m.hash, m.raw, m.ack, m.outcome, m.peer, m.message_type, m.mrn, m.accession,
        coalesce((SELECT ARRAY['control-id-reused'] FROM hl7_inbound known WHERE known.control_id = m.control_id
          AND known.sending_application = m.application AND known.sending_facility = m.facility AND m.control_id <> '' LIMIT 1),
          ARRAY[]::text[]),
        CASE WHEN m.outcome <> 'accept' THEN 'refused' END
      FROM (VALUES ${Array.from({ length: rows }, (_, at) => row(at)).join(', ')})
        AS m(application, facility, control_id, hash, raw, ack, outcome, peer, message_type, mrn, accession)
      WHERE m.control_id IS NOT NULL
      ON CONFLICT ON CONSTRAINT hl7_inbound_once DO NOTHING
      RETURNING encode(content_sha256, 'hex') AS hash`,
  };
}

const ROW_COUNTS = [1, 2, 4, 8, 16, 32, 64];
const INSERTS = new Map(ROW_COUNTS.map((rows) => [rows, insertStatement(rows)]));

const REPEATED: Statement = {
  name: 'hl7-inlet-repeated',
  text: `UPDATE hl7_inbound known SET repeats = known.repeats + 1
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS m(application, facility, control_id, hash)
    WHERE known.control_id = m.control_id AND known.sending_application = m.application
      AND known.sending_facility = m.facility AND known.content_sha256 = decode(m.hash, 'hex')
    RETURNING m.hash, known.ack`,
};
const WAITS: Statement = {
  name: 'hl7-inlet-waits',
  text: 'SELECT 1 FROM hl7_inbound WHERE filing_outcome IS NULL LIMIT 1',
};
