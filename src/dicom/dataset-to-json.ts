import type { DicomDataset, DicomElement } from './dicom-dataset.ts';
import { decodeBigIntegers, decodeNumbers, decodeStrings, tagKey } from './reading/decode-values.ts';

/** One attribute of the DICOM JSON model (PS3.18 F.2.2). Larger binary values have neither Value nor InlineBinary. */
export interface JsonAttribute {
  readonly vr: string;
  readonly Value?: readonly unknown[];
  readonly InlineBinary?: string;
}

/**
 * A data set in the DICOM JSON model (PS3.18 F.2), assignable to `DicomJson`: person names as groups, IS and DS as
 * numbers (as text where they are none), empty values as null, 64-bit integers beyond 2^53 as text. Pixel data, group
 * lengths and file meta information are left out, and so are BulkDataURIs: the door that serves bulk data adds them.
 * Throws `dicom.too-large` for text beyond the reader's limits.
 */
export function datasetToJson(dataset: DicomDataset): Record<string, JsonAttribute> {
  const json: Record<string, JsonAttribute> = {};
  const elements = [...dataset.all()].sort((a, b) => a.tag - b.tag);
  for (const element of elements) {
    if ((element.tag & 0xffff) !== 0) json[tagKey(element.tag)] = attributeOf(dataset, element);
  }
  return json;
}

const SPECIFIC_CHARACTER_SET = 0x00080005;
/** Binary values up to this size are given inline; larger ones are bulk data. */
const INLINE_BINARY_BYTES_MAX = 1024;

function attributeOf(dataset: DicomDataset, element: DicomElement): JsonAttribute {
  const { vr } = element;
  if (element.items !== null) {
    return element.items.length === 0 ? { vr } : { vr, Value: element.items.map(datasetToJson) };
  }
  if (element.length === 0) return { vr };
  if (isBinary(vr)) {
    if (element.length > INLINE_BINARY_BYTES_MAX) return { vr };
    return { vr, InlineBinary: littleEndianBytes(dataset, element).toString('base64') };
  }
  const Value = valuesOf(dataset, element);
  return Value.every((value) => value === null) ? { vr } : { vr, Value };
}

function valuesOf(dataset: DicomDataset, element: DicomElement): unknown[] {
  switch (element.vr) {
    case 'US':
    case 'SS':
    case 'UL':
    case 'SL':
    case 'FL':
    case 'FD':
      return decodeNumbers(dataset, element).map((value) => (Number.isFinite(value) ? value : null));
    case 'SV':
    case 'UV':
      return decodeBigIntegers(dataset, element).map(numberIfSafe);
    case 'IS':
    case 'DS':
      return decodeStrings(dataset, element).map(numberIfOne);
    case 'CS':
      // The JSON text is UTF-8, whatever the file was in (PS3.18 F.2.1.1.1).
      if (element.tag === SPECIFIC_CHARACTER_SET) return ['ISO_IR 192'];
      return decodeStrings(dataset, element).map((value) => (value === '' ? null : value));
    case 'PN':
      return decodeStrings(dataset, element).map(personName);
    default:
      return decodeStrings(dataset, element).map((value) => (value === '' ? null : value));
  }
}

/** PS3.18 F.2.2: the groups by name; empty groups are left out. */
function personName(text: string): Record<string, string> | null {
  const name: Record<string, string> = {};
  const groups = text.split('=');
  for (const [index, key] of ['Alphabetic', 'Ideographic', 'Phonetic'].entries()) {
    const group = groups[index]?.replace(/[\^ ]{1,64}$/, '').trim();
    if (group) name[key] = group;
  }
  return Object.keys(name).length === 0 ? null : name;
}

function numberIfOne(text: string): number | string | null {
  if (text === '') return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : text;
}

function numberIfSafe(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function isBinary(vr: string): boolean {
  return vr[0] === 'O' || vr === 'UN' || !/^[A-Z]{2}$/.test(vr) || !VALUE_VRS.has(vr);
}

const VALUE_VRS = new Set(
  'AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST SV TM UC UI UL UR US UT UV'.split(' '),
);

/** PS3.18 F.2.7: InlineBinary is little endian. */
function littleEndianBytes(dataset: DicomDataset, element: DicomElement): Buffer {
  const bytes = dataset.valueBytes(element);
  const width = { OW: 2, OL: 4, OF: 4, OD: 8, OV: 8 }[element.vr] ?? 1;
  if (dataset.littleEndian || width === 1 || bytes.length % width !== 0) return bytes;
  const copy = Buffer.from(bytes);
  if (width === 2) return copy.swap16();
  return width === 4 ? copy.swap32() : copy.swap64();
}
