import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../src/hl7/codec.ts';
import type { OruInput, PreviousMessage } from '../../src/steps/ris/oru-input.ts';
import { WRONG_PATIENT } from '../../src/steps/ris/report-status.ts';
import { reportToOru } from '../../src/steps/ris/report-to-oru.ts';
import { READY_PROFILES, readRisProfile } from '../../src/steps/ris/ris-profile.ts';
import { takeBack } from '../../src/steps/ris/take-back.ts';
import { DIAMETER, NODULE, RECORD, REPORT } from './out-record.ts';

const FOLDER = resolve(import.meta.dirname, '../fixtures/oru');

/** The life of one result: each step is a version of the record, and its message knows the one before. */
const STEPS: readonly [string, Partial<OruInput>][] = [
  ['1-preliminary', {}],
  [
    '2-corrected-before-final',
    { observations: [{ ...NODULE, status: 'corrected', interpretation: [] }, DIAMETER] },
  ],
  [
    '3-final',
    {
      report: {
        ...REPORT,
        status: 'final',
        resultsInterpreter: [{ display: 'HOUSE', identifier: { value: '9' } }],
      },
      observations: [NODULE, DIAMETER],
    },
  ],
  [
    '4-corrected',
    {
      report: { ...REPORT, status: 'corrected' },
      observations: [NODULE, { ...DIAMETER, valueQuantity: { value: 7.1, code: 'mm' } }],
    },
  ],
  ['5-line-withdrawn', { report: { ...REPORT, status: 'corrected' }, observations: [NODULE] }],
  ['6-entered-in-error', { report: { ...REPORT, status: 'entered-in-error' }, observations: [NODULE] }],
  ['7-cancelled', { report: { ...REPORT, status: 'cancelled' }, observations: [NODULE] }],
];

/** Of a site that needs segments which a result message does not have. */
const SITE_SEGMENTS = {
  extends: 'ihe-rad-128',
  profileVersion: 'site-1',
  overrides: [
    {
      add: 'ZDS',
      after: 'OBR',
      fields: { '1.1': '{studyUid}', '1.2': 'PRELIM', '1.3': 'Application', '1.4': 'DICOM' },
    },
    { add: 'ZPI', after: 'OBR', fields: { '1': '{placer}', '2.1': '{visit}', '2.4.1': 'HOSP' } },
    { at: 'ZPI-3', copy: 'OBR-4.1' },
    { add: 'ZRS', after: 'OBX', fields: { '1': 'END OF RESULTS {accession}' } },
    { at: 'ORC', drop: true },
    { add: 'ORC', after: 'PV1', fields: { '2': '{placer}' } },
    { add: 'NTE', after: 'NTE', fields: { '1': '2', '2': 'O', '3': 'Questions: radiology & AI, 1234' } },
  ],
};

const PROFILES: Readonly<Record<string, unknown>> = {
  ...Object.fromEntries(Object.keys(READY_PROFILES).map((name) => [name, { extends: name }])),
  'site-segments': SITE_SEGMENTS,
};

/** The messages of all steps under a profile, each with the clock a minute on. */
function messagesOf(name: string): Map<string, Buffer> {
  const profile = readRisProfile(PROFILES[name]);
  const made = new Map<string, Buffer>();
  let previous: PreviousMessage | undefined;
  let last: Buffer = Buffer.alloc(0);
  for (const [at, [step, change]] of STEPS.entries()) {
    const message = reportToOru({
      ...RECORD,
      ...change,
      profile,
      controlId: `P176800000000${at}`,
      now: new Date(Date.UTC(2026, 0, 15, 10, 15 + at, 22)),
      ...(previous ? { previous } : {}),
    });
    previous = { raw: message.bytes, result: message.result, lineIds: message.lineIds };
    made.set(step, message.bytes);
    if (step === '3-final') last = message.bytes;
  }
  const now = new Date(Date.UTC(2026, 0, 15, 11, 0, 0));
  made.set(
    '8-wrong-patient',
    takeBack(last, {
      controlId: 'P1768000000099',
      now,
      profile,
      words: WRONG_PATIENT,
      result: profile.wrongPatientStatus,
    }),
  );
  return made;
}

