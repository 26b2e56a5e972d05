import type { Sql } from '../database/database.ts';
import { type AuditedEvent, keysOf, parseEvents } from './audit/audit-content.ts';
import { type AuditRow, genesisOf, hashOf } from './audit/audit-row.ts';
import { allSegments, prunedStatements, rowsOfSegment } from './audit/audit-verify.store.ts';
import { type AuditKey, readSigned } from './audit-heads.ts';

/** A transaction has ended by then: a hole before a row that is older is no row on its way. */
export const ON_ITS_WAY_MS = 300_000;

export interface AuditVerdict {
  readonly rows: number;
  readonly segments: number;
  /** Heads whose signature and row were checked. */
  readonly heads: number;
  /** In sentences; the first names the first bad row. Empty: nothing was found. */
  readonly faults: readonly string[];
  /** What no chain can tell apart from a crash: holes at the end of a process that died. */
  readonly doubts: readonly string[];
}

interface Range {
  readonly from: number;
  readonly to: number;
  /** Of the row before the next one; undefined: nobody knows (a crash). */
  readonly hash?: string | undefined;
}

/** What is known of one chain from others, or from later rows. */
interface Known {
  begins: { seq: number; hash: string } | null;
  readonly voids: Range[];
  end: { seq: number; hash: string | null; missing: readonly Range[] } | null;
  readonly heads: { seq: number; hash: string }[];
}

interface Hole extends Range {
  readonly segment: number;
  readonly hash: string;
  readonly young: boolean;
}

/**
 * Reads every row and checks that its hash fits its content, that it follows from the row before, that every hole was spoken of, that closed chains
 * reach to their end, and that every signed head (in the audit itself, and those handed in) is still there. `now` is for rows on their way.
 */
export async function verifyAudit(
  sql: Sql,
  key: AuditKey,
  now: Date,
  heads: readonly string[] = [],
): Promise<AuditVerdict> {
  return new Verification(sql, key, now).run(heads);
}

class Verification {
  private readonly faults: string[] = [];
  private readonly doubts: string[] = [];
  private readonly known = new Map<number, Known>();
  private readonly hashes = new Map<string, string>();
  private readonly holes: Hole[] = [];
  private readonly last = new Map<number, { seq: number; hash: string }>();
  private rows = 0;
  private heads = 0;

  constructor(
    private readonly sql: Sql,
    private readonly key: AuditKey,
    private readonly now: Date,
  ) {}

  async run(given: readonly string[]): Promise<AuditVerdict> {
    for (const jws of await prunedStatements(this.sql)) await this.readPruned(jws);
    for (const jws of given) await this.readHead(jws, 'the head that was handed in');
    const segments = await allSegments(this.sql);
    // What the chain says of itself stands in it: it is read first, a second reading checks the links.
    for (const segment of segments) await this.readChainRows(segment);
    for (const segment of segments) await this.checkSegment(segment);
    this.checkHoles();
    for (const segment of this.known.keys()) this.checkEnd(segment);
    return {
      rows: this.rows,
      segments: segments.length,
      heads: this.heads,
      faults: this.faults,
      doubts: this.doubts,
    };
  }

  private of(segment: number): Known {
    const known = this.known.get(segment) ?? { begins: null, voids: [], end: null, heads: [] };
    this.known.set(segment, known);
    return known;
  }

  private async readPruned(jws: string): Promise<void> {
    const signed = await readSigned(jws, this.key);
    if (signed?.what !== 'pruned') {
      this.faults.push('a statement of removed rows is not signed with the key of this server');
      return;
    }
    for (const { segment, seq, hash } of signed.segments) this.of(segment).begins = { seq, hash };
  }

  private async readHead(jws: string, name: string): Promise<void> {
    const signed = await readSigned(jws, this.key);
    if (signed?.what !== 'heads') {
      this.faults.push(`${name} is not signed with the key of this server`);
      return;
    }
    this.heads += 1;
    for (const { segment, seq, hash } of signed.segments) this.of(segment).heads.push({ seq, hash });
  }

  private async readChainRows(segment: number): Promise<void> {
    for await (const page of rowsOfSegment(this.sql, segment)) {
      for (const row of page) {
        // A word that stands in every row of this kind: the others need not be parsed here.
        if (!row.content.includes('"chain"')) continue;
        for (const event of eventsIn(row) ?? [])
          if (event.kind === 'chain' && event.detail !== null) await this.readChainEvent(row, event);
      }
    }
  }

