import type { Resource } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkElements } from '../../src/fhir/validate/check-elements.ts';
import { scanMessage } from '../../src/hl7/scan-message.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { checkMessage } from '../../src/steps/inlet/check-message.ts';
import { type FilingWorld, makeFilingWorld } from './filing-world.ts';

/** Time for it in a run of the tests; `FILING_FUZZ_MS=600000` looks longer, `FILING_FUZZ_SEED` elsewhere. */
const MS = Number(process.env['FILING_FUZZ_MS'] ?? 6_000);
const SEED = Number(process.env['FILING_FUZZ_SEED'] ?? 20_260_115);
const AT_ONCE = 24;

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

const PATIENT = [
  'PID|1|X9|M1^^^HOSP^MR~P1^^^A&1.2.3&ISO^PI||DOE^JANE^Q^JR^DR^^L~ROE^J^^^^^M|SMITH|196502141530|F|||1 ST^^TOWN^ST^1^CH^H||^PRN^PH^^1^22^333|||M||AC1|S1|||||Y|2||||20260101|N',
  'PV1|1|I|W1^2^3^HOSP|R||W0|7^ATT^END|8^REF^ER||MED||||1|A0||9^ADM^IT|P|V1^^^HOSP^VN|||||||||||||||||01|||||||||20260101|20260105',
];
const MESSAGES: readonly (readonly string[])[] = [
  ['ADT^A01', ...PATIENT],
  ['ADT^A40', PATIENT[0]!, 'MRG|M2^^^HOSP^MR~P2||AC2||V2||OLD^NAME'],
  [
    'ORM^O01',
    ...PATIENT,
    'ORC|NW|P1^OE|F1^RIS|G1|SC||^^^202601010800^^S|P0&OE|20260101|||12^DOC^TOR|||||||||INST|||||||||',
    'OBR|1|P1^OE|F1^RIS|71020^CHEST^C4^X^Y^L||20260101|||||||||^^^LUNG&Lung&L|12^DOC^TOR||A1|RP1|SP1|||||RAD|||^^^20260102^^R|13^CC^TO||WALK|R05^Cough^I10',
    'NTE|1|P|Note~two||7^WRI^TER|20260101',
    'DG1|1||J18.9^Pneumonia^I10||20260101|W',
    'OBX|1|NM|2160-0^Creatinine^LN||1.3~1.4|mg/dL^^UCUM|0.6-1.2|H|||F|||20260101||16^TE^CH|M^Method^L|DEV|||B^Blood^L||OBS1',
    'ZDS|1.2.3.4^H^Application^DICOM',
  ],
  [
    'OMI^O23',
    ...PATIENT,
    'ORC|XO|P2^OE|F2^RIS||IP',
    'TQ1|1||||||20260102||S',
    'OBR|1|P2^OE|F2^RIS|CT^CT Head^L',
    'IPC|A2|RP2|1.2.3.5|SP2|CT|PR^Protocol^L|ST1|LOC^Place^L|AE1',
  ],
  [
    'ORU^R01',
    ...PATIENT,
    'ORC|RE|P1^OE|F1^RIS||CM',
    'OBR|1|P1^OE|R1^RIS|71020^CHEST^C4|||202601010900|202601010930||||||||||A1||||202601011000+0100||RAD|F|||||||5&READ&ER',
    'OBX|1|TX|19005-8^Impression^LN|1|Normal.~Really.||||||F',
    'OBX|2|SN|30^Volume^L|2|>^2^-^3|mL^^UCUM|||||F',
    'OBX|3|CWE|40^Finding^L|3|A^Mass^SCT~B^Cyst^SCT|||A|||F',
    'OBX|4|ED|PDF^Report^L||RIS^Application^PDF^Base64^JVBERi0xLjQK||||||F',
    'OBX|5|RP|LINK^Viewer^L||https://a.invalid/1^RIS^text^html||||||F',
    'OBX|6|DT|50^Day^L||20260101||||||F',
    'NTE|1||Seen by two.',
  ],
];
const CELLS = [
  ...[
    '',
    '""',
    ' ',
    '^^^',
    '~',
    '~~',
    '&&',
    '^~&',
    '&',
    '\\F\\',
    '\\X00\\',
    '\\X0A\\',
    '\\X1F\\a',
    '\\XFF\\',
    '\\.br\\',
    '\\E',
  ],
  ...[
    '99999999',
    '00000101',
    '20261399',
    '20260115093000+9900',
    '-1',
    '1e400',
    '0x10',
    '.5',
    '<0.5',
    '^2^-^3',
    '>^5',
    'NaN',
  ],
  ...[
    'é日😀',
    'a'.repeat(3_000),
    '1.2.3',
    'F',
    'X',
    'A',
    'NW',
    'CA',
    'RP',
    'RO',
    'M2',
    'M1^^^HOSP^MR',
    'V1^^^HOSP^VN',
    'P1^OE',
  ],
  ...[
    '1^2^3^4^5^6^7^8^9^10^11^12',
    'http://a b',
    'urn:x',
    '%zz',
    "'; --",
    '__proto__',
    'constructor',
    '\\H\\x\\N\\',
  ],
];

/** Of the same seed the same numbers: a fault can be looked at again. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('Messages with something wrong in them', () => {
  it('are each filed as valid FHIR R4 or refused by name, whatever is left out, doubled, moved or written', {
    timeout: MS + 30_000,
  }, async () => {
    const upTo = numbersFrom(SEED);
    const one = <T>(all: readonly T[]): T => all[upTo(all.length)]!;
    const mutated = (at: number) => {
      const [type = '', ...lines] = one(MESSAGES);
      const all = [`MSH|^~\\&|OE|HOSP|PRELIM|RAD|20260115||${type}|F${at}|P|2.5.1`, ...lines];
      for (let changes = upTo(5); changes >= 0; changes -= 1) {
        const place = 1 + upTo(all.length);
        const line = all[place] ?? 'NTE|1||x';
        const kind = upTo(7);
        if (kind === 0) all.splice(place, 1);
        else if (kind === 1) all.splice(place, 0, line);
        else if (kind === 2) all.splice(1 + upTo(all.length), 0, ...all.splice(place, 1));
        else if (kind === 3) all.splice(place, 0, one(one(MESSAGES).slice(1)));
        else {
          const fields = line.split('|');
          fields[1 + upTo(fields.length + 2)] = one(CELLS);
          all[place] = Array.from(fields, (field) => field ?? '').join('|');
        }
      }
      return `${all.join('\r')}\r`;
    };
    const ends = new Map<string, number>();
    const until = performance.now() + MS;
    for (let at = 0; performance.now() < until; ) {
      const taken: string[] = [];
      for (; taken.length < AT_ONCE; at += 1) {
        const text = mutated(at);
        try {
          checkMessage(scanMessage(Buffer.from(text)));
          taken.push(text);
        } catch (error) {
          expect(error, text).toBeInstanceOf(Failure);
        }
      }
      for (const [n, row] of (await world.file(...taken)).entries()) {
        const end = row.filing_outcome ?? 'waits';
        ends.set(end, (ends.get(end) ?? 0) + 1);
        expect(end, taken[n]).toMatch(
          /^(filed|hl7\.[a-z-]+|order\.other-patient|merge\.[a-z-]+|fhir\.multiple-matches)$/,
        );
      }
    }
    expect(ends.get('filed')).toBeGreaterThan(AT_ONCE);
    const stored = await world.database.run<{ content: string }>({
      text: 'SELECT content FROM resource WHERE NOT deleted',
    });
    for (const { content } of stored)
      expect(checkElements(JSON.parse(content) as Resource), content).toEqual([]);
  });
});
