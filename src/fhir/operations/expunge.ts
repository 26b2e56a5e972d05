import type { AuditEvent, Parameters } from '@medplum/fhirtypes';
import type { Settings } from '../../config/settings.ts';
import type { Database } from '../../database/database.ts';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import { Failure } from '../../kernel/errors.ts';
import { demandAccess, FULL_ACCESS } from '../access-context.ts';
import { badParameter } from '../at-parameter.ts';
import type { Operation, OperationAnswer, OperationRequest } from '../operation-registry.ts';
import type { ResourceStore } from '../resource-store.ts';
import { EXPUNGE_VERSIONS_MAX, removeDeleted, removeVersions } from './expunge.store.ts';
import { readParameters } from './read-parameters.ts';

/** What says who did what is kept whatever the setting says. */
const NEVER: ReadonlySet<string> = new Set(['AuditEvent', 'Provenance']);

/**
 * `$expunge` on one resource: no operation of R4, in the form other servers know it. Removes for ever what `expungePreviousVersions` and
 * `expungeDeletedResources` name; the current version of a living resource stays. Off unless the setting FHIR_EXPUNGE says so, and needs the
 * right to delete. An AuditEvent is written in the same transaction: what was removed, and by whom, stays known.
 */
export function expungeOperation(
  type: string,
  store: ResourceStore,
  database: Database,
  settings: Partial<Pick<Settings, 'FHIR_EXPUNGE'>>,
  clock: Clock = systemClock,
): Operation {
  return {
    name: '$expunge',
    level: 'instance',
    type,
    parameters: NAMES,
    run: (request) => expunge(request, store, database, settings, clock),
  };
}

async function expunge(
  request: OperationRequest,
  store: ResourceStore,
  database: Database,
  settings: Partial<Pick<Settings, 'FHIR_EXPUNGE'>>,
  clock: Clock,
): Promise<OperationAnswer> {
  const { access } = request;
  const type = request.type ?? '';
  const id = request.id ?? '';
  demandAccess(access, type, 'delete');
  if (settings.FHIR_EXPUNGE !== 'yes' || NEVER.has(type))
    throw new Failure(
      'fhir.expunge-forbidden',
      'This server does not expunge here; see FHIR_EXPUNGE in its settings.',
    );
  const asked = readAsked(request);
  const { count, gone } = await database.transaction(async (tx) => {
    const stored = await store.read(type, id, tx, access);
    if (!stored) throw new Failure('fhir.not-found', 'There is no resource with this id.');
    if (asked.deleted && !asked.versions && !stored.deleted)
      throw new Failure('fhir.conflict', 'The resource is not deleted; delete it first.', { retry: false });
    const wanted = asked.versions || (asked.deleted && stored.deleted);
    const versions = wanted ? await removeVersions(tx, type, id, asked.limit) : 0;
    const gone = asked.deleted && stored.deleted && (await removeDeleted(tx, type, id));
    if (versions > 0 || gone) {
      if (database.audit)
        await database.audit.recordIn(tx, [
          { kind: 'rest', interaction: 'destroy', action: 'D', outcome: 0, entity: `${type}/${id}` },
        ]);
      else
        await store.write(tx, [{ kind: 'create', resource: auditEvent(request, clock.now()) }], FULL_ACCESS);
    }
    return { count: versions + (gone ? 1 : 0), gone };
  });
  return answer(count, count >= asked.limit && !gone);
}

const NAMES = ['limit', 'expungePreviousVersions', 'expungeDeletedResources'];

interface Asked {
  readonly limit: number;
  readonly versions: boolean;
  readonly deleted: boolean;
}

function readAsked(request: OperationRequest): Asked {
  const values = readParameters(request);
  const flag = (name: string): boolean => {
    const value = values.get(name)?.[0] ?? 'false';
    if (value !== 'true' && value !== 'false') throw badParameter(name, `${name} must be true or false.`);
    return value === 'true';
  };
  const limit = values.get('limit')?.[0] ?? String(EXPUNGE_VERSIONS_MAX);
  if (!/^[1-9]\d{0,8}$/.test(limit)) throw badParameter('limit', 'limit must be a whole number from 1.');
  const asked = { versions: flag('expungePreviousVersions'), deleted: flag('expungeDeletedResources') };
  if (!asked.versions && !asked.deleted)
    throw new Failure(
      'fhir.invalid',
      'Say what to expunge: expungePreviousVersions or expungeDeletedResources.',
    );
  return { ...asked, limit: Math.min(Number(limit), EXPUNGE_VERSIONS_MAX) };
}

/** R4 auditevent.html; the lifecycle event is that of ISO 21089. What the resource held is not in it. */
export function auditEvent(
  { type, id, caller }: Pick<OperationRequest, 'type' | 'id' | 'caller'>,
  now: Date,
): AuditEvent {
  return {
    resourceType: 'AuditEvent',
    type: {
      system: 'http://terminology.hl7.org/CodeSystem/audit-event-type',
      code: 'rest',
      display: 'RESTful Operation',
    },
    subtype: [{ system: 'http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle', code: 'destroy' }],
    action: 'D',
    recorded: now.toISOString(),
    outcome: '0',
    agent: [{ requestor: true, who: { identifier: { value: caller?.clientId ?? 'unknown' } } }],
    source: { observer: { display: 'Prelim' } },
    entity: [{ what: { reference: `${type}/${id}` } }],
  };
}

function answer(count: number, more: boolean): OperationAnswer {
  const resource: Parameters = {
    resourceType: 'Parameters',
    parameter: [
      { name: 'count', valueInteger: count },
      { name: 'more', valueBoolean: more },
    ],
  };
  return { status: 200, resource };
}
