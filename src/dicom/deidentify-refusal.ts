import type { GateVerdict } from '../kernel/handoffs.ts';
import type { DicomDataset } from './dicom-dataset.ts';
import { isUid } from './uid.ts';

/**
 * Why an object may not leave de-identified, or null: what the profile does not reach is refused, not hoped away. Text in the pixels, graphics in
 * unused bits of the pixels, kinds of object that are text themselves, and objects without the UIDs that lead back.
 */
export function deidentifyRefusal(dataset: DicomDataset): GateVerdict | null {
  return kindRefusal(dataset) ?? uidRefusal(dataset) ?? pixelTextRefusal(dataset);
}

/** The part that speaks of pixels alone: also for tensors made of them. */
export function pixelTextRefusal(dataset: DicomDataset): GateVerdict | null {
  return burnedInRefusal(dataset) ?? overlayRefusal(dataset);
}

function burnedInRefusal(dataset: DicomDataset): GateVerdict | null {
  const stated = dataset.string(BURNED_IN_ANNOTATION)?.toUpperCase();
  if (stated === 'YES') return burnedIn('with text burned into the pixels');
  if (stated === 'NO') return null;
  const sopClass = dataset.string(SOP_CLASS) ?? '';
  const modality = dataset.string(MODALITY) ?? '';
  const imageType = dataset.strings(IMAGE_TYPE).map((value) => value.toUpperCase());
  if (isOf(sopClass, OFTEN_WITH_TEXT)) return burnedIn('of a kind that often has text in its pixels');
  if (MODALITIES_OFTEN_WITH_TEXT.has(modality))
    return burnedIn(`of modality ${modality}, which often has text in its pixels`);
  if (dataset.has(CONVERSION_TYPE)) return burnedIn('scanned or captured');
  if (imageType[1] === 'SECONDARY' && !SECONDARY_BY_DEVICE.has(modality))
    return burnedIn('made of other images');
  if (imageType.some((value) => SCREEN_WORDS.some((word) => value.includes(word))))
    return burnedIn('pictures of a screen or of results');
  return null;
}

const burnedIn = (observed: string): GateVerdict => ({
  rule: 'burned-in',
  observed,
  required: 'no text in the pixels, stated by BurnedInAnnotation NO where it is likely',
});

/** Overlays of old files lie in the unused bits of the pixels (PS3.5 8.1.2, retired): their removal would be one in name only. */
function overlayRefusal(dataset: DicomDataset): GateVerdict | null {
  for (let group = 0x6000; group <= 0x601e; group += 2) {
    const tag = (element: number) => group * 0x10000 + element;
    const isInPixels = (dataset.number(tag(0x0102)) ?? 0) > 0 || (dataset.number(tag(0x0100)) ?? 1) > 1;
    if (dataset.has(tag(0x0010)) && !dataset.has(tag(0x3000)) && isInPixels) {
      return {
        rule: 'burned-in',
        observed: 'with graphics in unused bits of the pixels',
        required: 'pixels without graphics',
      };
    }
  }
  return null;
}

function kindRefusal(dataset: DicomDataset): GateVerdict | null {
  if (isOf(dataset.string(SOP_CLASS) ?? '', IMAGES)) return null;
  return {
    rule: 'sop-class',
    observed: 'an object that is no image of a known kind',
    required: 'an image: reports, documents and private kinds cannot be de-identified here',
  };
}

function uidRefusal(dataset: DicomDataset): GateVerdict | null {
  if (UIDS.every((tag) => isUid(dataset.string(tag)))) return null;
  return {
    rule: 'attributes',
    observed: 'no StudyInstanceUID, SeriesInstanceUID or SOPInstanceUID',
    required: 'the UIDs by which a result finds its way back',
  };
}

const SOP_CLASS = 0x00080016;
const MODALITY = 0x00080060;
const IMAGE_TYPE = 0x00080008;
const CONVERSION_TYPE = 0x00080064;
const BURNED_IN_ANNOTATION = 0x00280301;
const UIDS = [0x0020000d, 0x0020000e, 0x00080018];

const STORAGE = '1.2.840.10008.5.1.4.1.1.';

/** Class UIDs after the storage root; one that ends in a point stands for all below it. */
const isOf = (sopClass: string, kinds: readonly string[]): boolean =>
  sopClass.startsWith(STORAGE) &&
  kinds.some((kind) => {
    const rest = sopClass.slice(STORAGE.length);
    return kind.endsWith('.') ? rest.startsWith(kind) : rest === kind;
  });

/** Secondary Capture, ultrasound, endoscopy, microscopy, photography, ophthalmology: machines and people write into these pictures. */
const OFTEN_WITH_TEXT = [
  '3',
  '3.1',
  '6',
  '6.1',
  '6.2',
  '7',
  '7.',
  '77.1.1',
  '77.1.1.1',
  '77.1.2',
  '77.1.2.1',
  '77.1.4',
  '77.1.4.1',
  '77.1.5.',
];

const IMAGES = [
  // CR, CT, MR, NM, RT Image; X-ray angiography and fluoroscopy; PET; enhanced ones; DX, mammography, intra-oral, tomosynthesis
  ...[
    '1',
    '2',
    '2.1',
    '2.2',
    '4',
    '4.1',
    '4.3',
    '4.4',
    '20',
    '12.1',
    '12.1.1',
    '12.2',
    '12.2.1',
    '12.3',
    '128',
    '130',
  ],
  ...['1.1', '1.1.1', '1.2', '1.2.1', '1.3', '1.3.1', '13.1.1', '13.1.2', '13.1.3', '13.1.4', '13.1.5'],
  // SEG, parametric map
  ...['66.4', '66.7', '30'],
  ...OFTEN_WITH_TEXT,
];

const MODALITIES_OFTEN_WITH_TEXT: ReadonlySet<string> = new Set([
  ...[
    'US',
    'IVUS',
    'BDUS',
    'ES',
    'OT',
    'XC',
    'GM',
    'SM',
    'DG',
    'HC',
    'DOC',
    'RF',
    'BMD',
    'ECG',
    'OP',
    'OCT',
    'SC',
  ],
]);

/** Scanners call their own reformats and parameter maps SECONDARY; these are computed, not captured. */
const SECONDARY_BY_DEVICE: ReadonlySet<string> = new Set(['CT', 'MR', 'PT', 'NM', 'SEG']);

const SCREEN_WORDS = [
  'SCREEN',
  'CAPTURE',
  'PASTED',
  'DOSE',
  'REPORT',
  'RESULT TABLE',
  'GSP',
  'CURVE',
  'PROT',
];
