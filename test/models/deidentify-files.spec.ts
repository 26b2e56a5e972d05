import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodePixels } from '../../src/dicom/decode-pixels.ts';
import { deidentify } from '../../src/dicom/deidentify.ts';
import type { DeidentifyOption } from '../../src/dicom/deidentify-options.ts';
import { pseudonymsOf } from '../../src/dicom/deidentify-pseudonyms.ts';
import type { DicomDataset } from '../../src/dicom/dicom-dataset.ts';
import { hasSharedData, sharedFile, sharedFiles, sharedTitle } from '../../src/dicom/fixtures/dicom-bytes.ts';
import { type Part10, readPart10 } from '../../src/dicom/read-part10.ts';
import { dciodvfy, dciodvfyMissing } from '../peers/dicom-validators.ts';
import { describeWithPeer } from '../peers/required.ts';

/** The real files of the shared folder: what is written of them holds nothing of whom they show, and every pixel. */
const pseudonyms = pseudonymsOf(Buffer.alloc(32, 3));
const EVERY_OPTION: readonly DeidentifyOption[] = [
  'retain-device-identity',
  'retain-patient-characteristics',
  'retain-safe-private',
  'clean-descriptors',
];

interface Made {
  readonly path: string;
  readonly before: Part10;
  readonly file: Buffer;
}

const made: Made[] = [];
const refused: { path: string; reason: string }[] = [];
for (const path of sharedFiles()) {
  try {
    const before = readPart10(sharedFile(path));
    const result = deidentify(before, { pseudonyms });
    if (result.kind === 'refused') refused.push({ path, reason: result.verdict.rule });
    else made.push({ path, before, file: result.file });
  } catch (error) {
    refused.push({ path, reason: (error as { code?: string }).code ?? 'unexpected' });
  }
}

describe.skipIf(!hasSharedData)(sharedTitle('the shared files, de-identified'), () => {
  it('are most of the images, and every one that is left out has a reason with a name', () => {
    expect(made.length).toBeGreaterThan(55);
    const reasons = new Set(refused.map(({ reason }) => reason));
    expect([...reasons].sort()).toEqual([
      'attributes',
      'burned-in',
      'dicom.not-dicom',
      'dicom.truncated',
      'images',
      'sop-class',
    ]);
    expect(refused.filter(({ path }) => /^(us|sr|sc)\//.test(path)).length).toBeGreaterThan(15);
    expect(made.filter(({ path }) => /^(us|sr|sc)\//.test(path))).toEqual([]);
  });

  it.each(made)('$path holds no identifying value any more', ({ before, file }) => {
    const after = readPart10(file);
    const head = file.subarray(0, headLength(after)).toString('latin1');
    const values = [...identifying(before.dataset), ...identifying(before.meta)].filter(
      (value) => !COINCIDENCES.has(value),
    );
    expect(values.filter((value) => head.includes(value)).map((value) => value.length)).toEqual([]);
    expect(
      values.filter((value) => value.length >= 8 && file.includes(Buffer.from(value, 'latin1'))),
    ).toEqual([]);
    for (const options of [EVERY_OPTION, ['retain-modified-dates']] as const) {
      const more = deidentify(before, { pseudonyms, options });
      expect(more.kind).toBe('deidentified');
      if (more.kind !== 'deidentified') continue;
      const bytes = more.file.subarray(0, headLength(readPart10(more.file)));
      const people = [...identifying(before.dataset, PEOPLE)];
      expect(
        people.filter((value) => !COINCIDENCES.has(value) && bytes.includes(Buffer.from(value, 'latin1'))),
      ).toEqual([]);
    }
  });

  it.each(made)('$path keeps every pixel', async ({ before, file }) => {
    const [first, second] = await Promise.all(
      [before, readPart10(file)].map((part10) =>
        decodePixels(part10).catch((error: { code: string }) => error.code),
      ),
    );
    expect(second).toEqual(first);
  });

  it.each(['ct-series-head-philips', 'ct-series-tiny'])(
    'the series %s stays one series with one geometry',
    (folder) => {
      const series = made.filter(
        ({ path }) => path.startsWith(`${folder}/`) && /\/(ct_)?\d+\.dcm$/.test(path),
      );
      expect(series.length).toBeGreaterThan(2);
      const before = series.map((each) => each.before.dataset);
      const after = series.map((each) => readPart10(each.file).dataset);
      for (const tag of [0x0020000d, 0x0020000e, 0x00200052]) {
        const values = (datasets: DicomDataset[]) => new Set(datasets.map((dataset) => dataset.string(tag)));
        expect(values(after).size).toBe(values(before).size);
      }
      expect(new Set(after.map((dataset) => dataset.string(0x00080018))).size).toBe(series.length);
      for (const tag of [0x00200032, 0x00200037, 0x00280030, 0x00281052, 0x00281053])
        expect(after.map((dataset) => dataset.numbers(tag))).toEqual(
          before.map((dataset) => dataset.numbers(tag)),
        );
    },
  );

  it('have as many UIDs after as before, and the same in a second run', () => {
    const before = made.map((each) => each.before.dataset.string(0x00080018));
    const after = made.map((each) => readPart10(each.file).dataset.string(0x00080018));
    expect(new Set(after).size).toBe(new Set(before).size);
    for (const { before: part10, file } of made.slice(0, 10)) {
      const again = deidentify(part10, { pseudonyms: pseudonymsOf(Buffer.alloc(32, 3)) });
      expect(again.kind === 'deidentified' && again.file.equals(file)).toBe(true);
    }
  });
});

describeWithPeer(
  'de-identified files as other programs read them',
  hasSharedData
    ? (dciodvfyMissing() ?? (spawnSync('dcmftest').error ? 'skipped: no dcmtk' : null))
    : 'skipped: no shared data',
  () => {
    let folder: string;
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'deidentified-'));
    });
    afterAll(() => rmSync(folder, { recursive: true }));

    it.each(made)(
      '$path is read by dcmdump, and has no error of dciodvfy that it had not before',
      ({ path, file }) => {
        const target = join(folder, 'file.dcm');
        writeFileSync(target, file);
        expect(spawnSync('dcmdump', ['-q', target], { maxBuffer: 2 ** 28 }).status).toBe(0);
        const kinds = (errors: readonly string[]) =>
          new Set(errors.map((error) => error.replace(/<[^>]*>|0x[0-9a-f]+|\d+/g, '')));
        const known = kinds(dciodvfy(sharedFile(path)).errors);
        expect([...kinds(dciodvfy(file).errors)].filter((error) => !known.has(error))).toEqual([]);
      },
    );
  },
);