describe.each(Object.keys(PROFILES))('The profile %s', (name) => {
  it.each([...messagesOf(name)])('says %s byte for byte as the golden message does', (step, bytes) => {
    const file = join(FOLDER, `${name}.${step}.hl7`);
    // A golden message that is missing is written, and the run fails: whoever adds one looks at it first.
    if (!existsSync(file)) {
      writeFileSync(file, bytes);
      expect.unreachable(`${file} was missing; look at what was written, then run again`);
    }
    expect(bytes.toString('latin1').split('\r')).toEqual(readFileSync(file).toString('latin1').split('\r'));
    expect(bytes.equals(readFileSync(file))).toBe(true);
  });

  it('is read back by the codec with the numbers the record has', () => {
    for (const bytes of messagesOf(name).values()) {
      const message = readMessage(bytes);
      expect(message.get('PID', 1, 3)).toBe('MRN100');
      expect(message.get('OBR', 1, 3)).toBe('AI0001');
      expect(message.get('OBX', 1, 1)).toBe('1');
    }
  });
});

it('has no golden message that nobody makes', () => {
  const made = Object.keys(PROFILES).flatMap((name) =>
    [...messagesOf(name).keys()].map((step) => `${name}.${step}.hl7`),
  );
  expect(readdirSync(FOLDER).filter((file) => !made.includes(file))).toEqual([]);
});

it('segments that a profile adds change nothing else of a message, in any step of its life', () => {
  const own = (line: string) => !/^(?:Z..|ORC|NTE\|2\|O)/.test(line);
  const linesOf = (name: string, step: string) => String(messagesOf(name).get(step)).split('\r').filter(own);
  for (const step of messagesOf('site-segments').keys())
    expect([step, ...linesOf('site-segments', step)]).toEqual([step, ...linesOf('ihe-rad-128', step)]);
});

describe('The letters of a result over its life', () => {
  const letters = (step: string) => {
    const message = readMessage(messagesOf('ihe-rad-128').get(step) ?? Buffer.alloc(0));
    const lines = message.all('OBX').filter((line) => line.get(11) !== 'O');
    return {
      result: message.get('OBR', 1, 25),
      order: message.get('ORC', 1, 5),
      lines: lines.map((line) => `${line.get(3)}/${line.get(4)}=${line.get(11)}`),
    };
  };

  it('are C on the lines that changed and F on the rest, once a final was sent', () => {
    const { result, order, lines } = letters('4-corrected');
    expect([result, order]).toEqual(['C', 'CM']);
    expect(lines.filter((line) => line.startsWith('diameter'))).toEqual(['diameter/3=C']);
    expect(lines.filter((line) => line.startsWith('RID50149'))).toEqual(['RID50149/2=F']);
  });

  it('are D on a line that is withdrawn, under the same OBX-3 and OBX-4', () => {
    expect(letters('2-corrected-before-final').lines).toContain('side/4=D');
    expect(letters('5-line-withdrawn').lines).toContain('diameter/3=D');
    // Said again in every later message: a receiver that missed one is right with the next.
    expect(letters('5-line-withdrawn').lines).toContain('side/4=D');
  });

  it('are W when the result is an error, and X with one line when it is cancelled', () => {
    const error = letters('6-entered-in-error');
    expect([error.result, error.order, new Set(error.lines.map((line) => line.at(-1)))]).toEqual([
      'X',
      'CA',
      new Set(['W']),
    ]);
    expect(letters('7-cancelled').lines).toEqual(['18782-3/1=X']);
  });

  it('are W for the wrong patient, under the numbers of the message that is taken back', () => {
    const taken = letters('8-wrong-patient');
    expect([taken.result, taken.order, new Set(taken.lines.map((line) => line.at(-1)))]).toEqual([
      'X',
      'CA',
      new Set(['W']),
    ]);
    const text = String(messagesOf('ihe-rad-128').get('8-wrong-patient'));
    expect(text).toContain('WRONG PATIENT');
    expect(text).not.toContain('REVIEWED BY A RADIOLOGIST');
  });

  it('name the reviewer on the final only', () => {
    const obr32 = (step: string) =>
      readMessage(messagesOf('ihe-rad-128').get(step) ?? Buffer.alloc(0)).get('OBR', 1, 32);
    expect([obr32('1-preliminary'), obr32('3-final')]).toEqual(['', '9']);
  });
});
