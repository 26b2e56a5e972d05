import { describe, expect, it } from 'vitest';
import { readSenderCharsets } from '../../hl7/sender-charsets.ts';
import { SUPPORTED_MESSAGES } from '../../hl7/supported-messages.ts';
import { Failure } from '../../kernel/errors.ts';
import { readAccessionPlaces } from './accession-places.ts';
import { roundsOf } from './file-messages.ts';
import { messageToPlan } from './message-to-plan.ts';
import { RESULTS_AS_TEXT, RESULTS_MAX } from './oru-to-report.ts';

const SITE = {
  charsets: readSenderCharsets('UNICODE UTF-8'),
  timeZone: 'Europe/Vienna',
  accessionPlaces: readAccessionPlaces('IPC-1,OBR-18,ORC-3'),
  own: { application: 'PRELIM', facility: 'RADIOLOGY' },
};
const PID =
  'PID|1|E1|MRN1^^^HOSP&1.2.3&ISO^MR~7^^^C^PI||DOE^JANE|||F|||1 Main St^^Bonn||555|||M||AC1^^^H^AN|123';
const PV1 = 'PV1|1|I|W1^2^3||||77^ATT^END||||||||||||V1^^^HOSP^VN|||||||||||||||||||||||||20260115|20260116';
const RESULT = [
  'OBR|1|P1^OE|R1^RIS|36643-5^XR^LN|||20260115093000|20260115100000||||||||||ACC1||||20260115120000+0000||RAD|F|||||||9&READER&JANE',
  'OBX|1|ST|113014^DICOM Study^DCM||1.2.3||||||O',
  'OBX|2|NM|1^Size^L|2|6.2|mm^^UCUM|<5|A|||F',
  'OBX|3|SN|2^Ratio^L|3|=^1^:^128||||||F',
  'OBX|4|ED|3^Report^LN||RIS^Application^PDF^Base64^JVBERi0=||||||F',
  'NTE|1||Note',
];
const ORDER = [
  'ORC|RP|P0^OE|F0||SC',
  'ORC|RO|P1^OE|F1^RIS|G1^OE|SC||^^^^^S||20260115093000|||1234^HOUSE^GREGORY',
  'OBR|1|P1^OE||36643-5^XR^LN|S|20260116|||||||||||A1|RP1|SPS1|||||||||||||R05^Cough^I10',
  'IPC|A1|RP1|1.2.3|S1|CR|P^Protocol^L',
  'ZDS|1.2.3^100^Application^DICOM',
  'NTE|1||Note~More',
];
const LINES = {
  order: [PID, PV1, ...ORDER],
  visit: [PID, PV1],
  merge: [PID, 'MRG|OLD^^^HOSP^MR~X^^^C^PI||||||OLD^NAME', PID.replace('MRN1', 'MRN2'), 'MRG|OLD2'],
  result: [PID, PV1, 'ORC|RE|P1^OE', ...RESULT],
} as const;
const header = (type: string) => `MSH|^~\\&|OE|HOSP|PRELIM|RAD|20260115101522||${type}|C1|P|2.5.1`;

