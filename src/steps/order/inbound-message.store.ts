import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { Statement, Transaction } from '../../database/database.ts';
import { readHeader } from '../../hl7/message-header.ts';
import { splitMessages, withoutMessageTime } from '../../hl7/split-batch.ts';

/** A message just written down, or the answers given when it came before. */
export type Begun =
  | { readonly kind: 'new'; readonly id: string; readonly controlIdReused: boolean }
  | { readonly kind: 'repeat'; readonly acks: readonly Buffer[] };

export interface Finished {
  readonly acks: readonly Buffer[];
  /** `accept`, or the code of the refusal. */
  readonly outcome: string;
  readonly flags: readonly string[];
}

/** Table `hl7_inbound`: every message received, and what was answered. */
@Injectable()
export class InboundMessageStore {
  /**
   * Writes a message down. Of two that race with the same bytes the unique key lets one in; the other waits for it
   * and finds its answers.
   */
  async begin(tx: Transaction, bytes: Buffer): Promise<Begun> {
    const key = keyOf(bytes);
    const [row] = await tx.run<{ id: string; reused: boolean }>(INSERT, [...key, bytes]);
    if (row === undefined) {
      const [known] = await tx.run<{ ack: Buffer }>(REPEATED, key);
      return { kind: 'repeat', acks: splitMessages(known?.ack ?? Buffer.alloc(0)) };
    }
    return { kind: 'new', id: row.id, controlIdReused: key[2] !== '' && row.reused };
  }

  async finish(tx: Transaction, id: string, end: Finished): Promise<void> {
    await tx.run(FINISH, [id, Buffer.concat(end.acks), end.outcome, end.flags]);
  }
}

/** Sender, control id, and the hash of everything but MSH-7. */
function keyOf(bytes: Buffer): [string, string, string, Buffer] {
  const header = readHeader(bytes);
  const field = (n: number) => (header?.field(n) ?? '').replaceAll('\0', '');
  const hash = createHash('sha256').update(withoutMessageTime(bytes)).digest();
  return [field(3), field(4), field(10), hash];
}

const INSERT: Statement = {
  name: 'hl7-inbound-insert',
  text: `INSERT INTO hl7_inbound (sending_application, sending_facility, control_id, content_sha256, raw)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT ON CONSTRAINT hl7_inbound_once DO NOTHING
    RETURNING id, EXISTS (SELECT 1 FROM hl7_inbound WHERE sending_application = $1 AND sending_facility = $2
      AND control_id = $3) AS reused`,
};
const REPEATED: Statement = {
  name: 'hl7-inbound-repeated',
  text: `UPDATE hl7_inbound SET repeats = repeats + 1 WHERE sending_application = $1 AND sending_facility = $2
    AND control_id = $3 AND content_sha256 = $4 RETURNING ack`,
};
const FINISH: Statement = {
  name: 'hl7-inbound-finish',
  text: 'UPDATE hl7_inbound SET ack = $2, outcome = $3, flags = $4 WHERE id = $1',
};
