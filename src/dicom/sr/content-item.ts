import { codeItem, type DicomCode } from '../dicom-code.ts';
import { type InstanceReference, sopItem } from '../result-object.ts';
import type { NaturalizedDataset } from '../write-part10.ts';

/** Items of an SR content tree (PS3.3 C.17.3), one function per value type. */
export type ContentItem = NaturalizedDataset;

export type Relationship =
  | 'CONTAINS'
  | 'HAS CONCEPT MOD'
  | 'HAS OBS CONTEXT'
  | 'HAS PROPERTIES'
  | 'SELECTED FROM';

export function container(name: DicomCode, children: readonly ContentItem[], template?: string): ContentItem {
  return {
    RelationshipType: 'CONTAINS',
    ...rootContainer(name, children, template),
  };
}

/** The root has no relationship: it stands in the data set itself. */
export function rootContainer(
  name: DicomCode,
  children: readonly ContentItem[],
  template?: string,
): ContentItem {
  return {
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: [codeItem(name)],
    ContinuityOfContent: 'SEPARATE',
    ...(template
      ? { ContentTemplateSequence: [{ MappingResource: 'DCMR', TemplateIdentifier: template }] }
      : {}),
    ...(children.length > 0 ? { ContentSequence: children } : {}),
  };
}

export function code(
  relationship: Relationship,
  name: DicomCode,
  value: DicomCode,
  children: readonly ContentItem[] = [],
): ContentItem {
  return {
    ...item(relationship, 'CODE', name),
    ConceptCodeSequence: [codeItem(value)],
    ...(children.length > 0 ? { ContentSequence: children } : {}),
  };
}

export function text(relationship: Relationship, name: DicomCode, value: string): ContentItem {
  return { ...item(relationship, 'TEXT', name), TextValue: value };
}

export function uidref(relationship: Relationship, name: DicomCode, value: string): ContentItem {
  return { ...item(relationship, 'UIDREF', name), UID: value };
}

export function num(
  name: DicomCode,
  value: number,
  unit: DicomCode,
  children: readonly ContentItem[] = [],
): ContentItem {
  return {
    ...item('CONTAINS', 'NUM', name),
    MeasuredValueSequence: [
      { NumericValue: decimalString(value), MeasurementUnitsCodeSequence: [codeItem(unit)] },
    ],
    ...(children.length > 0 ? { ContentSequence: children } : {}),
  };
}

/** A reference to an image; `frames` counts from 1, `segment` is one of a SEG. */
export function image(
  relationship: Relationship,
  name: DicomCode | null,
  reference: InstanceReference,
  within: { readonly frames?: readonly number[]; readonly segment?: number } = {},
): ContentItem {
  return {
    RelationshipType: relationship,
    ValueType: 'IMAGE',
    ...(name ? { ConceptNameCodeSequence: [codeItem(name)] } : {}),
    ReferencedSOPSequence: [
      {
        ...sopItem(reference),
        ...(within.frames?.length ? { ReferencedFrameNumber: within.frames.map(String) } : {}),
        ...(within.segment ? { ReferencedSegmentNumber: within.segment } : {}),
      },
    ],
  };
}

/** A reference to what is no image: a report, a key object note. */
export function composite(reference: InstanceReference): ContentItem {
  return {
    RelationshipType: 'CONTAINS',
    ValueType: 'COMPOSITE',
    ReferencedSOPSequence: [sopItem(reference)],
  };
}

export type GraphicType = 'POINT' | 'POLYLINE' | 'CIRCLE' | 'ELLIPSE';

/**
 * A region on one image, in its own pixels: column and row in turn, 0.0 at the corner of the first pixel and 0.5 in its middle
 * (PS3.3 C.18.6.1.1).
 */
export function scoord(
  name: DicomCode,
  graphic: { readonly type: GraphicType; readonly points: readonly number[] },
  selectedFrom: ContentItem,
): ContentItem {
  return {
    ...item('CONTAINS', 'SCOORD', name),
    GraphicType: graphic.type,
    GraphicData: [...graphic.points],
    ContentSequence: [selectedFrom],
  };
}

/** DS has 16 characters. */
const DECIMAL_CHARACTERS_MAX = 16;

/** A number as DS (PS3.5 6.2): as short as it can be said, and never more than 16 characters. */
export function decimalString(value: number): string {
  const plain = String(value);
  if (plain.length <= DECIMAL_CHARACTERS_MAX) return plain;
  for (let digits = 15; digits > 0; digits -= 1) {
    const shorter = String(Number(value.toPrecision(digits)));
    if (shorter.length <= DECIMAL_CHARACTERS_MAX) return shorter;
  }
  return value.toExponential(6);
}

const item = (relationship: Relationship, type: string, name: DicomCode): ContentItem => ({
  RelationshipType: relationship,
  ValueType: type,
  ConceptNameCodeSequence: [codeItem(name)],
});
