import { describe, expect, it } from 'vitest';
import { element, mark, outcomeOf, part10 } from './fixtures/dicom-bytes.ts';
import {
  type ModalityTransform,
  modalityTransform,
  type VoiTransform,
  voiTransforms,
} from './grey-transforms.ts';
import { lookUp } from './lookup-table.ts';
import { readPart10 } from './read-part10.ts';

const words = (...values: number[]) => Buffer.from(Uint16Array.from(values).buffer);
const dataset = (...elements: Buffer[]) => readPart10(part10('1.2.840.10008.1.2.1', ...elements)).dataset;
const lut = (tag: number, descriptor: number[], data: number[]) => {
  const item = Buffer.concat([
    element(0x00283002, 'US', words(...descriptor)),
    element(0x00283006, 'US', words(...data)),
  ]);
  return element(tag, 'SQ', Buffer.concat([mark(0xfffee000, item.length), item]));
};
/** What its table makes of these; nothing where it has none. */
const looked = (transform: ModalityTransform | VoiTransform, ...values: number[]) =>
  transform.kind === 'lut' ? values.map((value) => lookUp(transform.table, value)) : [];
const SIGNED = element(0x00280103, 'US', 1);

describe('the modality transformation', () => {
  it('is slope and intercept, 1 and 0 where the file has none', () => {
    const found = modalityTransform(
      dataset(element(0x00281052, 'DS', '-1024'), element(0x00281053, 'DS', '2')),
    );
    expect(found).toEqual({ kind: 'rescale', slope: 2, intercept: -1024 });
    expect(modalityTransform(dataset(element(0x00080060, 'CS', 'DX')))).toEqual({
      kind: 'rescale',
      slope: 1,
      intercept: 0,
    });
  });

  it('is a table where the file has one, with its ends for what lies outside', () => {
    const found = modalityTransform(dataset(lut(0x00283000, [3, 100, 16], [7, 8, 900])));
    expect(looked(found, 0, 100, 101, 102, 4000)).toEqual([7, 7, 8, 900, 900]);
  });

  it('takes the first value of a table for signed pixels as signed', () => {
    const found = modalityTransform(dataset(SIGNED, lut(0x00283000, [3, 65_535, 16], [7, 8, 9])));
    expect(looked(found, -1, 0, 1)).toEqual([7, 8, 9]);
  });

  it('refuses a table that is not as long as it says', async () => {
    const broken = dataset(lut(0x00283000, [5, 0, 16], [1, 2]));
    expect(await outcomeOf(() => modalityTransform(broken))).toBe('dicom.malformed');
  });
});

describe('the VOI transformation', () => {
  const window = (
    shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID',
    centre: number,
    width: number,
  ): VoiTransform => ({
    kind: 'window',
    centre,
    width,
    shape,
  });

  it('lists every window and table of the file, and no window without a width', () => {
    const found = voiTransforms(
      dataset(
        element(0x00281050, 'DS', '40\\-600\\5'),
        element(0x00281051, 'DS', '400\\1500\\0'),
        element(0x00281056, 'CS', 'SIGMOID'),
        lut(0x00283010, [2, 10, 8], [0, 255]),
      ),
    );
    expect(found.map(({ kind }) => kind)).toEqual(['window', 'window', 'lut']);
    expect(found[1]).toEqual(window('SIGMOID', -600, 1500));
    expect(looked(found[2]!, 5, 11)).toEqual([0, 255]);
  });
});
