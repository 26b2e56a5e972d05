import { describe, expect, it } from 'vitest';
import { readMessage } from '../../src/hl7/codec.ts';
import { compareMessages } from '../../src/steps/ris/compare-messages.ts';
import type { OruInput } from '../../src/steps/ris/oru-input.ts';
import { WRONG_PATIENT } from '../../src/steps/ris/report-status.ts';
import { type OruMessage, reportToOru } from '../../src/steps/ris/report-to-oru.ts';
import { nameProfile, readRisProfile } from '../../src/steps/ris/ris-profile.ts';
import { takeBack } from '../../src/steps/ris/take-back.ts';
import { NODULE, ORDER, RECORD, REPORT } from './out-record.ts';

const make = (profile: unknown, change: Partial<OruInput> = {}) =>
  reportToOru({
    ...RECORD,
    ...change,
    profile: readRisProfile(profile),
    controlId: 'P1768000000001',
    now: new Date('2026-01-15T10:15:22Z'),
  });
const after = ({ bytes: raw, result, lineIds }: OruMessage) => ({ previous: { raw, result, lineIds } });
const namesOf = ({ bytes }: Pick<OruMessage, 'bytes'>) =>
  bytes
    .toString('latin1')
    .split('\r')
    .map((line) => line.slice(0, 3))
    .filter((name, at, all) => name !== '' && name !== all[at - 1]);
const faultsOf = (profile: unknown): string[] => {
  try {
    readRisProfile(profile);
    return [];
  } catch (error) {
    return (error as { issues: { at: string; text: string }[] }).issues.map(
      ({ at, text }) => `${at} ${text}`,
    );
  }
};
const FINAL = { ...REPORT, status: 'final' as const };
const NOTES_ONLY = { narrative: 'NTE', studyUid: 'none', codedResults: false, pdf: 'none', links: 'none' };

