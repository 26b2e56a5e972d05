import type { AuditEntry } from '../database/audit-sink.ts';
import type { Database } from '../database/database.ts';
import { FULL_ACCESS } from '../fhir/access-context.ts';
import type { ResourceChange, ResourceStore } from '../fhir/resource-store.ts';
import { Failure } from '../kernel/errors.ts';
import { patientsOf } from './audit/find-patients.ts';
import { noteWritten } from './audit-requests.ts';

/** Records every change of a resource in the transaction that makes it: one event each, in one statement. */
export function auditChanges(store: ResourceStore, database: Database): void {
  store.onChange(async (tx, changes, access) => {
    if (access !== FULL_ACCESS && changes.some(({ type }) => type === 'AuditEvent'))
      throw new Failure('fhir.protected', 'Only the server writes AuditEvents.');
    const { audit } = database;
    if (!audit) return;
    await audit.recordIn(tx, changes.map(entryOf));
    for (const { acting } of changes) noteWritten(acting);
  });
}

const ACTIONS = { create: 'C', update: 'U', delete: 'D' } as const;

function entryOf(change: ResourceChange): AuditEntry {
  const { type, id, versionId, interaction, resource, previous, acting } = change;
  const patients = resource ? patientsOf(resource) : new Set<string>();
  // An update that moves a resource to another patient is about both.
  if (previous) for (const patient of patientsOf(previous)) patients.add(patient);
  return {
    kind: 'rest',
    interaction,
    action: ACTIONS[interaction],
    outcome: 0,
    entity: `${type}/${id}`,
    version: versionId,
    patients: [...patients],
    ...(acting ? { actor: acting.actor() } : {}),
  };
}
