import type { Identifier, Patient } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDefinitions } from '../../src/fhir/definitions/definitions.ts';
import { findIssues } from '../../src/fhir/validate/validate-resource.ts';
import { buildMessage, type Field, type Hl7Segment, readMessage } from '../../src/hl7/codec.ts';
import { referenceToXcn, xcnToReference } from '../../src/hl7/xcn-reference.ts';
import { cxToIdentifier, eiToIdentifier } from '../../src/steps/filing/datatype-to-fhir.ts';
import { identifierToCx, identifierToEi } from '../../src/steps/ris/fhir-to-datatype.ts';

const ROUNDS = 2_000;
const CONTEXT = { facility: 'HOSP', timeZone: null };

/** Mulberry32: a seed names its run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const TYPES = ['', 'ISO', 'URI', 'URN', 'UUID', 'DNS', 'GUID', 'L', 'HL7', 'x500', 'Random', 'iso', 'uri'];
const NAMES = ['', 'HOSP', 'St. Anna & Söhne', 'a/b', '%41', 'hl7v2', 'ŁÓDŹ', '病院', 'A|B^C~D', 'A  B'];
const IDS = [
  ...['', '1.2.840.1', '2.16.840.1.113883.4.6', '1.2.', '9.9', '1', '01.02'],
  ...['9ADF2339-DE71-4C66-8063-E3DDF5D07000', '9adf2339-de71-4c66-8063-e3ddf5d07000', 'no-uuid'],
  ...['https://hosp.example/mrn', 'http://HOSP.example:80/a?b=c&d=e#f', 'urn:nhs:mrn', 'urn:oid:1.2.3'],
  ...[
    'urn:uuid:9adf2339-de71-4c66-8063-e3ddf5d07000',
    'mailto:a@b.example',
    'http://a b',
    'http://é.example',
  ],
  ...[
    'hosp.example',
    'HOSP',
    'CN=Radiology, O=Söhne',
    'https://prelim.example/fhir/NamingSystem/hl7v2/patient/A',
  ],
  ...['https://prelim.example/fhir/NamingSystem/accession', '//x', 'x:', '%zz'],
];
const SIGNS = [...'aB9.:/-%#&^~|\\ "é語😀?'];

/** Each is as it is kept: without blanks around, and not the delete mark. */
function authorities(seed: number): readonly (readonly [string, string, string])[] {
  const random = seeded(seed);
  const one = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const mixed = () =>
    Array.from({ length: 1 + Math.floor(random() * 8) }, () => one(SIGNS))
      .join('')
      .trim();
  const kept = (text: string) => (text === '""' ? '' : text);
  const from = (list: readonly string[]) => kept(random() < 0.2 ? mixed() : one(list));
  const some = Array.from({ length: ROUNDS }, () => [from(NAMES), from(IDS), from(TYPES)] as const);
  return [
    ...NAMES.flatMap((name) => IDS.flatMap((id) => TYPES.map((type) => [name, id, type] as const))),
    ...some,
  ];
}

/** A field as a message brings it. */
function cameIn(field: Field): Hl7Segment {
  const rows = [
    { segment: 'MSH', fields: { 3: 'OE', 4: 'HOSP', 9: ['ORM', 'O01'], 10: '1', 12: '2.5.1' } },
    { segment: 'ZZZ', fields: { 1: field } },
  ];
  return readMessage(buildMessage(rows).bytes).segment('ZZZ')!;
}
const stored = <T>(value: T): T => JSON.parse(JSON.stringify(value)) as T;

describe('An assigning authority of a number goes back out as it came in', () => {
  beforeAll(() => loadDefinitions());

  it('as CX (patient, visit, account)', () => {
    for (const parts of authorities(1)) {
      const field = ['100', '', '', { subcomponents: parts }, 'MR'];
      const identifier = cxToIdentifier(cameIn(field).repetitions(1)[0]!, 'patient', null, CONTEXT);
      const back = cameIn(identifierToCx(stored(identifier)!));
      expect([back.get(1, 1), back.get(1, 5), ...[1, 2, 3].map((n) => back.get(1, 4, n))]).toEqual([
        '100',
        'MR',
        ...parts,
      ]);
    }
  });

  it('as EI (placer, filler)', () => {
    for (const parts of authorities(2)) {
      const identifier = eiToIdentifier(
        cameIn(['100', ...parts]).repetitions(1)[0],
        'placer',
        'PLAC',
        CONTEXT,
      );
      const back = cameIn(identifierToEi(stored(identifier)!));
      expect([1, 2, 3, 4].map((n) => back.get(1, n))).toEqual(['100', ...parts]);
    }
  });

  it('as XCN (requester)', () => {
    for (const parts of authorities(3)) {
      const field = ['100', 'HOUSE', 'GREGORY', '', '', '', '', '', { subcomponents: parts }];
      const reference = xcnToReference(cameIn(field).repetitions(1)[0], 'HOSP');
      const back = cameIn(referenceToXcn(stored(reference)!));
      expect([back.get(1, 1), back.get(1, 2), ...[1, 2, 3].map((n) => back.get(1, 9, n))]).toEqual([
        '100',
        'HOUSE',
        ...parts,
      ]);
    }
  });

  it('and is a FHIR Identifier on the way, whatever it is', () => {
    const identifier = authorities(4).map(
      (parts) =>
        cxToIdentifier(
          cameIn(['100', '', '', { subcomponents: parts }]).repetitions(1)[0]!,
          'patient',
          null,
          CONTEXT,
        ) as Identifier,
    );
    const patient: Patient = { resourceType: 'Patient', identifier };
    expect(findIssues(patient)).toEqual([]);
  });
});
