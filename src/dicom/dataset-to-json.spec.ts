import { describe, expect, it } from 'vitest';
import { datasetToJson } from './dataset-to-json.ts';
import { element, mark, part10 } from './fixtures/dicom-bytes.ts';
import {
  jsonItems,
  jsonNumber,
  jsonNumbers,
  jsonPersonName,
  jsonString,
  jsonStrings,
} from './json-values.ts';
import { readPart10 } from './read-part10.ts';

const EXPLICIT = '1.2.840.10008.1.2.1';
const jsonOf = (...elements: Buffer[]) => datasetToJson(readPart10(part10(EXPLICIT, ...elements)).dataset);

describe('a data set in the DICOM JSON model', () => {
  it('has numbers for IS and DS, text where they are none, null for empty values', () => {
    const json = jsonOf(element(0x00200013, 'IS', '7'), element(0x00280030, 'DS', '0.5\\\\x1'));
    expect(json['00200013']).toEqual({ vr: 'IS', Value: [7] });
    expect(json['00280030']).toEqual({ vr: 'DS', Value: [0.5, null, 'x1'] });
  });

  it('has person names in groups, without trailing separators', () => {
    const json = jsonOf(element(0x00100010, 'PN', 'Doe^Jane^^Dr^=J D'), element(0x00104000, 'LT', 'a\\b'));
    expect(json['00100010']).toEqual({
      vr: 'PN',
      Value: [{ Alphabetic: 'Doe^Jane^^Dr', Ideographic: 'J D' }],
    });
    expect(json['00104000']).toEqual({ vr: 'LT', Value: ['a\\b'] });
  });

  it('has small binary values inline and leaves larger ones and pixels out', () => {
    const json = jsonOf(
      element(0x00091001, 'OB', Buffer.from([1, 2])),
      element(0x00091002, 'OB', Buffer.alloc(1024)),
      element(0x00091003, 'OB', Buffer.alloc(1026)),
      element(0x7fe00010, 'OW', Buffer.alloc(4)),
    );
    expect(json['00091001']).toEqual({ vr: 'OB', InlineBinary: 'AQI=' });
    expect(json['00091002']?.InlineBinary).toHaveLength(1368);
    expect(json['00091003']).toEqual({ vr: 'OB' });
    expect(json['7FE00010']).toBeUndefined();
  });

  it('says UTF-8 whatever the file was in, and keeps empty attributes and items', () => {
    const json = jsonOf(
      element(0x00080005, 'CS', 'ISO_IR 100'),
      element(0x00080050, 'SH', ''),
      element(0x00081110, 'SQ', mark(0xfffee000, 0)),
      element(0x00100010, 'PN', Buffer.from('Bj\xf6rn ', 'latin1')),
    );
    expect(json['00080005']).toEqual({ vr: 'CS', Value: ['ISO_IR 192'] });
    expect(json['00080050']).toEqual({ vr: 'SH' });
    expect(json['00081110']).toEqual({ vr: 'SQ', Value: [{}] });
    expect(json['00100010']).toEqual({ vr: 'PN', Value: [{ Alphabetic: 'Björn' }] });
  });
});

describe('values of the DICOM JSON model', () => {
  const json = {
    '00100010': { vr: 'PN', Value: [{ Alphabetic: 'Doe^Jane^Q^Dr^PhD' }] },
    '00200032': { vr: 'DS', Value: ['1.5', 2, -3] },
    '00280030': { vr: 'DS', Value: [0.5, 'wide'] },
    '00080061': { vr: 'CS', Value: [' CT ', null, '', 'SR'] },
    '00081110': { vr: 'SQ', Value: [{ '00080060': { vr: 'CS', Value: ['MR'] } }, null, 'no item'] },
    '00200013': { vr: 'IS', Value: 7 as unknown as unknown[] },
  };

  it('come with their type', () => {
    expect(jsonNumbers(json, '00200032')).toEqual([1.5, 2, -3]);
    expect(jsonNumber(json, '00200032')).toBe(1.5);
    expect(jsonStrings(json, '00080061')).toEqual(['CT', 'SR']);
    expect(jsonPersonName(json, '00100010')).toEqual({
      family: 'Doe',
      given: ['Jane', 'Q'],
      prefix: 'Dr',
      suffix: 'PhD',
      text: 'Doe^Jane^Q^Dr^PhD',
    });
    expect(jsonItems(json, '00081110')[0]?.['00080060']).toEqual({ vr: 'CS', Value: ['MR'] });
    expect(jsonItems(json, '00081110')).toHaveLength(1);
  });

  it('read as null where a PACS sends something else', () => {
    expect(jsonNumbers(json, '00280030')).toBeNull();
    expect(jsonNumber(json, '00080061')).toBeNull();
    expect(jsonString(json, '00200013')).toBeNull();
    expect(jsonPersonName(json, '00080061')?.family).toBe('CT');
    expect(jsonPersonName(json, '00200013')).toBeNull();
    expect(jsonString(json, '00000000')).toBeNull();
  });
});
