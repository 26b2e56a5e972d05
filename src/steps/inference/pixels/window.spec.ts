import { describe, expect, it } from 'vitest';
import { imageOfStoredPixels, type VoiWindow } from './pixel-image.ts';
import { window } from './window.ts';

/** What a window of the file makes of these values, from 0 to 255. */
function shown(values: readonly number[], voi: VoiWindow): number[] {
  const image = imageOfStoredPixels({
    ...{ rows: 1, columns: values.length, samples: 1, bitsStored: 16, signed: true },
    data: Float32Array.from(values),
    source: { monochrome1: false, slope: 1, intercept: 0, window: voi },
  });
  return [...window(image, { op: 'window', voi: 'file', to: [0, 255] }).data];
}

describe('a VOI window', () => {
  it('LINEAR is that of the standard, with its half and its one', () => {
    // The example of C.11.2.1.2.1: centre 2048, width 4096 spreads 0 to 4095 over the output.
    expect(shown([0, 4095], { shape: 'LINEAR', centre: 2048, width: 4096 })).toEqual([0, 255]);
    expect(shown([2047.5], { shape: 'LINEAR', centre: 2048, width: 4096 })[0]).toBeCloseTo(127.5, 4);
    // Centre 2048, width 1: a step between 2047 and 2048.
    expect(shown([2047, 2048], { shape: 'LINEAR', centre: 2048, width: 1 })).toEqual([0, 255]);
  });

  it('LINEAR_EXACT has neither', () => {
    expect(shown([-160, 240], { shape: 'LINEAR_EXACT', centre: 40, width: 400 })).toEqual([0, 255]);
    expect(shown([40], { shape: 'LINEAR_EXACT', centre: 40, width: 400 })[0]).toBeCloseTo(127.5, 4);
  });

  it('SIGMOID goes through the middle at the centre', () => {
    const sigmoid: VoiWindow = { shape: 'SIGMOID', centre: 40, width: 400 };
    const [low = 1, middle = 0, high = 0] = shown([-1000, 40, 140], sigmoid);
    expect(low).toBeLessThan(0.01);
    expect(middle).toBeCloseTo(127.5, 4);
    expect(high).toBeCloseTo(255 / (1 + Math.exp(-1)), 3);
  });
});
