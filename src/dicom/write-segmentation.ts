import { codeItem, cutText, type DicomCode, dcm } from './dicom-code.ts';
import { jsonNumber, jsonString, jsonStrings } from './json-values.ts';
import {
  ARTIFICIAL_INTELLIGENCE,
  bySeries,
  type InstanceReference,
  type ResultContext,
  resultHeader,
  SERIES_NUMBERS,
  sopItem,
} from './result-object.ts';
import { type PackedFrame, packFrames, type SegmentValues, type ValueRange } from './seg/pack-frames.ts';
import { type SliceGeometry, sliceGeometry } from './seg/slice-geometry.ts';
import { decimalString } from './sr/content-item.ts';
import { stableUid } from './stable-uid.ts';
import type { DicomJson } from './study-source.ts';
import { type NaturalizedDataset, writePart10 } from './write-part10.ts';

export const SEGMENTATION = '1.2.840.10008.5.1.4.1.1.66.4';

export interface Segmentation {
  readonly context: ResultContext;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly instanceNumber: number;
  readonly title: string;
  /** Each as runs over slices × rows × columns, see `mask-runs.ts`. */
  readonly masks: readonly Uint8Array[];
  readonly rows: number;
  readonly columns: number;
  /** Metadata of the source slices, in the order of the masks; of frames as `splitFrames` gives them. */
  readonly slices: readonly DicomJson[];
  readonly segments: readonly Segment[];
}

export interface Segment {
  readonly label: string;
  /** Index of its mask. */
  readonly mask: number;
  /** Values of the mask that belong to it. */
  readonly values: ValueRange;
  readonly category: DicomCode;
  readonly type: DicomCode;
  /** Of a paired structure. */
  readonly side: DicomCode | null;
  readonly trackingUid: string;
}

/**
 * A binary Segmentation (PS3.3 A.51) in the geometry of its source images; every frame names the image it lies on. Null when the
 * mask is empty: an object with no frame is none. Segments that nothing belongs to are left out, and numbers count on.
 */
export function writeSegmentation(segmentation: Segmentation): Buffer | null {
  const { rows, columns, slices, context } = segmentation;
  const packed = packFrames(segmentation.masks, rows * columns, segmentation.segments);
  if (packed.frames.length === 0) return null;
  const geometry = sliceGeometry(slices);
  const present = segmentation.segments.filter((_, at) =>
    packed.frames.some((frame) => frame.segment === at),
  );
  const numberOf = (frame: PackedFrame) => present.indexOf(segmentation.segments[frame.segment]!) + 1;
  const references = slices.map(referenceOf);
  const used = packed.frames.map((frame) => references[frame.slice]!);
  return writePart10(
    {
      ...resultHeader(context, {
        sopClassUid: SEGMENTATION,
        sopInstanceUid: segmentation.sopInstanceUid,
        seriesInstanceUid: segmentation.seriesInstanceUid,
        modality: 'SEG',
        seriesNumber: SERIES_NUMBERS.seg,
        seriesDescription: segmentation.title,
        instanceNumber: segmentation.instanceNumber,
      }),
      ...imageOf(segmentation, packed.frames.length),
      ...(geometry
        ? { FrameOfReferenceUID: geometry.frameOfReferenceUid, PositionReferenceIndicator: '' }
        : // Type 2C: there, if only empty, where no plane says how the image lies (PS3.3 C.7.6.1.1.1).
          { PatientOrientation: jsonStrings(slices[0] ?? {}, '00200020') }),
      SegmentSequence: present.map((segment, at) => segmentItem(segment, at + 1, context)),
      ReferencedSeriesSequence: bySeries(used).map(({ SeriesInstanceUID, items }) => ({
        SeriesInstanceUID,
        ReferencedInstanceSequence: items,
      })),
      ...dimensionsOf(segmentation.sopInstanceUid, geometry !== null),
      SharedFunctionalGroupsSequence: [geometry ? sharedGroups(geometry) : {}],
      PerFrameFunctionalGroupsSequence: packed.frames.map((frame) => ({
        ...frameGroups(frame.slice, numberOf(frame), geometry),
        DerivationImageSequence: [derivationOf(references[frame.slice]!, slices[frame.slice]!)],
      })),
    },
    packed.bits,
  );
}

/** Numbers of the segments that have voxels, by their place in the list: what `writeSegmentation` gives them. `present`: values of each mask. */
export function segmentNumbers(
  present: readonly (readonly number[])[],
  segments: readonly SegmentValues[],
): (number | null)[] {
  let next = 1;
  return segments.map(({ mask, values: { from, to } }) =>
    present[mask]?.some((value) => value >= from && value <= to) ? next++ : null,
  );
}