  private async readChainEvent(row: AuditRow, event: AuditedEvent): Promise<void> {
    try {
      if (event.interaction === 'void')
        this.of(row.segment).voids.push(...(JSON.parse(event.detail ?? '') as Range[]));
      if (event.interaction === 'close') {
        const { segment, ...end } = JSON.parse(event.detail ?? '') as { segment: number } & NonNullable<
          Known['end']
        >;
        this.of(segment).end = end;
      }
      if (event.interaction === 'head')
        await this.readHead(event.detail ?? '', `the head in row ${nameOf(row)}`);
    } catch {
      this.faults.push(`row ${nameOf(row)} does not say what a row of its kind says`);
    }
  }

  private async checkSegment(segment: number): Promise<void> {
    const known = this.of(segment);
    const wanted = new Set(known.heads.map(({ seq }) => seq));
    let before = known.begins
      ? { seq: known.begins.seq, hash: known.begins.hash }
      : { seq: 0, hash: genesisOf(segment).toString('hex') };
    for await (const page of rowsOfSegment(this.sql, segment)) {
      for (const row of page) {
        if (row.seq <= before.seq) continue;
        this.rows += 1;
        this.checkRow(row, before);
        before = { seq: row.seq, hash: row.hash.toString('hex') };
        if (wanted.has(row.seq)) this.hashes.set(`${segment} ${row.seq}`, before.hash);
      }
    }
    this.last.set(segment, before);
  }

  private checkRow(row: AuditRow, before: { seq: number; hash: string }): void {
    const prev = row.prev.toString('hex');
    const { hash, ...content } = row;
    const events = eventsIn(row);
    if (!hashOf(content).equals(hash) || !events)
      this.faults.push(`row ${nameOf(row)}: its content is not what was written`);
    else if (keysOf(events).join() !== row.keys.join())
      this.faults.push(`row ${nameOf(row)}: the keys that it is found by were changed`);
    if (row.seq > before.seq + 1)
      this.holes.push({
        segment: row.segment,
        from: before.seq + 1,
        to: row.seq - 1,
        hash: prev,
        young: this.now.getTime() - row.at.getTime() < ON_ITS_WAY_MS,
      });
    else if (prev !== before.hash)
      this.faults.push(`row ${nameOf(row)}: it does not follow from the row before`);
  }

  private checkHoles(): void {
    for (const { segment, from, to, hash, young } of this.holes) {
      const { voids, end } = this.of(segment);
      const said = covers(voids, from, to, hash);
      if (said || (young && end === null)) continue;
      const where = from === to ? `row ${segment}-${from}` : `rows ${segment}-${from} to ${segment}-${to}`;
      if (end && covers([...voids, ...end.missing], from, to))
        this.doubts.push(
          `${where}: not there when the process had died; never committed, or removed before the next start`,
        );
      else this.faults.push(`${where}: removed`);
    }
  }

  private checkEnd(segment: number): void {
    const { end, heads } = this.of(segment);
    const last = this.last.get(segment) ?? { seq: 0, hash: '' };
    if (end && last.seq < end.seq)
      this.faults.push(
        `rows ${segment}-${last.seq + 1} to ${segment}-${end.seq}: removed from the end of a closed chain`,
      );
    if (end && last.seq === end.seq && end.hash !== null && last.hash !== end.hash)
      this.faults.push(`row ${segment}-${last.seq}: it is not the row that closed the chain`);
    for (const { seq, hash } of heads) {
      if (seq > last.seq)
        this.faults.push(
          `rows ${segment}-${last.seq + 1} to ${segment}-${seq}: removed; a signed head names them`,
        );
      else if (seq > (this.of(segment).begins?.seq ?? 0) && this.hashes.get(`${segment} ${seq}`) !== hash)
        this.faults.push(`row ${segment}-${seq}: it is not the row that a signed head names`);
    }
  }
}

/** Null: it was not written by this server. */
function eventsIn({ content }: AuditRow): AuditedEvent[] | null {
  try {
    return parseEvents(content);
  } catch {
    return null;
  }
}

const nameOf = (row: Pick<AuditRow, 'segment' | 'seq'>) => `${row.segment}-${row.seq}`;

/** Do ranges cover the hole without a gap? With `hash`: and does the row behind it go on from the last of them? */
function covers(ranges: readonly Range[], from: number, to: number, hash?: string): boolean {
  let next = from;
  let end: Range | undefined;
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    if (range.from > next || next > to) continue;
    if (range.to >= next) {
      next = range.to + 1;
      end = range;
    }
  }
  if (next <= to) return false;
  return hash === undefined || end?.to !== to || end.hash === hash;
}
