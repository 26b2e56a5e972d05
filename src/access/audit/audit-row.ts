import { createHash, hash as digest } from 'node:crypto';

/** A link of a chain, as it is stored: the events that were committed together. Columns of the table `audit_event`. */
export interface AuditRow {
  readonly segment: number;
  readonly seq: number;
  readonly at: Date;
  readonly prev: Buffer;
  readonly hash: Buffer;
  readonly keys: readonly number[];
  readonly content: string;
}

/** What the first row of a segment has for the hash before it. */
export const genesisOf = (segment: number): Buffer =>
  createHash('sha256').update(`prelim audit segment ${segment}`).digest();

/** SHA-256 over one line with the hash before, segment, number and instant (ISO 8601 with milliseconds), and the content behind it. */
export const hashOf = ({ prev, segment, seq, at, content }: Omit<AuditRow, 'hash' | 'keys'>): Buffer =>
  digest('sha256', `${prev.toString('hex')} ${segment} ${seq} ${at.toISOString()}\n${content}`, 'buffer');
