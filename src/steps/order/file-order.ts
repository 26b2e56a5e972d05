import type { Encounter, Identifier, Patient, Resource, ServiceRequest } from '@medplum/fhirtypes';
import type { Statement, Transaction } from '../../database/database.ts';
import type { ResourceStore, ResourceWrite, TypedIdentifier } from '../../fhir/resource-store.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import { stableId } from '../../kernel/stable-id.ts';
import type { OrderResources } from './order-to-resources.ts';
import { mrnOf } from './pid-to-patient.ts';

/** One order: null when it is filed, else why it is refused. */
export type Filed = Failure | null;

/**
 * Files what orders say: finds patients, visits and requests by their numbers, adds what is new, changes what differs. All numbers are
 * looked up in one statement and all changes written in one go, whatever the number of orders. Two messages about one patient
 * wait for each other, so that neither makes a second patient; the orders of one call share no number (`orderKeys`).
 * An order that names another patient's number (`order.other-patient`) or one that several resources have
 * (`fhir.multiple-matches`) is refused and changes nothing; the others are filed.
 */
export async function fileOrders(
  tx: Transaction,
  store: ResourceStore,
  orders: readonly OrderResources[],
): Promise<Filed[]> {
  if (orders.length === 0) return [];
  await tx.run(LOCK, [[...new Set(orders.flatMap(lockNames))].sort()]);
  const lookups = orders.flatMap(lookupsOf);
  const known: Known = (await store.findByIdentifiers(lookups, tx)).map((one) => one.parse<Identified>());
  const writes: ResourceWrite[] = [];
  const filed: Filed[] = [];
  for (const order of orders) {
    try {
      writes.push(...(await placeOrder(tx, store, order, known)));
      filed.push(null);
    } catch (error) {
      if (!(error instanceof Failure) || error.retry) throw error;
      filed.push(error);
    }
  }
  await store.write(tx, writes);
  return filed;
}

/** Names of everything an order reads or writes: two orders with a common one must not be filed together. */
export function orderKeys(order: OrderResources): string[] {
  const all = [order.patient, ...(order.encounter ? [order.encounter] : []), ...order.serviceRequests];
  return all.flatMap((one) =>
    (one.identifier ?? []).map(({ system, value }) => `${one.resourceType} ${system} ${value}`),
  );
}

/** Resources that have any of the numbers of a call's orders. */
type Known = readonly Identified[];
type Identified = Resource & { identifier?: Identifier[] };

function lockNames(order: OrderResources): string[] {
  const mrn = mrnOf(order.patient);
  const numbers = order.serviceRequests.flatMap(lookupNumbers);
  return [
    `patient ${mrn.system} ${mrn.value}`,
    ...numbers.map(({ system, value }) => `order ${system} ${value}`),
  ];
}

function lookupsOf(order: OrderResources): TypedIdentifier[] {
  const of = (type: string, numbers: readonly Identifier[]) =>
    numbers.map(({ system = '', value = '' }) => ({ type, system, value }));
  return [
    ...of('Patient', [mrnOf(order.patient)]),
    ...of('Encounter', order.encounter?.identifier?.slice(0, 1) ?? []),
    ...of('ServiceRequest', order.serviceRequests.flatMap(lookupNumbers)),
  ];
}

/** What one order changes. */
async function placeOrder(
  tx: Transaction,
  store: ResourceStore,
  order: OrderResources,
  known: Known,
): Promise<ResourceWrite[]> {
  const { patient, writes } = await placePatient(tx, store, order.patient, known);
  const subject = { reference: `Patient/${patient}` };
  let encounter: string | undefined;
  if (order.encounter) {
    const number = order.encounter.identifier![0]!;
    const there = findOne<Encounter>('Encounter', [number], known);
    const resource = merge(there, { ...order.encounter, subject }, idOf('Encounter', number));
    encounter = `Encounter/${resource.id}`;
    writes.push({ kind: 'update', resource, unchanged: 'skip' });
  }
  for (const request of order.serviceRequests) {
    const visit = encounter ? { encounter: { reference: encounter } } : {};
    const resource = placeRequest({ ...request, subject, ...visit }, known);
    writes.push({ kind: 'update', resource, unchanged: 'skip' });
  }
  return writes;
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
  known: Known,
): Promise<PlacedPatient> {
  const mrn = mrnOf(incoming);
  const there = findOne<Patient>('Patient', [mrn], known);
  const survivor = there ? await survivorOf(tx, store, there) : null;
  if (there?.id && survivor && survivor !== there.id) return { patient: survivor, writes: [] };
  const resource = merge(there, incoming, idOf('Patient', mrn));
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

function placeRequest(incoming: ServiceRequest, known: Known): ServiceRequest & { id: string } {
  const numbers = lookupNumbers(incoming);
  const there = findOne<ServiceRequest>('ServiceRequest', numbers, known);
  if (there?.subject?.reference && there.subject.reference !== incoming.subject.reference) {
    throw new Failure(
      'order.other-patient',
      'An order with this number is for another patient; send a correction of that order first.',
      {
        issues: [{ at: 'ORC^1^2', text: 'is the number of an order for another patient' }],
      },
    );
  }
  return merge(there, incoming, idOf('ServiceRequest', numbers[0]!));
}

/** Placer and filler number name an order; accession number and study only where neither was sent. */
function lookupNumbers(request: Pick<ServiceRequest, 'identifier'>): Identifier[] {
  const all = request.identifier ?? [];
  const own = all.filter((one) => ['PLAC', 'FILL'].includes(one.type?.coding?.[0]?.code ?? ''));
  const study = all.filter(
    (one) => one.type?.coding?.[0]?.code === 'ACSN' || one.system === IDENTIFIER_SYSTEMS.dicomUid,
  );
  if (own.length > 0) return own;
  return study.length > 0 ? study : all;
}

/**
 * The resource that has one of the numbers, the first number that is known deciding; the one that this step would have made before others,
 * which came another way.
 */
function findOne<T extends Identified>(
  type: T['resourceType'],
  numbers: readonly Identifier[],
  known: Known,
): T | null {
  const ofType = known.filter((one) => one.resourceType === type) as T[];
  const own = ofType.find((one) => one.id === idOf(type, numbers[0]!) && hasNumber(one, numbers[0]!));
  if (own) return own;
  for (const number of numbers) {
    const found = ofType.filter((one) => hasNumber(one, number));
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

const hasNumber = (resource: { identifier?: Identifier[] }, { system, value }: Identifier) =>
  resource.identifier?.some((one) => one.system === system && one.value === value) ?? false;

/** What the message says replaces, what it does not say stays; identifiers are added, never taken away. */
function merge<T extends Identified>(known: T | null, incoming: T, newId: string): T & { id: string } {
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