function imageOf({ rows, columns, title }: Segmentation, frames: number): NaturalizedDataset {
  return {
    ImageType: ['DERIVED', 'PRIMARY'],
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    NumberOfFrames: String(frames),
    Rows: rows,
    Columns: columns,
    BitsAllocated: 1,
    BitsStored: 1,
    HighBit: 0,
    PixelRepresentation: 0,
    LossyImageCompression: '00',
    SegmentationType: 'BINARY',
    ContentLabel: 'AI_SEGMENTATION',
    ContentDescription: cutText(title, 64),
    ContentCreatorName: '',
  };
}

function segmentItem(segment: Segment, number: number, { algorithm }: ResultContext): NaturalizedDataset {
  return {
    SegmentNumber: number,
    SegmentLabel: cutText(segment.label, 64),
    SegmentAlgorithmType: 'AUTOMATIC',
    SegmentAlgorithmName: cutText(algorithm.model, 64),
    SegmentedPropertyCategoryCodeSequence: [codeItem(segment.category)],
    SegmentedPropertyTypeCodeSequence: [
      {
        ...codeItem(segment.type),
        ...(segment.side ? { SegmentedPropertyTypeModifierCodeSequence: [codeItem(segment.side)] } : {}),
      },
    ],
    SegmentationAlgorithmIdentificationSequence: [
      {
        AlgorithmFamilyCodeSequence: [codeItem(ARTIFICIAL_INTELLIGENCE)],
        AlgorithmName: cutText(algorithm.model, 64),
        AlgorithmVersion: cutText(algorithm.version, 64),
      },
    ],
    TrackingID: cutText(segment.label, 64),
    TrackingUID: segment.trackingUid,
  };
}

function dimensionsOf(sopInstanceUid: string, placed: boolean): NaturalizedDataset {
  const DimensionOrganizationUID = stableUid('dimensions', sopInstanceUid);
  const pointer = (index: number, group: number, label: string) => ({
    DimensionOrganizationUID,
    DimensionIndexPointer: index,
    FunctionalGroupPointer: group,
    DimensionDescriptionLabel: label,
  });
  return {
    DimensionOrganizationSequence: [{ DimensionOrganizationUID }],
    DimensionIndexSequence: [
      pointer(0x0062000b, 0x0062000a, 'Segment'),
      ...(placed ? [pointer(0x00200032, 0x00209113, 'Position')] : []),
    ],
  };
}

function sharedGroups(geometry: SliceGeometry): NaturalizedDataset {
  const { sliceThickness, spacingBetweenSlices } = geometry;
  const thickness = sliceThickness ?? spacingBetweenSlices;
  return {
    PixelMeasuresSequence: [
      {
        ...(thickness === null ? {} : { SliceThickness: decimalString(thickness) }),
        ...(spacingBetweenSlices === null
          ? {}
          : { SpacingBetweenSlices: decimalString(spacingBetweenSlices) }),
        PixelSpacing: geometry.pixelSpacing.map(decimalString),
      },
    ],
    PlaneOrientationSequence: [{ ImageOrientationPatient: geometry.orientation.map(decimalString) }],
  };
}

function frameGroups(slice: number, segment: number, geometry: SliceGeometry | null): NaturalizedDataset {
  return {
    FrameContentSequence: [{ DimensionIndexValues: geometry ? [segment, slice + 1] : [segment] }],
    ...(geometry
      ? {
          PlanePositionSequence: [{ ImagePositionPatient: geometry.positions[slice]!.map(decimalString) }],
        }
      : {}),
    SegmentIdentificationSequence: [{ ReferencedSegmentNumber: segment }],
  };
}

/** A frame of a multi-frame image is named by its number (PS3.3 10.3). */
function derivationOf(reference: InstanceReference, slice: DicomJson): NaturalizedDataset {
  const frame = jsonNumber(slice, '00081160');
  return {
    DerivationCodeSequence: [codeItem(dcm('113076', 'Segmentation'))],
    SourceImageSequence: [
      {
        ...sopItem(reference),
        ...(frame === null ? {} : { ReferencedFrameNumber: String(frame) }),
        SpatialLocationsPreserved: 'YES',
        PurposeOfReferenceCodeSequence: [
          codeItem(dcm('121322', 'Source image for image processing operation')),
        ],
      },
    ],
  };
}

/** Class, instance and series of an instance, from its metadata. */
export function referenceOf(instance: DicomJson): InstanceReference {
  return {
    sopClassUid: jsonString(instance, '00080016') ?? '',
    sopInstanceUid: jsonString(instance, '00080018') ?? '',
    seriesInstanceUid: jsonString(instance, '0020000E') ?? '',
  };
}
