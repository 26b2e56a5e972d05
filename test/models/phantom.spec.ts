import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { phantomOfRecipe, phantomSeries, WRONG_STUDIES } from '../../models/phantom/make-phantom.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { phantomRadiograph } from '../../models/phantom/radiograph.ts';
import { isUid } from '../../src/dicom/uid.ts';

const TINY = { rows: 128, columns: 128, pixelSpacingMm: 2.8, slices: 6, sliceSpacingMm: 30 };
const folder = mkdtempSync(join(tmpdir(), 'phantom-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('a phantom series', () => {
  it('is the same for the same seed and another for another seed', () => {
    const pixels = (seed: number) =>
      [...phantomSeries({ ...TINY, seed }).slices()].map(({ stored }) => stored);
    expect(pixels(3)).toEqual(pixels(3));
    expect(pixels(3)).not.toEqual(pixels(4));
  });

  it('can be drawn again, with the same truth', () => {
    const phantom = phantomSeries({ ...TINY, emphysemaFraction: 0.1 });
    const drain = () => [...phantom.slices()].length && phantom.truth();
    expect(drain()).toEqual(drain());
  });

  it('comes near the emphysema that was asked for', () => {
    for (const asked of [0.05, 0.12, 0.3]) {
      const phantom = phantomSeries({
        rows: 256,
        columns: 256,
        pixelSpacingMm: 1.4,
        slices: 30,
        sliceSpacingMm: 8,
        emphysemaFraction: asked,
      });
      for (const _ of phantom.slices());
      expect(Math.abs(phantom.truth().laa950Percent / 100 / asked - 1)).toBeLessThan(0.2);
    }
  });

  it('has noise of the standard deviation that was asked for, whatever the kernel', () => {
    for (const kernel of ['B30f', 'B70f'] as const) {
      const [clean, noisy] = [0, 25].map((noiseHu) => {
        const [slice] = phantomSeries({
          ...TINY,
          slices: 1,
          rows: 512,
          columns: 512,
          pixelSpacingMm: 0.72,
          noiseHu,
          kernel,
          anatomy: 'head',
        }).slices();
        return slice?.hu ?? new Int16Array();
      });
      const differences: number[] = [];
      noisy?.forEach((value, index) => {
        if ((clean?.[index] as number) > -100) differences.push(value - (clean?.[index] as number));
      });
      const sd = Math.sqrt(differences.reduce((sum, value) => sum + value * value, 0) / differences.length);
      expect(Math.abs(sd - 25)).toBeLessThan(1);
    }
  });

  it('places its slices evenly along the body, each with its own UID', () => {
    const all = [...phantomSeries(TINY).slices()].map(({ attributes }) => attributes);
    const z = all.map((attributes) => (attributes['ImagePositionPatient'] as number[])[2] as number);
    expect(z).toEqual([-75, -45, -15, 15, 45, 75]);
    expect(new Set(all.map((attributes) => attributes['SOPInstanceUID'])).size).toBe(6);
    expect(all.every((attributes) => isUid(attributes['SOPInstanceUID']))).toBe(true);
  });

  it('takes the identity that a caller gives', () => {
    const identity = { patientName: 'DEMO^ONE', accessionNumber: 'A1', studyInstanceUid: '1.2.3' };
    const [slice] = phantomSeries({ ...TINY, slices: 1, identity }).slices();
    expect(slice?.attributes).toMatchObject({
      PatientName: 'DEMO^ONE',
      AccessionNumber: 'A1',
      StudyInstanceUID: '1.2.3',
    });
  });

  it('refuses a recipe that is out of bounds or has an unknown word', () => {
    expect(() => phantomSeries({ slices: 0 })).toThrow(RangeError);
    expect(() => phantomSeries({ emphysemaFraction: 12 })).toThrow(RangeError);
    expect(() => phantomOfRecipe({ seed: 1, colour: 3 })).toThrow(RangeError);
    expect(() => phantomOfRecipe({ seed: '1' })).toThrow(RangeError);
    expect(() => phantomOfRecipe({ kernel: 'toString' })).toThrow(RangeError);
  });
});

describe('phantom files', () => {
  it('the command line writes a series and prints its truth', () => {
    const cli = fileURLToPath(new URL('../../models/phantom/cli.ts', import.meta.url));
    const out = join(folder, 'series');
    const options = [
      '--slices',
      '4',
      '--rows',
      '64',
      '--pixel',
      '5.6',
      '--spacing',
      '40',
      '--emphysema',
      '12',
      '--seed',
      '7',
    ];
    const printed = execFileSync(process.execPath, [cli, '--out', out, ...options], { encoding: 'utf8' });
    expect(JSON.parse(printed)).toMatchObject({ slices: 4, accessionNumber: 'PC000007' });
    expect(readdirSync(out)).toEqual(['0001.dcm', '0002.dcm', '0003.dcm', '0004.dcm']);
    const wrong = spawnSync(process.execPath, [cli, '--out', out, '--seed', 'x'], { encoding: 'utf8' });
    expect([wrong.status, wrong.stderr]).toEqual([1, '--seed must be a number\n']);
  });

  const validator = spawnSync('dciodvfy', [join(folder, 'none')]).error === undefined;
  it.skipIf(!validator)('are valid CT and DX images by dciodvfy (skipped where it is not installed)', () => {
    const first = (options: object) => [...phantomSeries({ ...TINY, slices: 1, ...options }).slices()][0];
    const images = [
      first({}),
      first({ ...WRONG_STUDIES.head, slices: 1 }),
      first({ ...WRONG_STUDIES.localizer, slices: 1 }),
      phantomRadiograph({ rows: 128, columns: 128 }),
    ];
    for (const image of images) {
      const path = join(folder, 'one.dcm');
      if (image !== undefined) writeFileSync(path, phantomFile(image.attributes, image.stored));
      const { stderr, stdout } = spawnSync('dciodvfy', [path], { encoding: 'utf8' });
      expect(`${stderr}${stdout}`).not.toMatch(/Error/);
      expect(`${stderr}${stdout}`).toMatch(/CTImage|DXImageForPresentation/);
    }
  });
});

describe('a phantom radiograph', () => {
  it('shows lung darker than the middle of the body, in 12 bits, and repeats', () => {
    const { stored, attributes } = phantomRadiograph({ seed: 5, rows: 256, columns: 256 });
    const at = (row: number, column: number) => stored[row * 256 + column] as number;
    expect(at(110, 70)).toBeLessThan(at(110, 128) / 2);
    expect(at(110, 2)).toBeLessThan(300);
    expect(stored.every((value) => value <= 4095)).toBe(true);
    expect(attributes).toMatchObject({ Modality: 'DX', ViewPosition: 'PA', BodyPartExamined: 'CHEST' });
    expect(phantomRadiograph({ seed: 5, rows: 256, columns: 256 }).stored).toEqual(stored);
  });
});
