import { describe, expect, it } from 'vitest';
import { buildMessage, readMessage } from './codec.ts';
import { referenceToXcn, xcnToReference } from './xcn-reference.ts';

const HEADER = 'MSH|^~\\&|OE|HOSP|||20260115||ORM^O01|1|P|2.5.1';
const read = (xcn: string) =>
  xcnToReference(
    readMessage(Buffer.from(`${HEADER}\rORC|NW|1||||||||||${xcn}`))
      .segment('ORC')
      ?.repetitions(12)[0],
    'HOSP',
  );
const print = (...given: Parameters<typeof referenceToXcn>) =>
  buildMessage([
    { segment: 'MSH', fields: {} },
    { segment: 'OBR', fields: { 16: referenceToXcn(...given) } },
  ])
    .bytes.toString()
    .split('\r')[1]!
    .split('|')[16] ?? '';

describe('A person as XCN and as reference', () => {
  it.each([
    '1234^HOUSE^GREGORY',
    '1234^HOUSE^GREGORY^A^JR^DR',
    '1234^HOUSE^GREGORY^^^^^^NPI&2.16.840.1.113883.4.6&ISO',
    '1234^HOUSE^GREGORY^^^^^^STAFF',
    '1234^HOUSE',
    '^HOUSE^GREGORY',
    '1234^DE LA CRUZ^MARÍA JOSÉ',
    '1234',
  ])('goes there and back: %s', (xcn) => {
    expect(print(read(xcn) ?? undefined)).toBe(xcn);
  });

  it('has no control characters, for which FHIR has no place', () => {
    expect(read('12\\X00\\34^HO\\X07\\USE')).toMatchObject({
      identifier: { value: '1234' },
      display: 'HOUSE',
    });
  });

  it('has the id with its authority, the name in parts and the name to read', () => {
    expect(read('1234^HOUSE^GREGORY^^^DR')).toEqual({
      extension: [
        {
          url: 'https://prelim.example/fhir/StructureDefinition/person-name',
          valueHumanName: { family: 'HOUSE', given: ['GREGORY'], prefix: ['DR'] },
        },
      ],
      identifier: {
        system: 'https://prelim.example/fhir/NamingSystem/hl7v2-from/person/HOSP',
        value: '1234',
      },
      display: 'DR GREGORY HOUSE',
    });
  });

  it('is nobody when it is empty, or to be deleted', () => {
    expect([read(''), read('""'), read('^^^^JR'), xcnToReference(undefined, '')]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect(print(undefined)).toBe('');
  });

  it('whose name is one text is not taken apart by guessing', () => {
    expect(print({ identifier: { value: '9' }, display: 'DR GREGORY HOUSE' })).toBe('9^DR GREGORY HOUSE');
  });

  it('cannot break out of its field', () => {
    expect(print({ display: 'A^B|C\rD&E' })).toBe('^A\\S\\B\\F\\C\\X0D\\D\\T\\E');
  });
});
