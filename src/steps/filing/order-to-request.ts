import type { CodeableConcept, Extension, Identifier, Reference, ServiceRequest } from '@medplum/fhirtypes';
import { authorityToIdentifier } from '../../hl7/assigning-authority.ts';
import { systemOfName } from '../../hl7/code-system-names.ts';
import type { Hl7Message, Hl7Repetition, Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { CODE_SYSTEMS, PRELIM } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { Place } from './accession-places.ts';
import {
  cweToConcept,
  cxToIdentifier,
  mapRepetitions,
  plain,
  type SenderContext,
  xtnToContact,
} from './datatype-to-fhir.ts';
import type { OrderControl } from './order-control.ts';
import { type OrderGroup, segmentsOf } from './order-groups.ts';
import { notesOf } from './order-notes.ts';
import { groupNumber, orderNumbers } from './order-numbers.ts';

/** ORC, OBR and what follows → one ServiceRequest (v2-to-FHIR, segment maps ORC and OBR). Throws `hl7.missing` for an order without a number. */
export function orderToRequest(
  group: OrderGroup,
  message: Hl7Message,
  context: SenderContext,
  places: readonly Place[],
  { status }: OrderControl,
): Omit<ServiceRequest, 'subject'> {
  const { orc, obr } = group;
  const identifier = [...orderNumbers(group, message, context, places), ...alternateNumbers(group, context)];
  if (identifier.length === 0)
    throw missing('ORC^1^2', 'An order has no number: send ORC-2, ORC-3 or an accession number.');
  const requisition = groupNumber(group, context);
  const requester = requesterOf(group, context);
  const code = cweToConcept(obr?.repetitions(4)[0]);
  const priority = priorityOf(group);
  const extension = extensionsOf(group, context);
  const security = cweToConcept(orc.repetitions(28)[0])?.coding?.[0];
  const lists = filled({
    basedOn: parentsOf(group, context),
    orderDetail: detailsOf(group),
    bodySite: sitesOf(obr),
    locationCode: mapRepetitions(orc, 29, cweToConcept).map((one) => inTable(one, ORDER_TYPES)),
    ...placesOf(group),
    reasonCode: mapRepetitions(obr, 31, cweToConcept),
    note: notesOf(group, context),
  });
  return {
    resourceType: 'ServiceRequest',
    ...(security ? { meta: { security: [{ system: CONFIDENTIALITY, ...security }] } } : {}),
    ...(extension.length > 0 ? { extension } : {}),
    identifier,
    ...(requisition ? { requisition } : {}),
    status,
    intent: 'order',
    category: categoryOf(obr),
    ...(priority ? { priority } : {}),
    ...(code ? { code } : {}),
    ...timesOf(group, context),
    ...(requester ? { requester } : {}),
    ...lists,
  };
}

/** A priority that stands in none of the tables: the order is filed, and somebody should know. */
export const hasUnknownPriority = (group: OrderGroup): boolean =>
  prioritiesOf(group).some((text) => text !== '') && priorityOf(group) === undefined;

const filled = (lists: Pick<ServiceRequest, ListName>): Pick<ServiceRequest, ListName> =>
  Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0));

type ListName =
  | 'basedOn'
  | 'orderDetail'
  | 'bodySite'
  | 'locationCode'
  | 'locationReference'
  | 'performer'
  | 'reasonCode'
  | 'note';

/** ORC-33 and OBR-53: numbers the order has elsewhere. It is not looked up by them. */
function alternateNumbers({ orc, obr }: OrderGroup, context: SenderContext): Identifier[] {
  const number = (cx: Hl7Repetition) => cxToIdentifier(cx, 'placer', null, context);
  const all = [...mapRepetitions(orc, 33, number), ...mapRepetitions(obr, 53, number)];
  return all.filter(
    (one, at) => all.findIndex((other) => other.system === one.system && other.value === one.value) === at,
  );
}

