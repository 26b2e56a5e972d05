import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { writePart10 } from '../../src/dicom/write-part10.ts';
import type { PixelOp } from '../../src/governance/manifest.ts';
import { applyPixels } from '../../src/steps/inference/pixels/apply-pixels.ts';
import { imageOfStoredPixels } from '../../src/steps/inference/pixels/pixel-image.ts';
import { previewOf } from '../../src/steps/inference/pixels/preview.ts';
import { readStoredPixels } from '../../src/steps/inference/read-stored-pixels.ts';
import { PYTHON, pydicomMissing } from '../peers/python.ts';
import { describeWithPeer } from '../peers/required.ts';

/** Files with tables of PS3.3 C.11.1 and C.11.2, through the pipeline, held to what pydicom and DCMTK make of the same files. */
const [ROWS, COLUMNS] = [32, 64];
const folder = mkdtempSync(join(tmpdir(), 'tables-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A curve that no slope and intercept can say. */
const curve = (entries: number, top: number) =>
  Array.from({ length: entries }, (_, at) => Math.round(top * (at / (entries - 1)) ** 2));
const table = (first: number, bits: number, data: readonly number[], signed: boolean) => ({
  _vrMap: { LUTDescriptor: signed ? 'SS' : 'US', LUTData: 'US' },
  LUTDescriptor: [data.length, first, bits],
  LUTData: data,
});
const modality = (first: number, bits: number, data: readonly number[], signed = false) => ({
  ModalityLUTSequence: [{ ...table(first, bits, data, signed), ModalityLUTType: 'OD' }],
});
const voi = (first: number, bits: number, data: readonly number[], signed = false) => ({
  VOILUTSequence: [table(first, bits, data, signed)],
});
const WINDOW = { WindowCenter: 2000, WindowWidth: 1500 };

interface Case {
  readonly signed?: boolean;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** As pydicom has it: is a table taken before a window? */
  readonly prefer: boolean;
}

const CASES: Readonly<Record<string, Case>> = {
  'a modality table that begins and ends within the values': {
    attributes: modality(100, 16, curve(3000, 65_535)),
    prefer: true,
  },
  'a modality table for values below 0': {
    signed: true,
    attributes: modality(-500, 16, curve(1000, 40_000), true),
    prefer: true,
  },
  'a VOI table': { attributes: voi(200, 12, curve(2000, 4095)), prefer: true },
  'a VOI table after a slope and an intercept below 0': {
    attributes: { ...voi(-1000, 10, curve(3000, 1023), true), RescaleSlope: 1, RescaleIntercept: -1024 },
    prefer: true,
  },
  'a table and a window, the table first': {
    attributes: { ...voi(0, 14, curve(4096, 16_383)), ...WINDOW },
    prefer: true,
  },
  'a table and a window, the window first': {
    attributes: { ...voi(0, 14, curve(4096, 16_383)), ...WINDOW },
    prefer: false,
  },
  'a modality table and a VOI table': {
    attributes: { ...modality(0, 16, curve(4096, 60_000)), ...voi(1000, 12, curve(30_000, 4095)) },
    prefer: true,
  },
};

function write({ signed = false, attributes }: Case, name: string): string {
  const stored = Uint16Array.from({ length: ROWS * COLUMNS }, (_, at) => at * 2);
  const values = new Int16Array(stored.buffer);
  if (signed) values.set(values.map((value) => value - 2048));
  const path = join(folder, name);
  const bytes = writePart10(
    {
      ...{ SOPClassUID: '1.2.840.10008.5.1.4.1.1.1', SOPInstanceUID: '1.2.3', Modality: 'CR' },
      ...{ StudyInstanceUID: '1.2', SeriesInstanceUID: '1.2.1', PatientID: 'P' },
      ...{ SamplesPerPixel: 1, PhotometricInterpretation: 'MONOCHROME2', Rows: ROWS, Columns: COLUMNS },
      ...{ BitsAllocated: 16, BitsStored: signed ? 16 : 12, HighBit: signed ? 15 : 11 },
      ...{ PixelRepresentation: signed ? 1 : 0, ...attributes },
    },
    new Uint8Array(stored.buffer),
  );
  writeFileSync(path, bytes);
  return path;
}

const BY_PYDICOM = `
import sys, json, pydicom
from pydicom.pixel_data_handlers.util import apply_modality_lut, apply_voi_lut
out = []
for path, prefer in json.loads(sys.argv[1]):
    d = pydicom.dcmread(path)
    m = apply_modality_lut(d.pixel_array, d)
    out.append([m.astype(float).ravel().tolist(), apply_voi_lut(m, d, prefer_lut=prefer).astype(float).ravel().tolist()])
print(json.dumps(out))
`;

async function byPrelim(path: string, ops: readonly PixelOp[]): Promise<number[]> {
  const { pixels } = await readStoredPixels(path);
  return Array.from(applyPixels(imageOfStoredPixels(pixels), ops).data);
}

/** Where pydicom's VOI values end: at the table's bits, else at those of the values (C.11.2.1.2: its window goes onto their whole range). */
const endOf = ({ attributes, prefer }: Case): number => {
  const [item] = (attributes['VOILUTSequence'] as { LUTDescriptor: number[] }[] | undefined) ?? [];
  return item && prefer ? 2 ** item.LUTDescriptor[2]! - 1 : 4095;
};

describeWithPeer('lookup tables of files', pydicomMissing(), () => {
  it('give the values that pydicom gives, for the modality and for what is shown', async () => {
    const cases = Object.entries(CASES).map(
      ([name, one], at) => ({ name, one, path: write(one, `${at}.dcm`) }) as const,
    );
    const asked = JSON.stringify(cases.map(({ path, one }) => [path, one.prefer]));
    const { stdout, stderr } = spawnSync(PYTHON, ['-c', BY_PYDICOM, asked], {
      encoding: 'utf8',
      maxBuffer: 2 ** 26,
    });
    expect(stdout, stderr).not.toBe('');
    const wanted = JSON.parse(stdout) as [number[], number[]][];
    for (const [at, { name, one, path }] of cases.entries()) {
      const [values, shown] = wanted[at]!;
      expect(await byPrelim(path, [{ op: 'modality_values' }]), name).toEqual(values);
      if (!('VOILUTSequence' in one.attributes)) continue;
      const ours = await byPrelim(path, [
        { op: 'modality_values' },
        { op: 'window', voi: 'file', to: [0, endOf(one)], prefer: one.prefer ? 'table' : 'window' },
      ]);
      const worst = ours.reduce((most, value, i) => Math.max(most, Math.abs(value - shown[i]!)), 0);
      expect(worst, name).toBeLessThan(2e-3);
    }
  });
});

const dcmtk = spawnSync('dcm2pnm', ['--version']).error ? 'skipped: no dcm2pnm' : null;
describeWithPeer('the picture of a file with tables', dcmtk, () => {
  it('is what DCMTK draws of it, to a grey step', async () => {
    const path = write(CASES['a modality table and a VOI table']!, 'drawn.dcm');
    const { status, stderr } = spawnSync('dcm2pnm', ['+Wl', '1', '+op', path, `${path}.pgm`], {
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    const drawn = readFileSync(`${path}.pgm`).subarray(-ROWS * COLUMNS);
    const { pixels, window } = await readStoredPixels(path);
    const stored = imageOfStoredPixels(pixels);
    const { data } = previewOf(stored, window, stored.region);
    const worst = data.reduce((most, value, i) => Math.max(most, Math.abs(value - drawn[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(1);
    expect(new Set(data).size).toBeGreaterThan(200);
  });
});

it('a table that does not have the entries it states is refused by name', async () => {
  const broken = { attributes: modality(0, 16, curve(100, 1000)), prefer: true };
  const path = write(broken, 'broken.dcm');
  const bytes = readFileSync(path);
  const descriptor = bytes.indexOf(Buffer.from([0x28, 0x00, 0x02, 0x30]));
  bytes.writeUInt16LE(5000, descriptor + 8);
  writeFileSync(path, bytes);
  await expect(readStoredPixels(path)).rejects.toMatchObject({ code: 'dicom.malformed' });
});
