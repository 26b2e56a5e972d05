import { describe, expect, it } from 'vitest';
import { element, mark, outcomeOf, part10 } from './fixtures/dicom-bytes.ts';
import {
  applyModality,
  applyVoi,
  modalityTransform,
  type VoiTransform,
  voiTransforms,
} from './grey-transforms.ts';
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
const SIGNED = element(0x00280103, 'US', 1);

describe('the modality transformation', () => {
  it('is slope and intercept, 1 and 0 where the file has none', () => {
    const found = modalityTransform(
      dataset(element(0x00281052, 'DS', '-1024'), element(0x00281053, 'DS', '2')),
    );
    expect([...applyModality([0, 10, 600], found)]).toEqual([-1024, -1004, 176]);
    expect(modalityTransform(dataset(element(0x00080060, 'CS', 'DX')))).toEqual({
      kind: 'rescale',
      slope: 1,
      intercept: 0,
    });
  });

  it('is a table where the file has one, with its ends for what lies outside', () => {
    const found = modalityTransform(dataset(lut(0x00283000, [3, 100, 16], [7, 8, 900])));
    expect([...applyModality([0, 100, 101, 102, 4000], found)]).toEqual([7, 7, 8, 900, 900]);
  });

  it('takes the first value of a table for signed pixels as signed', () => {
    const found = modalityTransform(dataset(SIGNED, lut(0x00283000, [3, 65_535, 16], [7, 8, 9])));
    expect([...applyModality([-1, 0, 1], found)]).toEqual([7, 8, 9]);
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

  it('LINEAR is that of the standard, with its half and its one', () => {
    // The example of C.11.2.1.2.1: centre 2048, width 4096 spreads 0 to 4095 over the output.
    expect([...applyVoi([0, 4095], window('LINEAR', 2048, 4096), 255)]).toEqual([0, 255]);
    expect(applyVoi([2047.5], window('LINEAR', 2048, 4096), 255)[0]).toBeCloseTo(127.5, 6);
    // Centre 2048, width 1: a step between 2047 and 2048.
    expect([...applyVoi([2047, 2048], window('LINEAR', 2048, 1), 255)]).toEqual([0, 255]);
    expect([...applyVoi([-160, 240], window('LINEAR_EXACT', 40, 400), 255)]).toEqual([0, 255]);
    expect(applyVoi([40], window('LINEAR_EXACT', 40, 400), 255)[0]).toBeCloseTo(127.5, 6);
  });

  it('SIGMOID goes through the middle at the centre', () => {
    const [low = 0, middle = 0, high = 0] = applyVoi([-1000, 40, 140], window('SIGMOID', 40, 400), 255);
    expect(low).toBeLessThan(0.01);
    expect(middle).toBeCloseTo(127.5, 4);
    expect(high).toBeCloseTo(255 / (1 + Math.exp(-1)), 3);
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
    expect([...applyVoi([5, 11], found[2]!, 1)]).toEqual([0, 1]);
  });
});
