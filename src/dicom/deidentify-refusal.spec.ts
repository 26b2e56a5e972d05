import { describe, expect, it } from 'vitest';
import { blankComments } from './deidentify/blank-comments.ts';
import { deidentify } from './deidentify.ts';
import { deidentifyRefusal, pixelTextRefusal } from './deidentify-refusal.ts';
import { element, encapsulated, imagePixel, part10 } from './fixtures/dicom-bytes.ts';
import { image, nulPadded, TEST_PSEUDONYMS } from './fixtures/identified-dataset.ts';
import { readPart10 } from './read-part10.ts';

const STORAGE = '1.2.840.10008.5.1.4.1.1.';
const sopClass = (kind: string) =>
  element(0x00080016, 'UI', nulPadded(kind.startsWith('.') ? `1.2.276${kind}` : STORAGE + kind));
const burned = (value: string) => element(0x00280301, 'CS', value);
const modality = (value: string) => element(0x00080060, 'CS', value);
const imageType = (value: string) => element(0x00080008, 'CS', value);

describe('an object that the profile does not reach is refused by name', () => {
  it.each([
    ['that says so', 'burned-in', [burned('YES')]],
    ['that says so in small letters', 'burned-in', [burned('yes')]],
    ['a secondary capture', 'burned-in', [sopClass('7')]],
    ['a colour secondary capture of several frames', 'burned-in', [sopClass('7.4')]],
    ['ultrasound', 'burned-in', [sopClass('6.1')]],
    ['endoscopy', 'burned-in', [sopClass('77.1.1')]],
    ['a fluoroscopy', 'burned-in', [sopClass('12.2'), modality('RF')]],
    ['a CT of modality OT', 'burned-in', [modality('OT')]],
    [
      'a film that was scanned',
      'burned-in',
      [sopClass('1'), modality('CR'), element(0x00080064, 'CS', 'DF')],
    ],
    [
      'a radiograph made of another',
      'burned-in',
      [sopClass('1.1'), modality('DX'), imageType('DERIVED\\SECONDARY')],
    ],
    ['a dose page of a CT', 'burned-in', [imageType('ORIGINAL\\SECONDARY\\OTHER\\CT_SOM5 PROT')]],
    ['a screen save of a CT', 'burned-in', [imageType('DERIVED\\SECONDARY\\SCREEN SAVE')]],
    ['an unknown word for NO', 'burned-in', [sopClass('7'), burned('UNKNOWN')]],
    [
      'an overlay in the unused bits',
      'burned-in',
      [element(0x60000010, 'US', 2), element(0x60000102, 'US', 12)],
    ],
    [
      'an overlay in cells of several bits',
      'burned-in',
      [element(0x60000010, 'US', 2), element(0x60000100, 'US', 16)],
    ],
    ['a report', 'sop-class', [sopClass('88.33')]],
    ['a PDF', 'sop-class', [sopClass('104.1')]],
    ['a presentation state', 'sop-class', [sopClass('11.1')]],
    ['a private class', 'sop-class', [sopClass('.7.3')]],
    ['a class whose UID only begins like one', 'sop-class', [sopClass('2999')]],
    ['no UID of the study', 'attributes', [element(0x0020000d, 'UI', '')]],
    ['a UID that is a path', 'attributes', [element(0x00080018, 'UI', '../../etc/passwd')]],
  ])('%s: %s', (_, rule, more) => {
    expect(deidentifyRefusal(image(more).dataset)?.rule).toBe(rule);
    expect(deidentify(image(more), { pseudonyms: TEST_PSEUDONYMS })).toMatchObject({
      kind: 'refused',
      verdict: { rule },
    });
  });

  it.each([
    ['an ordinary CT slice', []],
    ['an ultrasound whose device says NO', [sopClass('6.1'), modality('US'), burned('NO')]],
    ['a reformat of the scanner', [imageType('DERIVED\\SECONDARY\\MPR')]],
    [
      'a CT with an overlay of its own, which is removed',
      [
        element(0x60000010, 'US', 2),
        element(0x60000102, 'US', 0),
        element(0x60003000, 'OW', Buffer.alloc(2)),
      ],
    ],
  ])('%s is not', (_, more) => {
    expect(deidentifyRefusal(image(more).dataset)).toBeNull();
    expect(pixelTextRefusal(image(more).dataset)).toBeNull();
  });

  it('and so is one without pixels, and half of one', () => {
    const head = part10(
      '1.2.840.10008.1.2.1',
      ...['00080016', '00080018', '0020000d', '0020000e'].map((tag) =>
        element(
          Number.parseInt(tag, 16),
          'UI',
          nulPadded(tag === '00080016' ? `${STORAGE}2` : `1.2.${tag.length}`),
        ),
      ),
    );
    expect(deidentify(readPart10(head), { pseudonyms: TEST_PSEUDONYMS })).toMatchObject({
      kind: 'refused',
      verdict: { rule: 'images' },
    });
    const half = image().dataset.bytes.subarray(0, -4);
    expect(() => deidentify(readPart10(Buffer.from(half)), { pseudonyms: TEST_PSEUDONYMS })).toThrow(
      expect.objectContaining({ code: 'dicom.truncated' }),
    );
  });
});

