import { createRequire } from 'node:module';
import { Failure } from '../kernel/errors.ts';
import { EXPLICIT_LITTLE_ENDIAN } from './transfer-syntax.ts';

/** Identifies Prelim as the writer of a file (PS3.7 D.3.3.2); made once from a UUID (PS3.5 B.2). */
export const IMPLEMENTATION_CLASS_UID = '2.25.261365452794749476635083606355148250039';
export const IMPLEMENTATION_VERSION_NAME = 'PRELIM_0_1';

/** A data set with the keywords of PS3.6 as names: `{ PatientID: '1', ReferencedSeriesSequence: [{ … }] }`. */
export type NaturalizedDataset = Readonly<Record<string, unknown>>;

/**
 * Writes a data set as a DICOM file (PS3.10 7.1) in explicit VR little endian, text as UTF-8. `pixel` is the value of
 * PixelData in little endian (OW above 8 bits allocated, else OB); it is copied once, into the result. Throws
 * `dicom.value` when SOPClassUID or SOPInstanceUID is missing, or for a name that PS3.6 does not know, which would
 * otherwise be lost silently.
 */
export function writePart10(naturalized: NaturalizedDataset, pixel?: Uint8Array): Buffer {
  const dcmjs = loadDcmjs();
  if ('PixelData' in naturalized)
    throw new Failure('dicom.value', 'Hand PixelData over as the second argument.');
  const dataset = prepare(
    { ...naturalized, SpecificCharacterSet: 'ISO_IR 192' },
    naturalized['PixelRepresentation'],
  );
  const { denaturalizeDataset } = dcmjs.data.DicomMetaDictionary;
  const dict = new dcmjs.data.DicomDict(denaturalizeDataset(metaOf(naturalized)));
  dict.dict = denaturalizeDataset(dataset);
  const head = new Uint8Array(dict.write());
  if (pixel === undefined) return Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  const padded = pixel.byteLength + (pixel.byteLength & 1);
  const file = Buffer.allocUnsafe(head.byteLength + PIXEL_HEAD_BYTES + padded);
  file.set(head);
  writePixelHead(file, head.byteLength, Number(naturalized['BitsAllocated']) > 8 ? 'OW' : 'OB', padded);
  file.set(pixel, head.byteLength + PIXEL_HEAD_BYTES);
  if (padded > pixel.byteLength) file[file.length - 1] = 0;
  return file;
}

/** Tag, VR, two reserved bytes, 32-bit length (PS3.5 7.1.2). */
const PIXEL_HEAD_BYTES = 12;

function writePixelHead(file: Buffer, at: number, vr: 'OB' | 'OW', length: number): void {
  file.writeUInt16LE(0x7fe0, at);
  file.writeUInt16LE(0x0010, at + 2);
  file.write(vr, at + 4, 'latin1');
  file.writeUInt16LE(0, at + 6);
  file.writeUInt32LE(length, at + 8);
}

function metaOf({ SOPClassUID, SOPInstanceUID }: NaturalizedDataset): NaturalizedDataset {
  if (typeof SOPClassUID !== 'string' || typeof SOPInstanceUID !== 'string') {
    throw new Failure('dicom.value', 'A DICOM file needs one SOPClassUID and one SOPInstanceUID.');
  }
  return {
    FileMetaInformationVersion: Uint8Array.of(0, 1).buffer,
    MediaStorageSOPClassUID: SOPClassUID,
    MediaStorageSOPInstanceUID: SOPInstanceUID,
    TransferSyntaxUID: EXPLICIT_LITTLE_ENDIAN,
    ImplementationClassUID: IMPLEMENTATION_CLASS_UID,
    ImplementationVersionName: IMPLEMENTATION_VERSION_NAME,
  };
}

/** Checks every name, and settles the VRs that PS3.6 leaves open (US or SS by PixelRepresentation, OW for OB or OW). */
function prepare(dataset: NaturalizedDataset, pixelRepresentation: unknown): Record<string, unknown> {
  const { nameMap } = loadDcmjs().data.DicomMetaDictionary;
  const prepared: Record<string, unknown> = {};
  const vrs: Record<string, string> = {};
  for (const [name, value] of Object.entries(dataset)) {
    const entry = nameMap[name];
    if (name === '_vrMap') Object.assign(vrs, value);
    if (name.startsWith('_') || value === undefined) continue;
    if (entry === undefined)
      throw new Failure('dicom.value', `PS3.6 has no attribute with the keyword ${keyword(name)}.`);
    if (entry.vr === 'xs') vrs[name] ??= pixelRepresentation === 1 ? 'SS' : 'US';
    if (entry.vr === 'ox' || entry.vr === 'lt') vrs[name] ??= 'OW';
    prepared[name] =
      entry.vr === 'SQ' ? itemsOf(value).map((item) => prepare(item, pixelRepresentation)) : value;
  }
  return { ...prepared, _vrMap: vrs };
}

function itemsOf(value: unknown): NaturalizedDataset[] {
  const items: unknown[] = Array.isArray(value) ? value : value === null ? [] : [value];
  return items.filter((item): item is NaturalizedDataset => typeof item === 'object' && item !== null);
}

function keyword(name: string): string {
  return /^[A-Za-z0-9_]{1,64}$/.test(name) ? name : '(not a keyword)';
}

/** The part of dcmjs used here; the package has no types. */
interface Dcmjs {
  readonly log: {
    setLevel(level: 'silent'): void;
    getLogger(name: string): { setLevel(level: 'silent'): void };
  };
  readonly data: {
    readonly DicomMetaDictionary: {
      readonly nameMap: Readonly<Record<string, { readonly vr: string } | undefined>>;
      denaturalizeDataset(dataset: NaturalizedDataset): object;
    };
    readonly DicomDict: new (meta: object) => { dict: object; write(): ArrayBuffer };
  };
}

let loaded: Dcmjs | null = null;

/** Loaded when first used, for it takes about 80 ms. Its log is off: it would print values, and values are patient data. */
function loadDcmjs(): Dcmjs {
  if (loaded === null) {
    loaded = createRequire(import.meta.url)('dcmjs') as Dcmjs;
    loaded.log.setLevel('silent');
    loaded.log.getLogger('validation.dcmjs').setLevel('silent');
  }
  return loaded;
}
