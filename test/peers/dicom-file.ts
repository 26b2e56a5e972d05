/**
 * A small DICOM file written by hand, explicit VR little endian, so that tests can say exactly what is in it. Not a writer for
 * the product: no sequences, no character sets.
 */
export interface DicomFileContent {
  readonly study: string;
  readonly series: string;
  readonly sop: string;
  /** Further elements: tag as eight digits, VR, value. */
  readonly elements?: readonly (readonly [tag: string, vr: string, value: string])[];
  readonly transferSyntax?: string;
  readonly preamble?: Buffer;
  readonly pixels?: Buffer;
}

const SECONDARY_CAPTURE = '1.2.840.10008.5.1.4.1.1.7';

export function dicomFile(content: DicomFileContent): Buffer {
  const meta = [
    element('00020002', 'UI', SECONDARY_CAPTURE),
    element('00020003', 'UI', content.sop),
    element('00020010', 'UI', content.transferSyntax ?? '1.2.840.10008.1.2.1'),
  ];
  const own: [string, string, string][] = [
    ['00080016', 'UI', SECONDARY_CAPTURE],
    ['00080018', 'UI', content.sop],
    ['0020000D', 'UI', content.study],
    ['0020000E', 'UI', content.series],
  ];
  const replaced = new Set((content.elements ?? []).map(([tag]) => tag.toUpperCase()));
  const elements = [...own.filter(([tag]) => !replaced.has(tag)), ...(content.elements ?? [])]
    .sort(([a], [b]) => (a.toUpperCase() < b.toUpperCase() ? -1 : 1))
    .map(([tag, vr, value]) => element(tag, vr, value));
  return Buffer.concat([
    content.preamble ?? Buffer.alloc(128),
    Buffer.from('DICM'),
    ...meta,
    ...elements,
    ...(content.pixels === undefined ? [] : [pixelData(content.pixels)]),
  ]);
}

function element(tag: string, vr: string, text: string): Buffer {
  const padding = vr === 'UI' ? '\0' : ' ';
  const value = Buffer.from(text.length % 2 === 0 ? text : text + padding, 'latin1');
  const head = Buffer.alloc(8);
  head.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), 0);
  head.writeUInt16LE(Number.parseInt(tag.slice(4), 16), 2);
  head.write(vr, 4, 'latin1');
  head.writeUInt16LE(value.length, 6);
  return Buffer.concat([head, value]);
}

function pixelData(pixels: Buffer): Buffer {
  const head = Buffer.from([0xe0, 0x7f, 0x10, 0x00, 0x4f, 0x57, 0, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(pixels.length, 8);
  return Buffer.concat([head, pixels]);
}