describe('A segment that a profile adds', () => {
  it('stands after the segment it names, several in the order in which they are written', () => {
    const made = make({
      overrides: [
        { add: 'SFT', after: 'MSH', fields: { '1': 'PRELIM' } },
        { add: 'ZDS', after: 'OBR', fields: { '1.1': '{studyUid}', '1.4': 'DICOM' } },
        { add: 'ZPI', after: 'OBR', fields: { '1': '{visit} of {mrn}' } },
        { add: 'ZZ1', after: 'ZDS', fields: { '3(2).1.2': 'DEEP & WIDE' } },
        { add: 'ZEN', after: 'NTE', fields: { '1': 'END' } },
      ],
    });
    expect(namesOf(made)).toEqual('MSH SFT PID PV1 ORC OBR ZDS ZZ1 ZPI OBX NTE ZEN'.split(' '));
    const message = readMessage(made.bytes);
    expect(message.segment('ZDS')?.repetitions(1)[0]?.wholeText()).toBe('1.2.840.99999.1.2.3^^^DICOM');
    expect(message.get('ZPI', 1, 1)).toBe('V0009988 of MRN100');
    expect(message.get('ZZ1', 1, 3, 1, 2, 2)).toBe('DEEP & WIDE');
  });

  it('is filled by the overrides after it, and its text cannot break out of its field', () => {
    const message = readMessage(
      make({
        tables: { site: { DX: 'RÖ' } },
        overrides: [
          { add: 'ZPI', after: 'OBR', fields: { '1': 'A|B^C\rMSH' } },
          { at: 'ZPI-2', copy: 'PID-3' },
          { at: 'ZPI-3', constant: 'DX' },
          { at: 'ZPI-3', lookup: 'site' },
        ],
      }).bytes,
    );
    expect(message.all('MSH')).toHaveLength(1);
    expect(message.get('ZPI', 1, 1)).toBe('A|B^C\rMSH');
    expect(message.segment('ZPI')?.repetitions(2)[1]?.get(1)).toBe('77');
    expect(message.get('ZPI', 1, 3)).toBe('RÖ');
  });

  it('is left out where the record has nothing for it, and the message says so to who looks at it', () => {
    const { encounter: _none, ...rest } = RECORD;
    const overrides = [
      { add: 'ZVI', after: 'PV1', fields: { '1': '{visit}', '2': 'CONSTANT' } },
      { add: 'ZAC', after: 'PV1', fields: { '1': '{visit}', '2': '{accession}' } },
      { add: 'ZBA', after: 'PV1' },
      { add: 'ZCO', after: 'PV1', fields: { '1': 'CONSTANT' } },
    ];
    const made = reportToOru({
      ...rest,
      profile: readRisProfile({ overrides }),
      controlId: 'P1',
      now: new Date(0),
    });
    expect(namesOf(made)).toEqual('MSH PID PV1 ZAC ZCO ORC OBR OBX NTE'.split(' '));
    expect(made.leftOut).toEqual([
      'segment ZVI: the record has nothing for it',
      'segment ZBA: the record has nothing for it',
    ]);
  });

  it('takes the place of a PV1 or ORC that is dropped, there alone, and an ORC says what the result is worth', () => {
    const overrides = [
      { at: 'PV1', drop: true, where: { field: 'PV1-2', equals: 'U' } },
      { add: 'PV1', after: 'PID', fields: { '2': 'O' } },
      { at: 'ORC', drop: true },
      { add: 'ORC', after: 'PV1', fields: { '2': '{placer}' } },
    ];
    const { encounter: _none, ...rest } = RECORD;
    const one = (record: Omit<OruInput, 'profile' | 'controlId' | 'now'>) =>
      readMessage(
        reportToOru({ ...record, profile: readRisProfile({ overrides }), controlId: 'P', now: new Date(0) })
          .bytes,
      );
    const [without, within] = [one({ ...rest, report: FINAL }), one(RECORD)];
    expect([without.all('PV1').length, without.get('PV1', 1, 2)]).toEqual([1, 'O']);
    expect([within.all('PV1').length, within.get('PV1', 1, 2)]).toEqual([1, 'E']);
    const order = (message: typeof within) => [1, 2, 3, 5].map((n) => message.get('ORC', 1, n));
    expect([order(without), order(within)]).toEqual([
      ['RE', 'ORD7788', '', 'CM'],
      ['RE', 'ORD7788', '', 'IP'],
    ]);
  });

  it('goes to the nearest place where the segment it names is not in this message', () => {
    const overrides = [
      { at: 'NTE', drop: true, where: { field: 'NTE-2', equals: 'L' } },
      { add: 'ZEN', after: 'NTE', fields: { '1': 'END' } },
      { at: 'ORC', drop: true, where: { field: 'ORC-1', equals: 'RE' } },
      { add: 'ZOR', after: 'ORC', fields: { '1': 'x' } },
    ];
    expect(namesOf(make({ overrides }))).toEqual('MSH PID PV1 ZOR OBR OBX ZEN'.split(' '));
    const last = [{ add: 'ZEN', after: 'OBX', fields: { '1': 'END' } }];
    expect(namesOf(make({ ...NOTES_ONLY, overrides: last }))).toEqual(
      'MSH PID PV1 ORC OBR NTE ZEN'.split(' '),
    );
  });

  it('is refused by name where it would contradict the message, a setting or another override', () => {
    const add = (more: object) => ({ add: 'ZDS', after: 'OBR', ...more });
    const faults = faultsOf({
      narrative: 'NTE',
      overrides: [
        ...['MSH', 'PID', 'OBR', 'OBX', 'BHS', 'MSA', 'DSC'].map((name) => add({ add: name })),
        add({ add: 'PV1' }),
        add({ after: 'ZZZ' }),
        { at: 'ORC', drop: true },
        add({ after: 'ORC' }),
        add({ add: 'NTE', fields: { '3': 'note' } }),
        add({ fields: { '1': '{visitt}' } }),
        add({ fields: { '1': 'a', '1(1).2': 'b' } }),
        add({ fields: { '201': 'a' } }),
        add({ add: 'ORC', fields: { '5': 'CM' } }),
        { at: 'ZDS', drop: true },
        { at: 'NTE', drop: true },
        { at: 'ZPI-1', constant: 'before it is there' },
        add({ add: 'ZPI' }),
      ],
    });
    const places = faults.map((fault) => fault.split(' ')[0]);
    expect(places).toEqual(
      [
        ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `${n}/add`),
        ...['8/after', '10/after', '11/after', '12/fields/1', '13/fields/1(1).2', '14/fields/201'],
        ...['15/fields/5', '16/at', '17/at', '18/at'],
      ].map((at) => `overrides/${at}`),
    );
    const of = (at: string) => faults.find((fault) => fault.startsWith(`overrides/${at} `));
    expect(of('7/add')).toContain('drop it first');
    expect(of('10/after')).toContain('drops from every message');
    expect(of('15/fields/5')).toContain('what a result is worth');
    // Where the text of the result stands as lines, a note of the order has its place.
    expect(faultsOf({ overrides: [add({ add: 'NTE', fields: { '3': 'note' } })] })).toEqual([]);
  });

  it('is refused by the schema with the place and no value', () => {
    const faults = faultsOf({
      overrides: [
        { add: 'zds', after: 'OBR' },
        { add: 'ZDS' },
        { add: 'ZDS', after: 'OBR', constant: 'SECRET-VALUE' },
        { add: 'ZDS', after: 'OBR', at: 'ZDS-1' },
        { add: 'ZDS', after: 'OBR', fields: { 'ZDS-1': 'SECRET-VALUE' } },
        { add: 'ZDS', after: 'OBR', fields: { '1': 5 } },
      ],
    });
    expect(faults).toEqual([
      'overrides/0/add must be the name of a segment, such as ZDS',
      'overrides/1/after is missing',
      'overrides/2/constant is no setting of a RIS profile',
      'overrides/3/at is no setting of a RIS profile',
      'overrides/4/fields/ZDS-1 must be a place in the segment, such as 1, 1.4 or 3(2)',
      'overrides/5/fields/1 must be string',
    ]);
  });

  it('is part of the version of the profile, and told as a difference between two', () => {
    const overrides = [{ add: 'ZDS', after: 'OBR', fields: { '1.1': '{studyUid}' } }];
    const [one, other] = [{}, { overrides }].map((profile) => nameProfile('x', readRisProfile(profile)));
    expect(one?.version).not.toBe(other?.version);
    const text = (profile: unknown) => make(profile).bytes.toString();
    expect(compareMessages(text({}), text({ overrides }))).toEqual([
      { at: 'ZDS', one: '', other: 'ZDS|1.2.840.99999.1.2.3' },
    ]);
  });
});

