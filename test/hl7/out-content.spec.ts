import type { DiagnosticReport, Observation, Patient } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../src/hl7/codec.ts';
import { MATCH_GRADE_EXTENSION } from '../../src/kernel/code-systems.ts';
import { decimalText } from '../../src/steps/ris/fhir-to-datatype.ts';
import { makeMessage } from '../../src/steps/ris/make-message.ts';
import { isSameContent, isTakenBack } from '../../src/steps/ris/mark-changes.ts';
import type { OruInput } from '../../src/steps/ris/oru-input.ts';
import { WRONG_PATIENT } from '../../src/steps/ris/report-status.ts';
import { type OruMessage, reportToOru } from '../../src/steps/ris/report-to-oru.ts';
import { readRisProfile } from '../../src/steps/ris/ris-profile.ts';
import { takeBack } from '../../src/steps/ris/take-back.ts';
import { COMMENT, DIAMETER, NODULE, ORDER, PATIENT, RECORD, REPORT } from './out-record.ts';

const make = (change: Partial<OruInput> = {}, profile: unknown = {}) =>
  reportToOru({
    ...RECORD,
    controlId: 'P1768000000001',
    now: new Date('2026-01-15T10:15:22Z'),
    ...change,
    profile: readRisProfile(profile),
  });
const linesOf = (message: OruMessage, start = 'OBX') =>
  message.bytes
    .toString('utf8')
    .split('\r')
    .filter((line) => line.startsWith(start))
    .map((line) => line.split('|'));
/** OBX-2, 4, 5, 6 and 11 of the lines whose OBX-3 begins so. */
const linesWith = (message: OruMessage, code: string) =>
  linesOf(message)
    .filter((line) => line[3]?.startsWith(code))
    .map((line) => [2, 4, 5, 6, 11].map((n) => line[n] ?? ''));
const after = (before: OruMessage) => ({
  previous: { raw: before.bytes, result: before.result, lineIds: before.lineIds },
});
const final: DiagnosticReport = { ...REPORT, status: 'final' };
const valued = (value: Partial<Observation>): Observation => {
  const { valueString: _none, ...rest } = COMMENT;
  return { ...rest, ...value };
};

describe('A number', () => {
  it.each([
    [0.87, '0.87'],
    [-0.5, '-0.5'],
    [0, '0'],
    [1e21, '1000000000000000000000'],
    [1.5e22, '15000000000000000000000'],
    [1e-12, '0.000000000001'],
    [-1.25e-9, '-0.00000000125'],
    [1.23456e-14, '0.0000000000000123456'],
    [0.1 + 0.2, '0.3'],
    [0.8712345361709595, '0.87123453617096'],
    [123456789012345.67, '123456789012346'],
  ])('%d is written as %s: plain, and in 16 characters where it can be', (value, expected) => {
    expect(decimalText(value)).toBe(expected);
  });
});

