import type { Annotation } from '@medplum/fhirtypes';
import type { Hl7Segment } from '../../hl7/codec.ts';
import { timestampToDateTime } from '../../hl7/timestamp.ts';
import { xcnToReference } from '../../hl7/xcn-reference.ts';
import { mapRepetitions, plain, type SenderContext } from './datatype-to-fhir.ts';
import type { OrderGroup } from './order-groups.ts';

/** OBR-12 whom to be careful with, OBR-13 what the one who reads should know of the patient, and the notes of the order itself. */
export function notesOf(group: OrderGroup, context: SenderContext): Annotation[] {
  const danger = mapRepetitions(group.obr, 12, (one) => plain(one.text(2)) || plain(one.text(1)) || null);
  const clinical = textsOf(group.obr, 13);
  return [
    ...(danger.length > 0 ? [{ text: `Danger code: ${danger.join(', ')}` }] : []),
    ...(clinical === '' ? [] : [{ text: clinical }]),
    ...ownNotes(group).flatMap((nte) => noteOf(nte, context)),
  ];
}

/** NTE-3 with who wrote it (5) and when (6). Nothing for an empty one. */
export function noteOf(nte: Hl7Segment, context: SenderContext): Annotation[] {
  // Text has no components: what follows a `^` that was not escaped is not lost.
  const parts = nte.repetitions(3).map((one) => plain(one.text(1)) && plain(one.wholeText()));
  const text = parts.every((one) => one !== '') ? parts.join('\n').trim() : textsOf(nte, 3);
  const author = xcnToReference(nte.repetitions(5)[0], context.facility)?.display;
  const time = timestampToDateTime(plain(nte.get(6)), context.timeZone);
  if (text === '') return [];
  return [{ ...(author ? { authorString: author } : {}), ...(time ? { time } : {}), text }];
}

/** A note that follows a diagnosis or a result is about that. */
export function ownNotes({ segments }: OrderGroup): Hl7Segment[] {
  let isOrder = true;
  return segments.filter(({ name }) => {
    if (name === 'DG1' || name === 'OBX') isOrder = false;
    else if (name !== 'NTE') isOrder = true;
    return name === 'NTE' && isOrder;
  });
}

const textsOf = (segment: Hl7Segment | undefined, field: number): string =>
  (segment?.repetitions(field) ?? [])
    .map((one) => plain(one.text(1)) || plain(one.text(2)))
    .join('\n')
    .trim();