/** ORC-8 and OBR-29 (EIP: the parent's placer number, its filler number). */
function parentsOf({ orc, obr }: OrderGroup, context: SenderContext): NonNullable<ServiceRequest['basedOn']> {
  const [eip] = [...orc.repetitions(8), ...(obr?.repetitions(29) ?? [])];
  if (eip === undefined) return [];
  return (['placer', 'filler'] as const).flatMap((kind, at) => {
    const [value = '', namespace = '', universalId = '', universalIdType = ''] = [1, 2, 3, 4].map((n) =>
      plain(eip.get(at + 1, n)),
    );
    if (value === '') return [];
    const authority = { namespace, universalId, universalIdType };
    const named = authorityToIdentifier(kind, authority, context.facility);
    return [{ type: 'ServiceRequest' as const, identifier: { ...named, value } }];
  });
}

/** Who asked: ORC-12, OBR-16; the institution of ORC-21 where no person is named. */
function requesterOf({ orc, obr }: OrderGroup, context: SenderContext): ServiceRequest['requester'] {
  const person = xcnToReference(orc.repetitions(12)[0] ?? obr?.repetitions(16)[0], context.facility);
  const name = plain(orc.text(21));
  if (person !== null || name === '') return (person ?? undefined) as ServiceRequest['requester'];
  const value = plain(orc.get(21, 10)) || plain(orc.get(21, 3));
  const authority = {
    namespace: plain(orc.get(21, 6)),
    universalId: plain(orc.get(21, 6, 2)),
    universalIdType: plain(orc.get(21, 6, 3)),
  };
  const named = authorityToIdentifier('organization', authority, context.facility);
  return { type: 'Organization', ...(value ? { identifier: { ...named, value } } : {}), display: name };
}

/** ORC-9 when it was asked for; OBR-6, TQ1-7, OBR-27.4, ORC-7.4 or OBR-36 when it shall be done. */
function timesOf(
  group: OrderGroup,
  context: SenderContext,
): Pick<ServiceRequest, 'occurrenceDateTime' | 'authoredOn'> {
  const { orc, obr } = group;
  const time = (text: string | undefined) => timestampToDateTime(plain(text), context.timeZone);
  const authoredOn = time(orc.get(9));
  const occurrence =
    time(obr?.get(6)) ??
    time(segmentsOf(group, 'TQ1')[0]?.get(7)) ??
    time(obr?.get(27, 4)) ??
    time(orc.get(7, 4)) ??
    time(obr?.get(36));
  return {
    ...(occurrence ? { occurrenceDateTime: occurrence } : {}),
    ...(authoredOn ? { authoredOn } : {}),
  };
}

/** Imaging, and the section of OBR-24 (table 0074) where the sender names one. */
function categoryOf(obr: Hl7Segment | undefined): CodeableConcept[] {
  const section = plain(obr?.get(24));
  return [
    { coding: [{ system: CODE_SYSTEMS.sct, code: '363679005', display: 'Imaging' }] },
    ...(section ? [{ coding: [{ system: CODE_SYSTEMS.v2Diagnostic, code: section }] }] : []),
  ];
}

/** ORC-16 why it was cancelled, held or changed; ORC-14 or OBR-17 where to call; OBR-28 who else gets the result. */
function extensionsOf({ orc, obr }: OrderGroup, context: SenderContext): Extension[] {
  const reason = cweToConcept(orc.repetitions(16)[0]);
  const contact = (segment: Hl7Segment | undefined, field: number) =>
    mapRepetitions(segment, field, (one) => xtnToContact(one, 'work'));
  const own = contact(orc, 14);
  const callback = own.length > 0 ? own : contact(obr, 17);
  const copies = mapRepetitions(obr, 28, (xcn) => xcnToReference(xcn, context.facility));
  return [
    ...(reason ? [{ url: STATUS_REASON, valueCodeableConcept: reason }] : []),
    ...callback.map((valueContactPoint) => ({ url: CALLBACK, valueContactPoint })),
    ...copies.map((valueReference) => ({
      url: RESULT_COPIES_TO,
      valueReference: valueReference as Reference,
    })),
  ];
}

/** Modality and protocol of the IPC; the exact procedure and its modifiers (OBR-44, 45), what OBR-46 and 47 add; how the patient comes (OBR-30). */
function detailsOf({ obr, segments }: OrderGroup): CodeableConcept[] {
  const ipc = segments.filter((segment) => segment.name === 'IPC');
  return [
    ...ipc.flatMap((one) => [
      ...mapRepetitions(one, 5, cweToConcept),
      ...mapRepetitions(one, 6, cweToConcept),
    ]),
    ...[44, 45, 46, 47].flatMap((field) => mapRepetitions(obr, field, cweToConcept)),
    ...mapRepetitions(obr, 30, cweToConcept).map((one) => inTable(one, TRANSPORT_MODES)),
  ];
}