describe('A value of a finding', () => {
  it.each<[string, Partial<Observation>, string[][]]>([
    ['a whole number is NM', { valueInteger: 3 }, [['NM', '2', '3', '', 'P']]],
    ['a truth is coded', { valueBoolean: false }, [['CWE', '2', 'N^No^HL70136', '', 'P']]],
    [
      'a range is SN',
      { valueRange: { low: { value: 2, code: 'mm' }, high: { value: 4, code: 'mm' } } },
      [['SN', '2', '^2^-^4', 'mm^^UCUM', 'P']],
    ],
    [
      'a range without an upper end is SN',
      { valueRange: { low: { value: 2, code: 'mm' } } },
      [['SN', '2', '>=^2', 'mm^^UCUM', 'P']],
    ],
    [
      'a ratio is SN',
      { valueRatio: { numerator: { value: 1 }, denominator: { value: 128 } } },
      [['SN', '2', '^1^:^128', '', 'P']],
    ],
    [
      'a ratio with a comparator is SN that begins with it',
      { valueRatio: { numerator: { value: 1, comparator: '<' }, denominator: { value: 8 } } },
      [['SN', '2', '<^1^:^8', '', 'P']],
    ],
    [
      'a ratio with units is text: OBX-6 has room for one',
      { valueRatio: { numerator: { value: 5, code: 'mg' }, denominator: { value: 2, unit: 'bags' } } },
      [['TX', '2', '5 mg : 2 bags', '', 'P']],
    ],
    [
      'a ratio of which SN has no room for a comparator is text',
      { valueRatio: { numerator: { value: 1 }, denominator: { value: 640, comparator: '>' } } },
      [['TX', '2', '1:>640', '', 'P']],
    ],
    [
      'a range in two units is text',
      { valueRange: { low: { value: 5, code: 'mm' }, high: { value: 1, code: 'cm' } } },
      [['TX', '2', '5 mm - 1 cm', '', 'P']],
    ],
    [
      'words without a code are words',
      { valueCodeableConcept: { coding: [{ display: 'left upper lobe' }] } },
      [['CWE', '2', '^left upper lobe', '', 'P']],
    ],
    [
      'words of a code that means something else are none',
      {
        valueCodeableConcept: {
          coding: [
            {
              code: '1',
              display: 'pneumonia',
              extension: [{ url: MATCH_GRADE_EXTENSION, valueCode: 'narrower' }],
            },
          ],
        },
      },
      [['CWE', '2', '', '', 'P']],
    ],
    ['a date is DT', { valueDateTime: '2026-01-15' }, [['DT', '2', '20260115', '', 'P']]],
    [
      'a time is TS',
      { valueDateTime: '2026-01-15T09:30:00Z' },
      [['TS', '2', '20260115093000+0000', '', 'P']],
    ],
    [
      'why there is none is said',
      { dataAbsentReason: { text: 'motion' } },
      [['CWE', '2', '^motion', '', 'P']],
    ],
    [
      'a text of several lines is several OBX of one OBX-4',
      { valueString: 'left\r\n\nupper\u2028lobe' },
      [
        ['TX', '2', 'left', '', 'P'],
        ['TX', '2', 'upper', '', 'P'],
        ['TX', '2', 'lobe', '', 'P'],
      ],
    ],
    [
      'a unit of no system is not said to be UCUM',
      { valueQuantity: { value: 3, unit: 'nodules' } },
      [['NM', '2', '3', 'nodules^^L', 'P']],
    ],
    [
      'nor is one of another system',
      { valueQuantity: { value: 3, code: '258684004', unit: 'mg', system: 'http://snomed.info/sct' } },
      [['NM', '2', '3', '258684004^mg^SCT', 'P']],
    ],
  ])('%s', (_what, value, expected) => {
    expect(linesWith(make({ observations: [valued(value)] }), 'side')).toEqual(expected);
  });

  it('has what stands beside it as lines of the same OBX-4, and all of it in text', () => {
    const observation = valued({
      valueQuantity: { value: 3, code: '1', system: 'http://unitsofmeasure.org' },
      component: [{ code: { coding: [{ code: 'lobe', display: 'Lobe' }] }, valueString: 'upper' }],
    });
    const message = make({ observations: [observation] });
    expect(linesWith(message, 'side')).toEqual([['NM', '2', '3', '1^^UCUM', 'P']]);
    expect(linesWith(message, 'lobe')).toEqual([['TX', '2', 'upper', '', 'P']]);
    const text = make({ observations: [observation] }, { codedResults: false });
    // Not "3 1", which reads as another number.
    expect(linesOf(text).map((line) => line[5])).toContain('Side: 3 (Lobe upper)');
  });

  it('has a reference range that names its unit where that is not the unit of the value', () => {
    const range = (low: object, high: object) => {
      const observation = valued({
        valueQuantity: { value: 7, code: 'mm' },
        referenceRange: [{ low, high }],
      });
      return readMessage(make({ observations: [observation] }).bytes)
        .all('OBX')
        .find((line) => line.get(3) === 'side')
        ?.get(7);
    };
    expect(range({ value: 2, code: 'mm' }, { value: 5 })).toBe('2-5');
    expect(range({ value: 0.2, code: 'cm' }, { value: 0.5, code: 'cm' })).toBe('0.2 cm-0.5 cm');
    expect(range({ value: 0.2, code: 'cm' }, {})).toBe('>0.2 cm');
  });

  it('is W with the whole report, also where it was taken back before', () => {
    const observations = [{ ...NODULE, status: 'entered-in-error' as const }];
    const message = make({ report: { ...REPORT, status: 'entered-in-error' }, observations });
    expect(linesWith(message, 'RID50149').map((line) => line[4])).toEqual(['W']);
  });
});

