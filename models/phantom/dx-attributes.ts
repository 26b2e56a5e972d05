/**
 * DICOM attributes of the phantom radiograph: Digital X-Ray Image Storage - For Presentation (PS3.3 A.26), complete for its
 * IOD's mandatory modules, by attribute names.
 */
import { generalAttributes, type PhantomIdentity } from './general-attributes.ts';
import { phantomUid } from './phantom-uid.ts';

export type DxAttributes = Readonly<Record<string, unknown>>;

export const DX_FOR_PRESENTATION = '1.2.840.10008.5.1.4.1.1.1.1';

export function dxAttributes(
  identity: PhantomIdentity,
  rows: number,
  columns: number,
  detectorMm: number,
): DxAttributes {
  return {
    ...generalAttributes(identity, DX_FOR_PRESENTATION, 'DX'),
    SOPInstanceUID: phantomUid(`instance ${identity.seriesInstanceUid} 0`),
    InstanceNumber: 1,
    ImageType: ['ORIGINAL', 'PRIMARY', ''],
    PresentationIntentType: 'FOR PRESENTATION',
    ViewPosition: 'PA',
    PatientOrientation: ['L', 'F'],
    ImageLaterality: 'U',
    AnatomicRegionSequence: [code('816094009', 'SCT', 'Chest')],
    ViewCodeSequence: [code('272479007', 'SCT', 'postero-anterior')],
    DetectorType: 'DIRECT',
    ImagerPixelSpacing: [detectorMm / rows, detectorMm / columns].map((value) => Number(value.toFixed(5))),
    PositionerType: 'NONE',
    KVP: 120,
    Exposure: 2,
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    Rows: rows,
    Columns: columns,
    BitsAllocated: 16,
    BitsStored: 12,
    HighBit: 11,
    PixelRepresentation: 0,
    PixelIntensityRelationship: 'LOG',
    PixelIntensityRelationshipSign: 1,
    RescaleIntercept: 0,
    RescaleSlope: 1,
    RescaleType: 'US',
    PresentationLUTShape: 'IDENTITY',
    WindowCenter: 2048,
    WindowWidth: 4096,
    LossyImageCompression: '00',
    BurnedInAnnotation: 'NO',
    AcquisitionContextSequence: [],
  };
}

function code(value: string, scheme: string, meaning: string): DxAttributes {
  return { CodeValue: value, CodingSchemeDesignator: scheme, CodeMeaning: meaning };
}
