import { deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { datasetToJson } from './dataset-to-json.ts';
import {
  element,
  encapsulated,
  HOSTILE_MS_MAX,
  hasSharedData,
  mark,
  outcomeOf,
  part10,
  sharedFile,
  sharedFiles,
  sharedTitle,
  shortestMs,
} from './fixtures/dicom-bytes.ts';
import { readPart10 } from './read-part10.ts';

const EXPLICIT = '1.2.840.10008.1.2.1';
const IMPLICIT = '1.2.840.10008.1.2';
const DEFLATED = '1.2.840.10008.1.2.1.99';

describe('reading a DICOM file', () => {
  it('gives elements with lazily decoded values', () => {
    const { dataset, transferSyntaxUid } = readPart10(
      part10(
        EXPLICIT,
        element(0x00080060, 'CS', 'CT'),
        element(0x00200032, 'DS', '-1.5\\2\\ 3e1 '),
        element(0x00280010, 'US', 512),
        element(0x00280009, 'AT', Buffer.from('18006310', 'hex')),
      ),
    );
    expect(transferSyntaxUid).toBe(EXPLICIT);
    expect(dataset.string(0x00080060)).toBe('CT');
    expect(dataset.numbers(0x00200032)).toEqual([-1.5, 2, 30]);
    expect(dataset.number(0x00280010)).toBe(512);
    expect(dataset.strings(0x00280009)).toEqual(['00181063']);
    expect(dataset.string(0x00100010)).toBeNull();
  });

  it('reads sequences of known and of undefined length alike', () => {
    const name = element(0x00080100, 'SH', 'A');
    const known = Buffer.concat([mark(0xfffee000, name.length), name]);
    const open = Buffer.concat([
      mark(0xfffee000, 0xffffffff),
      name,
      mark(0xfffee00d, 0),
      mark(0xfffee0dd, 0),
    ]);
    const { dataset } = readPart10(
      part10(EXPLICIT, element(0x00081110, 'SQ', known), element(0x00081115, 'SQ', open, 0xffffffff)),
    );
    expect(dataset.items(0x00081110)[0]?.string(0x00080100)).toBe('A');
    expect(dataset.items(0x00081115)[0]?.string(0x00080100)).toBe('A');
  });

  it('goes by what stands there when the stated native syntax is another', () => {
    const file = part10(IMPLICIT, element(0x00080060, 'CS', 'CT'));
    expect(readPart10(file).transferSyntaxUid).toBe(EXPLICIT);
    expect(readPart10(file).dataset.string(0x00080060)).toBe('CT');
  });

  it('reads a deflated data set, with or without a zlib header', () => {
    const dataset = element(0x00080060, 'CS', 'SR');
    for (const deflate of [deflateRawSync, deflateSync]) {
      expect(readPart10(part10(DEFLATED, deflate(dataset))).dataset.string(0x00080060)).toBe('SR');
    }
  });

  it('says where the pixels are without copying them, and leaves them out when asked', () => {
    const pixels = Buffer.from([1, 2, 3, 4]);
    const file = part10(EXPLICIT, element(0x00280010, 'US', 2), element(0x7fe00010, 'OW', pixels));
    const { pixelData } = readPart10(file);
    expect(pixelData).toMatchObject({ kind: 'native', offset: file.length - 4, length: 4, truncated: false });
    expect(pixelData?.source).toBe(file);
    expect(readPart10(file, { stopBeforePixels: true }).pixelData).toBeNull();
  });

  it('lists the fragments of encapsulated pixels', () => {
    const file = part10('1.2.840.10008.1.2.5', encapsulated(Buffer.alloc(6), Buffer.alloc(10)));
    const { pixelData } = readPart10(file);
    expect(pixelData).toMatchObject({ kind: 'encapsulated', offsets: [], truncated: false });
    expect(pixelData?.kind === 'encapsulated' && pixelData.fragments.map(({ length }) => length)).toEqual([
      6, 10,
    ]);
  });
});

describe('refusing hostile files by name, at once', () => {
  const nested = (depth: number) =>
    Buffer.concat(
      Array.from({ length: depth }, () => [
        element(0x00081110, 'SQ', Buffer.alloc(0), 0xffffffff),
        mark(0xfffee000, 0xffffffff),
      ]).flat(),
    );
  const many = (count: number) => Buffer.concat(Array(count).fill(element(0x00080060, 'CS', 'CT')));
  const items = (count: number) => Buffer.concat(Array(count).fill(mark(0xfffee000, 0)));
  const cases: [string, () => Buffer, string][] = [
    [
      'a deflate bomb of half a megabyte',
      () => part10(DEFLATED, deflateRawSync(Buffer.alloc(2 ** 29))),
      'dicom.too-large',
    ],
    ['bytes that cannot be inflated', () => part10(DEFLATED, Buffer.alloc(64, 0xff)), 'dicom.malformed'],
    ['sequences 10,000 deep', () => part10(EXPLICIT, nested(10_000)), 'dicom.too-large'],
    ['20,001 elements', () => part10(EXPLICIT, many(20_001)), 'dicom.too-large'],
    [
      '20,001 empty items',
      () => part10(EXPLICIT, element(0x00081110, 'SQ', items(20_001))),
      'dicom.too-large',
    ],
    ['a sequence without an end', () => part10(EXPLICIT, nested(1)), 'dicom.truncated'],
    [
      'length FFFFFFFE',
      () => part10(EXPLICIT, element(0x00091001, 'UN', 'x', 0xfffffffe)),
      'dicom.truncated',
    ],
    [
      'undefined length on text',
      () => part10(EXPLICIT, element(0x00080119, 'UT', 'x', 0xffffffff)),
      'dicom.malformed',
    ],
    [
      'an element longer than its item',
      () => {
        const long = element(0x00080100, 'SH', 'AB', 50);
        const item = Buffer.concat([mark(0xfffee000, long.length), long]);
        return part10(EXPLICIT, element(0x00081110, 'SQ', item), Buffer.alloc(100, 0x20));
      },
      'dicom.malformed',
    ],
    [
      'something other than items in a sequence',
      () => part10(EXPLICIT, element(0x00081110, 'SQ', many(2))),
      'dicom.malformed',
    ],
    [
      'no VR where one must be',
      () => part10(EXPLICIT, element(0x00080060, 'CS', 'CT'), element(0x00080070, '?!', 'x')),
      'dicom.malformed',
    ],
    ['an empty file', () => Buffer.alloc(0), 'dicom.not-dicom'],
    ['a JPEG', () => Buffer.from('ffd8ffe000104a46494600010100', 'hex'), 'dicom.not-dicom'],
    ['a file of zeros', () => Buffer.alloc(5000), 'dicom.not-dicom'],
    ['text', () => Buffer.from('MSH|^~\\&|RIS|HOSPITAL|PRELIM|'), 'dicom.not-dicom'],
  ];
  for (const [title, make, code] of cases) {
    it(`${title} is ${code}`, async () => {
      const file = make();
      expect(await outcomeOf(() => readPart10(file))).toBe(code);
      expect(await shortestMs(() => outcomeOf(() => readPart10(file)))).toBeLessThan(HOSTILE_MS_MAX);
    });
  }

  it('text of 64 kB and one byte is refused when it is decoded, one of 64 kB is not', async () => {
    const read = (length: number) =>
      datasetToJson(readPart10(part10(EXPLICIT, element(0x00080119, 'UT', 'x'.repeat(length)))).dataset);
    expect(await outcomeOf(() => read(65_536))).toBe('ok');
    expect(await outcomeOf(() => read(65_538))).toBe('dicom.too-large');
  });

  it('depth 16 and 20,000 elements are still read', () => {
    const deep = Buffer.concat([
      nested(16),
      ...Array(16).fill(Buffer.concat([mark(0xfffee00d, 0), mark(0xfffee0dd, 0)])),
    ]);
    expect(readPart10(part10(EXPLICIT, deep)).dataset.items(0x00081110)).toHaveLength(1);
    expect(readPart10(part10(EXPLICIT, many(20_000))).dataset.string(0x00080060)).toBe('CT');
  });

  it('text values of more than 4 MB together are refused, and more than 65,536 fragments', async () => {
    const head = Buffer.from('0800050400000000', 'hex');
    const values = (length: number) => {
      head.writeUInt32LE(length, 4);
      return part10(IMPLICIT, Buffer.from(head), Buffer.alloc(length, '1\\\\'));
    };
    expect(await outcomeOf(() => datasetToJson(readPart10(values(4 * 2 ** 20)).dataset))).toBe('ok');
    expect(await outcomeOf(() => datasetToJson(readPart10(values(4 * 2 ** 20 + 2)).dataset))).toBe(
      'dicom.too-large',
    );
    const fragments = Array<Buffer>(65_536).fill(Buffer.alloc(0));
    expect(await outcomeOf(() => readPart10(part10('1.2.840.10008.1.2.5', encapsulated(...fragments))))).toBe(
      'dicom.too-large',
    );
  });

  it('no cut and no changed byte of a real structure gives anything but a result or a named failure', async () => {
    const inner = element(0x00080100, 'SH', 'A1');
    const whole = part10(
      EXPLICIT,
      element(0x00080005, 'CS', 'ISO 2022 IR 149'),
      element(0x00081110, 'SQ', Buffer.concat([mark(0xfffee000, inner.length), inner])),
      element(0x00100010, 'PN', 'Doe^\u001b$)CJane'),
      encapsulated(Buffer.alloc(8), Buffer.alloc(4)),
    );
    const attempt = (file: Buffer) => outcomeOf(() => datasetToJson(readPart10(file).dataset));
    const seen = new Set<string>();
    for (let at = 128; at < whole.length; at += 1) {
      seen.add(await attempt(whole.subarray(0, at)));
      for (const value of [0, 0x7f, 0xff]) {
        const changed = Buffer.from(whole);
        changed[at] = value;
        seen.add(await attempt(changed));
      }
    }
    expect([...seen].filter((code) => code !== 'ok' && !code.startsWith('dicom.'))).toEqual([]);
    expect(seen.size).toBeGreaterThan(2);
  });
});

describe.skipIf(!hasSharedData)(sharedTitle('real files'), () => {
  const REFUSED: Record<string, string> = {
    'odd/no_meta.dcm': 'dicom.not-dicom',
    'odd/rtplan_truncated.dcm': 'dicom.truncated',
  };
  it.each(sharedFiles())('%s is read or refused by name', async (path) => {
    expect(await outcomeOf(() => datasetToJson(readPart10(sharedFile(path)).dataset))).toBe(
      REFUSED[path] ?? 'ok',
    );
  });

  it.each([
    ['charset/chrFren.dcm', 'Buc^Jérôme'],
    ['charset/chrRuss.dcm', 'Люкceмбypг'],
    ['charset/chrH31.dcm', 'Yamada^Tarou=山田^太郎=やまだ^たろう'],
    ['charset/chrH32.dcm', 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう'],
    ['charset/chrI2.dcm', 'Hong^Gildong=洪^吉洞=홍^길동'],
    ['charset/chrX1.dcm', 'Wang^XiaoDong=王^小東='],
    ['charset/chrJapMulti.dcm', 'やまだ^たろう'],
  ])('%s gives its name in the right characters', (path, name) => {
    expect(readPart10(sharedFile(path)).dataset.string(0x00100010)).toBe(name);
  });

  it('an item may have a character set of its own', () => {
    const [item] = readPart10(sharedFile('charset/chrSQEncoding.dcm')).dataset.items(0x00321064);
    expect(item?.string(0x00100010)).toBe('ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう');
  });

  it('a file without preamble and meta is recognised by its first element', () => {
    const { dataset, transferSyntaxUid } = readPart10(sharedFile('cxr/fuji_cr_mono1_no_preamble.dcm'));
    expect(transferSyntaxUid).toBe(IMPLICIT);
    expect(dataset.string(0x00280004)).toBe('MONOCHROME1');
    expect(readPart10(sharedFile('odd/ExplVR_BigEndNoMeta.dcm')).transferSyntaxUid).toBe(
      '1.2.840.10008.1.2.2',
    );
  });

  it('implicit, explicit, big endian and deflated copies of one slice have the same header', () => {
    const header = (name: string) => {
      const { dataset } = readPart10(sharedFile(`transfer-syntax/${name}.dcm`));
      return [0x00100010, 0x00200032, 0x00281052, 0x00280010].map((tag) => dataset.strings(tag));
    };
    const expected = header('ct_explicit_le');
    expect(expected[3]).toEqual(['512']);
    for (const name of ['ct_implicit_le', 'ct_explicit_be', 'ct_deflated'])
      expect(header(name)).toEqual(expected);
  });

  it('the header of a 512 kB CT slice takes a moment: the pixels are not read', async () => {
    const file = sharedFile('ct-series-head-philips/01.dcm');
    expect(await shortestMs(() => readPart10(file), 200)).toBeLessThan(5);
  });
});