describe('comments in code streams', () => {
  const segment = (marker: number, text: string) => {
    const bytes = Buffer.alloc(4 + text.length);
    bytes.writeUInt16BE(marker, 0);
    bytes.writeUInt16BE(text.length + 2, 2);
    bytes.write(text, 4, 'latin1');
    return bytes;
  };
  const jpeg = (...segments: Buffer[]) =>
    Buffer.concat([
      Buffer.of(0xff, 0xd8),
      ...segments,
      segment(0xffda, 'scan'),
      Buffer.from('SMITH in the entropy-coded part'),
    ]);

  it.each([
    ['a JPEG comment', segment(0xfffe, 'SMITH^JOHN')],
    ['Exif', segment(0xffe1, 'Exif\0\0SMITH')],
    ['another application', segment(0xffed, 'Photoshop SMITH')],
  ])('%s becomes zeros, in its place and length', (_, comment) => {
    const before = jpeg(segment(0xffe0, 'JFIF\0'), comment, segment(0xffdb, 'tables'));
    const after = blankComments(before);
    expect(after.length).toBe(before.length);
    const scan = before.indexOf('scan');
    expect(after.subarray(0, scan).includes('SMITH')).toBe(false);
    expect(after.subarray(scan).equals(before.subarray(scan))).toBe(true);
    expect([after.includes('JFIF'), after.includes('tables')]).toEqual([true, true]);
  });

  it('of JPEG 2000 too; colour profiles, Adobe markers and fragments without a header stay as they are', () => {
    const codestream = Buffer.concat([
      Buffer.of(0xff, 0x4f),
      segment(0xff51, 'size'),
      segment(0xff64, '\0\x01SMITH'),
      Buffer.of(0xff, 0x90),
      Buffer.from('data'),
    ]);
    expect(blankComments(codestream).includes('SMITH')).toBe(false);
    for (const same of [
      jpeg(segment(0xffe2, 'ICC_PROFILE\0')),
      jpeg(segment(0xffee, 'Adobe')),
      Buffer.from('SMITH'),
      Buffer.alloc(0),
      Buffer.of(0xff, 0xd8, 0xff),
    ])
      expect(blankComments(same)).toBe(same);
  });

  it('with a length beyond the fragment end the search without harm', () => {
    const lying = Buffer.concat([
      Buffer.of(0xff, 0xd8),
      Buffer.of(0xff, 0xfe, 0xff, 0xff),
      Buffer.from('SMITH'),
    ]);
    expect(blankComments(lying)).toBe(lying);
  });

  it('do not reach the written file', () => {
    const file = readPart10(
      part10(
        '1.2.840.10008.1.2.4.50',
        element(0x00080016, 'UI', nulPadded(`${STORAGE}2`)),
        ...[0x00080018, 0x0020000d, 0x0020000e].map((tag, i) => element(tag, 'UI', nulPadded(`1.2.3.${i}`))),
        ...imagePixel(2, 2, 8),
        encapsulated(jpeg(segment(0xfffe, 'WINTERBOTTOM'))),
      ),
    );
    const made = deidentify(file, { pseudonyms: TEST_PSEUDONYMS });
    expect(made.kind === 'deidentified' && made.file.includes('WINTERBOTTOM')).toBe(false);
    expect(made.kind === 'deidentified' && readPart10(made.file).transferSyntaxUid).toBe(
      '1.2.840.10008.1.2.4.50',
    );
  });
});
