import { codeItem, cutText, dcm } from './dicom-code.ts';
import {
  type InstanceReference,
  type ResultContext,
  resultHeader,
  SERIES_NUMBERS,
  sopItem,
} from './result-object.ts';
import { writePart10 } from './write-part10.ts';

export const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';

export interface SecondaryCapture {
  readonly context: ResultContext;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly instanceNumber: number;
  readonly title: string;
  readonly rows: number;
  readonly columns: number;
  /** Three bytes per pixel, row by row. */
  readonly rgb: Uint8Array;
  /** The image that the picture was drawn on. */
  readonly drawnOn: InstanceReference | null;
}

/**
 * The key picture as Secondary Capture (PS3.3 A.8), for PACS that show nothing else. No name and no number of a person is in the
 * picture, hence BurnedInAnnotation NO; it is no image to measure in, hence no pixel spacing.
 */
export function writeSecondaryCapture(capture: SecondaryCapture): Buffer {
  const { context, drawnOn } = capture;
  return writePart10(
    {
      ...resultHeader(context, {
        sopClassUid: SECONDARY_CAPTURE,
        sopInstanceUid: capture.sopInstanceUid,
        seriesInstanceUid: capture.seriesInstanceUid,
        modality: 'OT',
        seriesNumber: SERIES_NUMBERS.sc,
        seriesDescription: capture.title,
        instanceNumber: capture.instanceNumber,
      }),
      ConversionType: 'WSD',
      ImageType: ['DERIVED', 'SECONDARY'],
      PatientOrientation: '',
      Laterality: '',
      BurnedInAnnotation: 'NO',
      LossyImageCompression: '00',
      DerivationDescription: cutText('Picture of a result, drawn by software', 1024),
      ...(drawnOn
        ? {
            SourceImageSequence: [
              {
                ...sopItem(drawnOn),
                PurposeOfReferenceCodeSequence: [
                  codeItem(dcm('121322', 'Source image for image processing operation')),
                ],
              },
            ],
          }
        : {}),
      SamplesPerPixel: 3,
      PhotometricInterpretation: 'RGB',
      PlanarConfiguration: 0,
      Rows: capture.rows,
      Columns: capture.columns,
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
      PixelRepresentation: 0,
    },
    capture.rgb,
  );
}
