import { expect, it } from 'vitest';
import type { DicomJson } from '../../dicom/study-source.ts';
import type { AnalysisEvidence, KeptMask } from '../../governance/analysis-evidence.ts';
import { segmentationRefusal } from './plan-segmentation.ts';

const image = (uid: string, more: DicomJson = {}): DicomJson => ({
  '00080018': { vr: 'UI', Value: [uid] },
  '00280010': { vr: 'US', Value: [4] },
  '00280011': { vr: 'US', Value: [4] },
  ...more,
});
const FRAMES: DicomJson = {
  '00280008': { vr: 'IS', Value: [2] },
  '52009230': { vr: 'SQ', Value: [{}, {}] },
};
const mask = (more: Partial<KeptMask> = {}): KeptMask => ({
  ...{ label: 'Lung', rows: 4, columns: 4, meaning: { kind: 'region' }, present: [1], runs: '' },
  ...more,
});
const whyNot = (images: readonly DicomJson[], more: Partial<AnalysisEvidence> = {}) =>
  segmentationRefusal(
    {
      evidence: {
        ...{ schema: 'analysis-evidence/1', seriesInstanceUid: '1', sopInstanceUids: ['1.1'] },
        ...{ masks: [mask()], notKept: [], ...more },
      },
    },
    images,
  );

it('says nothing where all masks are shown, or there are none', () => {
  expect(whyNot([image('1.1')])).toBeNull();
  expect(whyNot([image('1.1', FRAMES)], { frames: [[0, 2]] })).toBeNull();
  expect(whyNot([image('1.1')], { masks: [mask({ present: [] })] })).toBeNull();
  expect(segmentationRefusal({ evidence: null }, [])).toBeNull();
});

it('names why a mask is in no segmentation', () => {
  // As an older server left it: which frame was which slice is not known.
  expect(whyNot([image('1.1', FRAMES)])).toBe('frames-unknown');
  expect(whyNot([])).toBe('images-gone');
  expect(whyNot([image('1.1', FRAMES)], { frames: [[0, 3]] })).toBe('images-gone');
  expect(whyNot([image('1.1')], { masks: [mask({ rows: 5 })] })).toBe('image-size-differs');
  const notKept = [{ label: 'Lung', why: 'too large' }];
  expect(whyNot([image('1.1')], { masks: [], notKept })).toBe('mask-too-large');
  expect(whyNot([image('1.1')], { notKept })).toBe('mask-too-large');
});