/** OBR-15 (a CM or SPS): component 4 the body site, 5 or 6 its side, which IHE has there. */
function sitesOf(obr: Hl7Segment | undefined): CodeableConcept[] {
  const source = obr?.repetitions(15)[0];
  if (source === undefined) return [];
  const site = coded(source, 4);
  const side = coded(source, 5);
  if (site === null) return side ? [side] : [];
  if (side === null) return [site];
  return [{ coding: [...(site.coding ?? []), ...(side.coding ?? [])], text: `${site.text}, ${side.text}` }];
}

/** A code inside a component: code, text and system are its subcomponents. */
function coded(source: Hl7Repetition, component: number): CodeableConcept | null {
  const [code, display, name] = [1, 2, 3].map((n) => plain(source.get(component, n)));
  const text = display || code;
  if (!text) return null;
  const system = systemOfName(name ?? '');
  return {
    ...(code ? { coding: [{ ...(system ? { system } : {}), code, ...(display ? { display } : {}) }] } : {}),
    text,
  };
}

/** IPC-8 where, IPC-7 and 9 at which station. */
function placesOf(group: OrderGroup): Pick<ServiceRequest, 'locationReference' | 'performer'> {
  const ipc = segmentsOf(group, 'IPC');
  const locationReference = ipc.flatMap((one) => {
    const concept = cweToConcept(one.repetitions(8)[0]);
    return concept ? [{ display: concept.text ?? concept.coding?.[0]?.code ?? '' }] : [];
  });
  const performer = ipc.flatMap((one) => {
    const [station, title] = [plain(one.get(7)), plain(one.get(9))];
    const display = station || title;
    if (display === '') return [];
    return [{ type: 'Device' as const, ...(title ? { identifier: { value: title } } : {}), display }];
  });
  return { locationReference: distinct(locationReference), performer: distinct(performer) };
}

const distinct = <T>(all: readonly T[]): T[] => [
  ...new Map(all.map((one) => [JSON.stringify(one), one])).values(),
];

const priorityOf = (group: OrderGroup): ServiceRequest['priority'] | undefined =>
  prioritiesOf(group)
    .map((text) => PRIORITIES[text])
    .find((one) => one !== undefined);

const prioritiesOf = (group: OrderGroup): string[] => {
  const { orc, obr } = group;
  const [tq1] = segmentsOf(group, 'TQ1');
  return [tq1?.get(9), obr?.get(5), obr?.get(27, 6), orc.get(7, 6)].map((text) => plain(text).toUpperCase());
};

/** A code without a system is one of the table of the standard. */
const inTable = (concept: CodeableConcept, system: string): CodeableConcept => ({
  ...concept,
  ...(concept.coding ? { coding: concept.coding.map((one) => ({ system, ...one })) } : {}),
});

function missing(at: string, text: string): Failure {
  return new Failure('hl7.missing', text, { issues: [{ at, text: 'is missing' }] });
}

const STATUS_REASON = 'http://hl7.org/fhir/StructureDefinition/request-statusReason';
const CALLBACK = 'http://hl7.org/fhir/StructureDefinition/servicerequest-order-callback-phone-number';
/** HL7 publishes none for OBR-28. */
const RESULT_COPIES_TO = `${PRELIM}/StructureDefinition/result-copies-to`;
const CONFIDENTIALITY = 'http://terminology.hl7.org/CodeSystem/v2-0177';
const ORDER_TYPES = 'http://terminology.hl7.org/CodeSystem/v2-0482';
const TRANSPORT_MODES = 'http://terminology.hl7.org/CodeSystem/v2-0124';
/** Tables 0027 and 0485, and the words of FHIR, which some send. P (before an operation), C and T have no like in FHIR. */
const PRIORITIES: Readonly<Record<string, ServiceRequest['priority']>> = {
  S: 'stat',
  STAT: 'stat',
  A: 'asap',
  ASAP: 'asap',
  R: 'routine',
  ROUTINE: 'routine',
  URGENT: 'urgent',
};
