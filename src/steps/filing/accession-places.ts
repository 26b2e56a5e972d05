import type { Hl7Message, Hl7Segment } from '../../hl7/codec.ts';
import { Failure } from '../../kernel/errors.ts';
import { plain } from './datatype-to-fhir.ts';

/** Segments of an order in which sites put the accession number. */
const SEGMENTS = ['IPC', 'ORC', 'OBR', 'ZDS'] as const;

/** A field of an order group, and where it says so a component: `OBR-18`, `ZDS-1.2`. */
export interface Place {
  readonly segment: (typeof SEGMENTS)[number];
  readonly field: number;
  readonly component: number;
}

/**
 * Where the accession number stands, by sender: `IPC-1,OBR-18;EPIC=OBR-20,ORC-3`. The first part is for all whom no other part
 * names; a name is that of MSH-3 or MSH-4. The first place that is filled counts. Throws `config.invalid`.
 */
export function readAccessionPlaces(setting: string): AccessionPlaces {
  const bySender = new Map<string, readonly Place[]>();
  let rest: readonly Place[] = [];
  for (const part of setting.split(';').filter((one) => one.trim() !== '')) {
    const [places = '', sender] = part
      .split('=')
      .map((text) => text.trim())
      .reverse();
    if (sender === undefined) rest = placesOf(places);
    else bySender.set(sender, placesOf(places));
  }
  if (rest.length === 0) throw invalid('name the places for all senders, for instance IPC-1,OBR-18');
  return (message) =>
    bySender.get(plain(message.get('MSH', 1, 3))) ?? bySender.get(plain(message.get('MSH', 1, 4))) ?? rest;
}

export type AccessionPlaces = (message: Hl7Message) => readonly Place[];

/** What stands in a place of an order or a result; one value for each of its segments that has it filled. */
export function valuesAt(place: Place, segments: readonly Hl7Segment[]): string[] {
  return segments
    .filter(({ name }) => name === place.segment)
    .map((segment) => plain(segment.get(place.field, place.component)))
    .filter((value) => value !== '');
}

/** Two digits for the field, one for the component: no segment of these has more. */
const PLACE = /^([A-Z]{3})-([1-9]\d?)(?:\.([1-9]))?$/;

function placesOf(text: string): Place[] {
  return text.split(',').map((one) => {
    const [, name, field, component = '1'] = PLACE.exec(one.trim()) ?? [];
    const segment = SEGMENTS.find((known) => known === name);
    if (!segment)
      throw invalid(`each place is a field of ${SEGMENTS.join(', ')}, for instance OBR-18 or ZDS-1.2`);
    return { segment, field: Number(field), component: Number(component) };
  });
}

function invalid(text: string): Failure {
  return new Failure('config.invalid', `HL7_ACCESSION_FROM cannot be used: ${text}.`, {
    issues: [{ at: 'HL7_ACCESSION_FROM', text }],
  });
}
