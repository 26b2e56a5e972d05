import { readFile } from 'node:fs/promises';
import { type DecodedPixels, decodePixels } from '../../dicom/decode-pixels.ts';
import type { DicomDataset } from '../../dicom/dicom-dataset.ts';
import { readPart10 } from '../../dicom/read-part10.ts';
import { Failure } from '../../kernel/errors.ts';
import type { PixelArray, StoredPixels } from './pixels/pixel-image.ts';
import type { VoiWindow } from './pixels/preview.ts';
import type { SliceGeometry } from './pixels/volume-spacing.ts';

export interface ReadStoredPixels {
  readonly pixels: StoredPixels;
  readonly window: VoiWindow | null;
  readonly geometry: Omit<SliceGeometry, 'shrink'>;
}

/**
 * One Part 10 file with one frame: its stored values and what the pipeline needs of its header. Colour arrives as RGB. Throws
 * `inference.pixels-invalid` for several frames and for palettes, and what reading and decoding throw.
 */
export async function readStoredPixels(path: string): Promise<ReadStoredPixels> {
  const part10 = readPart10(await readFile(path));
  const { dataset } = part10;
  if ((dataset.number(NUMBER_OF_FRAMES) ?? 1) !== 1) {
    throw new Failure(
      'inference.pixels-invalid',
      'Objects of several frames are not analysed; the model needs one image per file.',
    );
  }
  const decoded = await decodePixels(part10);
  const samples = decoded.samplesPerPixel === 3 ? 3 : 1;
  if (decoded.photometricInterpretation === 'PALETTE COLOR') {
    throw new Failure(
      'inference.pixels-invalid',
      'Palette colour images are not analysed: their stored values are no grey values.',
    );
  }
  return {
    pixels: {
      rows: decoded.rows,
      columns: decoded.columns,
      samples,
      data: samples === 3 ? rgbValues(decoded) : decoded.values,
      bitsStored: decoded.bitsStored,
      signed: decoded.signed,
      source: {
        monochrome1: decoded.photometricInterpretation === 'MONOCHROME1',
        slope: dataset.number(RESCALE_SLOPE) || 1,
        intercept: dataset.number(RESCALE_INTERCEPT) ?? 0,
      },
    },
    window: windowOf(dataset),
    geometry: {
      position: numbersOf(dataset, IMAGE_POSITION, 3),
      orientation: numbersOf(dataset, IMAGE_ORIENTATION, 6),
      pixelSpacing: numbersOf(dataset, PIXEL_SPACING, 2),
      thickness: dataset.number(SLICE_THICKNESS),
    },
  };
}

const NUMBER_OF_FRAMES = 0x00280008;
const RESCALE_INTERCEPT = 0x00281052;
const RESCALE_SLOPE = 0x00281053;
const WINDOW_CENTRE = 0x00281050;
const WINDOW_WIDTH = 0x00281051;
const VOI_LUT_FUNCTION = 0x00281056;
const IMAGE_POSITION = 0x00200032;
const IMAGE_ORIENTATION = 0x00200037;
const PIXEL_SPACING = 0x00280030;
const SLICE_THICKNESS = 0x00180050;

/** The first window; none when it is incomplete or has no width. */
function windowOf(dataset: DicomDataset): VoiWindow | null {
  const centre = dataset.number(WINDOW_CENTRE);
  const width = dataset.number(WINDOW_WIDTH);
  if (centre === null || width === null || !(width > 0)) return null;
  const stated = dataset.string(VOI_LUT_FUNCTION);
  return { centre, width, shape: stated === 'SIGMOID' || stated === 'LINEAR_EXACT' ? stated : 'LINEAR' };
}

function numbersOf(dataset: DicomDataset, tag: number, count: number): number[] | null {
  const values = dataset.numbers(tag);
  return values.length === count && values.every(Number.isFinite) ? values : null;
}

/** YBR_FULL to RGB (PS3.3 C.7.6.3.1.2); the other YBR kinds are turned by their decoders. */
function rgbValues({ values, photometricInterpretation, bitsStored }: DecodedPixels): PixelArray {
  if (!photometricInterpretation.startsWith('YBR_FULL')) return values;
  const max = 2 ** bitsStored - 1;
  const middle = 2 ** (bitsStored - 1);
  const held = (value: number): number => Math.max(0, Math.min(max, Math.round(value)));
  for (let i = 0; i + 2 < values.length; i += 3) {
    const luminance = values[i]!;
    const blue = values[i + 1]! - middle;
    const red = values[i + 2]! - middle;
    values[i] = held(luminance + 1.402 * red);
    values[i + 1] = held(luminance - 0.344136 * blue - 0.714136 * red);
    values[i + 2] = held(luminance + 1.772 * blue);
  }
  return values;
}
