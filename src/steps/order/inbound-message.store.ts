import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Statement, Transaction } from '../../database/database.ts';
import { readHeader } from '../../hl7/message-header.ts';
import { splitMessages, withoutMessageTime } from '../../hl7/split-batch.ts';

/** What makes two messages the same: sender, control id, and the content without its time. */
export interface MessageKey {
  readonly application: string;
  readonly facility: string;
  readonly controlId: string;
  /** SHA-256 of everything but MSH-7. */
  readonly hash: Buffer;
}

export interface InboundMessage extends Answer {
  readonly key: MessageKey;
  readonly bytes: Buffer;
}

/** What was answered, and why. */
export interface Answer {
  readonly acks: readonly Buffer[];
  /** `accept`, or the code of the refusal. */
  readonly outcome: string;
  readonly flags: readonly string[];
}

/** A message just written down, or the answers given when it came before. */
export type Kept =
  | { readonly kind: 'new'; readonly id: string }
  | { readonly kind: 'repeat'; readonly acks: readonly Buffer[] };

/** Table `hl7_inbound`: every message received, and what was answered. */
@Injectable()
export class InboundMessageStore {
  /**
   * Writes messages, of which no two are the same, down with the answers they will get; one result each, in their order. Of two that
   * race with the same bytes the unique key lets one in; the other waits for it and finds its answers. A used control id is
   * flagged `control-id-reused`.
   */
  async keep(tx: Transaction, messages: readonly InboundMessage[]): Promise<Kept[]> {
    const rows = await tx.run<{ id: string; hash: string }>(INSERT, [
      messages.map(({ key }) => key.application),
      messages.map(({ key }) => key.facility),
      messages.map(({ key }) => key.controlId),
      messages.map(({ key }) => key.hash),
      messages.map(({ bytes }) => bytes),
      messages.map(({ acks }) => Buffer.concat(acks)),
      messages.map(({ outcome }) => outcome),
      messages.map(({ flags }) => flags.join(',')),
    ]);
    const ids = new Map(rows.map((row) => [row.hash, row.id]));
    const kept: Kept[] = [];
    for (const { key } of messages) {
      const id = ids.get(key.hash.toString('hex'));
      kept.push(id === undefined ? await this.repeated(tx, key) : { kind: 'new', id });
    }
    return kept;
  }

  /** Another answer than the one it was written down with. */
  async amend(tx: Transaction, id: string, answer: Omit<Answer, 'flags'>): Promise<void> {
    await tx.run(AMEND, [id, Buffer.concat(answer.acks), answer.outcome]);
  }

  private async repeated(tx: Transaction, key: MessageKey): Promise<Kept> {
    const [known] = await tx.run<{ ack: Buffer }>(REPEATED, [
      key.application,
      key.facility,
      key.controlId,
      key.hash,
    ]);
    return { kind: 'repeat', acks: splitMessages(known?.ack ?? Buffer.alloc(0)) };
  }
}

export function keyOf(bytes: Buffer): MessageKey {
  const header = readHeader(bytes);
  const field = (n: number) => (header?.field(n) ?? '').replaceAll('\0', '');
  const hash = createHash('sha256').update(withoutMessageTime(bytes)).digest();
  return { application: field(3), facility: field(4), controlId: field(10), hash };
}

const INSERT: Statement = {
  name: 'hl7-inbound-insert',
  text: `INSERT INTO hl7_inbound
      (sending_application, sending_facility, control_id, content_sha256, raw, ack, outcome, flags)
    SELECT m.application, m.facility, m.control_id, m.hash, m.raw, m.ack, m.outcome,
      string_to_array(m.flags, ',') || CASE WHEN m.control_id <> '' AND EXISTS (
          SELECT 1 FROM hl7_inbound known WHERE known.sending_application = m.application
            AND known.sending_facility = m.facility AND known.control_id = m.control_id)
        THEN ARRAY['control-id-reused'] ELSE ARRAY[]::text[] END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bytea[], $6::bytea[], $7::text[], $8::text[])
      AS m(application, facility, control_id, hash, raw, ack, outcome, flags)
    ON CONFLICT ON CONSTRAINT hl7_inbound_once DO NOTHING
    RETURNING id, encode(content_sha256, 'hex') AS hash`,
};
const REPEATED: Statement = {
  name: 'hl7-inbound-repeated',
  text: `UPDATE hl7_inbound SET repeats = repeats + 1 WHERE sending_application = $1 AND sending_facility = $2
    AND control_id = $3 AND content_sha256 = $4 RETURNING ack`,
};
const AMEND: Statement = {
  name: 'hl7-inbound-amend',
  text: 'UPDATE hl7_inbound SET ack = $2, outcome = $3 WHERE id = $1',
};
