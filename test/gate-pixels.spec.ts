import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { datasetToJson } from '../src/dicom/dataset-to-json.ts';
import { PixelWorkers } from '../src/dicom/pixel-workers.ts';
import { readPart10 } from '../src/dicom/read-part10.ts';
import { checkManifest } from '../src/governance/check-manifest.ts';
import type { Fits, Manifest } from '../src/governance/manifest.ts';
import type { GateVerdict } from '../src/kernel/handoffs.ts';
import { TensorReader } from '../src/steps/inference/tensor-reader.ts';
import { chooseSeries } from '../src/steps/quality/choose-series.ts';

const ROOT = resolve(import.meta.dirname, '..');
const CXR = resolve(ROOT, '../shared/data/dicom/cxr');
const manifest = checkManifest(
  parse(
    readFileSync(resolve(ROOT, 'test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0/manifest.yaml'), 'utf8'),
  ),
).manifest as Manifest;

/** What the header says is believed: only the pixels can tell. */
const gullible: Fits = {
  modality: ['CR', 'DX'],
  ...(manifest.fits.histogram ? { histogram: manifest.fits.histogram } : {}),
};

const REAL = [
  'fuji_cr_mono1_no_preamble.dcm',
  'nih_dx_implicit_1024.dcm',
  'rsna_ap_opacity_012a5620.dcm',
  'rsna_pa_normal_009eb222.dcm',
  'siim_pa_mono1_tagonly.dcm',
  'siim_pa_mono2.dcm',
  'wg04_RG1_J2KI.dcm',
];
const PATTERNS = ['cr_16bit_signed_bodypart_chest.dcm', 'cr_rgb_bodypart_chest.dcm'];

describe.skipIf(!existsSync(CXR))(
  'headers and pixels of chest X-rays together (skipped: no shared data)',
  () => {
    let workers: PixelWorkers;
    beforeAll(() => {
      workers = new PixelWorkers({ size: 1 });
    });
    afterAll(() => workers.close());

    /** The gate as a study meets it: the header's rules, then the pixels'. */
    async function rulesAgainst(file: string, fits: Fits): Promise<readonly string[]> {
      const path = resolve(CXR, file);
      const header = datasetToJson(readPart10(readFileSync(path), { stopBeforePixels: true }).dataset);
      const choice = chooseSeries([header], { ...manifest, fits });
      if (choice.kind === 'refused') return choice.refusals.map(({ rule }) => rule);
      const tensors = await new TensorReader(workers).read({
        paths: [path],
        manifest: {
          fits,
          pixels: [{ op: 'stored_values' }, { op: 'channels', count: 1 }],
          inputs: manifest.inputs,
        },
        timeLimitMs: 30_000,
      });
      const verdict: GateVerdict | null = tensors.verdict;
      tensors.release();
      return verdict === null ? [] : [verdict.rule];
    }

    it.each(REAL)('%s is a chest X-ray by header and by pixels', async (file) => {
      expect(await rulesAgainst(file, manifest.fits)).toEqual([]);
    });

    it.each(PATTERNS)(
      '%s is a test pattern: refused by its header, and by its pixels alone',
      async (file) => {
        expect(await rulesAgainst(file, manifest.fits)).not.toEqual([]);
        expect(await rulesAgainst(file, gullible)).toEqual(['histogram']);
        // Each of the three numbers tells it by itself.
        for (const histogram of [{ distinct_min: 64 }, { entropy_bits_min: 5 }, { repeat_share_max: 0.7 }])
          expect(await rulesAgainst(file, { ...gullible, histogram })).toEqual(['histogram']);
      },
    );

    it('a dog is refused by its header: its pixels are those of a radiograph', async () => {
      expect(await rulesAgainst('dx_mono1_8bit_small.dcm', manifest.fits)).toEqual(['age', 'rows-columns']);
      expect(await rulesAgainst('dx_mono1_8bit_small.dcm', gullible)).toEqual([]);
    });
  },
);
