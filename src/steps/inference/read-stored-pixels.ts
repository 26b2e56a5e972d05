import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { datasetToJson } from '../../dicom/dataset-to-json.ts';
import { type DecodedPixels, decodePixels, ValuesMemory } from '../../dicom/decode-pixels.ts';
import { pixelTextRefusal } from '../../dicom/deidentify-refusal.ts';
import { describeVolume } from '../../dicom/describe-volume.ts';
import type { DicomDataset } from '../../dicom/dicom-dataset.ts';
import { modalityTransform, voiTransforms } from '../../dicom/grey-transforms.ts';
import { jsonNumber, jsonNumbers, jsonString } from '../../dicom/json-values.ts';
import { elementsAllowed, type Part10, readPart10 } from '../../dicom/read-part10.ts';
import { splitFrames } from '../../dicom/split-frames.ts';
import type { DicomJson } from '../../dicom/study-source.ts';
import { toRgb } from '../../dicom/to-rgb.ts';
import { Failure } from '../../kernel/errors.ts';
import type { PixelSource, StoredPixels } from './pixels/pixel-image.ts';
import type { VoiWindow } from './pixels/preview.ts';
import type { SliceGeometry } from './pixels/volume-spacing.ts';

export interface ReadStoredPixels {
  readonly pixels: StoredPixels;
  readonly window: VoiWindow | null;
  readonly geometry: Omit<SliceGeometry, 'shrink'>;
}

/** A file that is open: its header is read once, its frames one at a time. It stands in the buffer, so it is done when the next is read. */
export interface StoredFile {
  readonly frames: number;
  /**
   * Frame numbers, from 1, in the order of their place along the normal. Throws `inference.pixels-invalid` when a frame has no place, lies in
   * another plane, or at the place of another (several points in time, or phases).
   */
  stackingOrder(): number[];
  /** One frame, from 1. Throws what decoding throws. */
  read(frame: number): Promise<ReadStoredPixels>;
}

/**
 * One Part 10 file: its stored values and what the pipeline needs of its header. Colour arrives as RGB, palettes and YBR too. Frames of
 * enhanced objects have the position, spacing and rescale of their functional groups. `leaves`: the pixels go to another server. Throws
 * `inference.suv` for PET, `inference.may-not-leave`, and what reading and decoding throw.
 */
export function openStoredFile(path: string, buffer: FileBuffer, leaves = false): StoredFile {
  const bytes = buffer.read(path);
  const part10 = readPart10(bytes, { elementsMax: elementsAllowed(bytes.length) });
  const { dataset } = part10;
  if (dataset.string(MODALITY) === 'PT') {
    throw new Failure(
      'inference.suv',
      'The images are PET: standardized uptake values (SUV) are not computed, so no model may read them.',
    );
  }
  if (leaves) mustBeFreeOfText(dataset);
  const frames = dataset.number(NUMBER_OF_FRAMES) ?? 1;
  const split = frames > 1 ? splitFrames(datasetToJson(dataset)) : null;
  return {
    frames,
    stackingOrder: () => (split ? orderOf(split) : [1]),
    read: async (frame) =>
      pixelsOf(
        part10,
        frame,
        split ? headerOfFrame(split[frame - 1] ?? {}, dataset) : headerOf(dataset),
        buffer.values,
      ),
  };
}

/** The only frame of a file. Throws `inference.pixels-invalid` for several, else as `openStoredFile`. */
export async function readStoredPixels(
  path: string,
  buffer: FileBuffer = new FileBuffer(),
  leaves = false,
): Promise<ReadStoredPixels> {
  const file = openStoredFile(path, buffer, leaves);
  if (file.frames === 1) return file.read(1);
  throw new Failure(
    'inference.pixels-invalid',
    'The file has several frames and the model takes one image; only models of volumes read such files.',
  );
}

/** A tensor carries what is drawn in the pixels: a name there would leave with it. */
function mustBeFreeOfText(dataset: DicomDataset): void {
  const verdict = pixelTextRefusal(dataset);
  if (verdict !== null)
    throw new Failure(
      'inference.may-not-leave',
      `Images that may not leave for another server: ${verdict.observed}.`,
    );
}

/**
 * Memory for one file after the other and for its stored values: fresh memory for each costs more than reading it does, in pages that the system
 * must clear. What is read stands until the next file or frame is. Reading is synchronous, because it is done in a worker thread that has
 * nothing else to do.
 */
export class FileBuffer {
  readonly values = new ValuesMemory();
  private memory = Buffer.alloc(0);

  get byteLength(): number {
    return this.memory.length + this.values.byteLength;
  }

  read(path: string): Buffer {
    const file = openSync(path, 'r');
    try {
      const { size } = fstatSync(file);
      if (size > FILE_BYTES_MAX)
        throw new Failure('dicom.too-large', `A file may have at most ${FILE_BYTES_MAX} bytes.`);
      if (size > this.memory.length) this.memory = Buffer.allocUnsafeSlow(size + (size >> 3));
      let at = 0;
      while (at < size) {
        const read = readSync(file, this.memory, at, size - at, null);
        if (read === 0) break;
        at += read;
      }
      return this.memory.subarray(0, at);
    } finally {
      closeSync(file);
    }
  }
}

