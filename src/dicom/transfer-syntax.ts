/** How the pixels of a transfer syntax are packed; one decoder family each. */
export type PixelPacking = 'native' | 'rle' | 'jpeg' | 'jpeg-ls' | 'jpeg-2000' | 'htj2k';

export interface TransferSyntax {
  readonly uid: string;
  readonly name: string;
  readonly explicitVr: boolean;
  readonly littleEndian: boolean;
  /** The data set is deflated as a whole (PS3.5 A.5). */
  readonly deflated: boolean;
  readonly packing: PixelPacking;
  /** The syntax allows information to be lost; whether it was, (0028,2110) says. */
  readonly lossy: boolean;
}

export const IMPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2';
export const EXPLICIT_LITTLE_ENDIAN = '1.2.840.10008.1.2.1';
export const EXPLICIT_BIG_ENDIAN = '1.2.840.10008.1.2.2';
export const DEFLATED_LITTLE_ENDIAN = '1.2.840.10008.1.2.1.99';

/** Every transfer syntax whose pixels can be decoded (PS3.6 table A-1). */
export const TRANSFER_SYNTAXES: readonly TransferSyntax[] = [
  native(IMPLICIT_LITTLE_ENDIAN, 'Implicit VR Little Endian', { explicitVr: false }),
  native(EXPLICIT_LITTLE_ENDIAN, 'Explicit VR Little Endian', {}),
  native(EXPLICIT_BIG_ENDIAN, 'Explicit VR Big Endian', { littleEndian: false }),
  native(DEFLATED_LITTLE_ENDIAN, 'Deflated Explicit VR Little Endian', { deflated: true }),
  encapsulated('1.2.840.10008.1.2.5', 'RLE Lossless', 'rle', false),
  encapsulated('1.2.840.10008.1.2.4.50', 'JPEG Baseline (Process 1)', 'jpeg', true),
  encapsulated('1.2.840.10008.1.2.4.51', 'JPEG Extended (Process 2 & 4)', 'jpeg', true),
  encapsulated('1.2.840.10008.1.2.4.53', 'JPEG Spectral Selection (Process 6 & 8), retired', 'jpeg', true),
  encapsulated('1.2.840.10008.1.2.4.55', 'JPEG Full Progression (Process 10 & 12), retired', 'jpeg', true),
  encapsulated('1.2.840.10008.1.2.4.57', 'JPEG Lossless (Process 14)', 'jpeg', false),
  encapsulated('1.2.840.10008.1.2.4.70', 'JPEG Lossless (Process 14, Selection Value 1)', 'jpeg', false),
  encapsulated('1.2.840.10008.1.2.4.80', 'JPEG-LS Lossless', 'jpeg-ls', false),
  encapsulated('1.2.840.10008.1.2.4.81', 'JPEG-LS Lossy (Near-Lossless)', 'jpeg-ls', true),
  encapsulated('1.2.840.10008.1.2.4.90', 'JPEG 2000 (Lossless Only)', 'jpeg-2000', false),
  encapsulated('1.2.840.10008.1.2.4.91', 'JPEG 2000', 'jpeg-2000', true),
  encapsulated('1.2.840.10008.1.2.4.201', 'High-Throughput JPEG 2000 (Lossless Only)', 'htj2k', false),
  encapsulated(
    '1.2.840.10008.1.2.4.202',
    'High-Throughput JPEG 2000 with RPCL (Lossless Only)',
    'htj2k',
    false,
  ),
  encapsulated('1.2.840.10008.1.2.4.203', 'High-Throughput JPEG 2000', 'htj2k', true),
];

const BY_UID = new Map(TRANSFER_SYNTAXES.map((syntax) => [syntax.uid, syntax]));

/** The syntax with this UID, or undefined when its pixels cannot be decoded here. */
export function findTransferSyntax(uid: string): TransferSyntax | undefined {
  return BY_UID.get(uid);
}

function native(uid: string, name: string, difference: Partial<TransferSyntax>): TransferSyntax {
  return {
    uid,
    name,
    explicitVr: true,
    littleEndian: true,
    deflated: false,
    packing: 'native',
    lossy: false,
    ...difference,
  };
}

function encapsulated(uid: string, name: string, packing: PixelPacking, lossy: boolean): TransferSyntax {
  return { uid, name, explicitVr: true, littleEndian: true, deflated: false, packing, lossy };
}