describe('Text', () => {
  it.each([
    ['text/plain', 'utf8'],
    ['text/plain; charset=utf-8', 'utf8'],
    ['Text/Plain;charset="ISO-8859-1"', 'latin1'],
    ['text/plain; charset=no-such', 'utf8'],
  ] as const)('of %s is read in its own character set', (contentType, encoding) => {
    const data = Buffer.from('Größe unverändert', encoding).toString('base64');
    const message = make(
      { report: { ...REPORT, presentedForm: [{ contentType, data }] } },
      { sections: ['report'] },
    );
    expect(linesOf(message).map((line) => line[5])).toContain('Größe unverändert');
  });

  const long = `${'word '.repeat(20_000)}end`;
  it.each(['TX-lines', 'TX-repetitions', 'FT', 'NTE'] as const)(
    'as %s never makes a value longer than receivers take, and loses no word',
    (narrative) => {
      const conclusion = `${long}\n${`${'line '.repeat(10)}\n`.repeat(1_500)}${'|'.repeat(30_000)}`;
      const message = make({ report: { ...REPORT, conclusion } }, { narrative });
      const values = [...linesOf(message), ...linesOf(message, 'NTE')].map(
        (line) => line[line[0] === 'NTE' ? 3 : 5] ?? '',
      );
      expect(Math.max(...values.map((value) => value.length))).toBeLessThan(65_536);
      const all = values.join(' ');
      expect([all.match(/word/g)?.length, all.match(/line/g)?.length, all.match(/\\F\\/g)?.length]).toEqual([
        20_000, 15_000,
        // One stands in the comment of the record, a finding.
        30_001,
      ]);
    },
  );

  it('that looks like a command of FT is text, and its own line ends are commands', () => {
    const message = make(
      { report: { ...REPORT, conclusion: 'C:\\H\\x \\.br\\ y\nnext' } },
      { narrative: 'FT' },
    );
    expect(message.bytes.toString()).toContain('.\\.br\\C:\\E\\H\\E\\x \\E\\.br\\E\\ y\\.br\\next|');
  });

  it('as NTE stands before the first OBX: behind one it would be a note on that', () => {
    const message = make({}, { narrative: 'NTE' });
    const names = message.bytes
      .toString()
      .split('\r')
      .map((line) => line.slice(0, 3));
    expect(names.slice(4, 8)).toEqual(['OBR', 'NTE', 'NTE', 'OBX']);
  });
});

describe('Who it is about, and who asked', () => {
  const pid = (patient: Partial<Patient>) =>
    linesOf(make({ patient: { ...PATIENT, ...patient } }), 'PID')[0] ?? [];

  it('is the name of today; one that is a single text stands whole', () => {
    expect(
      pid({
        name: [
          { use: 'old', family: 'OLD' },
          { family: 'NEW', given: ['A'], prefix: ['Prof.', 'Dr.'] },
        ],
      })[5],
    ).toBe('NEW^A^^^Prof. Dr.^^L');
    expect(pid({ name: [{ text: 'DOE JANE' }] })[5]).toBe('DOE JANE^^^^^^L');
  });

  it('is not known by a number without a value, nor searched by one that is not sent', () => {
    const security = { type: { coding: [{ code: 'SS' }] }, system: 'urn:ss', value: '999-99' };
    const identifier = [security, { system: 'urn:empty' }, { system: 'urn:oid:1.2', value: '77' }];
    expect(pid({ identifier })[3]).toBe('77^^^&1.2&ISO');
    const message = make(
      { patient: { ...PATIENT, identifier } },
      { overrides: [{ at: 'PV1-50', set: '{mrn}' }] },
    );
    expect([message.mrn, message.bytes.includes('999-99')]).toEqual(['77', false]);
  });

  it('lies where the visit said, with the authority of the facility', () => {
    const location = [{ location: { identifier: { value: 'W3^12^A & B^HOSP&1.2.3&ISO^^N^B2^4' } } }];
    const encounter = { ...RECORD.encounter!, location };
    expect(linesOf(make({ encounter }), 'PV1')[0]?.[3]).toBe('W3^12^A \\T\\ B^HOSP&1.2.3&ISO^^N^B2^4');
  });

  it('is a person in OBR-16, and no institution', () => {
    const requester = { type: 'Organization', display: 'North Clinic' } as const;
    const message = readMessage(make({ serviceRequest: { ...ORDER, requester } }).bytes);
    expect(message.get('OBR', 1, 16, 2)).toBe('');
  });
});