/** Pixels take at most half of it when decoded, and no code stream is twice as large as they are. */
const FILE_BYTES_MAX = 2 ** 30;
const MODALITY = 0x00080060;
const NUMBER_OF_FRAMES = 0x00280008;
const IMAGE_POSITION = 0x00200032;
const IMAGE_ORIENTATION = 0x00200037;
const PIXEL_SPACING = 0x00280030;
const SLICE_THICKNESS = 0x00180050;

interface Header {
  readonly source: Omit<PixelSource, 'monochrome1'>;
  readonly window: VoiWindow | null;
  readonly geometry: ReadStoredPixels['geometry'];
}

async function pixelsOf(
  part10: Part10,
  frame: number,
  header: Header,
  memory: ValuesMemory,
): Promise<ReadStoredPixels> {
  const decoded = await decodePixels(part10, { frame: frame - 1, memory });
  const shown = toRgb(decoded, part10.dataset);
  return { pixels: storedPixels(shown, header), window: header.window, geometry: header.geometry };
}

function storedPixels(decoded: DecodedPixels, { source }: Header): StoredPixels {
  const { rows, columns, values, bitsStored, signed, photometricInterpretation } = decoded;
  const samples = decoded.samplesPerPixel === 3 ? 3 : 1;
  const monochrome1 = photometricInterpretation === 'MONOCHROME1';
  return { rows, columns, samples, data: values, bitsStored, signed, source: { ...source, monochrome1 } };
}

function headerOf(dataset: DicomDataset): Header {
  const { slope, intercept, window, ...tables } = transformsOf(dataset);
  const pixelSpacing = numbersOf(dataset, PIXEL_SPACING, 2);
  return {
    source: { slope, intercept, ...tables, window, spacing: pixelSpacing },
    window,
    geometry: {
      position: numbersOf(dataset, IMAGE_POSITION, 3),
      orientation: numbersOf(dataset, IMAGE_ORIENTATION, 6),
      pixelSpacing,
      thickness: dataset.number(SLICE_THICKNESS),
    },
  };
}

/** Tables stand at the top of an object, also of one with several frames, where functional groups have none. */
function transformsOf(
  dataset: DicomDataset,
): Omit<PixelSource, 'monochrome1' | 'spacing' | 'window'> & { readonly window: VoiWindow | null } {
  const transform = modalityTransform(dataset);
  const voi = voiTransforms(dataset);
  return {
    slope: transform.kind === 'rescale' ? transform.slope : 1,
    intercept: transform.kind === 'rescale' ? transform.intercept : 0,
    modalityTable: transform.kind === 'lut' ? transform.table : null,
    window: voi.find((one) => one.kind === 'window') ?? null,
    voiTable: voi.find((one) => one.kind === 'lut')?.table ?? null,
  };
}

/** The same of one frame of a multi-frame object, as `splitFrames` gives it. */
function headerOfFrame(frame: DicomJson, dataset: DicomDataset): Header {
  const pixelSpacing = jsonNumbers(frame, '00280030');
  const window = windowOfFrame(frame);
  const { modalityTable, voiTable } = transformsOf(dataset);
  return {
    source: {
      ...{ modalityTable, voiTable },
      slope: jsonNumber(frame, '00281053') || 1,
      intercept: jsonNumber(frame, '00281052') ?? 0,
      window,
      spacing: pixelSpacing,
    },
    window,
    geometry: {
      position: jsonNumbers(frame, '00200032'),
      orientation: jsonNumbers(frame, '00200037'),
      pixelSpacing,
      thickness: jsonNumber(frame, '00180050'),
    },
  };
}

function windowOfFrame(frame: DicomJson): VoiWindow | null {
  const centre = jsonNumber(frame, '00281050');
  const width = jsonNumber(frame, '00281051');
  if (centre === null || width === null || !(width > 0)) return null;
  const stated = jsonString(frame, '00281056');
  return { centre, width, shape: stated === 'SIGMOID' || stated === 'LINEAR_EXACT' ? stated : 'LINEAR' };
}

/** A volume is made of what the object shows once at each place; anything else would mix times or planes. */
function orderOf(frames: readonly DicomJson[]): number[] {
  const { frames: order, findings } = describeVolume(frames);
  const wrong = findings.find(({ code }) => UNSTACKABLE.has(code));
  if (wrong === undefined && order.length === frames.length) return order.map(({ frame }) => frame);
  throw new Failure(
    'inference.pixels-invalid',
    `The frames of the object make no volume: ${wrong?.observed ?? 'localizers among them'}.`,
  );
}

const UNSTACKABLE: ReadonlySet<string> = new Set(['no-position', 'mixed-orientation', 'duplicate-position']);

function numbersOf(dataset: DicomDataset, tag: number, count: number): number[] | null {
  const values = dataset.numbers(tag);
  return values.length === count && values.every(Number.isFinite) ? values : null;
}
