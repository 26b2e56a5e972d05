import type { AuditEvent, AuditEventAgent, AuditEventEntity } from '@medplum/fhirtypes';
import { subtypesOf, typeOf } from './audit-codes.ts';
import type { AuditedEvent } from './audit-content.ts';

/** Where an event stands in the audit: its row, its number in it, and of its patients which (both from 1; 0: it is about none). */
export interface AuditPlace {
  readonly at: Date;
  readonly segment: number;
  readonly seq: number;
  readonly number: number;
  readonly patient: number;
}

/** An event and one of its patients. */
export interface AuditedPatient {
  readonly place: AuditPlace;
  readonly event: AuditedEvent;
}

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const CODES = 'http://terminology.hl7.org/CodeSystem';
const REFERENCE = /^[A-Z][A-Za-z]{1,63}\/[A-Za-z0-9.-]{1,64}$/;

/**
 * The FHIR AuditEvent of a row, as the profiles of IHE Basic Audit Log Patterns (BALP 1.1) shape it: one event per patient, agents for the client, the
 * server and the person, entities for the patient, the data, the query and the request.
 */
export function rowToAuditEvent({ place, event: row }: AuditedPatient): AuditEvent {
  const at = place.at.toISOString();
  const patient = row.patients[place.patient - 1] ?? null;
  return {
    resourceType: 'AuditEvent',
    id: [place.segment, place.seq, place.number, ...(place.patient > 0 ? [place.patient] : [])].join('-'),
    meta: { versionId: '1', lastUpdated: at },
    type: typeOf(row.kind),
    subtype: subtypesOf(row.interaction),
    action: row.action as NonNullable<AuditEvent['action']>,
    recorded: at,
    outcome: String(row.outcome) as NonNullable<AuditEvent['outcome']>,
    ...(row.status === null ? {} : { outcomeDesc: `HTTP ${row.status}` }),
    ...(row.purpose === null ? {} : { purposeOfEvent: [{ coding: [purpose(row.purpose)] }] }),
    agent: agentsOf(row),
    source: {
      observer: { display: 'Prelim' },
      type: [{ system: `${CODES}/security-source-type`, code: '4', display: 'Application Server' }],
    },
    ...entityOf(row, patient),
  };
}

const purpose = (code: string) => ({ system: `${CODES}/v3-ActReason`, code });

function agentsOf(row: AuditedEvent): AuditEventAgent[] {
  // Data that is read flows to the client, what is written or asked comes from it (BALP: Read; Create, Update, Delete, Query).
  const isRead = row.action === 'R';
  const client = isRead ? ROLE_DESTINATION : ROLE_SOURCE;
  const server = isRead ? ROLE_SOURCE : ROLE_DESTINATION;
  const network = row.address === null ? {} : { network: { address: row.address, type: '2' as const } };
  return [
    {
      type: { coding: [client] },
      who: { identifier: { value: row.client } },
      altId: row.client,
      requestor: row.person === null,
      ...network,
      ...(row.token === null ? {} : { policy: [`urn:prelim:token:${encodeURIComponent(row.token)}`] }),
    },
    { type: { coding: [server] }, who: { display: 'Prelim' }, requestor: false },
    ...(row.person === null ? [] : [personOf(row.person, row.roles)]),
  ];
}

const ROLE_SOURCE = { system: DCM, code: '110153', display: 'Source Role ID' };
const ROLE_DESTINATION = { system: DCM, code: '110152', display: 'Destination Role ID' };

const personOf = (person: string, roles: string | null): AuditEventAgent => ({
  type: {
    coding: [{ system: `${CODES}/v3-ParticipationType`, code: 'IRCP', display: 'information recipient' }],
  },
  who: REFERENCE.test(person) ? { reference: person } : { identifier: { value: person } },
  requestor: true,
  ...(roles === null ? {} : { role: roles.split(' ').map((text) => ({ text })) }),
});

function entityOf(row: AuditedEvent, patient: string | null): { entity?: AuditEventEntity[] } {
  const entity: AuditEventEntity[] = [];
  if (patient !== null)
    entity.push({
      what: { reference: `Patient/${patient}` },
      type: { system: `${CODES}/audit-entity-type`, code: '1', display: 'Person' },
      role: { system: `${CODES}/object-role`, code: '1', display: 'Patient' },
    });
  if (row.entity !== null) entity.push(dataOf(row.entity, row.version));
  if (row.query !== null)
    entity.push({
      type: OBJECT,
      role: { system: `${CODES}/object-role`, code: '24', display: 'Query' },
      query: Buffer.from(row.query).toString('base64'),
    });
  if (row.detail !== null)
    entity.push({ type: OBJECT, detail: [{ type: 'detail', valueString: row.detail }] });
  if (row.request !== null)
    entity.push({
      what: { identifier: { value: row.request } },
      type: {
        system: 'https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType',
        code: 'XrequestId',
      },
    });
  return entity.length > 0 ? { entity } : {};
}

const OBJECT = { system: `${CODES}/audit-entity-type`, code: '2', display: 'System Object' };

function dataOf(entity: string, version: string | null): AuditEventEntity {
  const what = !REFERENCE.test(entity)
    ? entity.startsWith('urn:')
      ? { identifier: { value: entity } }
      : { display: entity }
    : { reference: version === null ? entity : `${entity}/_history/${version}` };
  return {
    what,
    type: OBJECT,
    role: { system: `${CODES}/object-role`, code: '4', display: 'Domain Resource' },
  };
}
