import { expect, it } from 'vitest';
import type { MeasurementReport } from '../../src/dicom/measurement-report.ts';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import type { ResultContext } from '../../src/dicom/result-object.ts';
import type { DicomJson } from '../../src/dicom/study-source.ts';
import { writeMeasurementReport } from '../../src/dicom/write-measurement-report.ts';
import { writeRejectionNote } from '../../src/dicom/write-rejection-note.ts';
import { locationToExtension, recordedRegions } from '../../src/governance/image-region.ts';
import { imageRegionsOf } from '../../src/steps/pacs/observation-regions.ts';
import { observationToGroup } from '../../src/steps/pacs/observation-to-group.ts';
import { dciodvfy, dciodvfyMissing, dsrdump, dsrdumpMissing } from '../peers/dicom-validators.ts';
import { describeWithPeer } from '../peers/required.ts';

const one = (vr: string, value: unknown) => ({ vr, Value: [value] });
/** A radiograph's header, with a name in two scripts and nothing that could be left out. */
const IMAGE: DicomJson = {
  '00080016': one('UI', '1.2.840.10008.5.1.4.1.1.1.1'),
  '00080018': one('UI', '1.2.3.4.5'),
  '0020000D': one('UI', '1.2.3'),
  '0020000E': one('UI', '1.2.3.4'),
  '00100010': one('PN', { Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎' }),
  '00100020': one('LO', 'P1'),
  '00280010': one('US', 100),
  '00280011': one('US', 100),
};

const context: ResultContext = {
  source: IMAGE,
  algorithm: {
    deviceUid: '2.25.1',
    manufacturer: 'Tests',
    model: 'nodules',
    name: 'Nodules',
    version: '2.0.0',
  },
  moment: { date: '20260102', time: '101112' },
};

const OBSERVATION = {
  resourceType: 'Observation',
  id: 'nodule-1',
  status: 'preliminary',
  extension: [
    locationToExtension({
      sopInstanceUid: '1.2.3.4.5',
      frame: 1,
      box: [10, 20, 30.125, 40],
      polygon: null,
      score: 0.9,
    }),
  ],
  code: {
    coding: [
      {
        system: 'https://prelim.example/fhir/CodeSystem/finding',
        code: 'a-finding-with-a-long-key',
        display: 'Nodule',
      },
      { system: 'http://snomed.info/sct', code: '427359005', display: 'Solitary nodule of lung' },
    ],
    text: 'Nodule',
  },
  valueCodeableConcept: {
    coding: [{ system: 'http://snomed.info/sct', code: '52101004', display: 'Present' }],
  },
  component: [
    {
      code: {
        coding: [
          { system: 'https://prelim.example/fhir/CodeSystem/finding', code: 'score', display: 'Score' },
        ],
      },
      valueQuantity: { value: 0.9, code: '1' },
    },
    {
      code: { coding: [{ system: 'https://prelim.example/fhir/CodeSystem/finding', code: 'threshold' }] },
      valueQuantity: { value: 0.5, code: '1' },
    },
  ],
} as const;
// biome-ignore lint/suspicious/noExplicitAny: a literal that is read only
const observation = OBSERVATION as any;

const report = (): MeasurementReport => ({
  context,
  seriesInstanceUid: '2.25.2',
  sopInstanceUid: '2.25.3',
  instanceNumber: 1,
  title: 'AI, not reviewed: Nodules',
  completion: 'COMPLETE',
  preliminary: true,
  procedureReported: { value: '36643-5', scheme: 'LN', meaning: 'XR Chest 2 Views' },
  images: [
    { sopClassUid: '1.2.840.10008.5.1.4.1.1.1.1', sopInstanceUid: '1.2.3.4.5', seriesInstanceUid: '1.2.3.4' },
  ],
  groups: [observationToGroup(observation, { regions: imageRegionsOf(observation, [IMAGE]), segment: null })],
  furtherEvidence: [],
  predecessors: [],
  request: null,
});

it('a location is kept as an extension and read back; one that is damaged is left out', () => {
  expect(recordedRegions(observation)).toEqual([
    { sopInstanceUid: '1.2.3.4.5', frame: 1, points: [10, 20, 30.13, 20, 30.13, 40, 10, 40] },
  ]);
  const damaged = structuredClone(observation);
  damaged.extension[0].extension[2].valueString = '1,2 3,x 5,6';
  expect(recordedRegions(damaged)).toEqual([]);
  expect(imageRegionsOf(observation, [])).toEqual([]);
});

it('the same record gives the same bytes, and the name keeps its scripts', () => {
  const bytes = writeMeasurementReport(report());
  expect(writeMeasurementReport(report()).equals(bytes)).toBe(true);
  expect(readPart10(bytes).dataset.string(0x00100010)).toBe('Yamada^Tarou=山田^太郎');
});

describeWithPeer('objects as others read them', dciodvfyMissing() ?? dsrdumpMissing(), () => {
  it('a finding with a region is a planar group: a closed line on its image, codes and score, no error of dciodvfy', () => {
    const bytes = writeMeasurementReport(report());
    expect(dciodvfy(bytes).errors).toEqual([]);
    const tree = dsrdump(bytes);
    expect(tree).toContain('"Finding")=(427359005,SCT,"Solitary nodule of lung")');
    expect(tree).toContain('"Solitary nodule of lung")=(52101004,SCT,"Present")');
    expect(tree).toContain('"Algorithm Parameters")="threshold 0.5"');
    expect(tree).toContain('"Score")="0.9" (1,UCUM,"no units")');
    expect(tree).toMatch(/SCOORD:\(,,"Image Region"\)=\(POLYLINE,/);
  });

  it('both kinds of rejection note are read without an error', () => {
    for (const reason of ['quality', 'safety'] as const) {
      const bytes = writeRejectionNote({
        context,
        studyInstanceUid: '1.2.3',
        seriesInstanceUid: '2.25.4',
        sopInstanceUid: '2.25.5',
        instanceNumber: 2,
        reason,
        rejected: [
          {
            sopClassUid: '1.2.840.10008.5.1.4.1.1.88.34',
            sopInstanceUid: '2.25.3',
            seriesInstanceUid: '2.25.2',
          },
        ],
      });
      expect(dciodvfy(bytes).errors).toEqual([]);
      expect(dsrdump(bytes)).toContain(
        reason === 'quality' ? 'Rejected for Quality' : 'Rejected for Patient Safety',
      );
    }
  });
});
