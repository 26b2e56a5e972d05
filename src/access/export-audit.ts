import type { AuditEvent } from '@medplum/fhirtypes';
import type { Database } from '../database/database.ts';
import { AUDIT_PAGE_MAX, parseAuditQuery, printPlace } from './audit/audit-event-query.ts';
import { searchAudit } from './audit/audit-search.store.ts';
import { rowToAuditEvent } from './audit/row-to-audit-event.ts';

export { AUDIT_PAGE_MAX };

/** All AuditEvents that a search finds, page by page, with a page in memory at a time. */
export async function* exportAudit(
  database: Database,
  query: URLSearchParams,
  base: string,
): AsyncGenerator<AuditEvent> {
  for (let cursor: string | null = null; ; ) {
    const asked = new URLSearchParams(query);
    if (cursor !== null) asked.set('_cursor', cursor);
    const parsed = parseAuditQuery(asked, base);
    const { found, next } = await searchAudit(database, parsed);
    for (const one of found) yield rowToAuditEvent(one);
    if (!next) return;
    cursor = printPlace(next);
  }
}
