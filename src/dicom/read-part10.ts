import { inflateRawSync, inflateSync } from 'node:zlib';
import { Failure } from '../kernel/errors.ts';
import { DicomDataset } from './dicom-dataset.ts';
import type { PixelData } from './pixel-data.ts';
import { isKnownVr } from './reading/data-dictionary.ts';
import { ELEMENT_BYTES_MIN, ELEMENTS_MAX, INFLATED_BYTES_MAX, LARGE_ELEMENTS_MAX } from './reading/limits.ts';
import { type Encoding, type ParseOptions, parseElements } from './reading/parse-elements.ts';
import {
  DEFLATED_LITTLE_ENDIAN,
  EXPLICIT_BIG_ENDIAN,
  EXPLICIT_LITTLE_ENDIAN,
  findTransferSyntax,
  IMPLICIT_LITTLE_ENDIAN,
} from './transfer-syntax.ts';

/** A file as read: its elements by place, its pixels by place. The file's bytes must stay unchanged while it is used. */
export interface Part10 {
  /** As stated in (0002,0010), or found by looking where none is stated. */
  readonly transferSyntaxUid: string;
  /** File meta information, group 0002; without elements when the file has none. */
  readonly meta: DicomDataset;
  readonly dataset: DicomDataset;
  /** Null when there are none, or when reading stopped before them. */
  readonly pixelData: PixelData | null;
}

export interface ReadOptions {
  /** Read the header only. Encapsulated pixels are then not walked through. */
  readonly stopBeforePixels?: boolean;
  /** Elements and items allowed, default 20,000; `elementsAllowed` for files that may be large multi-frame objects. */
  readonly elementsMax?: number;
}

/** Elements and items that a file of so many bytes may have: 20,000, of a large one one per 40 bytes, never more than 200,000. */
export function elementsAllowed(bytes: number): number {
  return Math.max(ELEMENTS_MAX, Math.min(LARGE_ELEMENTS_MAX, Math.floor(bytes / ELEMENT_BYTES_MIN)));
}

/**
 * Reads a DICOM file (PS3.10 7), with or without preamble and file meta information, in the uncompressed encodings of
 * PS3.5 Annex A and with encapsulated pixels. The file is not trusted: see `reading/limits.ts`. Values are decoded later,
 * when asked for. Throws `dicom.not-dicom`, `dicom.malformed`, `dicom.truncated`, `dicom.too-large`.
 */
export function readPart10(file: Buffer, options: ReadOptions = {}): Part10 {
  const parse: ParseOptions = {
    elementsMax: options.elementsMax ?? ELEMENTS_MAX,
    stopBeforePixels: options.stopBeforePixels ?? false,
  };
  const start = startOf(file);
  const { meta, end } = readMeta(file, start, parse);
  const stated = meta.string(TRANSFER_SYNTAX_UID);
  if (stated === DEFLATED_LITTLE_ENDIAN) {
    const { dataset, pixelData } = parseElements(inflate(file.subarray(end)), 0, EXPLICIT, parse);
    return { transferSyntaxUid: stated, meta, dataset, pixelData };
  }
  const transferSyntaxUid = foundSyntax(file, end, stated);
  const syntax = findTransferSyntax(transferSyntaxUid) ?? EXPLICIT;
  const { dataset, pixelData } = parseElements(file, end, syntax, parse);
  return { transferSyntaxUid, meta, dataset, pixelData };
}

const TRANSFER_SYNTAX_UID = 0x00020010;
const PREAMBLE_BYTES = 128;
/** Every syntax that is not native is explicit little endian (PS3.5 A.4), so an unknown one is read as that. */
const EXPLICIT: Encoding = { explicitVr: true, littleEndian: true };

function startOf(file: Buffer): number {
  if (file.toString('latin1', PREAMBLE_BYTES, PREAMBLE_BYTES + 4) === 'DICM') return PREAMBLE_BYTES + 4;
  if (file.toString('latin1', 0, 4) === 'DICM') return 4;
  if (guessSyntax(file, 0) === null) {
    throw new Failure(
      'dicom.not-dicom',
      'The file is not DICOM: it has no DICM prefix and does not begin with an element.',
    );
  }
  return 0;
}

function readMeta(file: Buffer, start: number, options: ParseOptions): { meta: DicomDataset; end: number } {
  const encoding = isExplicit(file, start) ? EXPLICIT : { explicitVr: false, littleEndian: true };
  // The group length (0002,0000) is missing or wrong in some files, so the group itself says where it ends.
  const { dataset, end } = parseElements(file, start, encoding, { ...options, onlyGroup: 0x0002 });
  return { meta: dataset, end };
}

/** Some writers state one native syntax and write another; what stands there decides. */
function foundSyntax(file: Buffer, at: number, stated: string | null): string {
  const syntax = stated === null ? undefined : findTransferSyntax(stated);
  if (stated !== null && syntax?.packing !== 'native') return stated;
  return guessSyntax(file, at) ?? stated ?? IMPLICIT_LITTLE_ENDIAN;
}

/** From the first element: a valid VR means explicit; the group number, small in one byte order only, tells the order. */
function guessSyntax(file: Buffer, at: number): string | null {
  if (file.length - at < 8) return null;
  const group = file.readUInt16LE(at);
  if (isExplicit(file, at))
    return group <= file.readUInt16BE(at) ? EXPLICIT_LITTLE_ENDIAN : EXPLICIT_BIG_ENDIAN;
  const length = file.readUInt32LE(at + 4);
  const plausible = FIRST_GROUPS.has(group) && (length === 0xffffffff || length <= file.length - at - 8);
  return plausible ? IMPLICIT_LITTLE_ENDIAN : null;
}

/** Groups a data set begins with: file meta, directory, identification, patient, acquisition, relationship. */
const FIRST_GROUPS = new Set([0x0002, 0x0004, 0x0008, 0x0010, 0x0018, 0x0020]);

function isExplicit(file: Buffer, at: number): boolean {
  return isKnownVr(file.toString('latin1', at + 4, at + 6));
}

function inflate(deflated: Buffer): Buffer {
  try {
    // RFC 1951 without a header is the standard (PS3.5 A.5); some writers add the zlib header (RFC 1950).
    const options = { maxOutputLength: INFLATED_BYTES_MAX };
    return hasZlibHeader(deflated) ? inflateSync(deflated, options) : inflateRawSync(deflated, options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new Failure(
        'dicom.too-large',
        `The deflated data set is larger than ${INFLATED_BYTES_MAX} bytes.`,
      );
    }
    throw new Failure('dicom.malformed', 'The deflated data set cannot be inflated.', { cause: error });
  }
}

function hasZlibHeader(bytes: Buffer): boolean {
  return bytes.length > 2 && ((bytes[0] ?? 0) & 0x0f) === 8 && bytes.readUInt16BE(0) % 31 === 0;
}
