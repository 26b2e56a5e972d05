import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import type { Observation } from '@medplum/fhirtypes';
import { expect, it } from 'vitest';
import { dxAttributes } from '../../models/phantom/dx-attributes.ts';
import { enhancedFile } from '../../models/phantom/enhanced-file.ts';
import { phantomIdentity } from '../../models/phantom/general-attributes.ts';
import { phantomSeries } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { datasetToJson } from '../../src/dicom/dataset-to-json.ts';
import { jsonNumber, jsonString } from '../../src/dicom/json-values.ts';
import { encodeMaskRuns } from '../../src/dicom/mask-runs.ts';
import { elementsAllowed, readPart10 } from '../../src/dicom/read-part10.ts';
import { locationToExtension } from '../../src/governance/image-region.ts';
import { encodePng } from '../../src/steps/inference/encode-png.ts';
import { makeObjects } from '../../src/steps/pacs/make-objects.ts';
import type { KnownObject } from '../../src/steps/pacs/pacs-object.store.ts';
import type { ResultRecord } from '../../src/steps/pacs/read-result-record.ts';
import { recordToPlan } from '../../src/steps/pacs/record-to-plan.ts';
import { trimMetadata } from '../../src/steps/pacs/trim-metadata.ts';
import { dciodvfy, dciodvfyMissing } from '../peers/dicom-validators.ts';
import { describeWithPeer } from '../peers/required.ts';

/** Every kind of object that is written, of every kind of image that a result can be about. */
const SHARED = '../shared/data/dicom';
const shared = (...paths: string[]) => paths.map((path) => readFileSync(join(SHARED, path)));
const ct = () => [...phantomSeries({ slices: 4, rows: 32, columns: 32 }).slices()];
const identity = phantomIdentity(1, 'radiograph', {});
const INPUTS: Readonly<Record<string, () => Buffer[]>> = {
  'CT images': () => ct().map((slice) => phantomFile(slice.attributes, slice.stored)),
  'an Enhanced CT': () => [enhancedFile(ct())],
  'a digital radiograph': () => [phantomFile(dxAttributes(identity, 32, 32, 350), new Uint16Array(32 * 32))],
};
const REAL: Readonly<Record<string, () => Buffer[]>> = {
  'a CR image': () => shared('cxr/fuji_cr_mono1_no_preamble.dcm'),
  'a CR image that is a Secondary Capture': () => shared('cxr/rsna_pa_normal_009eb222.dcm'),
  'a DX image in MONOCHROME1': () => shared('cxr/dx_mono1_8bit_small.dcm'),
  'an MR image': () => shared('mr-small/MR_small.dcm'),
  'a series of MR images': () =>
    shared(
      ...readdirSync(join(SHARED, 'mr-series'))
        .sort()
        .slice(0, 5)
        .map((name) => `mr-series/${name}`),
    ),
  'an Enhanced MR': () => shared('mr-enhanced/emri_small.dcm'),
  'a series of a liver CT': () =>
    shared(
      ...readdirSync(join(SHARED, 'ct-series-liver'))
        .sort()
        .slice(0, 3)
        .map((name) => `ct-series-liver/${name}`),
    ),
};

const finding = { system: 'http://snomed.info/sct', code: '427359005', display: 'Solitary nodule of lung' };
const present = { system: 'http://snomed.info/sct', code: '52101004', display: 'Present' };

