import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { decodePixels } from '../../src/dicom/decode-pixels.ts';
import { encapsulated, imagePixel, outcomeOf, part10 } from '../../src/dicom/fixtures/dicom-bytes.ts';
import type { EncapsulatedPixelData } from '../../src/dicom/pixel-data.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import { describeWithPeer } from '../peers/required.ts';
import type { RoundEnd } from './damaged-frames.ts';

/** Each compresses a file of 128 × 128 pixels of 12 bits; the last two arguments are its input and its output. */
const ENCODERS: Readonly<Record<string, readonly string[]>> = {
  'jpeg-ls': ['dcmcjpls'],
  'jpeg-ls-near': ['dcmcjpls', '+en'],
  'jpeg-lossless': ['dcmcjpeg', '+e1'],
  'jpeg-12-bit': ['dcmcjpeg', '+ee'],
  rle: ['dcmcrle'],
  'jpeg-2000': ['gdcmconv', '--j2k'],
  'jpeg-2000-lossy': ['gdcmconv', '--j2k', '--lossy', '-r', '10'],
};
/** Rows and columns of every frame. */
const SIZE = 128;
/** Memory is looked at in the first two rounds (1,890 frames) and in the last two (of 5,670). */
const ROUNDS = 6;
/** Of each kind of frame in each round. Nearly each one of those that CharLS and OpenJPH get costs a fresh instance of the decoder, and time. */
const FRAMES = 150;
const FRAMES_COSTLY = 15;
const COSTLY = /\/(jpeg-ls|jpeg-ls-near|htj2k)\.dcm$/;
/**
 * What the process may grow by, from the higher of the first two rounds to the lower of the last two. One frame has 33 kB of samples: kept once for each of the
 * 2,835 frames of the three rounds between them they would be 93 MB. An instance of a decoder (52 MB, of which a part is ever touched) may still wait for the
 * collector.
 */
const GROWTH_MEGABYTES_MAX = 60;
/** Of processor time; a broken frame takes 1 to 15 ms, an instance for the next one included. */
const FRAME_MS_MAX = 500;

let folder: string;
const files: string[] = [];

const missing = ['dcmcjpls', 'dcmcjpeg', 'dcmcrle', 'gdcmconv'].some(
  (one) => spawnSync(one, ['--version']).error,
)
  ? 'skipped: no dcmtk or gdcmconv'
  : null;

describeWithPeer('T27 damaged frames', missing, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'damaged-'));
    const [slice] = [...phantomSeries({ slices: 1, rows: SIZE, columns: SIZE, pixelSpacingMm: 3 }).slices()];
    const plain = join(folder, 'plain.dcm');
    writeFileSync(plain, phantomFile(slice!.attributes, slice!.stored));
    for (const [name, [program = '', ...options]] of Object.entries(ENCODERS)) {
      const path = join(folder, `${name}.dcm`);
      expect(spawnSync(program, [...options, plain, path]).status, name).toBe(0);
      files.push(path);
    }
    for (const [name, file] of Object.entries(await madeHere(slice!.stored))) {
      files.push(join(folder, `${name}.dcm`));
      writeFileSync(files.at(-1)!, file);
    }
  }, 60_000);
  afterAll(() => {
    if (folder) rmSync(folder, { recursive: true });
  });

  it('T27 thousands of them leave memory as it was and the decoders right, and none takes long', async () => {
    const program = join(import.meta.dirname, 'damaged-frames.ts');
    const counted = files.map((path) => `${COSTLY.test(path) ? FRAMES_COSTLY : FRAMES}=${path}`);
    const child = spawn(process.execPath, ['--expose-gc', program, `${ROUNDS}`, ...counted]);
    let said = '';
    child.stdout.on('data', (text) => {
      said += text;
    });
    child.stderr.on('data', (text) => {
      said += text;
    });
    const code = await new Promise((resolve) => child.once('close', resolve)).finally(() => child.kill());
    expect(code, said).toBe(0);
    const rounds = said
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as RoundEnd);
    expect(rounds).toHaveLength(ROUNDS);
    for (const { refused, decoded, changed, slowestMs } of rounds) {
      expect(refused + decoded).toBe(FRAMES * 6 + FRAMES_COSTLY * 3);
      expect(refused).toBeGreaterThan(FRAMES);
      // A stack that was left lying over other data would show here.
      expect(changed).toEqual([]);
      expect(slowestMs).toBeLessThan(FRAME_MS_MAX);
    }
    const memory = rounds.map(({ rssMegabytes }) => rssMegabytes);
    const growth = Math.min(...memory.slice(-2)) - Math.max(...memory.slice(0, 2));
    expect(growth, `${memory.map(Math.round)}`).toBeLessThan(GROWTH_MEGABYTES_MAX);
  }, 240_000);

  it('T27 a JPEG-LS frame that is cut short is refused at once, wherever it is cut', async () => {
    const file = readPart10(readFileSync(join(folder, 'jpeg-ls.dcm')));
    const pixels = file.pixelData as EncapsulatedPixelData;
    const [{ offset, length } = { offset: 0, length: 0 }] = pixels.fragments;
    const cut = (bytes: number) => {
      const fragments = [{ offset, length: bytes }];
      return decodePixels({ ...file, pixelData: { ...pixels, fragments } });
    };
    const whole = await cut(length);
    const start = process.cpuUsage();
    const places = [40, 200, length >> 1, length - 40, ...Array.from({ length: 60 }, (_, n) => 500 + n)];
    for (const bytes of places) expect(await outcomeOf(() => cut(bytes))).toBe('dicom.codestream');
    const { user, system } = process.cpuUsage(start);
    expect((user + system) / 1000 / places.length).toBeLessThan(FRAME_MS_MAX);
    // Only its end marker lost: every sample is there.
    expect((await cut(length - 2)).values).toEqual(whole.values);
  }, 60_000);
});

interface Encoder {
  getDecodedBuffer(info: object): Uint8Array;
  getEncodedBuffer(): Uint8Array;
  setQuality(...quality: readonly (boolean | number)[]): void;
  encode(): void;
}

/** Frames of the encoders beside our decoders: HTJ2K, and JPEG of 8 bits. */
async function madeHere(stored: Uint16Array): Promise<Record<string, Buffer>> {
  const load = createRequire(import.meta.url);
  const encode = async (
    codec: string,
    name: string,
    bits: 8 | 16,
    quality: readonly (boolean | number)[],
  ) => {
    const factory = load(`@cornerstonejs/${codec}`) as (
      options: object,
    ) => Promise<Record<string, new () => Encoder>>;
    const encoder = new (await factory({ print: () => undefined, printErr: () => undefined }))[name]!();
    const info = { width: SIZE, height: SIZE, bitsPerSample: bits, componentCount: 1, isSigned: false };
    const values = bits === 8 ? Uint8Array.from(stored, (value) => value >> 4) : stored;
    encoder
      .getDecodedBuffer({ ...info, isUsingColorTransform: false })
      .set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    encoder.setQuality(...quality);
    encoder.encode();
    return Buffer.from(encoder.getEncodedBuffer());
  };
  const file = (uid: string, bits: number, frame: Buffer) =>
    part10(uid, ...imagePixel(SIZE, SIZE, bits), encapsulated(frame));
  return {
    htj2k: file('1.2.840.10008.1.2.4.201', 16, await encode('codec-openjph', 'HTJ2KEncoder', 16, [true, 0])),
    jpeg: file('1.2.840.10008.1.2.4.50', 8, await encode('codec-libjpeg-turbo-8bit', 'JPEGEncoder', 8, [90])),
  };
}
