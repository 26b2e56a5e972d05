import type { GateVerdict } from '../kernel/handoffs.ts';
import { fileMeta } from './deidentify/file-meta.ts';
import { pixelElement } from './deidentify/pixel-element.ts';
import {
  littleEndianValue,
  padded,
  textValue,
  type WrittenElement,
  writeElements,
} from './deidentify/write-elements.ts';
import type { Pseudonyms } from './deidentify-pseudonyms.ts';
import type { DicomDataset, DicomElement } from './dicom-dataset.ts';
import type { Part10 } from './read-part10.ts';

export interface Originals {
  /** Pseudonym to UID, under every key of the site. */
  readonly uids: ReadonlyMap<string, string>;
  /** One data set of each study, by its UID. */
  readonly studies: ReadonlyMap<string, DicomDataset>;
}

export type Restored =
  | { readonly kind: 'restored'; readonly file: Buffer; readonly sopInstanceUid: string }
  | { readonly kind: 'refused'; readonly verdict: GateVerdict };

/** What the originals of a study were called when they left. Every UID in them counts: also of frames of reference and of earlier results. */
export function originalsOf(datasets: Iterable<DicomDataset>, keys: readonly Pseudonyms[]): Originals {
  const uids = new Map<string, string>();
  const studies = new Map<string, DicomDataset>();
  for (const dataset of datasets) {
    for (const uid of uidsIn(dataset)) for (const key of keys) uids.set(key.uid(uid), uid);
    const study = dataset.string(STUDY_INSTANCE);
    if (study !== null && !studies.has(study)) studies.set(study, dataset);
  }
  return { uids, studies };
}

/**
 * A result that somebody made of de-identified images, with the UIDs, the patient and the study of the originals again, text as UTF-8. Refused when its
 * study, or an image it refers to, is none of the originals nor of the results (`ownUids`): a result must never come to the wrong patient.
 */
export function restoreIdentity(
  result: Part10,
  originals: Originals,
  ownUids: ReadonlySet<string>,
): Restored {
  const { dataset, pixelData, transferSyntaxUid } = result;
  const study = dataset.string(STUDY_INSTANCE) ?? '';
  const original = originals.studies.get(originals.uids.get(study) ?? '');
  if (original === undefined) return refused('a study that is none of the originals');
  for (const uid of referencesIn(dataset)) {
    if (!originals.uids.has(uid) && !ownUids.has(uid))
      return refused('a reference to an image that is none of the originals');
  }
  const copied = COPIED.flatMap((tag) => elementOf(original, tag, new Map()));
  const kept = elementsOf(dataset, originals.uids).filter(({ tag }) => !NOT_KEPT.has(tag));
  const sopInstance = dataset.string(SOP_INSTANCE) ?? '';
  const sopInstanceUid = originals.uids.get(sopInstance) ?? sopInstance;
  const elements = [
    ...kept,
    ...copied,
    { tag: CHARACTER_SET, vr: 'CS', value: textValue('ISO_IR 192', 'CS') },
  ];
  const file = Buffer.concat([
    fileMeta(dataset.string(SOP_CLASS) ?? '', sopInstanceUid, transferSyntaxUid),
    writeElements(elements),
    pixelData === null ? Buffer.alloc(0) : pixelElement(pixelData, dataset.number(BITS_ALLOCATED) ?? 16),
  ]);
  return { kind: 'restored', file, sopInstanceUid };
}

const refused = (observed: string): Restored => ({
  kind: 'refused',
  verdict: { rule: 'attributes', observed, required: 'a result of the images that were sent' },
});

const CHARACTER_SET = 0x00080005;
const SOP_CLASS = 0x00080016;
const SOP_INSTANCE = 0x00080018;
const STUDY_INSTANCE = 0x0020000d;
const REFERENCED_INSTANCE = 0x00081155;
const BITS_ALLOCATED = 0x00280100;

/** Of patient and study: dates, accession number, referrer, description; id with its issuer, name, birth date, sex, age, size, weight. */
const COPIED = [
  ...[0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080090, 0x00081030, 0x00080201, 0x00200010],
  ...[0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040, 0x00101010, 0x00101020, 0x00101030],
];

/** Written anew, or true of the de-identified object only. */
const NOT_KEPT: ReadonlySet<number> = new Set([
  ...COPIED,
  CHARACTER_SET,
  0x00120062, // PatientIdentityRemoved
  0x00120063, // DeidentificationMethod
  0x00120064, // DeidentificationMethodCodeSequence
  0x00280303, // LongitudinalTemporalInformationModified
]);

function elementsOf(dataset: DicomDataset, uids: ReadonlyMap<string, string>): WrittenElement[] {
  return [...dataset.all()].flatMap(({ tag }) =>
    (tag & 0xffff) === 0 || tag === CHARACTER_SET ? [] : elementOf(dataset, tag, uids),
  );
}

/** One element, or none when it is absent; text in UTF-8, UIDs as the originals have them. */
function elementOf(dataset: DicomDataset, tag: number, uids: ReadonlyMap<string, string>): WrittenElement[] {
  const element = dataset.get(tag);
  if (element === undefined) return [];
  const { vr, items } = element;
  if (items !== null) return [{ tag, vr: 'SQ', value: items.map((item) => elementsOf(item, uids)) }];
  return [{ tag, vr, value: changedValue(dataset, element, uids) }];
}

function changedValue(
  dataset: DicomDataset,
  element: DicomElement,
  uids: ReadonlyMap<string, string>,
): Buffer {
  const { tag, vr } = element;
  if (vr === 'UI')
    return textValue(
      dataset
        .strings(tag)
        .map((uid) => uids.get(uid) ?? uid)
        .join('\\'),
      vr,
    );
  if (ENCODED_VRS.has(vr)) return padded(Buffer.from(dataset.strings(tag).join('\\')), 0x20);
  const bytes = littleEndianValue(dataset.valueBytes(element), vr, dataset.littleEndian);
  return padded(bytes, /^[ACDIT]/.test(vr) ? 0x20 : 0);
}

/** VRs that (0008,0005) applies to. */
const ENCODED_VRS: ReadonlySet<string> = new Set(['LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UT']);

function* uidsIn(dataset: DicomDataset): Generator<string> {
  for (const { tag, vr, items } of dataset.all()) {
    for (const item of items ?? []) yield* uidsIn(item);
    if (vr === 'UI') yield* dataset.strings(tag).filter((uid) => uid !== '');
  }
}

function* referencesIn(dataset: DicomDataset): Generator<string> {
  yield* dataset.strings(REFERENCED_INSTANCE).filter((uid) => uid !== '');
  for (const { items } of dataset.all()) for (const item of items ?? []) yield* referencesIn(item);
}
