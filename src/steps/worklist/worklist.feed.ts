import { randomUUID } from 'node:crypto';
import type { Transaction } from '../../database/database.ts';
import { type AccessContext, grantIsOver } from '../../fhir/access-context.ts';
import { Failure } from '../../kernel/errors.ts';
import type { WorklistRow } from './worklist-row.ts';

/** Open pages of one process: a department has some tens of reading places, and each costs one socket. */
export const LISTENERS_MAX = 100;

/** Changes within this time go out together: an analysis passes several stages in a second, and one reading serves all. */
const GATHER_MS = 50;
/** After a failed reading, for instance while the database restarts. */
const AGAIN_MS = 1_000;
/** PostgreSQL takes 8,000 bytes in one notification; a reference has at most 82. */
const REFERENCES_PER_NOTICE_MAX = 80;
/** Rows remembered by what they are made of; older ones than the list shows need not be found. */
const REMEMBERED_ROWS_MAX = 2_000;

/** A bulk change of thousands of rows goes out in parts. */
const ROWS_PER_READING_MAX = 200;

export const WORKLIST_CHANNEL = 'worklist';

export type WorklistEvent =
  | { readonly kind: 'row'; readonly row: WorklistRow }
  | { readonly kind: 'gone'; readonly id: string };

export interface WorklistListener {
  /** Each listener gets rows read with its own rights. */
  readonly access: AccessContext;
  send(event: WorklistEvent): void;
  /** Something may have been missed: the listener starts anew. */
  end(): void;
}

/** One resource that was written. */
export interface ChangedResource {
  readonly type: string;
  readonly id: string;
  readonly interaction: 'create' | 'update' | 'delete';
}

/** Where rows come from; `WorklistStore` in the server. */
export interface RowReader {
  rowsOf(access: AccessContext, taskIds: readonly string[]): Promise<readonly WorklistRow[]>;
  /** What was read for one caller who sees all is right for every other one. */
  seesAll(access: AccessContext): boolean;
}

/**
 * Tells listeners which rows changed. A write of a Task, or of anything a shown row is made of, marks its rows; they are
 * read once the transaction is committed and sent to those who listen. Nothing is read while nobody listens.
 */
export class WorklistFeed {
  private readonly listeners = new Set<WorklistListener>();
  private readonly marked = new Set<string>();
  private readonly parts = new RowParts();
  private readonly process = randomUUID();
  private timer: NodeJS.Timeout | null = null;

  constructor(private readonly reader: RowReader) {}

