import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from 'vitest';
import { type DecodedPixels, decodePixels } from './decode-pixels.ts';
import {
  element,
  encapsulated,
  HOSTILE_MS_MAX,
  hasSharedData,
  imagePixel,
  outcomeOf,
  part10,
  sharedFile,
  sharedTitle,
  shortestMs,
} from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';

const EXPLICIT = '1.2.840.10008.1.2.1';
const RLE = '1.2.840.10008.1.2.5';
const JPEG = '1.2.840.10008.1.2.4.50';
const J2K = '1.2.840.10008.1.2.4.90';
const HTJ2K = '1.2.840.10008.1.2.4.201';
const PROGRESSIVE = '1.2.840.10008.1.2.4.55';

const decode = (file: Buffer): Promise<DecodedPixels> => decodePixels(readPart10(file));
const shared = (path: string): Promise<DecodedPixels> => decode(sharedFile(path));

describe('stored values of uncompressed pixels', () => {
  it('lose what is not stored and get their sign', async () => {
    const more = [element(0x00280101, 'US', 12), element(0x00280102, 'US', 11), element(0x00280103, 'US', 1)];
    const pixels = Buffer.from([0xff, 0xff, 0xff, 0x07, 0x00, 0xf8, 0x01, 0x30]);
    const file = part10(EXPLICIT, ...imagePixel(2, 2, 16, more), element(0x7fe00010, 'OW', pixels));
    expect((await decode(file)).values).toEqual(Int16Array.of(-1, 2047, -2048, 1));
  });

  it('are shifted down when HighBit is not BitsStored - 1', async () => {
    const more = [element(0x00280101, 'US', 12), element(0x00280102, 'US', 15)];
    const file = part10(
      EXPLICIT,
      ...imagePixel(1, 1, 16, more),
      element(0x7fe00010, 'OW', Buffer.from([0x3f, 0x12])),
    );
    expect((await decode(file)).values).toEqual(Uint16Array.of(0x123));
  });

  it('are unpacked from bits across frames', async () => {
    const more = [element(0x00280008, 'IS', '2')];
    const file = part10(
      EXPLICIT,
      ...imagePixel(3, 1, 1, more),
      element(0x7fe00010, 'OB', Buffer.from([0b101101, 0])),
    );
    const { values, frames } = await decode(file);
    expect([...values]).toEqual([1, 0, 1, 1, 0, 1]);
    expect(frames).toBe(2);
    expect([...(await decodePixels(readPart10(file), { frame: 1 })).values]).toEqual([1, 0, 1]);
    expect(await outcomeOf(() => decodePixels(readPart10(file), { frame: 2 }))).toBe('dicom.pixel-size');
  });

  it('of colour planes are put side by side', async () => {
    const more = [element(0x00280006, 'US', 1)];
    const grey = imagePixel(1, 2, 8, more).slice(2);
    const colour = [element(0x00280002, 'US', 3), element(0x00280004, 'CS', 'RGB'), ...grey];
    const file = part10(EXPLICIT, ...colour, element(0x7fe00010, 'OB', Buffer.from([1, 2, 3, 4, 5, 6])));
    expect([...(await decode(file)).values]).toEqual([1, 3, 5, 2, 4, 6]);
  });

  it('of 32 bits keep their sign, in either byte order', async () => {
    const more = [element(0x00280103, 'US', 1)];
    const values = Int32Array.of(-2_000_000_000, 70_000);
    const bytes = Buffer.from(values.buffer);
    const little = part10(EXPLICIT, ...imagePixel(1, 2, 32, more), element(0x7fe00010, 'OW', bytes));
    expect((await decode(little)).values).toEqual(values);
    const packed = rleOf(bytes, 4);
    const rle = part10(RLE, ...imagePixel(1, 2, 32, more), encapsulated(packed));
    expect((await decode(rle)).values).toEqual(values);
  });

  it('have a buffer of their own, so that they may be moved to another thread', async () => {
    const file = part10(EXPLICIT, ...imagePixel(1, 2, 8), element(0x7fe00010, 'OB', Buffer.from([1, 2])));
    const { values } = await decode(file);
    expect(values.buffer.byteLength).toBe(2);
  });
});

interface Htj2kEncoder {
  getDecodedBuffer(info: object): Uint8Array;
  getEncodedBuffer(): Uint8Array;
  setQuality(reversible: boolean, quantizationStep: number): void;
  encode(): void;
}

