import type { Condition, Observation, Reference, ServiceRequest } from '@medplum/fhirtypes';
import { stableId } from '../../kernel/stable-id.ts';
import { type Kept, type OpenRecord, withNumbers } from './open-record.ts';
import { ORDER_LINE, type SupportingLine, type SupportingLines } from './supporting-lines.ts';

type Line = Condition | Observation;

/**
 * The diagnoses and results that came with an order as resources of its patient, and the order's links to them. A later message with DG1 (or OBX) has the whole list:
 * what it does not repeat was entered in error, and its link goes. One without leaves them as they are. What others linked to the order stays.
 */
export async function placeSupporting(
  record: OpenRecord,
  order: Kept<ServiceRequest>,
  { diagnoses, results }: SupportingLines,
): Promise<Pick<ServiceRequest, 'reasonReference' | 'supportingInfo'>> {
  const reasonReference = await placeLines<Condition>(
    record,
    order,
    'Condition',
    order.reasonReference,
    diagnoses,
  );
  const supportingInfo = await placeLines<Observation>(
    record,
    order,
    'Observation',
    order.supportingInfo,
    results,
  );
  return {
    ...(reasonReference ? { reasonReference: reasonReference as ServiceRequest['reasonReference'] } : {}),
    ...(supportingInfo ? { supportingInfo: supportingInfo as ServiceRequest['supportingInfo'] } : {}),
  };
}

/** Undefined: the message has none of these. */
async function placeLines<T extends Line>(
  record: OpenRecord,
  order: Kept<ServiceRequest>,
  type: T['resourceType'],
  linked: readonly Reference[] | undefined,
  lines: readonly SupportingLine<Omit<T, 'id' | 'subject'>>[],
): Promise<Reference[] | undefined> {
  if (lines.length === 0) return undefined;
  const idOf = (key: string) => stableId(type, 'order', order.id, key);
  const before = (linked ?? []).flatMap(
    ({ reference = '' }) => new RegExp(`^${type}/([^/]+)$`).exec(reference)?.[1] ?? [],
  );
  const ids = [...new Set([...before, ...lines.map(({ key }) => idOf(key))])];
  const known = new Map((await record.readMany<Line>(type, ids)).map((one) => [one.id, one]));
  const now = new Map(lines.map((line) => [idOf(line.key), line]));
  for (const [id, { key, resource }] of now) record.put(lineOf(known.get(id), id, key, resource, order));
  for (const one of known.values()) {
    if (!now.has(one.id) && isOwn(one, order.id)) record.put(withdrawn(one));
  }
  const others = (linked ?? []).filter(({ reference = '' }) => {
    const one = known.get(reference.split('/')[1] ?? '');
    return one === undefined || !isOwn(one, order.id);
  });
  const own = [...now].flatMap(([id, { resource }]) =>
    isWithdrawn(resource as Takeback)
      ? []
      : [{ reference: `${type}/${id}`, display: resource.code?.text ?? '' }],
  );
  return [...others, ...own.map(({ display, ...one }) => (display ? { ...one, display } : one))];
}

function lineOf(
  known: Kept<Line> | undefined,
  id: string,
  key: string,
  resource: Omit<Line, 'id' | 'subject'>,
  order: Kept<ServiceRequest>,
): Kept<Line> {
  const number = { system: ORDER_LINE, value: `${order.id} ${key}` };
  return {
    ...resource,
    id,
    ...(known?.meta ? { meta: { ...known.meta, ...resource.meta } } : {}),
    identifier: withNumbers([number], resource.identifier),
    subject: order.subject,
    ...(order.encounter ? { encounter: order.encounter } : {}),
  } as Kept<Line>;
}

const isOwn = (one: Line, orderId: string): boolean =>
  (one.identifier ?? []).some(
    ({ system, value = '' }) => system === ORDER_LINE && value.startsWith(`${orderId} `),
  );

type Takeback = Pick<Condition, 'verificationStatus'> & { readonly status?: string };

/** What its sender took back itself is kept, and not linked. */
const isWithdrawn = (one: Takeback): boolean =>
  one.status === 'entered-in-error' ||
  one.status === 'cancelled' ||
  one.verificationStatus?.coding?.[0]?.code === 'entered-in-error';

/** A condition in error has no clinical status (constraint con-5). */
function withdrawn(one: Kept<Line>): Kept<Line> {
  if (one.resourceType === 'Observation') return { ...one, status: 'entered-in-error' };
  const { clinicalStatus: _, ...rest } = one;
  return { ...rest, verificationStatus: { coding: [{ system: VERIFICATION, code: 'entered-in-error' }] } };
}

const VERIFICATION = 'http://terminology.hl7.org/CodeSystem/condition-ver-status';
