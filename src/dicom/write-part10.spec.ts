import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodePixels } from './decode-pixels.ts';
import { outcomeOf } from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';
import { writePart10 } from './write-part10.ts';

const hasDcmdump = spawnSync('dcmdump', ['--version']).status === 0;

const slice = (number: number) => ({
  SOPClassUID: '1.2.840.10008.5.1.4.1.1.2',
  SOPInstanceUID: `2.25.1.${number}`,
  StudyInstanceUID: '2.25.1',
  SeriesInstanceUID: '2.25.2',
  Modality: 'CT',
  PatientID: 'P1',
  PatientName: 'Jérôme^Buc',
  ImagePositionPatient: [0, 0, number],
  ImageOrientationPatient: [1, 0, 0, 0, 1, 0],
  ReferencedStudySequence: [{ ReferencedSOPClassUID: '1.2.3', ReferencedSOPInstanceUID: '1.2.4' }],
  SamplesPerPixel: 1,
  PhotometricInterpretation: 'MONOCHROME2',
  Rows: 512,
  Columns: 512,
  BitsAllocated: 16,
  BitsStored: 16,
  HighBit: 15,
  PixelRepresentation: 1,
  PixelPaddingValue: -2000,
});

describe('writing a DICOM file', () => {
  const pixels = new Int16Array(512 * 512).map((_, index) => index - 131_072);
  const bytes = new Uint8Array(pixels.buffer);

  it('what was written is read back, in UTF-8, with its pixels', async () => {
    const part10 = readPart10(writePart10(slice(3), bytes));
    const { dataset } = part10;
    expect(dataset.string(0x00100010)).toBe('Jérôme^Buc');
    expect(dataset.numbers(0x00200032)).toEqual([0, 0, 3]);
    expect(dataset.number(0x00280120)).toBe(-2000);
    expect(dataset.items(0x00081110)[0]?.string(0x00081155)).toBe('1.2.4');
    expect((await decodePixels(part10)).values).toEqual(pixels);
  });

  it('odd pixel data is padded to an even length', () => {
    const file = writePart10({ ...slice(1), BitsAllocated: 8 }, Uint8Array.of(1, 2, 3));
    expect(readPart10(file).pixelData).toMatchObject({ length: 4, vr: 'OB', truncated: false });
  });

  it('a name that PS3.6 does not know, a missing UID, or pixels in the wrong place are refused', async () => {
    expect(await outcomeOf(() => writePart10({ ...slice(1), PatientNmae: 'x' }))).toBe('dicom.value');
    expect(await outcomeOf(() => writePart10({ ...slice(1), ReferencedStudySequence: [{ Nmae: 1 }] }))).toBe(
      'dicom.value',
    );
    expect(await outcomeOf(() => writePart10({ SOPClassUID: '1.2' }))).toBe('dicom.value');
    expect(await outcomeOf(() => writePart10({ ...slice(1), PixelData: bytes }))).toBe('dicom.value');
  });

  it('a series of 120 slices is written within two seconds', () => {
    const start = performance.now();
    let written = 0;
    for (let number = 0; number < 120; number += 1) written += writePart10(slice(number), bytes).length;
    expect(written).toBeGreaterThan(120 * bytes.length);
    expect(performance.now() - start).toBeLessThan(2_000);
  });

  describe.skipIf(!hasDcmdump)(
    hasDcmdump ? 'checked by DCMTK' : 'checked by DCMTK (skipped: no dcmdump)',
    () => {
      let folder = '';
      beforeAll(() => {
        folder = mkdtempSync(join(tmpdir(), 'prelim-dicom-'));
      });
      afterAll(() => rmSync(folder, { recursive: true, force: true }));

      it('dcmdump reads the file without a complaint', () => {
        const path = join(folder, 'slice.dcm');
        writeFileSync(path, writePart10(slice(1), bytes));
        const { stdout: text, stderr } = spawnSync('dcmdump', [path], { encoding: 'utf8' });
        expect(stderr).toBe('');
        expect(text).toContain('(0028,0120) SS -2000');
        expect(text).toContain('(7fe0,0010) OW');
        expect(text).toContain('(0008,0005) CS [ISO_IR 192]');
      });
    },
  );
});
