import { describe, expect, it } from 'vitest';
import { decodePixels } from './decode-pixels.ts';
import {
  element,
  hasSharedData,
  imagePixel,
  outcomeOf,
  part10,
  sharedFile,
  sharedTitle,
} from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';
import { toRgb } from './to-rgb.ts';

const EXPLICIT = '1.2.840.10008.1.2.1';
const words = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer);

/** A row of indexes with a palette: `tables` are the elements after the descriptors. */
function paletteFile(indexes: number[], descriptor: number[], tables: Buffer[]): Buffer {
  const grey = imagePixel(1, indexes.length, 8).map((part) =>
    part.readUInt16LE(2) === 4 ? element(0x00280004, 'CS', 'PALETTE COLOR') : part,
  );
  const descriptors = [1, 2, 3].map((colour) => element(0x00281100 + colour, 'US', words(...descriptor)));
  return part10(
    EXPLICIT,
    ...grey,
    ...descriptors,
    ...tables,
    element(0x7fe00010, 'OB', Buffer.from(indexes)),
  );
}

async function rgb(file: Buffer) {
  const read = readPart10(file);
  return toRgb(await decodePixels(read), read.dataset);
}

const plain = (...tables: Buffer[]) => tables.map((table, at) => element(0x00281201 + at, 'OW', table));
const segmented = (table: Buffer) => [1, 2, 3].map((at) => element(0x00281220 + at, 'OW', table));

describe('a palette', () => {
  it('of 16 bits gives each index its colour, and its ends to what lies outside', async () => {
    const tables = plain(words(10, 20, 30), words(11, 21, 31), words(12, 22, 65_535));
    const found = await rgb(paletteFile([4, 5, 6, 7, 0], [3, 5, 16], tables));
    expect(found).toMatchObject({ samplesPerPixel: 3, bitsStored: 16, photometricInterpretation: 'RGB' });
    expect([...found.values]).toEqual([
      ...[10, 11, 12],
      ...[10, 11, 12],
      ...[20, 21, 22],
      ...[30, 31, 65_535],
      ...[10, 11, 12],
    ]);
  });

  it('of 8 bits may have one entry to a byte or one to a word', async () => {
    const bytes = Buffer.from([1, 2, 3, 0]);
    const packed = await rgb(paletteFile([0, 1, 2], [3, 0, 8], plain(bytes, bytes, bytes)));
    const spread = words(1, 2, 3);
    const wide = await rgb(paletteFile([0, 1, 2], [3, 0, 8], plain(spread, spread, spread)));
    expect(packed.values).toEqual(Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3));
    expect(wide.values).toEqual(packed.values);
  });

  it('in segments has values, lines and repeats of segments before', async () => {
    // Two values, a line of four steps to 50, then both once more: from byte 0, two segments.
    const table = words(0, 2, 0, 10, 1, 4, 50, 2, 2, 0, 0);
    const found = await rgb(paletteFile([0, 1, 2, 3, 4, 5, 6, 7, 8, 11], [12, 0, 16], segmented(table)));
    const reds = [...found.values].filter((_, at) => at % 3 === 0);
    expect(reds).toEqual([0, 10, 20, 30, 40, 50, 0, 10, 20, 50]);
  });

  it.each([
    ['no table', [3, 0, 16], []],
    ['a table that is too short', [3, 0, 16], plain(words(1, 2), words(1, 2), words(1, 2))],
    ['entries of 4 bits', [3, 0, 4], plain(words(1, 2, 3), words(1, 2, 3), words(1, 2, 3))],
    ['segments that end early', [3, 0, 16], segmented(words(0, 2, 7, 7))],
    ['a segment longer than the table', [3, 0, 16], segmented(words(0, 60_000, 7))],
    ['a line without a start', [3, 0, 16], segmented(words(1, 3, 7))],
    ['a reference to a reference', [3, 0, 16], segmented(words(2, 60_000, 0, 0))],
    ['an unknown segment', [3, 0, 16], segmented(words(9, 3, 7, 7, 7))],
  ])('with %s is refused', async (_, descriptor, tables) => {
    expect(await outcomeOf(() => rgb(paletteFile([0], descriptor, tables)))).toBe('dicom.malformed');
  });

  it.skipIf(!hasSharedData)(sharedTitle('of real files gives their colours'), async () => {
    const test = await rgb(sharedFile('sc/TestPattern_Palette.dcm'));
    const stored = await decodePixels(readPart10(sharedFile('sc/TestPattern_Palette.dcm')));
    expect(test.values.length).toBe(3 * stored.values.length);
    expect([...test.values.slice(0, 3)]).toEqual([255, 255, 255]);
    const ultrasound = await rgb(sharedFile('us/us_palette.dcm'));
    // The first entry of its three tables, as dcmdump shows them.
    expect([...ultrasound.values.slice(0, 3)]).toEqual([9472, 15_872, 24_064]);
  });
});

describe('YBR', () => {
  it('full range becomes red, green, blue by the matrix of the standard', async () => {
    const colour = (kind: string, more: Buffer[] = []) => [
      element(0x00280002, 'US', 3),
      element(0x00280004, 'CS', kind),
      ...more,
      ...imagePixel(1, 2, 8).slice(2),
    ];
    const pixels = element(0x7fe00010, 'OB', Buffer.from([76, 85, 255, 150, 44, 21]));
    const found = await rgb(part10(EXPLICIT, ...colour('YBR_FULL'), pixels));
    expect([...found.values]).toEqual([254, 0, 0, 0, 255, 1]);
    const unknown = part10(EXPLICIT, ...colour('HSV'), pixels);
    expect(await outcomeOf(() => rgb(unknown))).toBe('dicom.pixel-format');
    const partial = element(0x7fe00010, 'OB', Buffer.from([76, 150, 85, 255]));
    const retired = part10(EXPLICIT, ...colour('YBR_PARTIAL_422'), partial);
    expect(await outcomeOf(() => rgb(retired))).toBe('dicom.pixel-format');
  });

  it.skipIf(!hasSharedData)(
    sharedTitle('of a real 4:2:2 image shows its red, green and blue bars'),
    async () => {
      const found = await rgb(sharedFile('sc/SC_ybr_full_422_uncompressed.dcm'));
      const at = (row: number) => [...found.values.slice(row * 300, row * 300 + 3)];
      expect([at(5), at(15), at(25)]).toEqual([
        [254, 0, 0],
        [255, 127, 127],
        [0, 255, 5],
      ]);
    },
  );
});
