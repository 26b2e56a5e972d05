import type { Database } from '../database/database.ts';
import { demandAccess } from '../fhir/access-context.ts';
import type { FhirAnswer, FhirRequest } from '../fhir/fhir-request.ts';
import type { OperationRegistry } from '../fhir/operation-registry.ts';
import { actingNow } from '../kernel/acting.ts';
import { Failure } from '../kernel/errors.ts';
import { AUDIT_SEARCH_PARAMETERS, parseAuditQuery, printPlace } from './audit/audit-event-query.ts';
import { searchAudit } from './audit/audit-search.store.ts';
import { rowToAuditEvent } from './audit/row-to-audit-event.ts';

/** Roles that may look into the audit. */
const AUDITORS: ReadonlySet<string> = new Set(['auditor', 'administrator']);

/**
 * `GET [base]/AuditEvent/[id]`, `GET [base]/AuditEvent?…`, `POST [base]/AuditEvent/_search`: made of the rows of the audit. For auditors: persons with that
 * role, and clients whose token names AuditEvent in its scope; a scope for all types (`system/*.rs`) is not enough. Nobody writes one over FHIR.
 */
export function serveAuditEvents(operations: OperationRegistry, database: Database, base: string): void {
  operations.describe('AuditEvent', 'Written by the server alone; for auditors only.');
  operations.serveFrom('AuditEvent', {
    searchParameters: AUDIT_SEARCH_PARAMETERS,
    answer: (request) => answerAudit(request, database, base),
  });
}

async function answerAudit(request: FhirRequest, database: Database, base: string): Promise<FhirAnswer> {
  const { method, path } = request;
  const [, second, third] = path;
  if (method === 'POST' && second === '_search' && third === undefined) {
    demandAuditor(request, 'search');
    return search(database, base, new URLSearchParams([...request.query, ...formOf(request)]));
  }
  if (method !== 'GET') throw new Failure('fhir.protected', 'Only the server writes AuditEvents.');
  if (path.length === 1) {
    demandAuditor(request, 'search');
    return search(database, base, request.query);
  }
  if (path.length !== 2)
    throw new Failure('fhir.unsupported', 'An AuditEvent is read and searched; it has no other versions.');
  demandAuditor(request, 'read');
  const query = parseAuditQuery(new URLSearchParams({ _id: String(second), _count: '1' }), base);
  const [found] = (await searchAudit(database, query)).found;
  if (!found) throw new Failure('fhir.not-found', 'There is no resource with this id.');
  return {
    status: 200,
    headers: { etag: 'W/"1"', 'last-modified': found.place.at.toISOString() },
    body: JSON.stringify(rowToAuditEvent(found)),
  };
}

function demandAuditor({ access, caller }: FhirRequest, interaction: 'read' | 'search'): void {
  demandAccess(access, 'AuditEvent', interaction);
  const roles = actingNow()?.actor().roles ?? [];
  // Rows of the audit are not cut by compartment or query: a scope that means a part of them opens none.
  const isNamed = caller?.scopes.some(
    ({ context, type, permissions, query }) =>
      type === 'AuditEvent' &&
      context !== 'patient' &&
      query === undefined &&
      [...permissions].includes(interaction === 'read' ? 'r' : 's'),
  );
  if (isNamed === true && (roles.length === 0 || roles.some((role) => AUDITORS.has(role)))) return;
  throw new Failure(
    'auth.scope',
    'The audit is for auditors: it needs the role auditor, or a client with the scope system/AuditEvent.rs by name.',
  );
}

const formOf = ({ body }: FhirRequest): URLSearchParams => new URLSearchParams(body?.toString('utf8') ?? '');

async function search(database: Database, base: string, asked: URLSearchParams): Promise<FhirAnswer> {
  const query = parseAuditQuery(asked, base);
  const { found: page, next } = await searchAudit(database, query);
  const url = (more: readonly (readonly [string, string])[]): string => {
    const all = [...query.used, ...more].map(([name, value]): [string, string] => [name, value]);
    return all.length > 0 ? `${base}/AuditEvent?${new URLSearchParams(all)}` : `${base}/AuditEvent`;
  };
  const bundle = {
    resourceType: 'Bundle',
    type: 'searchset',
    link: [
      { relation: 'self', url: url([]) },
      ...(next ? [{ relation: 'next', url: url([['_cursor', printPlace(next)]]) }] : []),
    ],
    ...(page.length > 0
      ? {
          entry: page.map(rowToAuditEvent).map((resource) => ({
            fullUrl: `${base}/AuditEvent/${resource.id}`,
            resource,
            search: { mode: 'match' },
          })),
        }
      : {}),
  };
  return { status: 200, body: JSON.stringify(bundle) };
}