/** Where the pixel data element begins. */
function headLength({ pixelData }: Part10): number {
  if (pixelData === null) return 0;
  return pixelData.kind === 'native' ? pixelData.offset : (pixelData.fragments[0]?.offset ?? 0);
}

/**
 * Values of identifying elements that stand in the result for another reason: digits inside dummies and positions, a maker's or a model's name that
 * was the institution's or the station's too, the word for a structure, the dummy itself, a physician called as a region.
 */
const COINCIDENCES: ReadonlySet<string> = new Set([
  ...[
    '0010',
    '00000',
    'None',
    'TOSHIBA',
    'GENESIS_SIGNA',
    'Bone',
    'Liver',
    'Segmentation',
    'REMOVED',
    'HEAD',
  ],
]);

/** Names, ids, dates, institutions, addresses, UIDs, comments. */
const PEOPLE = new Set(['PN']);
const TEXTS = new Set(['PN', 'DA', 'DT', 'UI', 'AE', 'LT', 'ST', 'UT']);
const TAGS = new Set([
  ...[
    0x00080050, 0x00080080, 0x00080081, 0x00081010, 0x00081040, 0x00081030, 0x0008103e, 0x00081080,
    0x00100020, 0x00100021,
  ],
  ...[
    0x00101000, 0x00101040, 0x00101090, 0x001021b0, 0x00102154, 0x00181000, 0x00181030, 0x00200010,
    0x00321060, 0x00400254,
  ],
  ...[
    0x00104000, 0x00204000, 0x00402016, 0x00402017, 0x00102180, 0x00181004, 0x00181007, 0x00321032,
    0x00321033,
  ],
]);

/** Values of identifying elements at any depth that are long enough to be looked for. */
function* identifying(dataset: DicomDataset, vrs: ReadonlySet<string> = TEXTS): Generator<string> {
  for (const { tag, vr, items, offset, length } of dataset.all()) {
    for (const item of items ?? []) yield* identifying(item, vrs);
    if (items !== null || !(vrs.has(vr) || (vrs === TEXTS && TAGS.has(tag)))) continue;
    const values = dataset.bytes.toString('latin1', offset, offset + length).split(/[\\^=]/);
    for (const value of values.map((each) => each.replace(/[\0 ]+$/, '').trim()))
      if (value.length >= 4 && !value.startsWith('1.2.840.10008.')) yield value;
  }
}
