import type { Encounter, Identifier, Patient, Resource, ServiceRequest } from '@medplum/fhirtypes';
import type { Statement, Transaction } from '../../database/database.ts';
import type { ResourceStore, ResourceWrite } from '../../fhir/resource-store.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { OrderResources } from './order-to-resources.ts';
import { mrnOf } from './pid-to-patient.ts';

/**
 * Files what an order says: finds patient, visit and orders by their numbers, adds what is new, changes what differs. Two messages about one
 * patient wait for each other, so that neither makes a second patient. Throws `fhir.multiple-matches` or `order.other-patient`.
 */
export async function fileOrder(tx: Transaction, store: ResourceStore, order: OrderResources): Promise<void> {
  const mrn = mrnOf(order.patient);
  await tx.run(LOCK, [[`patient ${mrn.system} ${mrn.value}`]]);
  const { patient, writes } = await placePatient(tx, store, order.patient, mrn);
  const subject = { reference: `Patient/${patient}` };
  let encounter: string | undefined;
  if (order.encounter) {
    const number = order.encounter.identifier![0]!;
    const known = await findOne<Encounter>(tx, store, 'Encounter', [number]);
    const resource = merge(known, { ...order.encounter, subject }, idOf('Encounter', number));
    encounter = `Encounter/${resource.id}`;
    writes.push({ kind: 'update', resource, unchanged: 'skip' });
  }
  for (const request of order.serviceRequests) {
    const resource = await placeRequest(tx, store, {
      ...request,
      subject,
      ...(encounter ? { encounter: { reference: encounter } } : {}),
    });
    writes.push({ kind: 'update', resource, unchanged: 'skip' });
  }
  await store.write(tx, writes);
}

interface PlacedPatient {
  /** Id of the patient the order is for. */
  readonly patient: string;
  readonly writes: ResourceWrite[];
}

/** A number that was merged away leads to the survivor, whose data an order under the old number does not change. */
async function placePatient(
  tx: Transaction,
  store: ResourceStore,
  incoming: Patient,
  mrn: Identifier,
): Promise<PlacedPatient> {
  const known = await findOne<Patient>(tx, store, 'Patient', [mrn]);
  const survivor = known ? await survivorOf(tx, store, known) : null;
  if (known?.id && survivor && survivor !== known.id) return { patient: survivor, writes: [] };
  const resource = merge(known, incoming, idOf('Patient', mrn));
  return { patient: resource.id, writes: [{ kind: 'update', resource, unchanged: 'skip' }] };
}

/** Follows `replaced-by` to its end; a chain longer than this is a circle. */
const MERGE_CHAIN_MAX = 10;

async function survivorOf(tx: Transaction, store: ResourceStore, patient: Patient): Promise<string> {
  let current = patient;
  for (let step = 0; step < MERGE_CHAIN_MAX; step += 1) {
    const link = current.link?.find((one) => one.type === 'replaced-by')?.other.reference;
    const id = /(?:^|\/)Patient\/([^/]+)$/.exec(link ?? '')?.[1];
    const next = id === undefined ? null : await store.read('Patient', id, tx);
    if (next === null || next.deleted) return String(current.id);
    current = next.parse<Patient>();
  }
  throw new Failure(
    'fhir.multiple-matches',
    'The merges of this patient go round in a circle; mend the links first.',
  );
}

async function placeRequest(
  tx: Transaction,
  store: ResourceStore,
  incoming: ServiceRequest,
): Promise<ServiceRequest & { id: string }> {
  const numbers = lookupNumbers(incoming);
  await tx.run(LOCK, [numbers.map((number) => `order ${number.system} ${number.value}`).sort()]);
  const known = await findOne<ServiceRequest>(tx, store, 'ServiceRequest', numbers);
  if (known?.subject?.reference && known.subject.reference !== incoming.subject.reference) {
    throw new Failure(
      'order.other-patient',
      'An order with this number is for another patient; send a correction of that order first.',
      {
        issues: [{ at: 'ORC^1^2', text: 'is the number of an order for another patient' }],
      },
    );
  }
  return merge(known, incoming, idOf('ServiceRequest', numbers[0]!));
}

/** Placer and filler number name an order; accession number and study only where neither was sent. */
function lookupNumbers(request: ServiceRequest): Identifier[] {
  const all = request.identifier ?? [];
  const own = all.filter((one) => ['PLAC', 'FILL'].includes(one.type?.coding?.[0]?.code ?? ''));
  const study = all.filter(
    (one) => one.type?.coding?.[0]?.code === 'ACSN' || one.system === IDENTIFIER_SYSTEMS.dicomUid,
  );
  if (own.length > 0) return own;
  return study.length > 0 ? study : all;
}

/**
 * The resource that has one of the numbers, the first number that is known deciding. Looked for under the id that this step would give
 * it, which is quick and the usual case, then by search: it may have come another way.
 */
async function findOne<T extends Resource & { identifier?: Identifier[] }>(
  tx: Transaction,
  store: ResourceStore,
  type: T['resourceType'],
  numbers: readonly Identifier[],
): Promise<T | null> {
  const own = await store.read(type, idOf(type, numbers[0]!), tx);
  if (own !== null && !own.deleted && hasNumber(own.parse<T>(), numbers[0]!)) return own.parse<T>();
  const values = numbers.map(({ system, value }) => `${escaped(String(system))}|${escaped(String(value))}`);
  const query = new URLSearchParams({ identifier: values.join(','), _count: String(MATCHES_MAX) });
  const matches = (await store.search(type, query, tx)).matches.map((match) => match.parse<T>());
  for (const number of numbers) {
    const found = matches.filter((one) => hasNumber(one, number));
    if (found.length > 1) {
      throw new Failure(
        'fhir.multiple-matches',
        `Several ${type} resources have the number that was sent; mend that first.`,
      );
    }
    if (found[0]) return found[0];
  }
  return null;
}

/** Two would do to see that a number is not unique; an order has few numbers. */
const MATCHES_MAX = 20;

const hasNumber = (resource: { identifier?: Identifier[] }, { system, value }: Identifier) =>
  resource.identifier?.some((one) => one.system === system && one.value === value) ?? false;

/** FHIR search: backslash before what has a meaning in a value. */
const escaped = (text: string) => text.replace(/[\\,$|]/g, '\\$&');

/** What the message says replaces, what it does not say stays; identifiers are added, never taken away. */
function merge<T extends Resource & { identifier?: Identifier[] }>(
  known: T | null,
  incoming: T,
  newId: string,
): T & { id: string } {
  if (known === null) return { ...incoming, id: newId };
  const identifier = [...(known.identifier ?? [])];
  for (const one of incoming.identifier ?? []) {
    if (!identifier.some((other) => other.system === one.system && other.value === one.value))
      identifier.push(one);
  }
  return { ...known, ...incoming, identifier, id: String(known.id) } as T & { id: string };
}

const idOf = (type: string, { system, value }: Identifier) => stableId(type, String(system), String(value));

const LOCK: Statement = {
  name: 'order-lock',
  text: 'SELECT pg_advisory_xact_lock(hashtextextended(name, 0)) FROM unnest($1::text[]) AS name',
};