describe('Documents', () => {
  const attached = (form: object, profile: unknown = {}) =>
    linesOf(make({ report: { ...REPORT, presentedForm: [form] } }, profile))
      .filter((line) => ['ED', 'RP'].includes(line[2] ?? ''))
      .map((line) => [line[2], line[5]]);

  it('are one run of base64, whatever lines and letters the record has them in', () => {
    expect(attached({ contentType: 'Application/PDF; q=1', data: 'JVBE\r\nRi0x\nLjQK ' })).toEqual([
      ['ED', 'PRELIM^Application^PDF^Base64^JVBERi0xLjQK'],
    ]);
  });

  it('that are too large are linked by the address of the site where their own cannot be sent', () => {
    const form = { contentType: 'application/pdf', data: 'A'.repeat(200), url: 'Binary/1' };
    expect(attached(form, { edCharactersMax: 100, reportUrl: 'https://r.example/{reportId}' })).toEqual([
      ['RP', 'https://r.example/golden-report^PRELIM^application^PDF'],
    ]);
  });

  it('have no link that lacks the number it is made with', () => {
    const viewer = { viewerUrl: 'https://v.example/{accession}' };
    expect(attached({}, viewer)).toEqual([['RP', 'https://v.example/ACC0012345^PRELIM^text^html']]);
    const { serviceRequest: _none, ...rest } = RECORD;
    const without = reportToOru({
      ...rest,
      profile: readRisProfile(viewer),
      controlId: '1',
      now: new Date(0),
    });
    expect(without.bytes.toString()).not.toContain('v.example');
  });

  it('of the same kind are told apart by OBX-4', () => {
    const form = { contentType: 'application/pdf', data: 'JVBERi0=' };
    const message = make({ report: { ...REPORT, presentedForm: [form, form] } });
    expect(linesWith(message, '11528-7').map((line) => line[1])).toEqual(['', '1.2']);
  });
});

describe('What changed', () => {
  it('is C for a line that had been withdrawn and is there again', () => {
    const first = make({ report: final });
    const second = make({ report: final, observations: [NODULE, DIAMETER], ...after(first) });
    const third = make({ report: final, ...after(second) });
    expect(linesWith(second, 'side').map((line) => line[4])).toEqual(['D']);
    expect(linesWith(third, 'side').map((line) => line[4])).toEqual(['C']);
    expect(linesWith(third, 'diameter').map((line) => line[4])).toEqual(['F']);
  });

  it('is C, and not D beside it, when a finding or the exam has other words for the same code', () => {
    const renamed = {
      ...DIAMETER,
      code: { ...DIAMETER.code, coding: [{ ...DIAMETER.code.coding?.[0], display: 'Diameter' }] },
    };
    const first = make({ report: final });
    const second = make({ report: final, observations: [NODULE, renamed, COMMENT], ...after(first) });
    expect(linesWith(second, 'diameter')).toEqual([['SN', '3', '>^6.2', 'mm^^UCUM', 'C']]);
    const suffix = { sectionCodes: 'suffix' };
    const coding = [{ system: 'http://loinc.org', code: '36643-5', display: 'XR Chest' }];
    const text = make(
      {
        report: final,
        serviceRequest: { ...ORDER, code: { coding } },
        ...after(make({ report: final }, suffix)),
      },
      suffix,
    );
    expect(linesWith(text, '36643-5&IMP').map((line) => line[4])).not.toContain('D');
  });

  it('is seen in a line that only begins like the first', () => {
    const said = (conclusion: string) => make({ report: { ...final, conclusion } });
    expect(isSameContent(said('AI RESULT: left.').bytes, said('AI RESULT: right.').bytes, 'TX-lines')).toBe(
      false,
    );
    const first = said('AI RESULT: left.');
    expect(make({ report: { ...final, conclusion: 'AI RESULT: right.' }, ...after(first) }).result).toBe('C');
  });

  it('is told also when the site changed its character set in between', () => {
    const first = make({ report: final, observations: [valued({ valueString: 'größer ŁĄ' })] });
    const second = make(
      { report: final, observations: [NODULE], ...after(first) },
      { charset: '8859/1', replacement: '?' },
    );
    const gone = readMessage(second.bytes)
      .all('OBX')
      .find((line) => line.get(3) === 'side');
    expect([gone?.get(11), gone?.get(5)]).toEqual(['D', 'größer ??']);
  });

  it('is nothing more to take back once every line is taken back', () => {
    const first = make({ report: final });
    expect(isTakenBack(first.bytes)).toBe(false);
    expect(isTakenBack(Buffer.alloc(0))).toBe(false);
    for (const status of ['cancelled', 'entered-in-error'] as const)
      expect(isTakenBack(make({ report: { ...REPORT, status }, ...after(first) }).bytes)).toBe(true);
  });

  it('has an object of its own as RAD-28 also where a result is taken back', () => {
    const profile = readRisProfile({ extends: 'dcm4chee-rad-28' });
    const first = make({}, { extends: 'dcm4chee-rad-28' });
    const how = { now: new Date(), profile, words: WRONG_PATIENT, result: 'X' };
    const uidOf = (bytes: Buffer) => readMessage(bytes).get('OBX', 1, 5);
    const uids = ['P1', 'P2', 'P2'].map((controlId) => uidOf(takeBack(first.bytes, { ...how, controlId })));
    expect([new Set([uidOf(first.bytes), ...uids]).size, uids[1]]).toEqual([3, uids[2]]);
    expect(uids.every((uid) => /^2\.25\.\d{1,39}$/.test(uid))).toBe(true);
  });
});

