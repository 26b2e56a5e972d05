import { Inject, Injectable } from '@nestjs/common';
import type { Logger } from 'pino';
import { Database } from '../../database/database.ts';
import type { ConnectionEvent } from '../../hl7/mllp-server.ts';
import { LOGGER } from '../../kernel/log.ts';

/** One event of a kind from one address is audited within this time: whoever knocks a thousand times must not fill the audit. */
export const AUDITED_EVERY_MS = 60_000;
/** So many addresses are remembered for that; an attack from more of them is audited more often. */
export const ADDRESSES_MAX = 1_000;

/** Somebody was turned away before there was a message to store. */
const REFUSALS: ReadonlySet<ConnectionEvent['kind']> = new Set([
  'tls-failed',
  'refused-connection',
  'too-large',
]);

/**
 * What happens at the MLLP door beside messages: counted, said in the log without content, and where somebody was turned away, audited. Messages that were
 * refused are counted too; they stand in the message log with their bytes.
 */
@Injectable()
export class DoorEvents {
  /** By kind, since the process started: for metrics. */
  readonly events = new Map<string, number>();
  /** Messages answered AR, by code. */
  readonly refused = new Map<string, number>();
  private readonly audited = new Map<string, { readonly at: number; more: number }>();

  constructor(
    @Inject(Database) private readonly database: Pick<Database, 'audit'>,
    @Inject(LOGGER) private readonly log: Pick<Logger, 'warn'>,
  ) {}

  refuse(code: string): void {
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
  }

  hear({ kind, peer, bytes }: ConnectionEvent, now = performance.now()): void {
    this.events.set(kind, (this.events.get(kind) ?? 0) + 1);
    this.log.warn({ event: kind, peer, bytes }, 'MLLP');
    if (!REFUSALS.has(kind)) return;
    const address = peer.split(' ')[0] ?? '';
    const key = `${kind} ${address}`;
    const last = this.audited.get(key);
    if (last !== undefined && now - last.at < AUDITED_EVERY_MS) {
      last.more += 1;
      return;
    }
    this.audited.delete(key);
    this.audited.set(key, { at: now, more: 0 });
    for (const oldest of this.audited.keys()) {
      if (this.audited.size <= ADDRESSES_MAX) break;
      this.audited.delete(oldest);
    }
    const more = last === undefined || last.more === 0 ? '' : `, and ${last.more} more since the last entry`;
    const entry = { kind: 'message', interaction: 'hl7-door', action: 'E', outcome: 4 } as const;
    const actor = { client: 'HL7 sender', ...(address === '' ? {} : { address }) };
    // The connection is closed already: nothing that could be told is withheld when the audit cannot be written.
    void this.database.audit?.record({ ...entry, detail: `${kind}${more}`, actor }).catch(() => {
      this.log.warn({ event: kind }, 'an event at the MLLP door could not be audited');
    });
  }
}
