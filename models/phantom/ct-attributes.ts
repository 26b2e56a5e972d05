/**
 * DICOM attributes of a phantom CT slice: CT Image Storage (PS3.3 A.3), complete for its IOD's mandatory modules, by
 * attribute names as dcmjs "naturalizes" them.
 */
import { generalAttributes, type PhantomIdentity } from './general-attributes.ts';
import type { PhantomOptions } from './make-phantom.ts';
import { phantomUid } from './phantom-uid.ts';

/** Values by keyword; a string, number, list of these, or a list of items for a sequence. */
export type CtAttributes = Readonly<Record<string, unknown>>;

export const CT_IMAGE_STORAGE = '1.2.840.10008.5.1.4.1.1.2';

/** `index` from the feet, `z` in mm. Slices have InstanceNumber 1 at the head end, as most scanners number a chest. */
export function ctAttributes(
  options: PhantomOptions,
  identity: PhantomIdentity,
  index: number,
  z: number,
): CtAttributes {
  const position = z.toFixed(3);
  return {
    ...generalAttributes(identity, CT_IMAGE_STORAGE, 'CT'),
    FrameOfReferenceUID: identity.frameOfReferenceUid,
    PositionReferenceIndicator: '',
    PatientPosition: 'HFS',
    ...planeAttributes(options, position),
    SOPInstanceUID: phantomUid(`instance ${identity.seriesInstanceUid} ${index}`),
    InstanceNumber: options.slices - index,
    AcquisitionNumber: 1,
    ImageType: ['ORIGINAL', 'PRIMARY', identity.imageFlavor],
    ScanOptions: 'HELICAL MODE',
    KVP: 120,
    XRayTubeCurrent: 120,
    ExposureTime: 500,
    DataCollectionDiameter: 500,
    ReconstructionDiameter: Math.round(options.columns * options.pixelSpacingMm),
    GantryDetectorTilt: 0,
    RotationDirection: 'CW',
    FilterType: 'BODY',
    ConvolutionKernel: options.kernel,
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: options.rows,
    Columns: options.columns,
    BitsAllocated: 16,
    BitsStored: 12,
    HighBit: 11,
    PixelRepresentation: 0,
    RescaleIntercept: -1024,
    RescaleSlope: 1,
    // A scout view's numbers are no Hounsfield units (PS3.3 C.8.2.1.1.2).
    ...(identity.imageFlavor === 'AXIAL' ? { RescaleType: 'HU' } : {}),
    WindowCenter: identity.bodyPart === 'CHEST' ? -600 : 40,
    WindowWidth: identity.bodyPart === 'CHEST' ? 1500 : 80,
    BurnedInAnnotation: 'NO',
  };
}

function planeAttributes(options: PhantomOptions, position: string): CtAttributes {
  const first = (count: number) => (-((count - 1) / 2) * options.pixelSpacingMm).toFixed(4);
  return {
    SliceThickness: options.sliceSpacingMm,
    SpacingBetweenSlices: options.sliceSpacingMm,
    PixelSpacing: [options.pixelSpacingMm, options.pixelSpacingMm],
    ImagePositionPatient: [Number(first(options.columns)), Number(first(options.rows)), Number(position)],
    ImageOrientationPatient: [1, 0, 0, 0, 1, 0],
    SliceLocation: Number(position),
  };
}