/** A result with a place, a measurement of a label, a mask on every second slice, and a picture. */
function recordOf(files: readonly Buffer[]) {
  const metadata = files.map((file) =>
    trimMetadata(datasetToJson(readPart10(file, { elementsMax: elementsAllowed(file.length) }).dataset)),
  );
  const [image = {}] = metadata;
  const uids = metadata.map((one) => jsonString(one, '00080018') ?? '');
  const [rows, columns] = [jsonNumber(image, '00280010') ?? 0, jsonNumber(image, '00280011') ?? 0];
  const frames = jsonNumber(image, '00280008') ?? 1;
  const slices = frames > 1 ? frames : files.length;
  const mask = new Uint8Array(slices * rows * columns);
  for (let slice = 0; slice < slices; slice += 2)
    mask.fill(1, slice * rows * columns + 5, slice * rows * columns + 25);
  const runs = encodeMaskRuns(mask);
  const box = [4, 5, 12.5, 14] as const;
  const place = { sopInstanceUid: uids[0] ?? '', frame: frames > 1 ? 2 : 1, box, polygon: null, score: 0.9 };
  const observations = [
    {
      ...{
        resourceType: 'Observation',
        id: 'nodule',
        status: 'preliminary',
        code: { coding: [finding], text: 'Nodule' },
      },
      ...{ valueCodeableConcept: { coding: [present] }, extension: [locationToExtension(place)] },
    },
    {
      ...{
        resourceType: 'Observation',
        id: 'size',
        status: 'preliminary',
        code: { coding: [finding], text: 'Lesion' },
      },
      valueQuantity: { value: 12.3, unit: 'mL', code: 'mL', system: 'http://unitsofmeasure.org' },
    },
  ] as unknown as Observation[];
  const record = {
    key: { studyInstanceUid: jsonString(image, '0020000D') ?? '', model: 'lesions@1.0.0', inputsDigest: 'd' },
    ...{ observations, study: { resourceType: 'ImagingStudy' }, order: null },
    report: {
      resourceType: 'DiagnosticReport',
      id: 'r',
      status: 'preliminary',
      code: { text: 'Exam' },
      meta: { lastUpdated: '2026-05-04T10:11:12Z' },
    },
    device: { resourceType: 'Device', id: 'd', modelNumber: 'lesions', version: [{ value: '1.0.0' }] },
    evidence: {
      ...{ schema: 'analysis-evidence/1', seriesInstanceUid: '1', sopInstanceUids: uids, notKept: [] },
      ...(frames > 1 ? { frames: Array.from({ length: frames }, (_, n) => [0, n + 1]) } : {}),
      masks: [
        {
          ...{
            label: 'Lesion',
            rows,
            columns,
            present: runs.present,
            meaning: { kind: 'labels', labels: ['Lesion'] },
          },
          runs: deflateRawSync(runs.runs).toString('base64'),
        },
      ],
    },
    picture: {
      id: 'p',
      png: Buffer.from(encodePng(64, 64, new Uint8Array(64 * 64 * 3).fill(90), 3)),
      sopInstanceUid: uids[0],
    },
  } as unknown as ResultRecord;
  return { record, metadata };
}

const earlier = (['seg', 'sc', 'sr'] as const).map(
  (kind): KnownObject => ({
    ...{ kind, reportVersion: 1, state: 'stored', contentDigest: null, rejects: null, rejectsFor: null },
    ...{
      sopInstanceUid: `2.25.${kind.length}${kind.charCodeAt(1)}`,
      seriesInstanceUid: `2.25.9${kind.charCodeAt(1)}`,
    },
    sopClassUid: {
      seg: '1.2.840.10008.5.1.4.1.1.66.4',
      sc: '1.2.840.10008.5.1.4.1.1.7',
      sr: '1.2.840.10008.5.1.4.1.1.88.34',
    }[kind],
    studyInstanceUid: '1.2.3',
  }),
);

describeWithPeer('dciodvfy finds no error', dciodvfyMissing(), () => {
  const real = existsSync(SHARED) ? Object.entries(REAL) : [];
  it.each([...Object.entries(INPUTS), ...real])(
    'in what is made of %s: SEG, SC, SR, and the note for those before',
    (_, files) => {
      const { record, metadata } = recordOf(files());
      const wanted = new Set(['sr', 'seg', 'sc'] as const);
      const plan = recordToPlan(record, { wanted, reportVersion: 2, earlier, metadata, timeZone: null });
      const made = makeObjects(plan);
      expect(made.map(({ kind }) => kind)).toEqual(['seg', 'sc', 'sr', 'ko']);
      for (const { kind, bytes } of made) expect([kind, ...dciodvfy(bytes).errors]).toEqual([kind]);
    },
  );
  if (real.length === 0) it.skip('in what is made of real images (skipped: no shared data)', () => undefined);
});
