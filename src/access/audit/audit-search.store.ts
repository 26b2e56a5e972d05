import type { Sql } from '../../database/database.ts';
import { parseEvents } from './audit-content.ts';
import { AUDIT_COLUMNS, type StoredAuditRow, toAuditRow } from './audit-event.store.ts';
import type { AuditQuery } from './audit-event-query.ts';
import type { AuditRow } from './audit-row.ts';
import type { AuditedPatient, AuditPlace } from './row-to-audit-event.ts';

/** An auditor's question may take longer than a clinician's. */
export const AUDIT_SEARCH_MS_MAX = 30_000;
/** Rows that one request looks through; a rare thing without a key is found by following the pages. */
export const ROWS_LOOKED_AT_MAX = 20_000;
const ROWS_PER_STATEMENT = 500;

export interface AuditPage {
  readonly found: readonly AuditedPatient[];
  /** Where the next page begins; null: this was the last. */
  readonly next: AuditPlace | null;
}

/** Events, one per patient of each, newest first unless asked otherwise. A page may have fewer than asked for and still not be the last. */
export async function searchAudit(sql: Sql, query: AuditQuery): Promise<AuditPage> {
  const found: AuditedPatient[] = [];
  let position = query.after;
  for (let looked = 0; looked < ROWS_LOOKED_AT_MAX; looked += ROWS_PER_STATEMENT) {
    const rows = await nextRows(sql, query, position);
    for (const row of rows) {
      for (const one of eventsOf(row, query.oldestFirst)) {
        if (position && !isAfter(one.place, position, query.oldestFirst)) continue;
        if (!query.fits(one)) continue;
        const last = found.at(-1);
        if (found.length === query.count && last) return { found, next: last.place };
        found.push(one);
      }
    }
    const last = rows.at(-1);
    if (rows.length < ROWS_PER_STATEMENT || !last) return { found, next: null };
    position = endOf(last, query.oldestFirst);
  }
  return { found, next: position };
}

async function nextRows(sql: Sql, query: AuditQuery, position: AuditPlace | null): Promise<AuditRow[]> {
  const { conditions, parameters, oldestFirst } = query;
  const values = [...parameters.values];
  const add = (value: unknown, cast: string) => `$${values.push(value)}::${cast}`;
  const [than, order] = oldestFirst ? ['>=', 'ASC'] : ['<=', 'DESC'];
  const where = [...conditions];
  if (position)
    where.push(
      `(e.at, e.segment, e.seq) ${than} (${add(position.at.toISOString(), 'timestamptz')}, ${add(position.segment, 'int')}, ${add(position.seq, 'bigint')})`,
    );
  const text = `SELECT ${AUDIT_COLUMNS} FROM audit_event e ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
    ORDER BY e.at ${order}, e.segment ${order}, e.seq ${order} LIMIT ${ROWS_PER_STATEMENT}`;
  return (await sql.run<StoredAuditRow>({ text, timeoutMs: AUDIT_SEARCH_MS_MAX }, values)).map(toAuditRow);
}

function eventsOf(row: AuditRow, oldestFirst: boolean): AuditedPatient[] {
  const { at, segment, seq } = row;
  const all = parseEvents(row.content).flatMap((event, index) => {
    const place = { at, segment, seq, number: index + 1 };
    return event.patients.length === 0
      ? [{ event, place: { ...place, patient: 0 } }]
      : event.patients.map((_, n) => ({ event, place: { ...place, patient: n + 1 } }));
  });
  return oldestFirst ? all : all.reverse();
}

/** Behind all events of the row. */
const endOf = ({ at, segment, seq }: AuditRow, oldestFirst: boolean): AuditPlace => ({
  at,
  segment,
  seq,
  number: oldestFirst ? Number.MAX_SAFE_INTEGER : 0,
  patient: 0,
});

function isAfter(a: AuditPlace, b: AuditPlace, oldestFirst: boolean): boolean {
  const difference =
    a.at.getTime() - b.at.getTime() ||
    a.segment - b.segment ||
    a.seq - b.seq ||
    a.number - b.number ||
    a.patient - b.patient;
  return oldestFirst ? difference > 0 : difference < 0;
}
