import { describe, expect, it } from 'vitest';
import { datasetToJson } from './dataset-to-json.ts';
import { describeVolume } from './describe-volume.ts';
import { hasSharedData, sharedFile, sharedTitle } from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';
import { splitFrames } from './split-frames.ts';
import type { DicomJson } from './study-source.ts';

const AXIAL = [1, 0, 0, 0, 1, 0];

function slice(position: readonly number[], more: DicomJson = {}): DicomJson {
  return {
    '00080008': { vr: 'CS', Value: ['ORIGINAL', 'PRIMARY', 'AXIAL'] },
    '00080018': { vr: 'UI', Value: [`1.2.${position.join('').replaceAll(/[^0-9]/g, '') || 0}`] },
    '00080060': { vr: 'CS', Value: ['CT'] },
    '00180050': { vr: 'DS', Value: [5] },
    '00200032': { vr: 'DS', Value: position },
    '00200037': { vr: 'DS', Value: AXIAL },
    '00200052': { vr: 'UI', Value: ['1.2.3'] },
    '00280010': { vr: 'US', Value: [512] },
    '00280011': { vr: 'US', Value: [256] },
    '00280030': { vr: 'DS', Value: [0.7, 0.6] },
    ...more,
  };
}

const at = (...places: number[]) => places.map((z) => slice([0, 0, z]));
const codes = (images: readonly DicomJson[]) => describeVolume(images).findings.map(({ code }) => code);
const file = (path: string) => datasetToJson(readPart10(sharedFile(path)).dataset);

describe('a series as a volume', () => {
  it('has no findings when it is in order, and slices by position whatever their numbers', () => {
    const images = [20, 0, 10].map((z, number) =>
      slice([-100, -80, z], { '00200013': { vr: 'IS', Value: [number + 1] } }),
    );
    const volume = describeVolume(images);
    expect(volume.findings).toEqual([]);
    expect(volume.frames.map(({ instance }) => instance)).toEqual([1, 2, 0]);
    expect(volume.dims).toEqual([3, 512, 256]);
    expect(volume.spacing).toEqual([10, 0.7, 0.6]);
    // [slice, row, column] → patient: a row step goes down the columns (y), a column step along the rows (x).
    expect(volume.affine).toEqual([0, 0, 0.6, -100, 0, 0.7, 0, -80, 10, 0, 0, 0, 0, 0, 0, 1]);
  });

  it('takes the distance from positions and never from thickness where there are two', () => {
    expect(describeVolume(at(0, 2, 4)).spacing?.[0]).toBe(2);
    expect(describeVolume(at(0)).spacing?.[0]).toBe(5);
  });

  it.each<[string, DicomJson[], string[]]>([
    ['nothing', [], ['no-images']],
    ['one slice', at(3), ['single-slice']],
    ['a gap', at(0, 1, 2, 5, 6), ['gap']],
    ['a slice twice', at(0, 1, 1, 2), ['duplicate-position']],
    [
      'two points in time',
      at(0, 0, 1, 1).map((image, n) => ({ ...image, '00200100': { vr: 'IS', Value: [n % 2] } })),
      ['duplicate-position', 'several-time-points'],
    ],
    ['uneven distances', at(0, 1, 2.2, 3.2), ['uneven-spacing']],
    ['rounded positions', at(0, 1.001, 1.999, 3), []],
    ['a tilted gantry', [0, 1, 2].map((z) => slice([0, z * Math.tan(Math.PI / 12), z])), ['gantry-tilt']],
    [
      'another plane',
      [...at(0, 1), slice([0, 0, 2], { '00200037': { vr: 'DS', Value: [1, 0, 0, 0, 0, -1] } })],
      ['mixed-orientation'],
    ],
    [
      'a slice without a place',
      [...at(0, 1), slice([0, 0, 2], { '00200032': { vr: 'DS' } })],
      ['no-position'],
    ],
    [
      'a localizer',
      [
        ...at(0, 1),
        slice([0, 0, 9], { '00080008': { vr: 'CS', Value: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] } }),
      ],
      ['localizer'],
    ],
    [
      'another size',
      [...at(0, 1), slice([0, 0, 2], { '00280010': { vr: 'US', Value: [256] } })],
      ['mixed-size'],
    ],
    [
      'other pixels',
      [...at(0, 1), slice([0, 0, 2], { '00280030': { vr: 'DS', Value: [1, 1] } })],
      ['mixed-pixel-spacing'],
    ],
    [
      'no pixel spacing',
      at(0, 1).map((image) => ({ ...image, '00280030': { vr: 'DS' } })),
      ['no-pixel-spacing'],
    ],
    [
      'another frame of reference',
      [...at(0, 1), slice([0, 0, 2], { '00200052': { vr: 'UI', Value: ['1.9'] } })],
      ['mixed-frame-of-reference'],
    ],
    [
      'PET',
      at(0, 1).map((image) => ({ ...image, '00080060': { vr: 'CS', Value: ['PT'] } })),
      ['suv-not-computed'],
    ],
  ])('with %s says so by name', (_, images, expected) => {
    expect(codes(images)).toEqual(expected);
  });

  it('with a tilted gantry has its shear in the affine and its distance along the normal', () => {
    const shift = Math.tan(Math.PI / 12);
    const volume = describeVolume([0, 2, 4].map((z) => slice([0, z * shift, z])));
    expect(volume.spacing?.[0]).toBeCloseTo(2, 9);
    expect(volume.affine?.[4]).toBeCloseTo(2 * shift, 9);
    expect(volume.findings[0]?.amount).toBeCloseTo(15, 3);
  });
});

