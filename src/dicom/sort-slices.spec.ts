import { describe, expect, it } from 'vitest';
import { datasetToJson } from './dataset-to-json.ts';
import { hasSharedData, sharedFile, sharedTitle } from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';
import { sortSlices } from './sort-slices.ts';
import type { DicomJson } from './study-source.ts';

const AXIAL = [1, 0, 0, 0, 1, 0];
const slice = (
  position: readonly number[],
  number: number,
  orientation: readonly number[] = AXIAL,
): DicomJson => ({
  '00080018': { vr: 'UI', Value: [`1.2.${number}`] },
  '00200013': { vr: 'IS', Value: [number] },
  '00200032': { vr: 'DS', Value: position },
  '00200037': { vr: 'DS', Value: orientation },
  '00280010': { vr: 'US', Value: [512] },
  '00280011': { vr: 'US', Value: [512] },
  '00280030': { vr: 'DS', Value: [0.7, 0.7] },
});

describe('the slices of a series', () => {
  it('are sorted by position along the normal, not by instance number', () => {
    const sorted = sortSlices([slice([0, 0, 10], 1), slice([0, 0, -5], 3), slice([0, 0, 2.5], 2)]);
    expect(sorted.slices.map(({ location }) => location)).toEqual([-5, 2.5, 10]);
    expect(sorted.slices.map(({ index }) => index)).toEqual([1, 2, 0]);
    expect(sorted).toMatchObject({
      plane: 'axial',
      spacing: { median: 7.5, min: 7.5, max: 7.5 },
      gaps: [],
      tilt: 0,
    });
  });

  it('show missing slices and slices at one position', () => {
    const sorted = sortSlices([0, 1, 2, 2, 5, 6].map((z, number) => slice([0, 0, z], number)));
    expect(sorted.gaps).toEqual([{ afterSlice: 3, distance: 3 }]);
    expect(sorted.duplicates).toEqual([[2, 3]]);
    expect(sorted.spacing).toEqual({ median: 1, min: 1, max: 3 });
  });

  it('leave out what has another orientation or none, such as a localizer', () => {
    const sorted = sortSlices([
      slice([0, 0, 0], 1, [0, 1, 0, 0, 0, -1]),
      slice([0, 0, 1], 2),
      slice([0, 0, 2], 3),
      { '00200013': { vr: 'IS', Value: [4] } },
    ]);
    expect(sorted.unplaced).toEqual([0, 3]);
    expect(sorted.slices).toHaveLength(2);
  });

  it.each([
    ['coronal', [1, 0, 0, 0, 0, -1]],
    ['sagittal', [0, 1, 0, 0, 0, -1]],
    ['oblique', [1, 0, 0, 0, Math.SQRT1_2, Math.SQRT1_2]],
  ])('tell a %s plane', (plane, orientation) => {
    expect(sortSlices([slice([0, 0, 0], 1, orientation)]).plane).toBe(plane);
  });

  it('tell a gantry tilt and differing sizes', () => {
    const tilted = sortSlices([slice([0, 0, 0], 1), slice([0, Math.tan(Math.PI / 12), 1], 2)]);
    expect(tilted.tilt).toBeCloseTo(15, 3);
    expect(tilted.uniform).toBe(true);
    const other = { ...slice([0, 0, 2], 3), '00280010': { vr: 'US', Value: [256] } };
    expect(sortSlices([slice([0, 0, 0], 1), other]).uniform).toBe(false);
  });

  it('are described also when there is nothing to describe', () => {
    const nothing = {
      slices: [],
      axes: null,
      plane: null,
      spacing: null,
      gaps: [],
      duplicates: [],
      tilt: null,
    };
    expect(sortSlices([])).toMatchObject({ ...nothing, unplaced: [] });
    const broken = {
      '00200037': { vr: 'DS', Value: [0, 0, 0, 0, 0, 0] },
      '00200032': { vr: 'DS', Value: ['x', 1, 2] },
    };
    expect(sortSlices([broken])).toMatchObject({ ...nothing, unplaced: [0] });
  });

  it.skipIf(!hasSharedData)(
    sharedTitle('of a real head CT lie 5 mm apart, whatever order the files come in'),
    () => {
      const instances = ['04', '01', '03', '05', '02'].map((name) =>
        datasetToJson(readPart10(sharedFile(`ct-series-head-philips/${name}.dcm`)).dataset),
      );
      const sorted = sortSlices(instances);
      expect(sorted.slices.map(({ index }) => index)).toEqual([1, 4, 2, 0, 3]);
      expect(sorted).toMatchObject({ plane: 'axial', gaps: [], duplicates: [], unplaced: [], uniform: true });
      expect(sorted.spacing?.median).toBeCloseTo(5, 6);
    },
  );
});