/** By the encoder beside the decoder: no other program here writes HTJ2K. */
async function encodeHtj2k(
  values: Int16Array | Uint16Array,
  { width, height, signed }: { width: number; height: number; signed: boolean },
): Promise<Buffer> {
  const load = createRequire(import.meta.url)('@cornerstonejs/codec-openjph') as (
    options: object,
  ) => Promise<{ HTJ2KEncoder: new () => Htj2kEncoder }>;
  const { HTJ2KEncoder } = await load({ print: () => undefined });
  const encoder = new HTJ2KEncoder();
  const info = { width, height, bitsPerSample: 16, componentCount: 1, isSigned: signed };
  encoder
    .getDecodedBuffer({ ...info, isUsingColorTransform: false })
    .set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  encoder.setQuality(true, 0);
  encoder.encode();
  return Buffer.from(encoder.getEncodedBuffer());
}

/** One literal run per byte plane, most significant first (PS3.5 G.2). */
function rleOf(cells: Buffer, cell: number): Buffer {
  const pixels = cells.length / cell;
  const planes = Array.from({ length: cell }, (_, plane) =>
    Buffer.from([
      pixels - 1,
      ...Array.from({ length: pixels }, (__, at) => cells[at * cell + cell - 1 - plane] ?? 0),
    ]),
  );
  const head = Buffer.alloc(64);
  head.writeUInt32LE(cell, 0);
  planes.forEach((_, plane) => {
    head.writeUInt32LE(64 + plane * (pixels + 1), 4 + 4 * plane);
  });
  return Buffer.concat([head, ...planes]);
}