/** An enhanced CT: spacing and rescale shared, position of each frame its own, frames in no order. */
function enhanced(places: readonly number[]): DicomJson {
  const group = (tag: string, item: DicomJson) => ({ [tag]: { vr: 'SQ', Value: [item] } });
  const shared = {
    ...group('00289110', {
      '00280030': { vr: 'DS', Value: [0.5, 0.5] },
      '00180050': { vr: 'DS', Value: [3] },
    }),
    ...group('00209116', { '00200037': { vr: 'DS', Value: AXIAL } }),
    ...group('00289145', { '00281052': { vr: 'DS', Value: [-1024] }, '00281053': { vr: 'DS', Value: [1] } }),
  };
  const perFrame = places.map((z, index) => ({
    ...group('00209113', { '00200032': { vr: 'DS', Value: [0, 0, z] } }),
    ...group('00289145', {
      '00281052': { vr: 'DS', Value: [-1000 - index] },
      '00281053': { vr: 'DS', Value: [2] },
    }),
  }));
  return {
    '00080018': { vr: 'UI', Value: ['1.2.3'] },
    '00280008': { vr: 'IS', Value: [places.length] },
    '00280010': { vr: 'US', Value: [4] },
    '00280011': { vr: 'US', Value: [4] },
    '52009229': { vr: 'SQ', Value: [shared] },
    '52009230': { vr: 'SQ', Value: perFrame },
  };
}

describe('an enhanced multi-frame object', () => {
  it('is split into frames with their own position and rescale before the shared', () => {
    const frames = splitFrames(enhanced([0, 6, 3]));
    expect(frames).toHaveLength(3);
    expect(frames[1]).toMatchObject({
      '00081160': { Value: [2] },
      '00200032': { Value: [0, 0, 6] },
      '00280030': { Value: [0.5, 0.5] },
      '00281052': { Value: [-1001] },
    });
    expect(frames[1]).not.toHaveProperty('52009230');
  });

  it('is a volume of frames in the order of their places', () => {
    const volume = describeVolume([enhanced([0, 6, 3])]);
    expect(volume.frames.map(({ frame }) => frame)).toEqual([1, 3, 2]);
    expect(volume.spacing).toEqual([3, 0.5, 0.5]);
    expect(volume.findings).toEqual([]);
  });

  it('shows its gaps and doubled places by the same names', () => {
    expect(codes([enhanced([0, 3, 6, 15])])).toEqual(['gap']);
    expect(codes([enhanced([0, 3, 3])])).toEqual(['duplicate-position']);
  });

  it('that says less than it has frames gives frames without a place', () => {
    const cine = { '00280008': { vr: 'IS', Value: [3] }, '00200032': { vr: 'DS', Value: [0, 0, 0] } };
    expect(codes([cine])).toContain('no-position');
    const hostile = { '00280008': { vr: 'IS', Value: [1e12] } };
    expect(splitFrames(hostile)).toHaveLength(10_000);
  });
});

describe.skipIf(!hasSharedData)(sharedTitle('real series'), () => {
  it('a head CT with a tilted gantry is told, and is otherwise in order', () => {
    const volume = describeVolume(
      ['03', '01', '05', '02', '04'].map((n) => file(`ct-series-head-philips/${n}.dcm`)),
    );
    expect(volume.dims).toEqual([5, 512, 512]);
    expect(volume.spacing?.[0]).toBeCloseTo(5, 3);
    expect(volume.findings.map(({ code }) => code).filter((code) => code !== 'gantry-tilt')).toEqual([]);
  });

  it('an enhanced CT has the same volume as its three slices in files of their own', () => {
    const one = describeVolume([file('ct-series-tiny/multiframe.dcm')]);
    const three = describeVolume(['02', '03', '01'].map((n) => file(`ct-series-tiny/ct_${n}.dcm`)));
    expect(one.frames.map(({ position }) => position)).toEqual(three.frames.map(({ position }) => position));
    expect(one).toMatchObject({ dims: three.dims, spacing: three.spacing, affine: three.affine });
    expect(one.findings).toEqual([]);
  });

  it('an RT dose has its frames at the grid offsets; an MR without functional groups has no place for its frames', () => {
    const dose = describeVolume([file('other/rtdose.dcm')]);
    expect(dose.frames).toHaveLength(15);
    expect(dose.findings).toEqual([]);
    expect(codes([file('mr-enhanced/emri_small.dcm')])).toContain('no-position');
  });

  it('PET is named as what it is', () => {
    expect(codes([file('other/pet_slice.dcm')])).toContain('suv-not-computed');
  });
});
