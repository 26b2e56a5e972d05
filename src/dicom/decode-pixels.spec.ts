import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
  sharedFiles,
  sharedTitle,
  shortestMs,
} from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';

const hasDcmdjpeg = spawnSync('dcmdjpeg', ['--version']).status === 0;

const EXPLICIT = '1.2.840.10008.1.2.1';
const RLE = '1.2.840.10008.1.2.5';
const JPEG = '1.2.840.10008.1.2.4.50';
const J2K = '1.2.840.10008.1.2.4.90';

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

  it('have a buffer of their own, so that they may be moved to another thread', async () => {
    const file = part10(EXPLICIT, ...imagePixel(1, 2, 8), element(0x7fe00010, 'OB', Buffer.from([1, 2])));
    const { values } = await decode(file);
    expect(values.buffer.byteLength).toBe(2);
  });
});

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

  it.skipIf(!hasDcmdjpeg).each([
    // Ours is a floating point transform there, DCMTK's an integer one.
    ['transfer-syntax/ct_jpeg_ext51.dcm', 1],
    ['other-xray/wg04_RG2_JPLY_hip.dcm', 1],
    ['transfer-syntax/ct_jpeg_baseline50.dcm', 0],
    ['odd/bad_sequence.dcm', 0],
    ['sc/SC_jpeg_no_color_transform.dcm', 0],
    ['sc/TestPattern_JPEG-Baseline_YBR422.dcm', 0],
    ['us/us_8frame_jpeg_fragmented_no_bot.dcm', 0],
  ])(hasDcmdjpeg ? '%s is as DCMTK decodes it' : '%s (skipped: no dcmdjpeg)', async (path, error) => {
    const folder = mkdtempSync(join(tmpdir(), 'prelim-dicom-'));
    try {
      execFileSync('dcmdjpeg', ['+px', `../shared/data/dicom/${path}`, join(folder, 'native.dcm')], {
        stdio: 'ignore',
      });
      const expected = await decode(readFileSync(join(folder, 'native.dcm')));
      const { values } = await shared(path);
      let worst = 0;
      for (const [at, value] of values.entries())
        worst = Math.max(worst, Math.abs(value - (expected.values[at] ?? 0)));
      expect(worst).toBeLessThanOrEqual(error);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  const REFUSED: Record<string, string> = {
    'mr-small/MR_small_padded.dcm': 'dicom.pixel-size',
    'odd/JPEG2000-embedded-sequence-delimiter.dcm': 'dicom.pixel-size',
    'odd/MR_truncated.dcm': 'dicom.truncated',
    'odd/badVR.dcm': 'dicom.pixel-size',
    'odd/emri_small_jpeg_2k_lossless_too_short.dcm': 'dicom.truncated',
    'odd/meta_missing_tsyntax.dcm': 'dicom.pixel-size',
    'odd/nested_priv_SQ.dcm': 'dicom.pixel-size',
    'odd/no_meta.dcm': 'dicom.not-dicom',
    'odd/rtplan_truncated.dcm': 'dicom.truncated',
    'other/parametric_map_float.dcm': 'dicom.pixel-format',
    'transfer-syntax/ct_jpeg53_retired.dcm': 'dicom.transfer-syntax',
    'transfer-syntax/ct_jpeg55_retired.dcm': 'dicom.transfer-syntax',
  };
  const WITHOUT_PIXELS =
    /^(sr\/|other\/(DICOMDIR|ecg|rtplan|rtstruct|sm_ann)|charset\/chr(JapMulti|SQ)|odd\/(Expl|GH|Issue|UN_|empty|no-meta-|no_meta_g))/;
  it.each(sharedFiles())('%s is decoded or refused by name', async (path) => {
    const expected = REFUSED[path] ?? (WITHOUT_PIXELS.test(path) ? 'dicom.no-pixels' : 'ok');
    expect(await outcomeOf(() => shared(path))).toBe(expected);
  });
});