describe('refusing hostile pixels by name, at once and without memory', () => {
  const native = (image: Buffer[], bytes: number) =>
    part10(EXPLICIT, ...image, element(0x7fe00010, 'OW', Buffer.alloc(bytes)));
  const rows = (value: Buffer) => [
    ...imagePixel(1, 1, 8).map((part) =>
      part.readUInt16LE(2) === 0x10 ? element(0x00280010, 'US', value) : part,
    ),
  ];
  const frames = (count: string) => imagePixel(65_535, 65_535, 16, [element(0x00280008, 'IS', count)]);
  const packed = (uid: string, size: number, ...fragments: Buffer[]) =>
    part10(uid, ...imagePixel(size, size, 8), encapsulated(...fragments));
  const rleHead = (segments: number, start: number) => {
    const head = Buffer.alloc(64);
    head.writeUInt32LE(segments, 0);
    head.writeUInt32LE(start, 4);
    return head;
  };
  const jpegOf = (height: number, width: number) => {
    const frame = Buffer.from('ffd8ffc0000b08000000000101110000', 'hex');
    frame.writeUInt16BE(height, 7);
    frame.writeUInt16BE(width, 9);
    return frame;
  };
  // Quantization table, 12-bit progressive frame of one component, one code, then scans that each refine the DC bit.
  const manyScans = (scans: number, size = 8) => {
    const frame = Buffer.from('ffc2000b0c0008000801011100', 'hex');
    frame.writeUInt16BE(size, 5);
    frame.writeUInt16BE(size, 7);
    const table = Buffer.concat([Buffer.from('ffdb004300', 'hex'), Buffer.alloc(64, 1)]);
    const scan = Buffer.from('ffda000801010000001000', 'hex');
    return Buffer.concat([
      Buffer.from('ffd8', 'hex'),
      table,
      frame,
      ...Array.from({ length: scans }, () => scan),
      ...(size > 8 ? [Buffer.alloc(40_000)] : []),
      Buffer.from('ffd9', 'hex'),
    ]);
  };
  const cases: [string, Buffer, string][] = [
    ['65,535 x 65,535 with 10 bytes', native(frames('10000'), 10), 'dicom.pixel-size'],
    [
      '16,384 x 16,384 x 10,000',
      native(imagePixel(16_384, 16_384, 16, [element(0x00280008, 'IS', '10000')]), 10),
      'dicom.too-large',
    ],
    ['16,385 rows', native(imagePixel(16_385, 1, 8), 10), 'dicom.pixel-size'],
    [
      'NumberOfFrames 99999999999',
      native(imagePixel(1, 1, 8, [element(0x00280008, 'IS', '99999999999')]), 2),
      'dicom.pixel-size',
    ],
    [
      '10,001 frames',
      native(imagePixel(1, 1, 8, [element(0x00280008, 'IS', '10001')]), 10_001),
      'dicom.pixel-size',
    ],
    [
      'no Rows',
      native(
        imagePixel(1, 1, 8).filter((part) => part.readUInt16LE(2) !== 0x10),
        2,
      ),
      'dicom.pixel-size',
    ],
    ['two values of Rows', native(rows(Buffer.from([1, 0, 1, 0])), 2), 'dicom.pixel-size'],
    ['Rows 0', native(rows(Buffer.from([0, 0])), 2), 'dicom.pixel-size'],
    ['Rows of 60,000 bytes', native(rows(Buffer.alloc(60_000, 1)), 2), 'dicom.pixel-size'],
    ['12 bits allocated', native(imagePixel(2, 2, 12), 6), 'dicom.pixel-format'],
    [
      '17 of 16 bits stored',
      native(imagePixel(1, 1, 16, [element(0x00280101, 'US', 17)]), 2),
      'dicom.pixel-size',
    ],
    ['pixels two bytes too long', native(imagePixel(2, 2, 16), 10), 'dicom.pixel-size'],
    ['pixels two bytes too short', native(imagePixel(2, 2, 16), 6), 'dicom.pixel-size'],
    ['pixels that the file cuts off', native(imagePixel(2, 2, 16), 8).subarray(0, -2), 'dicom.truncated'],
    ['RLE with a segment too many', packed(RLE, 2, rleHead(2, 64)), 'dicom.pixel-size'],
    ['RLE with a segment outside', packed(RLE, 2, rleHead(1, 0xffffffff)), 'dicom.codestream'],
    ['RLE larger than the image', packed(RLE, 2, rleHead(1, 64), Buffer.from([0x81, 7])), 'dicom.codestream'],
    [
      'RLE smaller than the image',
      packed(RLE, 16_384, Buffer.concat([rleHead(1, 64), Buffer.from([0xff, 7])])),
      'dicom.codestream',
    ],
    ['JPEG of 65,535 x 65,535', packed(JPEG, 16, jpegOf(65_535, 65_535)), 'dicom.pixel-size'],
    ['JPEG that is a header only', packed(JPEG, 16, jpegOf(16, 16)), 'dicom.codestream'],
    [
      'JPEG of 16,384 x 16,384 in a few bytes',
      packed(JPEG, 16_384, jpegOf(16_384, 16_384)),
      'dicom.codestream',
    ],
    [
      'progressive JPEG with scan after scan',
      part10(PROGRESSIVE, ...imagePixel(8, 8, 16), encapsulated(manyScans(1000))),
      'dicom.codestream',
    ],
    [
      '12-bit JPEG of 4,096 x 4,096 in an image of 8 bits',
      packed(PROGRESSIVE, 4096, manyScans(1, 4096)),
      'dicom.pixel-format',
    ],
    ['JPEG that is none', packed(JPEG, 16, Buffer.alloc(100, 0xff)), 'dicom.codestream'],
    ['JPEG 2000 that is none', packed(J2K, 16, Buffer.alloc(100)), 'dicom.codestream'],
    ['no fragment', packed(J2K, 16), 'dicom.no-pixels'],
    [
      'three fragments for two frames',
      part10(
        RLE,
        ...imagePixel(2, 2, 8, [element(0x00280008, 'IS', '2')]),
        encapsulated(Buffer.alloc(2), Buffer.alloc(2), Buffer.alloc(2)),
      ),
      'dicom.pixel-size',
    ],
    ['fragments in a native syntax', packed(EXPLICIT, 2, Buffer.alloc(4)), 'dicom.pixel-format'],
    [
      'native pixels in RLE',
      part10(RLE, ...imagePixel(2, 2, 8), element(0x7fe00010, 'OB', Buffer.alloc(4))),
      'dicom.pixel-format',
    ],
    ['no pixels at all', part10(EXPLICIT, ...imagePixel(2, 2, 8)), 'dicom.no-pixels'],
  ];
  beforeAll(async () => {
    // Loads the decoders, whose own memory is not what is measured.
    for (const [, file] of cases) await outcomeOf(() => decode(file));
  });
  for (const [title, file, code] of cases) {
    it(`${title}: ${code}`, async () => {
      const memory = process.memoryUsage().rss;
      expect(await outcomeOf(() => decode(file))).toBe(code);
      expect(await shortestMs(() => outcomeOf(() => decode(file)))).toBeLessThan(HOSTILE_MS_MAX);
      expect(process.memoryUsage().rss - memory).toBeLessThan(RSS_GROWTH_MAX);
    });
  }

  it('a transfer syntax that is not decoded is named', async () => {
    const file = part10('1.2.840.10008.1.2.4.100', ...imagePixel(2, 2, 8), encapsulated(Buffer.alloc(4)));
    await expect(decode(file)).rejects.toMatchObject({
      code: 'dicom.transfer-syntax',
      message: expect.stringContaining('1.2.840.10008.1.2.4.100'),
    });
  });
});

/** Growth of the resident set while a hostile file is refused. */
const RSS_GROWTH_MAX = 20 * 2 ** 20;

