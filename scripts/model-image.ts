import { readFile } from 'node:fs/promises';
import { inflateSync } from 'node:zlib';
import { dxAttributes } from '../models/phantom/dx-attributes.ts';
import { phantomIdentity } from '../models/phantom/general-attributes.ts';
import { phantomUid } from '../models/phantom/phantom-uid.ts';
import { loadJpeg } from '../src/dicom/pixels/jpeg.ts';
import { writePart10 } from '../src/dicom/write-part10.ts';
import { Failure } from '../src/kernel/errors.ts';

/** What a list of labels says of an image, for its DICOM header. Empty: the header does not say. */
export interface ImageFacts {
  readonly view: string;
  readonly ageYears: number | null;
  readonly sex: string;
}

/** Test sets come as PNG and JPEG: such an image as a DICOM radiograph, its grey values as they are, so that it goes the whole way. */
export async function imageToDicom(path: string, facts: ImageFacts): Promise<Buffer> {
  const bytes = await readFile(path);
  const grey = bytes.readUInt32BE(0) === 0x89504e47 ? readPng(bytes) : await readJpeg(bytes);
  const identity = phantomIdentity(1, 'radiograph', {
    studyInstanceUid: phantomUid(`study of ${path}`),
    seriesInstanceUid: phantomUid(`series of ${path}`),
  });
  const { rows, columns, data } = grey;
  // Neither the phantom's person nor its machine made this image.
  const {
    PatientAge,
    PatientSex,
    PatientBirthDate,
    ViewPosition,
    ViewCodeSequence,
    ImagerPixelSpacing,
    Manufacturer,
    ManufacturerModelName,
    DeviceSerialNumber,
    ...attributes
  } = dxAttributes(identity, rows, columns, 350);
  return writePart10(
    {
      ...attributes,
      BitsAllocated: 8,
      BitsStored: 8,
      HighBit: 7,
      PatientSex: facts.sex,
      ...(facts.view ? { ViewPosition: facts.view } : {}),
      ...(facts.ageYears === null ? {} : { PatientAge: `${String(facts.ageYears).padStart(3, '0')}Y` }),
    },
    data,
  );
}

interface GreyImage {
  readonly rows: number;
  readonly columns: number;
  readonly data: Uint8Array;
}

const unreadable = (why: string): Failure =>
  new Failure('dicom.pixel-format', `The image is not read: ${why}.`);

async function readJpeg(bytes: Buffer): Promise<GreyImage> {
  if (bytes.readUInt16BE(0) !== 0xffd8) throw unreadable('it is no PNG, JPEG or DICOM file');
  const size = jpegSize(bytes);
  const decode = await loadJpeg();
  const frame = decode(bytes, {
    ...size,
    samplesPerPixel: size.components,
    photometricInterpretation: size.components === 3 ? 'YBR_FULL_422' : 'MONOCHROME2',
    bitsAllocated: 8,
    bitsStored: 8,
  } as never);
  const { samples, components } = frame as unknown as { samples: Uint8Array; components: number };
  return { rows: size.rows, columns: size.columns, data: greyOf(samples, components) };
}

/** The first start of frame (ITU-T T.81 B.2.2). */
function jpegSize(bytes: Buffer): { rows: number; columns: number; components: number } {
  for (let at = 2; at + 9 < bytes.length; at += 2 + bytes.readUInt16BE(at + 2)) {
    const marker = bytes.readUInt16BE(at);
    if (marker >= 0xffc0 && marker <= 0xffc2)
      return {
        rows: bytes.readUInt16BE(at + 5),
        columns: bytes.readUInt16BE(at + 7),
        components: bytes[at + 9] ?? 1,
      };
  }
  throw unreadable('it has no baseline or progressive JPEG frame');
}

/** Colour images of grey things are grey: their green is taken, where all three agree. */
function greyOf(samples: ArrayLike<number>, channels: number): Uint8Array {
  if (channels === 1) return Uint8Array.from(samples);
  const colours = Math.min(3, channels - (channels === 2 ? 1 : 0));
  return Uint8Array.from({ length: samples.length / channels }, (_, i) => {
    const first = samples[i * channels] ?? 0;
    for (let c = 1; c < colours; c++)
      if (Math.abs((samples[i * channels + c] ?? 0) - first) > COLOUR_MAX)
        throw unreadable('it is in colour');
    return first;
  });
}

/** JPEG rounds the channels of grey differently. */
const COLOUR_MAX = 3;

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 4: 2, 6: 4 };
/** 200 megapixels: the largest mammograms have 30. */
const PIXELS_MAX = 200_000_000;

/** 8-bit PNG without interlacing (PNG third edition): what data sets are published in. */
function readPng(bytes: Buffer): GreyImage {
  const parts: Buffer[] = [];
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT')
      parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const [columns, rows] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  const channels = CHANNELS[bytes[25] ?? -1];
  if (bytes[24] !== 8 || channels === undefined || bytes[28] !== 0)
    throw unreadable('only 8-bit PNG in grey or true colour, without interlacing');
  if (rows * columns > PIXELS_MAX) throw unreadable('it is too large');
  const width = columns * channels;
  const lines = inflateSync(Buffer.concat(parts), { maxOutputLength: rows * (width + 1) });
  if (lines.length !== rows * (width + 1)) throw unreadable('it is cut short');
  return { rows, columns, data: greyOf(unfilter(lines, rows, width, channels), channels) };
}

/** PNG 9.2: each line starts with the number of its filter. */
function unfilter(lines: Buffer, rows: number, width: number, step: number): Uint8Array {
  const out = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    const filter = lines[row * (width + 1)];
    const to = row * width;
    for (let x = 0; x < width; x++) {
      const left = x >= step ? (out[to + x - step] as number) : 0;
      const up = row > 0 ? (out[to - width + x] as number) : 0;
      const corner = x >= step && row > 0 ? (out[to - width + x - step] as number) : 0;
      const guess =
        filter === 1
          ? left
          : filter === 2
            ? up
            : filter === 3
              ? (left + up) >> 1
              : filter === 4
                ? paeth(left, up, corner)
                : 0;
      out[to + x] = (lines[row * (width + 1) + 1 + x] as number) + guess;
    }
  }
  return out;
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}