/** Every text of a value with what could tear a message behind it; what are codes, times and links stays. */
function poisoned<T>(value: T, key = ''): T {
  const isFixed = FIXED.has(key);
  if (typeof value === 'string') return (isFixed ? value : value + HOSTILE) as T;
  if (Array.isArray(value)) return value.map((one) => poisoned(one, key)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, poisoned(one, name)])) as T;
}
const HOSTILE = '|^~\\&\u0001\u001c\u0000\u007f\té Ł😀\ud800 \\.br\\ \\X41\\ ~';
const FIXED = new Set(
  'resourceType status system code contentType data url id reference birthDate started issued effectiveDateTime gender use comparator'.split(
    ' ',
  ),
);

it.each(['UNICODE UTF-8', '8859/1', 'ASCII'])(
  'A record whose every text holds delimiters and control characters makes the same segments in %s, and no change where there is none',
  (charset) => {
    const record = poisoned(RECORD);
    for (const narrative of ['TX-lines', 'TX-repetitions', 'FT', 'NTE'])
      for (const replacement of [null, '?']) {
        const profile = { charset, narrative, replacement, sectionCodes: 'suffix', trailingSeparator: true };
        const namesOf = ({ bytes }: OruMessage) =>
          bytes.toString('latin1').match(/(?<=^|\r)[A-Z][A-Z0-9]{2}/g);
        const first = make({ ...record, report: { ...record.report, status: 'final' } }, profile);
        expect(namesOf(first)).toEqual(namesOf(make({}, profile)));
        expect(first.bytes.every((byte) => byte === 0x0d || (byte >= 0x20 && byte !== 0x7f))).toBe(true);
        if (replacement === null)
          expect(readMessage(first.bytes).get('PID', 1, 5)).toBe(`MÜLLER & DOE${HOSTILE}`.toWellFormed());
        const again = make(
          { ...record, report: { ...record.report, status: 'final' }, ...after(first) },
          profile,
        );
        expect([again.result, linesOf(again)]).toEqual(['F', linesOf(first)]);
        const fewer = { observations: record.observations.slice(0, 1), ...after(first) };
        const corrected = make(
          { ...record, report: { ...record.report, status: 'final' }, ...fewer },
          profile,
        );
        const numbers = readMessage(corrected.bytes)
          .all('OBX')
          .map((line) => line.get(1));
        expect([corrected.result, numbers]).toEqual(['C', numbers.map((_one, at) => String(at + 1))]);
      }
  },
);

it('A later version has a later OBR-22 also in the hour that comes twice where times have no offset', () => {
  const profile = readRisProfile({ zoneOffset: false, timeZone: 'Europe/Vienna' });
  const about = { destination: 'ris', reportId: 'r', reportVersion: 2, patientId: 'p' };
  // 02:45 in summer, then 02:30 in winter, 45 minutes later.
  const messageTime = new Date('2026-10-25T00:45:00Z');
  const latest = {
    state: 'acknowledged',
    reportVersion: 1,
    revision: 1,
    messageTime,
    openLane: null,
  } as const;
  const { message } = makeMessage({
    ...{ about, latest, told: null, controlId: 'P2', versionOf: null, record: RECORD, misplaced: null },
    profile: { name: 'x', version: '1', profile },
    now: new Date('2026-10-25T01:30:00Z'),
  });
  expect(readMessage(message.raw).get('OBR', 1, 22)).toBe('20261025033000');
});