describe('What changed since the message before', () => {
  const note = (text: string, place = 'NTE') => ({
    overrides: [{ add: 'NTE', after: place, fields: { '1': '2', '2': 'L', '3': text } }],
  });
  const noAccession = {
    ...ORDER,
    identifier: ORDER.identifier?.filter(({ type }) => type?.coding?.[0]?.code !== 'ACSN') ?? [],
  };

  it.each([
    ['NTE', {}],
    ['OBR', {}],
    ['OBX', {}],
    ['NTE', { narrative: 'NTE' }],
    ['OBX', { narrative: 'NTE' }],
    ['NTE', NOTES_ONLY],
    ['OBX', NOTES_ONLY],
    ['PID', NOTES_ONLY],
  ])(
    'is not a note of the site after %s with %j: a final result is not corrected by its accession number',
    (place, settings) => {
      const profile = { ...settings, ...note('Accession {accession}, patient {mrn}', place) };
      const first = make(profile, { report: FINAL, serviceRequest: noAccession });
      const second = make(profile, { report: FINAL, ...after(first) });
      expect(second.bytes.toString()).toContain('ACC0012345, patient');
      expect(second.result).toBe('F');
      const other = { ...FINAL, conclusion: 'Something else.' };
      expect(make(profile, { report: other, ...after(first) }).result).toBe('C');
    },
  );

  it('stands behind the last line of the result, before a segment of the site', () => {
    const profile = { overrides: [{ add: 'ZEN', after: 'OBX', fields: { '1': 'END' } }] };
    const first = make(profile, { report: FINAL });
    const second = make(profile, { report: FINAL, observations: [NODULE], ...after(first) });
    const lines = second.bytes
      .toString()
      .split('\r')
      .map((line) => line.split('|'));
    const end = lines.findIndex(([name]) => name === 'ZEN');
    expect(lines.slice(end - 2, end).map((line) => [line[0], line[11]])).toEqual([
      ['OBX', 'D'],
      ['OBX', 'D'],
    ]);
    expect(lines.slice(end).map(([name]) => name)).toEqual(['ZEN', 'NTE', '']);
  });

  it('has a place also in a message that has no line of a result any more', () => {
    const first = make({}, { report: FINAL });
    const second = make(NOTES_ONLY, { report: FINAL, ...after(first) });
    expect(namesOf(second)).toEqual('MSH PID PV1 ORC OBR NTE OBX'.split(' '));
    const letters = readMessage(second.bytes)
      .all('OBX')
      .map((line) => line.get(11));
    expect(new Set(letters)).toEqual(new Set(['D']));
    expect(
      readMessage(second.bytes)
        .all('OBX')
        .map((line) => line.get(1))[0],
    ).toBe('1');
  });

  it('is taken back with the segments as they were', () => {
    const profile = readRisProfile({
      overrides: [{ add: 'ZDS', after: 'OBR', fields: { '1.1': '{studyUid}' } }],
    });
    const raw = make({ overrides: profile.overrides }).bytes;
    const taken = takeBack(raw, {
      controlId: 'P9',
      now: new Date(),
      profile,
      words: WRONG_PATIENT,
      result: 'X',
    });
    expect(namesOf({ bytes: taken })).toEqual(namesOf({ bytes: raw }));
    expect(readMessage(taken).get('ZDS', 1, 1)).toBe('1.2.840.99999.1.2.3');
  });
});

it('A segment that says of whom or of what the result is, or takes it back, is not dropped whole', () => {
  const drop = (at: string, more: object = {}) => faultsOf({ overrides: [{ at, drop: true, ...more }] });
  for (const at of ['MSH', 'PID', 'OBR', 'OBX', 'OBX(2)', 'OBR-25', 'OBX-11'])
    expect([at, drop(at).length]).toEqual([at, 1]);
  expect(drop('OBX', { where: { field: 'OBX-2', equals: 'RP' } })).toHaveLength(1);
  for (const at of ['PV1', 'ORC', 'NTE']) expect([at, drop(at)]).toEqual([at, []]);
  const notes = { narrative: 'NTE', overrides: [{ at: 'NTE', drop: true }] };
  expect(faultsOf(notes)).toEqual([expect.stringContaining('is the text of the result')]);
  expect(
    namesOf(
      make({
        overrides: [
          { at: 'PV1', drop: true },
          { at: 'ORC', drop: true },
        ],
      }),
    ),
  ).toEqual('MSH PID OBR OBX NTE'.split(' '));
});
