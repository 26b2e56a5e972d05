import { writePart10 } from '../../src/dicom/write-part10.ts';
import type { CtAttributes } from './ct-attributes.ts';
import type { PhantomSlice } from './make-phantom.ts';
import { phantomUid } from './phantom-uid.ts';

export const ENHANCED_CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2.1';

/**
 * Phantom slices as one Enhanced CT object (PS3.3 A.38): each slice a frame, in the order given, with its place, its window and its times in functional
 * groups, some thirty elements each. Written for tests: the modules that only describe the scanner are left out.
 */
export function enhancedFile(slices: readonly Pick<PhantomSlice, 'attributes' | 'stored'>[]): Buffer {
  const [first] = slices;
  if (!first) throw new Error('An object without frames is none.');
  const length = first.stored.length;
  const stored = new Uint16Array(slices.length * length);
  slices.forEach((slice, at) => {
    stored.set(slice.stored, at * length);
  });
  const { attributes } = first;
  const kept = Object.fromEntries(Object.entries(attributes).filter(([name]) => !PER_FRAME.has(name)));
  const uid = phantomUid(`enhanced ${attributes['SeriesInstanceUID']}`);
  return writePart10(
    {
      ...kept,
      SOPClassUID: ENHANCED_CT_IMAGE_STORAGE,
      SOPInstanceUID: uid,
      InstanceNumber: 1,
      NumberOfFrames: slices.length,
      ImageType: ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE'],
      DimensionOrganizationSequence: [{ DimensionOrganizationUID: `${uid}.1` }],
      SharedFunctionalGroupsSequence: [sharedGroups(attributes)],
      PerFrameFunctionalGroupsSequence: slices.map((slice, at) => frameGroups(slice.attributes, at)),
    },
    new Uint8Array(stored.buffer),
  );
}

/** Said in functional groups instead. */
const PER_FRAME: ReadonlySet<string> = new Set([
  'ImagePositionPatient',
  'ImageOrientationPatient',
  'PixelSpacing',
  'SliceThickness',
  'SliceLocation',
  'RescaleIntercept',
  'RescaleSlope',
  'RescaleType',
  'WindowCenter',
  'WindowWidth',
  'ConvolutionKernel',
  'ReconstructionDiameter',
]);

const sharedGroups = (first: CtAttributes) => ({
  PlaneOrientationSequence: [{ ImageOrientationPatient: first['ImageOrientationPatient'] }],
  PixelMeasuresSequence: [{ PixelSpacing: first['PixelSpacing'], SliceThickness: first['SliceThickness'] }],
  PixelValueTransformationSequence: [
    {
      RescaleIntercept: first['RescaleIntercept'],
      RescaleSlope: first['RescaleSlope'],
      RescaleType: 'HU',
    },
  ],
});

const frameGroups = (slice: CtAttributes, at: number) => ({
  PlanePositionSequence: [{ ImagePositionPatient: slice['ImagePositionPatient'] }],
  FrameVOILUTSequence: [{ WindowCenter: slice['WindowCenter'], WindowWidth: slice['WindowWidth'] }],
  FrameContentSequence: [
    {
      FrameAcquisitionNumber: 1,
      FrameReferenceDateTime: '20260101101500',
      FrameAcquisitionDateTime: '20260101101500',
      FrameAcquisitionDuration: 500,
      DimensionIndexValues: [at + 1],
      StackID: '1',
      InStackPositionNumber: at + 1,
    },
  ],
  CTImageFrameTypeSequence: [
    {
      FrameType: ['ORIGINAL', 'PRIMARY', 'VOLUME', 'NONE'],
      PixelPresentation: 'MONOCHROME',
      VolumetricProperties: 'VOLUME',
      VolumeBasedCalculationTechnique: 'NONE',
    },
  ],
  CTReconstructionSequence: [
    {
      ConvolutionKernel: slice['ConvolutionKernel'],
      ReconstructionDiameter: slice['ReconstructionDiameter'],
      ReconstructionAngle: 360,
    },
  ],
});
