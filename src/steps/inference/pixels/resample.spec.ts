import { describe, expect, it } from 'vitest';
import type { PixelImage } from './pixel-image.ts';
import type { Looked } from './point-table.ts';
import { convolveColumns, type ResampleShape, resampleFloat } from './resample.ts';
import { RESIZE_FILTERS, type ResizeWeights, resizeWeights } from './resize-weights.ts';

type Values = PixelImage['data'];

describe('Resampling by compiled loops', () => {
  it('gives the same bits as sums of doubles one after the other, for every kind of cell, odd sizes, one and three samples', () => {
    for (const [rows, columns, toRows, toColumns] of SIZES)
      for (const samples of [1, 3] as const)
        for (const source of sources(rows * columns * samples)) {
          const along = weightsOf(columns, toColumns);
          const down = weightsOf(rows, toRows);
          for (const [a, d] of [
            [along, down],
            [along, null],
            [null, down],
          ] as const)
            expectSame(
              resampleFloat(source, { rows, columns, samples }, a, d),
              plain(source, { rows, columns, samples }, a, d),
            );
        }
  });

  it('gives the same bits where an image is done part after part', () => {
    const shape = { rows: 701, columns: 1003, samples: 1 } as const;
    const source = { cells: random(Uint16Array, 701 * 1003), table: random(Float32Array, 65_536) };
    const [along, down] = [weightsOf(1003, 333), weightsOf(701, 997)];
    expectSame(resampleFloat(source, shape, along, down), plain(source, shape, along, down));
    const slices = random(Int16Array, 9 * 70_001);
    const deep = weightsOf(9, 5);
    expectSame(convolveColumns(slices, 70_001, deep), plainColumns(slices, 70_001, deep));
  });

  it('takes an image of one pixel, and gives one', () => {
    const one = { rows: 1, columns: 1, samples: 1 } as const;
    const up = resampleFloat(new Uint8Array([7]), one, weightsOf(1, 3), weightsOf(1, 2));
    expect([...up]).toEqual([7, 7, 7, 7, 7, 7]);
    const shape = { rows: 2, columns: 3, samples: 1 } as const;
    const down = resampleFloat(new Float32Array(6).fill(-2.5), shape, weightsOf(3, 1), weightsOf(2, 1));
    expect(down[0]).toBeCloseTo(-2.5, 6);
  });
});

const SIZES = [
  [7, 5, 3, 9],
  [33, 41, 17, 11],
  [64, 30, 64, 7],
  [5, 129, 13, 128],
] as const;

let filter = 0;
const FILTERS = Object.values(RESIZE_FILTERS);

/** Each time with the next filter, half of them without antialiasing. */
function weightsOf(from: number, to: number): ResizeWeights {
  filter += 1;
  return resizeWeights(from, to, FILTERS[filter % FILTERS.length]!, filter % 8 < 4);
}

function* sources(length: number): Generator<Values | Looked> {
  yield { cells: random(Uint8Array, length), table: random(Float32Array, 256) };
  yield { cells: random(Uint16Array, length), table: random(Float32Array, 65_536) };
  yield { cells: random(Uint8Array, length), table: random(Int16Array, 256) };
  for (const kind of KINDS) yield random(kind, length);
}

const KINDS: readonly (new (length: number) => Values)[] = [
  ...[Uint8Array, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array, Float32Array],
];

let state = 1;

function random<T extends Values>(kind: new (length: number) => T, length: number): T {
  const values = new kind(length);
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    values[at] = values instanceof Float32Array ? (state / 2 ** 32 - 0.5) * 3000 : state;
  }
  return values;
}

function expectSame(made: Values, plainly: Values): void {
  expect(made).toBeInstanceOf(Float32Array);
  expect(made.length).toBe(plainly.length);
  expect(Buffer.compare(bytesOf(made), bytesOf(plainly))).toBe(0);
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Values): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

/** The same, without anything that makes it fast. */
function plain(
  source: Values | Looked,
  { rows, columns, samples }: ResampleShape,
  along: ResizeWeights | null,
  down: ResizeWeights | null,
): Values {
  const given =
    'table' in source
      ? Float32Array.from(source.cells, (cell) => source.table[cell]!)
      : new Float32Array(source);
  const wide = (along?.length ?? columns) * samples;
  const between = along ? new Float32Array(rows * wide) : given;
  if (along)
    for (let at = 0; at < between.length; at += 1) {
      const x = Math.floor((at % wide) / samples);
      const first = Math.floor(at / wide) * columns * samples + along.first[x]! * samples + (at % samples);
      between[at] = sum(given, first, samples, along, x);
    }
  return down ? plainColumns(between, wide, down) : between;
}

function plainColumns(source: Values, line: number, down: ResizeWeights): Values {
  const made = new Float32Array(down.length * line);
  for (let at = 0; at < made.length; at += 1) {
    const y = Math.floor(at / line);
    made[at] = sum(source, down.first[y]! * line + (at % line), line, down, y);
  }
  return made;
}

function sum(
  values: Values,
  first: number,
  step: number,
  { size, count, weight }: ResizeWeights,
  at: number,
): number {
  let total = 0;
  for (let k = 0; k < count[at]!; k += 1)
    total += Math.fround(values[first + k * step]!) * weight[at * size + k]!;
  return total;
}
