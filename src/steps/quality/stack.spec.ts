import { describe, expect, it } from 'vitest';
import type { DicomJson } from '../../dicom/study-source.ts';
import { geometryFindings, slicesOf, stackOf } from './stack.ts';

const slice = (z: number): DicomJson => ({
  '00080018': { vr: 'UI', Value: [`1.2.${z}`] },
  '00200032': { vr: 'DS', Value: [0, 0, z] },
  '00200037': { vr: 'DS', Value: [1, 0, 0, 0, 1, 0] },
  '00280030': { vr: 'DS', Value: [1, 1] },
});

const enhanced = (places: readonly number[]): DicomJson => ({
  '00080018': { vr: 'UI', Value: ['1.2.3'] },
  '00200037': { vr: 'DS', Value: [1, 0, 0, 0, 1, 0] },
  '00280008': { vr: 'IS', Value: [places.length] },
  '00280030': { vr: 'DS', Value: [1, 1] },
  '52009230': {
    vr: 'SQ',
    Value: places.map((z) => ({
      '00209113': { vr: 'SQ', Value: [{ '00200032': { vr: 'DS', Value: [0, 0, z] } }] },
    })),
  },
});

describe('the stack that the gate looks at', () => {
  it('is sorted by place and gives the distances', () => {
    const stack = stackOf([slice(6), slice(0), slice(2)]);
    expect(stack?.distances).toEqual([2, 4]);
    expect(stack?.slices).toBe(3);
    expect(stack?.images.map((image) => image['00080018']?.Value?.[0])).toEqual(['1.2.0', '1.2.2', '1.2.6']);
  });

  it('counts the frames of an enhanced object as slices, and names the object once', () => {
    const stack = stackOf([enhanced([4, 0, 2])]);
    expect(stack).toMatchObject({ slices: 3, distances: [2, 2], medianDistance: 2 });
    expect(stack?.images).toHaveLength(1);
  });

  it('splits the one enhanced object of a series for the rules, and nothing else', () => {
    expect(slicesOf([enhanced([4, 0, 2])])).toHaveLength(3);
    expect(slicesOf([enhanced([4, 0]), enhanced([8, 6])])).toHaveLength(2);
    const cine: DicomJson = { '00280008': { vr: 'IS', Value: [30] } };
    expect(slicesOf([cine])).toEqual([cine]);
    expect(slicesOf([slice(0), slice(1)])).toHaveLength(2);
  });

  it('names every defect of the geometry', () => {
    const codes = (images: readonly DicomJson[]) => geometryFindings(images).map(({ code }) => code);
    expect(codes([slice(0), slice(1), slice(2)])).toEqual([]);
    expect(codes([slice(0), slice(1), slice(1), slice(2), slice(7)])).toEqual(['duplicate-position', 'gap']);
  });
});
