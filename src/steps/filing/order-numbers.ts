import type { Identifier } from '@medplum/fhirtypes';
import { STUDY_NUMBER_SYSTEMS } from '../../hl7/assigning-authority.ts';
import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { CODE_SYSTEMS, IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { type Place, valuesAt } from './accession-places.ts';
import { eiToIdentifier, plain, type SenderContext } from './datatype-to-fhir.ts';
import { type OrderGroup, orderGroups, segmentsOf } from './order-groups.ts';

/**
 * Every number of an order as a typed identifier, in the order in which an order is looked up by them. The published maps take ORC-2 only
 * where OBR-2 is empty and the other way round, which loses both in the usual message that fills both; here each counts, and
 * two that differ are both kept. An IPC segment outranks OBR-19 and OBR-20; `places` say where the accession number stands.
 */
export function orderNumbers(
  group: OrderGroup,
  message: Hl7Message,
  context: SenderContext,
  places: readonly Place[],
): Identifier[] {
  const { orc, obr, sharesOrc } = group;
  const either = (field: number) => {
    if (!sharesOrc) return [orc, obr];
    return plain(obr?.get(field)) === plain(orc.get(field)) ? [] : [obr];
  };
  const placer = either(2).map((one) => eiToIdentifier(one?.repetitions(2)[0], 'placer', 'PLAC', context));
  const filler = either(3).map((one) => eiToIdentifier(one?.repetitions(3)[0], 'filler', 'FILL', context));
  const all = [...placer, ...filler, ...studyNumbers(group, message, places)].filter((one) => one !== null);
  return all.filter(
    (one, at) => all.findIndex((other) => other.system === one.system && other.value === one.value) === at,
  );
}

/** ORC-4: the order group the placer made this order part of. */
export function groupNumber(group: OrderGroup, context: SenderContext): Identifier | null {
  return eiToIdentifier(group.orc.repetitions(4)[0], 'placer-group', 'PGN', context);
}

/** Numbers that the images will carry: accession, Study Instance UID, requested procedure and scheduled step. */
function studyNumbers(group: OrderGroup, message: Hl7Message, places: readonly Place[]): Identifier[] {
  const ipc = segmentsOf(group, 'IPC');
  const either = (ipcField: number, obrField: number): string[] => {
    // Where the accession number stands in this field, it is no number of a procedure.
    if (places.some(({ segment, field }) => segment === 'OBR' && field === obrField)) return [];
    const fromIpc = ipc.map((one) => plain(one.get(ipcField)));
    return (ipc.length > 0 ? fromIpc : [plain(group.obr?.get(obrField))]).filter((value) => value !== '');
  };
  const accessions =
    places.map((place) => valuesAt(place, group.segments)).find((values) => values.length > 0) ?? [];
  const uids = ipc.map((one) => plain(one.get(3))).filter((uid) => UID.test(uid));
  return [
    ...accessions.map((value) => number('ACSN', STUDY_NUMBER_SYSTEMS.accession, value)),
    ...[...uids, ...zdsUids(group, message)].map((uid) => ({
      system: IDENTIFIER_SYSTEMS.dicomUid,
      value: `urn:oid:${uid}`,
    })),
    ...either(2, 19).map((value) => number('RP', STUDY_NUMBER_SYSTEMS.requestedProcedure, value)),
    ...either(4, 20).map((value) => number('SPS', STUDY_NUMBER_SYSTEMS.scheduledStep, value)),
  ];
}

/**
 * ZDS-1 of the group; or the only ZDS of the message when the orders share an accession number, for it then stands at the
 * end for all of them (IHE RAD-4: the steps of one requested procedure).
 */
function zdsUids(group: OrderGroup, message: Hl7Message): string[] {
  const own = segmentsOf(group, 'ZDS');
  const zds = own.length > 0 ? own : onlyZds(message);
  return zds.map((one) => plain(one.get(1))).filter((uid) => UID.test(uid));
}

function onlyZds(message: Hl7Message): readonly Hl7Segment[] {
  const all = message.all('ZDS');
  if (all.length !== 1) return [];
  const accessions = new Set(orderGroups(message).map(({ obr }) => plain(obr?.get(18))));
  return accessions.size === 1 && !accessions.has('') ? all : [];
}

/** Table 0203 has no code for requested procedure and scheduled step; they are told apart by their system. */
function number(type: 'ACSN' | 'RP' | 'SPS', system: string, value: string): Identifier {
  return type === 'ACSN'
    ? { type: { coding: [{ system: CODE_SYSTEMS.v2Identifier, code: 'ACSN' }] }, system, value }
    : { system, value };
}

/** PS3.5 §9.1: digits and dots, no leading zeros, 64 characters at most. */
const UID = /^(?=.{1,64}$)(0|[1-9]\d*)(\.(0|[1-9]\d*))+$/;
