import { describe, expect, test } from 'vitest';
import type { PixelDescription } from './pixel-description.ts';
import { newStoredValues, takeStoredBits, ValuesMemory } from './stored-values.ts';

const description = (changes: Partial<PixelDescription>): PixelDescription => ({
  ...{
    rows: 1,
    columns: 1,
    samplesPerPixel: 1,
    frames: 1,
    planar: false,
    photometricInterpretation: 'MONOCHROME2',
  },
  ...{ bitsAllocated: 16, bitsStored: 12, highBit: 11, signed: false },
  ...changes,
});

describe('Stored bits are taken out of their cells, whatever stands around them', () => {
  const cases = ([8, 16, 32] as const).flatMap((bitsAllocated) =>
    [1, 5, bitsAllocated - 1, bitsAllocated].flatMap((bitsStored) =>
      [...new Set([bitsStored - 1, bitsAllocated - 1])].flatMap((highBit) =>
        [false, true].map((signed) => ({ bitsAllocated, bitsStored, highBit, signed })),
      ),
    ),
  );
  test.each(cases)('$bitsStored of $bitsAllocated bits up to bit $highBit, signed $signed', (bits) => {
    const cellsOf = description(bits);
    // Odd lengths and long ones: bits are taken several cells at a time, and block by block.
    for (const length of [1, 2, 3, 7, 4096, 4099]) {
      const values = newStoredValues(cellsOf, length);
      for (let at = 0; at < length; at += 1) values[at] = (at * 2_654_435_761) | 0;
      const expected = Array.from(values, (cell) => {
        const shifted =
          BigInt.asUintN(bits.bitsAllocated, BigInt(cell)) >> BigInt(bits.highBit + 1 - bits.bitsStored);
        return Number(
          bits.signed ? BigInt.asIntN(bits.bitsStored, shifted) : BigInt.asUintN(bits.bitsStored, shifted),
        );
      });
      takeStoredBits(values, cellsOf);
      expect(Array.from(values)).toEqual(expected);
    }
  });
});

test('Memory for values goes from image to image and grows with the largest', () => {
  const memory = new ValuesMemory();
  const first = newStoredValues(description({}), 100, memory);
  const second = newStoredValues(description({ bitsAllocated: 8, bitsStored: 8 }), 50, memory);
  expect(second.buffer).toBe(first.buffer);
  expect(second).toHaveLength(50);
  const larger = newStoredValues(description({}), 1000, memory);
  expect(larger).toHaveLength(1000);
  expect(larger.buffer).not.toBe(first.buffer);
  expect(memory.byteLength).toBe(2000);
});

test('An image larger than the part that is worked on at once loses its upper bits to the last cell', () => {
  for (const length of [32_767 * 2, 32_768, 40_002, 98_306]) {
    const values = Uint16Array.from({ length }, (_, at) => (at * 7919) & 0xffff);
    const expected = values.map((value) => value & 0xfff);
    takeStoredBits(values, description({ bitsStored: 12, highBit: 11 }));
    expect(Buffer.compare(Buffer.from(values.buffer), Buffer.from(expected.buffer))).toBe(0);
  }
});
