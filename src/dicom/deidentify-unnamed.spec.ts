import { describe, expect, it } from 'vitest';
import type { DeidentifyOption } from './deidentify-options.ts';
import { made, read } from './fixtures/deidentified.ts';
import { element } from './fixtures/dicom-bytes.ts';
import { image, nulPadded, secretElement, sequence } from './fixtures/identified-dataset.ts';
import { tagName } from './reading/decode-values.ts';

describe('what the table does not name', () => {
  it('is removed when it is text, a person, a link, bytes, private, an overlay or a curve', () => {
    const removed = [
      secretElement(0x00189999, 'LO'),
      secretElement(0x00189998, 'UT'),
      secretElement(0x00189997, 'PN'),
      secretElement(0x00189996, 'UR'),
      secretElement(0x00189995, 'OB'),
      secretElement(0x00189994, 'AE'),
      secretElement(0x00189993, 'UN'),
      secretElement(0x00091001, 'LO'),
      secretElement(0x60003000, 'OW'),
      secretElement(0x60104000, 'LT'),
      secretElement(0x50000010, 'OW'),
    ];
    const { dataset } = read(image(removed));
    const kept = [...dataset.all()].map(({ tag }) => tag >>> 0);
    expect(
      kept.filter((tag) => [0x0009, 0x6000, 0x6010, 0x5000].includes(tag >>> 16) || tag >>> 8 === 0x001899),
    ).toEqual([]);
  });

  it('is removed in the groups of patient, trial, order and visit, but for numbers with the option for them', () => {
    const more = [
      element(0x00101022, 'DS', '31.5'),
      element(0x00100033, 'LO', 'Reiwa 5'),
      element(0x00120083, 'LO', 'consent'),
      element(0x00380060, 'LO', 'E1'),
    ];
    const has = (options: readonly DeidentifyOption[]) =>
      [0x00101022, 0x00100033, 0x00120083, 0x00380060].map((tag) =>
        read(image(more), options).dataset.has(tag),
      );
    expect(has([])).toEqual([false, false, false, false]);
    expect(has(['retain-patient-characteristics'])).toEqual([true, false, false, false]);
  });

  it('loses times that an interval could be made of, unless all are moved together', () => {
    const times = [element(0x00181072, 'TM', '101500'), element(0x00189074, 'DT', '20240301101500')];
    const { dataset } = read(image(times));
    expect([dataset.has(0x00181072), dataset.string(0x00189074)]).toEqual([false, '19000101000000']);
    const moved = read(image(times), ['retain-modified-dates']).dataset;
    expect([moved.string(0x00181072), moved.string(0x00189074)?.slice(8)]).toEqual(['101500', '101500']);
  });

  it('keeps numbers, but not text that pretends to be one', () => {
    const numbers = [
      element(0x00180050, 'DS', '1.25'),
      element(0x00180060, 'DS', 'Smith J'),
      element(0x00200013, 'IS', '17'),
    ];
    const { dataset } = read(image(numbers));
    expect([dataset.string(0x00180050), dataset.string(0x00180060), dataset.string(0x00200013)]).toEqual([
      '1.25',
      null,
      '17',
    ]);
  });

  it('empties a binary number that swallowed text, as in a file with a wrong length', () => {
    const { dataset } = read(
      image([
        element(0x00189306, 'FD', Buffer.from('Winterbottom^Ada')),
        element(0x00189307, 'FD', Buffer.alloc(16, 1)),
      ]),
    );
    expect([dataset.get(0x00189306)?.length, dataset.get(0x00189307)?.length]).toEqual([0, 16]);
  });

  it('empties or removes text under a VR that cannot hold any, also where the element is kept', () => {
    const hidden = 'WINTERBOTTOM';
    const elements = [
      element(0x00181210, 'OB', Buffer.from(hidden)),
      element(0x00180024, 'UN', Buffer.from(hidden)),
      element(0x00281201, 'LO', hidden),
      element(0x00283006, 'UT', hidden),
      element(0x00081155, 'UI', hidden),
      element(0x00181000, 'OB', Buffer.from(hidden)),
    ];
    for (const options of [[], ['retain-uids', 'retain-device-identity']] as const)
      expect(
        made(image([element(0x00100010, 'PN', `${hidden}^Ada`), ...elements]), options).includes(hidden),
      ).toBe(false);
  });

  it('blanks a technical text that repeats a name or a number of the patient, and keeps it otherwise', () => {
    const more = (sequenceName: string) => [
      element(0x00080070, 'LO', 'SIEMENS'),
      element(0x00100010, 'PN', 'Winterbottom^Ada'),
      element(0x00100020, 'LO', 'MRN-889211'),
      element(0x00180015, 'CS', 'WINTERBOTTOM'),
      element(0x00180024, 'SH', sequenceName),
    ];
    expect(read(image(more('*tfl3d1_16ns'))).dataset.string(0x00180024)).toBe('*tfl3d1_16ns');
    expect(read(image(more('scan 889211'))).dataset.get(0x00180024)).toMatchObject({ length: 0 });
    expect(read(image(more('x'))).dataset.string(0x00180015)).toBeNull();
    expect(read(image(more('x'))).dataset.string(0x00080070)).toBe('SIEMENS');
    const numbers = [
      element(0x00200011, 'IS', '889211'),
      element(0x00200013, 'IS', '889'),
      element(0x00201041, 'DS', '889211'),
    ];
    const { dataset } = read(image([...more('x'), ...numbers]));
    expect([0x00200011, 0x00200013, 0x00201041].map((tag) => dataset.string(tag))).toEqual([
      null,
      '889',
      '889211',
    ]);
  });

  it('keeps codes of public schemes and drops those of the site, also three sequences deep', () => {
    const code = (scheme: string, meaning: string) => [
      element(0x00080100, 'SH', '24627-2'),
      element(0x00080102, 'SH', scheme),
      element(0x00080104, 'LO', meaning),
    ];
    const nested = sequence(0x00081032, [
      ...code('LN', 'CT Chest'),
      sequence(0x00400440, [sequence(0x00081032, code('99MERCYHOSP', 'Mercy thorax'), code('SCT', 'Chest'))]),
    ]);
    const [item] = read(image([nested, sequence(0x0040030e, code('99LOCAL', 'local'))])).dataset.items(
      0x00081032,
    );
    expect(item?.string(0x00080104)).toBe('CT Chest');
    const deep = item?.items(0x00400440)[0]?.items(0x00081032);
    expect(deep?.map((each) => each.string(0x00080104))).toEqual(['Chest']);
    expect(made(image([nested])).includes('Mercy')).toBe(false);
  });

  it('keeps class UIDs that DICOM registered and maps every other UID', () => {
    const { dataset } = read(
      image([
        element(0x0008001b, 'UI', nulPadded('1.2.276.0.99.1')),
        sequence(0x00081199, [
          element(0x00081150, 'UI', nulPadded('1.2.840.10008.5.1.4.1.1.2')),
          secretElement(0x00081155),
        ]),
      ]),
    );
    const [item] = dataset.items(0x00081199);
    expect(item?.string(0x00081150)).toBe('1.2.840.10008.5.1.4.1.1.2');
    expect(item?.string(0x00081155)).toMatch(/^2\.25\./);
    expect(dataset.string(0x0008001b)).toBeNull();
  });

  it('keeps private numbers of the safe list with the option, and no other private element', () => {
    const privates = [
      element(0x00190010, 'LO', 'SIEMENS MR HEADER'),
      element(0x0019100c, 'IS', '1000'),
      element(0x00191008, 'CS', 'SMITH'),
      element(0x00290010, 'LO', 'SMITH PRIVATE'),
      element(0x0029100c, 'IS', '1000'),
    ];
    expect([...read(image(privates)).dataset.all()].filter(({ tag }) => (tag >>> 16) % 2 === 1)).toEqual([]);
    const kept = [...read(image(privates), ['retain-safe-private']).dataset.all()].filter(
      ({ tag }) => (tag >>> 16) % 2 === 1,
    );
    expect(kept.map(({ tag }) => tagName(tag))).toEqual(['(0019,0010)', '(0019,100C)']);
    const hidden = [privates[0] ?? Buffer.alloc(0), element(0x0019100c, 'IS', 'SMITH')];
    expect(made(image(hidden), ['retain-safe-private']).includes('SMITH')).toBe(false);
  });
});
