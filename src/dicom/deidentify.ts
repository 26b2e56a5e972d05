import type { GateVerdict } from '../kernel/handoffs.ts';
import { ElementChanger } from './deidentify/element-changer.ts';
import { fileMeta } from './deidentify/file-meta.ts';
import { pixelElement } from './deidentify/pixel-element.ts';
import { textValue, type WrittenElement, writeElements } from './deidentify/write-elements.ts';
import { BASIC_PROFILE, DEIDENTIFY_OPTIONS, type DeidentifyOption } from './deidentify-options.ts';
import type { Pseudonyms } from './deidentify-pseudonyms.ts';
import { deidentifyRefusal } from './deidentify-refusal.ts';
import type { DicomDataset } from './dicom-dataset.ts';
import type { Part10 } from './read-part10.ts';

export interface DeidentifyHow {
  readonly pseudonyms: Pseudonyms;
  /** None: the basic profile alone. */
  readonly options?: readonly DeidentifyOption[];
}

export type Deidentified =
  | {
      readonly kind: 'deidentified';
      readonly file: Buffer;
      /** The UIDs that stand in the file. */
      readonly studyInstanceUid: string;
      readonly seriesInstanceUid: string;
      readonly sopInstanceUid: string;
    }
  | { readonly kind: 'refused'; readonly verdict: GateVerdict };

/**
 * A DICOM file without its patient: PS3.15 Annex E, Basic Application Level Confidentiality Profile, with options. The result is a file of its own
 * in explicit VR little endian (encapsulated pixels in their transfer syntax), with an empty preamble, new file meta information and nothing
 * behind the pixels; every pixel is as it was. UIDs, patient id and date shift come from the key, so that the files of a study, made one by one, still
 * belong together. Refused by name where the profile does not reach (`deidentify-refusal.ts`). Throws what reading text beyond the
 * limits throws, and `dicom.truncated` for half an image.
 */
export function deidentify(part10: Part10, { pseudonyms, options = [] }: DeidentifyHow): Deidentified {
  const { dataset, pixelData } = part10;
  const verdict = deidentifyRefusal(dataset) ?? (pixelData === null ? NO_PIXELS : null);
  if (verdict !== null || pixelData === null) return { kind: 'refused', verdict: verdict ?? NO_PIXELS };
  const changer = new ElementChanger(dataset, pseudonyms, new Set(options));
  const uidOf = (tag: number) => {
    const original = dataset.string(tag) ?? '';
    return options.includes('retain-uids') ? original : changer.uid(original, tag);
  };
  const sopInstanceUid = uidOf(SOP_INSTANCE);
  const elements = changer.elements(dataset).filter(({ tag }) => !OWN.has(tag));
  const sopClass = dataset.string(SOP_CLASS) ?? '';
  const file = Buffer.concat([
    fileMeta(sopClass, sopInstanceUid, part10.transferSyntaxUid),
    writeElements([...elements, ...statements(dataset, options)]),
    pixelElement(pixelData, dataset.number(BITS_ALLOCATED) ?? 16),
  ]);
  return {
    kind: 'deidentified',
    file,
    studyInstanceUid: uidOf(STUDY_INSTANCE),
    seriesInstanceUid: uidOf(SERIES_INSTANCE),
    sopInstanceUid,
  };
}

const NO_PIXELS: GateVerdict = {
  rule: 'images',
  observed: 'an object without pixels',
  required: 'an image',
};

const SOP_CLASS = 0x00080016;
const SOP_INSTANCE = 0x00080018;
const STUDY_INSTANCE = 0x0020000d;
const SERIES_INSTANCE = 0x0020000e;
const BITS_ALLOCATED = 0x00280100;
const IDENTITY_REMOVED = 0x00120062;
const METHOD = 0x00120063;
const METHOD_CODES = 0x00120064;
const TEMPORAL_MODIFIED = 0x00280303;
const OWN: ReadonlySet<number> = new Set([IDENTITY_REMOVED, METHOD, METHOD_CODES, TEMPORAL_MODIFIED]);

/** What was done, in the object itself (PS3.15 E.1.1 and PS3.3 C.7.1.1, C.12.1); methods of an earlier de-identification stay named. */
function statements(dataset: DicomDataset, options: readonly DeidentifyOption[]): WrittenElement[] {
  const used = new Set<string>(
    [BASIC_PROFILE, ...options.map((name) => DEIDENTIFY_OPTIONS[name])].map(({ code }) => code),
  );
  const earlier = new Set(dataset.items(METHOD_CODES).map((item) => item.string(0x00080100)));
  const all = [BASIC_PROFILE, ...Object.values(DEIDENTIFY_OPTIONS), ...OF_OTHERS];
  const methods = all.filter((method) => used.has(method.code) || earlier.has(method.code));
  const temporal = options.includes('retain-modified-dates') ? 'MODIFIED' : 'REMOVED';
  return [
    text(IDENTITY_REMOVED, 'CS', 'YES'),
    text(METHOD, 'LO', 'PS3.15 Annex E, Prelim'),
    text(TEMPORAL_MODIFIED, 'CS', temporal),
    {
      tag: METHOD_CODES,
      vr: 'SQ',
      value: methods.map(({ code, meaning }) => [
        text(0x00080100, 'SH', code),
        text(0x00080102, 'SH', 'DCM'),
        text(0x00080104, 'LO', meaning),
      ]),
    },
  ];
}

/** Methods of CID 7050 that others may have used. */
const OF_OTHERS = [
  { code: '113101', meaning: 'Clean Pixel Data Option' },
  { code: '113102', meaning: 'Clean Recognizable Visual Features Option' },
  { code: '113103', meaning: 'Clean Graphics Option' },
  { code: '113104', meaning: 'Clean Structured Content Option' },
] as const;

const text = (tag: number, vr: string, value: string): WrittenElement => ({
  tag,
  vr,
  value: textValue(value, vr),
});
