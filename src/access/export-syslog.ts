import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ConnectionOptions } from 'node:tls';
import pg from 'pg';
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';
import { parseEvents } from './audit/audit-content.ts';
import { chainsToExport, type Exported, keepExported, rowsToExport } from './audit/audit-export.store.ts';
import type { AuditRow } from './audit/audit-row.ts';
import { rowToAuditEvent } from './audit/row-to-audit-event.ts';
import { SyslogConnection } from './audit/syslog-connection.ts';
import { type SyslogFormat, syslogFrame } from './audit/syslog-frame.ts';

/** What waits is looked for this often. */
const LOOK_MS = 500;
/** A repository that is away is tried again after so long. */
const AWAY_MS = 5_000;
/**
 * Syslog has no acknowledgement: what was sent just before a connection breaks may be lost. So a row counts as there only when the connection has
 * lived on for this long; after a break all others are sent again.
 */
export const SURE_AFTER_MS = 5_000;
/** A hole before a row that is older is no row on its way. */
const ON_ITS_WAY_MS = 300_000;
/** Of the processes of one database one exports. */
const EXPORT_LOCK = 7_263_549;

export interface SyslogTarget {
  readonly host: string;
  readonly port: number;
  readonly tls: ConnectionOptions;
  readonly format: SyslogFormat;
}

/**
 * Sends the audit to an audit record repository (IHE ATNA, ITI-20 over syslog and TLS), from the tables, chain by chain and in order: what is not
 * sent waits there, however long the repository is away, and in memory there is a page at a time. At least once each.
 */
export class SyslogExport {
  private stopping = false;
  private readonly stopped = new AbortController();
  private running: Promise<void> | null = null;
  private lock: pg.Client | null = null;
  private connection: SyslogConnection | null = null;
  /** Sent, and not sure yet, oldest first. */
  private unsure: (Exported & { readonly at: number })[] = [];
  private sent = new Map<number, number>();
  private isAway = false;

  constructor(
    private readonly database: Database,
    private readonly target: SyslogTarget,
    private readonly log: Logger,
    private readonly sureAfterMs = SURE_AFTER_MS,
  ) {}

  private get name(): string {
    return `${this.target.host}:${this.target.port}`;
  }

  start(): void {
    this.running = this.work();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.stopped.abort();
    await this.running;
    this.connection?.close();
    await this.lock?.end().catch(() => undefined);
  }

  private async work(): Promise<void> {
    while (!this.stopping) {
      let pause = LOOK_MS;
      try {
        if (!(await this.isOurs())) pause = AWAY_MS;
        else if (await this.round()) pause = 0;
        if (this.isAway && this.connection) this.log.info('the audit repository takes audit messages again');
        this.isAway &&= this.connection === null;
      } catch (error) {
        this.forget();
        pause = AWAY_MS;
        if (!this.isAway)
          this.log.error(
            { code: codeOf(error) },
            'the audit repository does not take audit messages; they wait',
          );
        this.isAway = true;
      }
      if (pause > 0) await sleep(pause, undefined, { signal: this.stopped.signal }).catch(() => undefined);
    }
  }

  /** What was not sure is sent again over the next connection. */
  private forget(): void {
    this.connection?.close();
    this.connection = null;
    this.unsure = [];
    this.sent = new Map();
  }

  private async isOurs(): Promise<boolean> {
    if (this.lock) return true;
    const client = new pg.Client({
      ...this.database.connectionOptions(),
      application_name: 'prelim audit export',
    });
    client.on('error', () => {
      this.lock = null;
      this.forget();
    });
    await client.connect();
    const { rows } = await client.query('SELECT pg_try_advisory_lock($1) AS ours', [EXPORT_LOCK]);
    if (rows[0]?.ours) this.lock = client;
    else await client.end();
    return this.lock !== null;
  }

  /** True: there is more to send now. */
  private async round(): Promise<boolean> {
    if (this.connection?.isLost) throw new Error('the connection was lost');
    await this.keepSure();
    let more = false;
    for (const chain of await chainsToExport(this.database, this.name)) {
      if (this.stopping) return false;
      const from = { ...chain, seq: Math.max(chain.seq, this.sent.get(chain.segment) ?? 0) };
      const rows = await rowsToExport(this.database, from);
      const ready = upToHole(rows, from.seq, Date.now());
      if (ready.length > 0) await this.send(ready);
      more ||= ready.length > 0;
    }
    return more;
  }

  private async send(rows: readonly AuditRow[]): Promise<void> {
    this.connection ??= await SyslogConnection.open({
      host: this.target.host,
      port: this.target.port,
      ...this.target.tls,
    });
    for (const row of rows) {
      await this.connection.write(framesOf(row, this.target.format));
      this.sent.set(row.segment, row.seq);
    }
    const last = rows.at(-1);
    if (last) this.unsure.push({ segment: last.segment, seq: last.seq, at: performance.now() });
  }

  private async keepSure(): Promise<void> {
    const until = performance.now() - this.sureAfterMs;
    while (this.unsure[0] && this.unsure[0].at <= until) {
      const sure = this.unsure[0];
      await keepExported(this.database, this.name, sure);
      this.unsure.shift();
    }
  }
}

/** Rows up to the first hole that may still be filled by a transaction on its way. */
function upToHole(rows: readonly AuditRow[], after: number, now: number): AuditRow[] {
  const ready: AuditRow[] = [];
  const voids = rows.flatMap(voidsIn);
  let next = after + 1;
  for (const row of rows) {
    const isHole = row.seq > next;
    const from = next;
    const isSaid = voids.some((one) => one.from <= from && one.to >= row.seq - 1);
    if (isHole && !isSaid && now - row.at.getTime() < ON_ITS_WAY_MS) break;
    ready.push(row);
    next = row.seq + 1;
  }
  return ready;
}

function voidsIn({ content }: AuditRow): { from: number; to: number }[] {
  if (!content.includes('"void"')) return [];
  return parseEvents(content)
    .filter(({ kind, interaction }) => kind === 'chain' && interaction === 'void')
    .flatMap(({ detail }) => JSON.parse(detail ?? '[]') as { from: number; to: number }[]);
}

function framesOf({ at, segment, seq, content }: AuditRow, format: SyslogFormat): Buffer {
  const frames = parseEvents(content).flatMap((event, index) => {
    const place = { at, segment, seq, number: index + 1 };
    const patients = event.patients.length === 0 ? [0] : event.patients.map((_, n) => n + 1);
    return patients.map((patient) =>
      syslogFrame(rowToAuditEvent({ event, place: { ...place, patient } }), hostname(), format),
    );
  });
  return Buffer.concat(frames);
}

const codeOf = (error: unknown): string =>
  String((error as { code?: unknown }).code ?? (error as Error).name);