describe('What is to be filed', () => {
  it.each(Object.entries(SUPPORTED_MESSAGES))('%s, which the door takes, is read (%s)', (type, kind) => {
    const plan = messageToPlan(Buffer.from([header(type), ...LINES[kind]].join('\r')), SITE);
    expect(plan).toMatchObject({ messageType: type, mrn: 'MRN1', alone: kind === 'merge' });
    expect(plan.keys.length).toBeGreaterThan(0);
  });

  it('is a report of 12 MiB in short lines of text; more coded results than one may have are text too, with a flag', () => {
    const ofLines = (line: string, count: number) =>
      Buffer.from([header('ORU^R01'), PID, RESULT[0], ...Array<string>(count).fill(line)].join('\r'));
    const text = 'OBX|1|TX|59776-5^Findings^LN|1|Nothing abnormal.||||||F'.padEnd(59, '.');
    const long = ofLines(text, Math.ceil((12 * 1024 * 1024) / 60));
    expect(long.length).toBeGreaterThan(12 * 1024 * 1024);
    expect(messageToPlan(long, SITE)).toMatchObject({ mrn: 'MRN1' });
    const result = 'OBX|2|NM|1^Size^L|2|6.2|mm^^UCUM||||F';
    const flagsOf = (lines: Buffer) => messageToPlan(lines, SITE).flags;
    expect(flagsOf(ofLines(result, RESULTS_MAX))).not.toContain(RESULTS_AS_TEXT);
    expect(flagsOf(ofLines(result, RESULTS_MAX + 1))).toContain(RESULTS_AS_TEXT);
  });

  it('is nothing of a type that is not in the table, whatever its name', () => {
    for (const type of ['ADT^A60', 'ADT', '', 'constructor^', '__proto__'])
      expect(() => messageToPlan(Buffer.from(`${header(type)}\r${PID}`), SITE)).toThrow(
        expect.objectContaining({ code: 'hl7.unsupported-type' }),
      );
  });

  it('is, whatever stands in a message, a plan or a refusal by name that never repeats a value', () => {
    const random = randomOf(20_260_115);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
    let refused = 0;
    for (let run = 0; run < 4_000; run += 1) {
      const [type, kind] = pick(Object.entries(SUPPORTED_MESSAGES));
      const lines = LINES[kind].map((line) => (random() < 0.3 ? mutated(line, pick, random) : line));
      if (random() < 0.2) lines.splice(Math.floor(random() * lines.length), 1);
      if (random() < 0.2) lines.push(pick(pick(Object.values(LINES))));
      try {
        const plan = messageToPlan(Buffer.from([header(type), ...lines].join('\r')), SITE);
        expect(JSON.stringify([plan.mrn, plan.accession, plan.lookups])).not.toContain('\\u0000');
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        refused += 1;
        expect(error.code).toMatch(/^(hl7\.|merge\.)/);
        expect(JSON.stringify([error.message, error.issues])).not.toContain('SECRET');
      }
    }
    expect(refused).toBeGreaterThan(100);
    expect(refused).toBeLessThan(3_000);
  });
});

describe('Messages that go together', () => {
  const rounds = (...keys: string[]) =>
    roundsOf(keys.map((one) => ({ keys: [...one.toLowerCase()], alone: /[A-Z]/.test(one) })));

  it('share no number, and each goes after all earlier ones it shares one with', () => {
    expect(rounds()).toEqual([]);
    expect(rounds('a', 'b', 'c')).toEqual([[0, 1, 2]]);
    expect(rounds('a', 'a', 'a')).toEqual([[0], [1], [2]]);
    expect(rounds('a', 'b', 'ab', 'c', 'bc', 'a')).toEqual([[0, 1, 3], [2], [4, 5]]);
  });

  it('stand before and after one that may touch anything, which goes by itself', () => {
    expect(rounds('a', 'b', 'C', 'a', 'd', 'E', 'F', 'a')).toEqual([[0, 1], [2], [3, 4], [5], [6], [7]]);
  });

  it('keep their order for every number, whatever they share', () => {
    const random = randomOf(7);
    const plans = Array.from({ length: 200 }, () => ({
      keys: Array.from({ length: 1 + Math.floor(random() * 3) }, () => `k${Math.floor(random() * 40)}`),
      alone: random() < 0.05,
    }));
    const roundOf = new Map(roundsOf(plans).flatMap((round, n) => round.map((at) => [at, n] as const)));
    expect(roundOf.size).toBe(plans.length);
    for (const [late, { keys, alone }] of plans.entries())
      for (const [early, other] of plans.slice(0, late).entries())
        if (alone || other.alone || other.keys.some((key) => keys.includes(key)))
          expect(roundOf.get(early)!).toBeLessThan(roundOf.get(late)!);
  });
});

/** One field replaced by something no well-meaning sender writes. */
function mutated(line: string, pick: <T>(of: readonly T[]) => T, random: () => number): string {
  const fields = line.split('|');
  fields[1 + Math.floor(random() * Math.max(1, fields.length - 1))] = pick([
    '',
    '""',
    '^^^',
    '~~',
    '&&&',
    'SECRET\\X00\\',
    'SECRET'.repeat(500),
    '\\F\\\\S\\\\T\\\\R\\\\E\\',
    '99999999999999999999',
    '20261399256199',
    '-1.5e400',
    '__proto__^constructor^toString',
    'SECRET^😀^\u202E',
    'a~b~c^d&e',
  ]);
  return fields.join('|');
}

/** Mulberry32: the same sequence in every run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