describe.skipIf(!hasSharedData)(sharedTitle('real pixels'), () => {
  it.each([
    'ct_explicit_be',
    'ct_implicit_le',
    'ct_deflated',
    'ct_rle',
    'ct_jpeg_lossless57',
    'ct_jpeg_lossless70',
    'ct_jpegls80',
    'ct_j2k90',
  ])('%s equals the uncompressed copy value by value', async (name) => {
    const expected = await shared('transfer-syntax/ct_explicit_le.dcm');
    const found = await shared(`transfer-syntax/${name}.dcm`);
    expect(Buffer.compare(Buffer.from(found.values.buffer), Buffer.from(expected.values.buffer))).toBe(0);
    expect(found).toMatchObject({
      rows: 512,
      columns: 512,
      signed: true,
      photometricInterpretation: 'MONOCHROME2',
    });
  });

  it.each([
    ['mr-small/MR_small.dcm', 'mr-small/MR_small_RLE.dcm'],
    ['mr-small/MR_small.dcm', 'mr-small/MR_small_bigendian.dcm'],
    ['mr-small/MR_small.dcm', 'mr-small/MR_small_implicit.dcm'],
    ['mr-small/MR_small.dcm', 'mr-small/MR_small_jp2klossless.dcm'],
    ['mr-small/MR_small.dcm', 'mr-small/MR_small_jpeg_ls_lossless.dcm'],
    ['mr-enhanced/emri_small.dcm', 'mr-enhanced/emri_small_RLE.dcm'],
    ['transfer-syntax/ect_2frame_rle_no_bot.dcm', 'transfer-syntax/ect_2frame_jpeg57_fragmented_no_bot.dcm'],
  ])('%s and %s hold the same values', async (one, other) => {
    expect((await shared(other)).values).toEqual((await shared(one)).values);
  });

  it.each([
    ['ct_jpegls_near81', 1],
    ['ct_j2k91', 5],
  ])('%s is near the uncompressed copy', async (name, error) => {
    const expected = await shared('transfer-syntax/ct_explicit_le.dcm');
    const { values } = await shared(`transfer-syntax/${name}.dcm`);
    let worst = 0;
    for (const [at, value] of values.entries())
      worst = Math.max(worst, Math.abs(value - (expected.values[at] ?? 0)));
    expect(worst).toBeLessThanOrEqual(error);
  });

  it.each([
    // Slope and intercept as the files state them, and the mean error in HU that their code streams make.
    ['ct_jpeg_ext51', 2.0002442, -4047, 5],
    ['ct_jpeg_baseline50', 32.1216, -4047, 25],
  ])('%s gives the same Hounsfield units on average', async (name, slope, intercept, error) => {
    const expected = await shared('transfer-syntax/ct_explicit_le.dcm');
    const { values } = await shared(`transfer-syntax/${name}.dcm`);
    let sum = 0;
    for (const [at, value] of values.entries()) {
      sum += Math.abs(value * slope + intercept - ((expected.values[at] ?? 0) - 1024));
    }
    expect(sum / values.length).toBeLessThan(error);
  });

  it.each([false, true])('HTJ2K made from a CT slice gives its values back (signed: %s)', async (signed) => {
    const expected = await shared('transfer-syntax/ct_explicit_le.dcm');
    const values = signed
      ? Int16Array.from(expected.values, (value) => Math.min(32_767, value - 1024))
      : Uint16Array.from(expected.values, (value) => Math.max(0, value));
    const frame = await encodeHtj2k(values, { width: 512, height: 512, signed });
    const more = [element(0x00280103, 'US', signed ? 1 : 0)];
    const file = part10(HTJ2K, ...imagePixel(512, 512, 16, more), encapsulated(frame));
    expect((await decode(file)).values).toEqual(values);
  });

  it('colours are as their code streams say', async () => {
    const corner = async (path: string) => {
      const { values, photometricInterpretation } = await shared(path);
      return [photometricInterpretation, ...values.slice(0, 3)];
    };
    expect(await corner('sc/SC_rgb_jpeg_gdcm.dcm')).toEqual(['RGB', 255, 0, 0]);
    expect(await corner('sc/SC_rgb_rle.dcm')).toEqual(['RGB', 255, 0, 0]);
    expect(await corner('sc/SC_rgb_jpeg_dcmtk.dcm')).toEqual(['RGB', 254, 0, 0]);
    expect((await corner('us/us_j2k_ybr_rct.dcm'))[0]).toBe('RGB');
    expect((await corner('sc/SC_ybr_full_422_uncompressed.dcm'))[0]).toBe('YBR_FULL');
    expect((await corner('us/us_palette.dcm'))[0]).toBe('PALETTE COLOR');
  });
});