  /** Adds a listener; gives what removes it. Throws `worklist.listeners-full` beyond `LISTENERS_MAX`. */
  listen(listener: WorklistListener): () => void {
    if (this.listeners.size >= LISTENERS_MAX) {
      throw new Failure(
        'worklist.listeners-full',
        `This server already feeds ${LISTENERS_MAX} open worklists. Close one, or wait.`,
      );
    }
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Remembers what rows are made of; to be told of every row that was handed out. */
  remember(rows: readonly WorklistRow[]): void {
    for (const row of rows) this.parts.remember(row);
  }

  /** For `ResourceStore.onChange`: marks rows after the commit, here and (by NOTIFY) in the other processes. */
  async changed(tx: Transaction, changes: readonly ChangedResource[]): Promise<void> {
    const references = changes
      .filter(({ type }) => PART_TYPES.has(type))
      .map(({ type, id }) => `${type}/${id}`);
    if (references.length === 0) return;
    tx.afterCommit(() => this.mark(references));
    if (changes.some(isWorthNotice)) await notify(tx, this.process, references);
  }

  /** A notice from the database: one of our own is known already. */
  heard(payload: string): void {
    const [process, ...references] = payload.split(' ');
    if (process !== this.process) this.mark(references);
  }

  /** Notices may have been missed: every open page starts anew. */
  missed(): void {
    for (const listener of this.listeners) listener.end();
  }

  stop(): void {
    if (this.timer) clearTimeout(this.timer);
    for (const listener of this.listeners) listener.end();
    this.listeners.clear();
  }

  private mark(references: readonly string[]): void {
    if (this.listeners.size === 0) return;
    for (const id of this.parts.rowsMadeOf(references)) this.marked.add(id);
    this.schedule(GATHER_MS);
  }

  private schedule(afterMs: number): void {
    if (this.marked.size === 0 || this.timer) return;
    this.timer = setTimeout(() => {
      void this.flush().then((again) => {
        this.timer = null;
        this.schedule(again ? AGAIN_MS : GATHER_MS);
      });
    }, afterMs);
    this.timer.unref();
  }

  /** Reads the marked rows for each listener. Gives true when it failed and is to be tried again. */
  private async flush(): Promise<boolean> {
    const ids = [...this.marked].slice(0, ROWS_PER_READING_MAX);
    for (const id of ids) this.marked.delete(id);
    this.endSignedOut();
    try {
      const { all = [], some = [] } = Object.groupBy(this.listeners, (one) =>
        this.reader.seesAll(one.access) ? 'all' : 'some',
      );
      if (all.length > 0) await this.feed(all, ids);
      for (const listener of some) await this.feed([listener], ids);
      return false;
    } catch {
      for (const id of ids) this.marked.add(id);
      return true;
    }
  }

  /** Whoever signed out meanwhile is told of nothing more, whatever became of the page. */
  private endSignedOut(): void {
    for (const one of this.listeners) {
      if (!grantIsOver(one.access.grant)) continue;
      this.listeners.delete(one);
      one.end();
    }
  }

  /** Reads once and sends to listeners that have the same rights. */
  private async feed(listeners: readonly WorklistListener[], ids: readonly string[]): Promise<void> {
    const rows = await this.reader.rowsOf((listeners[0] as WorklistListener).access, ids);
    this.remember(rows);
    const found = new Set(rows.map((row) => row.id));
    const gone = ids.filter((id) => !found.has(id) && this.parts.knows(id));
    for (const listener of listeners) {
      for (const row of rows) listener.send({ kind: 'row', row });
      for (const id of gone) listener.send({ kind: 'gone', id });
    }
  }
}

/** The notices go with the commit: nobody waits for them before. */
async function notify(tx: Transaction, process: string, references: readonly string[]): Promise<void> {
  for (let i = 0; i < references.length; i += REFERENCES_PER_NOTICE_MAX) {
    const payload = [process, ...references.slice(i, i + REFERENCES_PER_NOTICE_MAX)].join(' ');
    if (tx.later) tx.later(NOTIFY, [WORKLIST_CHANNEL, payload]);
    else await tx.run(NOTIFY, [WORKLIST_CHANNEL, payload]);
  }
}

/**
 * Commits with a notice wait for each other, so only what changes results is worth one: a Task, a corrected report or
 * Observation. A new name or order reaches the pages of other processes when their streams are renewed.
 */
const isWorthNotice = ({ type, interaction }: ChangedResource) =>
  type === 'Task' || (interaction !== 'create' && (type === 'DiagnosticReport' || type === 'Observation'));

const NOTIFY = { name: 'worklist_notify', text: 'SELECT pg_notify($1, $2)' };

const PART_TYPES = new Set([
  'Task',
  'Patient',
  'ImagingStudy',
  'ServiceRequest',
  'DiagnosticReport',
  'Observation',
]);

/** Which rows are made of which resources, for the rows that were handed out last. */
class RowParts {
  private readonly parts = new Map<string, readonly string[]>();
  private readonly rows = new Map<string, Set<string>>();

  remember(row: WorklistRow): void {
    this.forget(row.id);
    const parts = partsOf(row);
    this.parts.set(row.id, parts);
    for (const part of parts) {
      const rows = this.rows.get(part) ?? new Set();
      this.rows.set(part, rows.add(row.id));
    }
    if (this.parts.size > REMEMBERED_ROWS_MAX) this.forget(this.parts.keys().next().value as string);
  }

  knows(id: string): boolean {
    return this.parts.has(id);
  }

  /** A Task always counts: it may be a new row. */
  *rowsMadeOf(references: readonly string[]): Generator<string> {
    for (const reference of references) {
      if (reference.startsWith('Task/')) yield reference.slice('Task/'.length);
      else yield* this.rows.get(reference) ?? [];
    }
  }

  private forget(id: string): void {
    for (const part of this.parts.get(id) ?? []) {
      const rows = this.rows.get(part);
      rows?.delete(id);
      if (rows?.size === 0) this.rows.delete(part);
    }
    this.parts.delete(id);
  }
}

function partsOf(row: WorklistRow): string[] {
  const part = (type: string, id: string | null | undefined) => (id ? [`${type}/${id}`] : []);
  return [
    ...part('Patient', row.patient.id),
    ...part('ImagingStudy', row.exam.id),
    ...part('ServiceRequest', row.order.id),
    ...part('DiagnosticReport', row.report?.id),
    ...row.findings.flatMap((finding) => part('Observation', finding.id)),
  ];
}
