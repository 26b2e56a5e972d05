import { describe, expect, it, test } from 'vitest';
import { Failure } from '../kernel/errors.ts';
import { deidentify } from './deidentify.ts';
import { pseudonymsOf } from './deidentify-pseudonyms.ts';
import { made, read } from './fixtures/deidentified.ts';
import { element } from './fixtures/dicom-bytes.ts';
import {
  INSTANCE,
  image,
  STUDY,
  secretElement,
  sequence,
  TEST_KEY,
  TEST_PSEUDONYMS,
} from './fixtures/identified-dataset.ts';
import { readPart10 } from './read-part10.ts';

describe('the object says what was done', () => {
  it('by method, codes of CID 7050 and the state of its dates; earlier methods stay named', () => {
    const earlier = sequence(0x00120064, [
      element(0x00080100, 'SH', '113101'),
      element(0x00080102, 'SH', 'DCM'),
    ]);
    const { dataset, meta } = read(image([earlier, element(0x00120062, 'CS', 'NO')]), [
      'retain-uids',
      'retain-modified-dates',
    ]);
    expect(dataset.string(0x00120062)).toBe('YES');
    expect(dataset.items(0x00120064).map((item) => item.string(0x00080100))).toEqual([
      '113100',
      '113110',
      '113107',
      '113101',
    ]);
    expect(dataset.string(0x00280303)).toBe('MODIFIED');
    expect(read(image()).dataset.string(0x00280303)).toBe('REMOVED');
    expect(dataset.string(0x0020000d)).toBe(STUDY);
    expect(meta.string(0x00020003)).toBe(INSTANCE);
  });

  it('in file meta information of its own, with a preamble of zeros', () => {
    const file = made(image());
    expect(file.subarray(0, 128).every((byte) => byte === 0)).toBe(true);
    const { meta, dataset } = readPart10(file);
    expect(meta.string(0x00020003)).toBe(dataset.string(0x00080018));
    expect([...meta.all()].map(({ tag }) => tag & 0xffff)).toEqual([0, 1, 2, 3, 0x10, 0x12, 0x13]);
  });
});

describe('pseudonyms', () => {
  it('are a bijection that is the same in every run and another with another key', () => {
    const uids = Array.from({ length: 20_000 }, (_, i) => `1.2.3.${i}`);
    const mapped = uids.map((uid) => TEST_PSEUDONYMS.uid(uid));
    expect(new Set(mapped).size).toBe(uids.length);
    expect(mapped.every((uid) => /^2\.25\.[1-9][0-9]{0,38}$/.test(uid))).toBe(true);
    expect(uids.map((uid) => pseudonymsOf(Buffer.from(TEST_KEY)).uid(uid))).toEqual(mapped);
    expect(TEST_PSEUDONYMS.uid('1.2.3')).toBe('2.25.213485830950239834503196919845375633351');
    expect(TEST_PSEUDONYMS.patientId('\0MRN 1')).toBe('37BKDRU8UPPLQ5HY');
    const other = pseudonymsOf(Buffer.alloc(32, 8));
    const taken = new Set(mapped);
    expect(uids.filter((uid) => taken.has(other.uid(uid)))).toEqual([]);
  }, 60_000);

  it('refuse a key that could be tried out', () => {
    expect(() => pseudonymsOf(Buffer.alloc(31))).toThrow(RangeError);
  });

  it('keep a patient one patient over his studies, and apart from one with the same number elsewhere', () => {
    const id = (issuer: string) =>
      read(image([element(0x00100020, 'LO', '4711 '), element(0x00100021, 'LO', issuer)])).dataset.string(
        0x00100020,
      );
    expect(id('A')).toBe(id('A'));
    expect(id('A')).not.toBe(id('B'));
    expect(id('A')).toMatch(/^[A-Z2-9]{16}$/);
  });
});

describe('options', () => {
  test('modified dates keep the days between two studies of a patient, over the end of a year and in nested items', () => {
    const dated = (date: string, more: Buffer[] = []) =>
      read(image([element(0x00080020, 'DA', date), element(0x00100020, 'LO', '4711'), ...more]), [
        'retain-modified-dates',
      ]).dataset;
    const days = (date: string | null) =>
      Date.parse(`${date?.slice(0, 4)}-${date?.slice(4, 6)}-${date?.slice(6)}`) / 86_400_000;
    const first = dated('20231230');
    const second = dated('20240301', [element(0x0008002a, 'DT', '20240301120000.5+0200')]);
    expect(days(second.string(0x00080020)) - days(first.string(0x00080020))).toBe(62);
    expect(second.string(0x0008002a)).toBe(`${second.string(0x00080020)}120000.5`);
    expect(days(first.string(0x00080020))).toBeLessThan(days('20231201'));
    expect(dated('yesterday').get(0x00080020)).toMatchObject({ length: 0 });
  });

  test('retained ages above 89 years become 90 years', () => {
    const age = (text: string) =>
      read(image([element(0x00101010, 'AS', text)]), ['retain-patient-characteristics']).dataset.string(
        0x00101010,
      );
    expect([age('061Y'), age('089Y'), age('090Y'), age('104Y'), age('011M'), age('Smit')]).toEqual([
      '061Y',
      '089Y',
      '090Y',
      '090Y',
      '011M',
      null,
    ]);
  });

  test('clean descriptors keep the words of the field and short numbers, and nothing that could be a name', () => {
    const description = (text: string) =>
      read(image([element(0x0008103e, 'LO', text)]), ['clean-descriptors']).dataset.string(0x0008103e);
    expect(description('CT Thorax 1.25mm LUNG (Smith)')).toBe('CT Thorax 1.25mm LUNG');
    expect(description('Müller 12.11.1981 MRN 889211')).toBe(null);
    expect(description('T2 tse sag')).toBe('T2 tse sag');
  });
});

test('Files with bytes turned at random end in a file without the name, a refusal, or a failure with a code: never otherwise', () => {
  const bytes = image([
    element(0x00100010, 'PN', 'Winterbottom^Ada'),
    element(0x00081030, 'LO', 'Winterbottom follow-up'),
    sequence(0x00081140, [secretElement(0x00081155), element(0x00104000, 'LT', 'Winterbottom')]),
    element(0x00190010, 'LO', 'Winterbottom'),
    element(0x60004000, 'LT', 'Winterbottom'),
  ]).dataset.bytes;
  let state = 20_261_122;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const ends = { deidentified: 0, refused: 0, failed: 0 };
  for (let turn = 0; turn < 3000; turn += 1) {
    const copy = Buffer.from(bytes);
    for (let change = 0; change <= turn % 3; change += 1) copy[132 + random(copy.length - 132)] = random(256);
    try {
      const end = deidentify(readPart10(copy), {
        pseudonyms: TEST_PSEUDONYMS,
        options: ['clean-descriptors'],
      });
      ends[end.kind] += 1;
      if (end.kind === 'deidentified') expect(leaks(end.file)).toBe(false);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      ends.failed += 1;
    }
  }
  expect(Math.min(...Object.values(ends))).toBeGreaterThan(50);
});

/** A turned byte may make a tag into one of a number or a kept text; the name then must be gone all the same. */
const leaks = (file: Buffer): boolean => /winterbott|interbottom/i.test(file.toString('latin1'));
