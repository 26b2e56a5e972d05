import { Failure } from '../kernel/errors.ts';
import type { DecodedPixels, StoredValues } from './decode-pixels.ts';
import type { DicomDataset } from './dicom-dataset.ts';
import { type LookupTable, type LookupTags, lookUp, readLookupTable } from './lookup-table.ts';

/**
 * Colour as red, green, blue: PALETTE COLOR through its tables (PS3.3 C.7.9), YBR_FULL by the matrix of C.7.6.3.1.2. RGB and grey images come back
 * as they are. YBR_FULL_422, YBR_RCT and YBR_ICT do not occur here: `decodePixels` has spread or turned them. Throws
 * `dicom.malformed` for a palette that is none and `dicom.pixel-format` for other colour spaces.
 */
export function toRgb(decoded: DecodedPixels, dataset: DicomDataset): DecodedPixels {
  const { photometricInterpretation, samplesPerPixel } = decoded;
  if (photometricInterpretation === 'PALETTE COLOR' && samplesPerPixel === 1) {
    return fromPalette(decoded, readPalette(dataset, decoded.signed));
  }
  if (samplesPerPixel !== 3 || photometricInterpretation === 'RGB') return decoded;
  if (photometricInterpretation === 'YBR_FULL') return fromYbr(decoded);
  throw new Failure(
    'dicom.pixel-format',
    'Colours in this PhotometricInterpretation are not turned into RGB.',
  );
}

export type Palette = readonly [red: LookupTable, green: LookupTable, blue: LookupTable];

/** The three tables of the Palette Color Lookup Table module, plain or segmented. Throws `dicom.malformed`. */
function readPalette(dataset: DicomDataset, signed: boolean): Palette {
  const [red, green, blue] = PALETTE_TAGS.map((tags) => readLookupTable(dataset, tags, signed));
  if (!red || !green || !blue) throw new Failure('dicom.malformed', 'The palette of the image is missing.');
  if (red.bits !== green.bits || red.bits !== blue.bits)
    throw new Failure('dicom.malformed', 'The tables of the palette differ in bits.');
  return [red, green, blue];
}

const PALETTE_TAGS: readonly LookupTags[] = [1, 2, 3].map((colour) => ({
  descriptor: 0x00281100 + colour,
  data: 0x00281200 + colour,
  segmented: 0x00281220 + colour,
}));

function fromPalette(decoded: DecodedPixels, palette: Palette): DecodedPixels {
  const { bits } = palette[0];
  const from = decoded.values;
  const values = bits === 8 ? new Uint8Array(from.length * 3) : new Uint16Array(from.length * 3);
  for (let at = 0, to = 0; at < from.length; at += 1) {
    const value = from[at]!;
    for (const table of palette) {
      values[to] = lookUp(table, value);
      to += 1;
    }
  }
  return {
    ...decoded,
    values,
    bitsStored: bits,
    signed: false,
    samplesPerPixel: 3,
    photometricInterpretation: 'RGB',
  };
}

function fromYbr(decoded: DecodedPixels): DecodedPixels {
  const { bitsStored } = decoded;
  const values: StoredValues = decoded.values.slice();
  const max = 2 ** bitsStored - 1;
  const middle = 2 ** (bitsStored - 1);
  const held = (value: number): number => Math.max(0, Math.min(max, Math.round(value)));
  for (let at = 0; at + 2 < values.length; at += 3) {
    const luminance = values[at]!;
    const blue = values[at + 1]! - middle;
    const red = values[at + 2]! - middle;
    values[at] = held(luminance + 1.402 * red);
    values[at + 1] = held(luminance - 0.344136 * blue - 0.714136 * red);
    values[at + 2] = held(luminance + 1.772 * blue);
  }
  return { ...decoded, values, photometricInterpretation: 'RGB' };
}
