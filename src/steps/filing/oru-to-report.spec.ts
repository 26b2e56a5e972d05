import { describe, expect, it } from 'vitest';
import { readMessage } from '../../hl7/codec.ts';
import { readSenderCharsets } from '../../hl7/sender-charsets.ts';
import { readAccessionPlaces } from './accession-places.ts';
import { messageToPlan } from './message-to-plan.ts';
import { noteOf } from './order-notes.ts';
import { LINE_LEFT_OUT, NUMBER_REPEATED, oruToReports, PARTS_WITH_NUMBERS_MAX } from './oru-to-report.ts';

const HEADER = 'MSH|^~\\&|RIS|HOSP|PRELIM|RAD|20260115101522||ORU^R01|C1|P|2.3.1';
const PID = 'PID|1||MRN1^^^HOSP^MR';
const obr = (number = 'R1', status = 'F') => `OBR|1|P1|${number}|1^XR^L${'|'.repeat(21)}${status}`;
const bytes = (...lines: string[]) => Buffer.from([HEADER, PID, ...lines].join('\r'));
const read = (...lines: string[]) =>
  oruToReports(readMessage(bytes(...lines)), { facility: 'HOSP', timeZone: 'UTC' }, []);
const textOf = (report: ReturnType<typeof read>[number]['report']) =>
  Buffer.from(report.presentedForm?.[0]?.data ?? '', 'base64').toString();
const SITE = {
  charsets: readSenderCharsets('UNICODE UTF-8'),
  timeZone: 'UTC',
  accessionPlaces: readAccessionPlaces('IPC-1,OBR-18,ORC-3'),
  own: { application: 'PRELIM', facility: 'RADIOLOGY' },
};

describe('A report', () => {
  it('keeps text behind a separator that its sender did not escape, and leaves out a NUL', () => {
    const [one] = read(
      obr(),
      'OBX|1|TX|1^Impression^L||Grade 2 ^ no mass & no fluid\\X00\\\\.BR\\End||||||F',
    );
    expect(textOf(one!.report)).toBe('Grade 2 ^ no mass & no fluid\nEnd');
    expect(one!.report.conclusion).toBe('Grade 2 ^ no mass & no fluid\nEnd');
  });

  it('has the text of lines that name no type of value, or one of codes without a table', () => {
    const [one] = read(obr(), 'OBX|1||1^Findings^L||No fracture.||||||F', 'OBX|2|IS|2^Side^L||left||||||F');
    expect(textOf(one!.report)).toBe('No fracture.\nleft');
    expect(one!.flags).toEqual([]);
  });

  it.each([
    'OBX|1|ED|1^Report^LN||RIS^Application^PDF^Hex^255044||||||F',
    'OBX|1|RP|1^Report^LN||\\\\\\\\server\\\\report.pdf||||||F',
    'OBX|1|XAD|1^Place^LN||Main St||||||F',
    'OBX|1|NM|||7||||||F',
  ])('that has a line nobody can take says so: %s', (line) => {
    const [one] = read(obr(), 'OBX|1|TX|1^T^L||Text||||||F', line);
    expect(one!.flags).toEqual([LINE_LEFT_OUT]);
  });

  it('has several values of one line as components, as FHIR allows them', () => {
    const [one] = read(obr(), 'OBX|1|CWE|1^Finding^L||A^Mass^L~B^Cyst^L||||||F');
    const { observation } = one!.observations[0]!;
    expect(Object.keys(observation)).not.toContain('valueCodeableConcept');
    expect(observation.component?.map((part) => part.valueCodeableConcept?.text)).toEqual(['Mass', 'Cyst']);
  });

  it('is one where several OBR have its number, final where one of them is, and says so', () => {
    const all = read(
      obr('R1', 'P'),
      'OBX|1|TX|1^T^L||First||||||P',
      obr('R1'),
      'OBX|1|TX|1^T^L||Second||||||F',
      obr('R2'),
    );
    expect(all).toMatchObject([
      { report: { status: 'final' }, flags: [NUMBER_REPEATED] },
      { report: { status: 'final' }, flags: [] },
    ]);
    expect(textOf(all[0]!.report)).toBe('First\nSecond');
  });

  it('of many OBR has the numbers of the first of them, and the lines of all', () => {
    const many = Array.from({ length: PARTS_WITH_NUMBERS_MAX + 5 }, (_, at) => [
      obr().replace('|P1|', `|P${at}|`),
      `OBX|1|TX|1^T^L||${at}||||||F`,
    ]).flat();
    const [one] = read(...many);
    expect(one!.report.identifier).toHaveLength(PARTS_WITH_NUMBERS_MAX + 2);
    expect(textOf(one!.report).split('\n')).toHaveLength(PARTS_WITH_NUMBERS_MAX + 5);
  });

  it('keeps a grade and a titre below a bound as they were written, and no number that says something else', () => {
    const lines = ['^2^+', '<^1^:^128', '>=^5', '^1^-^3', '=^7'].map(
      (value, at) => `OBX|${at}|SN|1^Size^L|${at}|${value}||||||F`,
    );
    const values = read(obr(), ...lines)[0]!.observations.map(({ observation }) => observation);
    expect(values).toMatchObject([
      { valueString: '2+' },
      { valueString: '<1:128' },
      { valueQuantity: { value: 5, comparator: '>=' } },
      { valueRange: { low: { value: 1 }, high: { value: 3 } } },
      { valueQuantity: { value: 7 } },
    ]);
  });
});

describe('A note of an order', () => {
  it('keeps text behind a separator that was not escaped', () => {
    const message = readMessage(bytes('ORC|NW|P1', 'NTE|1||Pacemaker ^ 2019~Fall', 'NTE|2||^Coded'));
    const context = { facility: 'HOSP', timeZone: 'UTC' };
    const notes = message.all('NTE').flatMap((nte) => noteOf(nte, context));
    expect(notes).toEqual([{ text: 'Pacemaker ^ 2019\nFall' }, { text: 'Coded' }]);
  });
});

describe('A message about two patients', () => {
  const OTHER = 'PID|2||MRN2^^^HOSP^MR';
  const order = ['ORC|NW|P1', 'OBR|1|||1^XR^L'];
  const plan = (type: string, ...lines: string[]) =>
    messageToPlan(
      Buffer.from(
        bytes(...lines)
          .toString()
          .replace('ORU^R01', type),
      ),
      SITE,
    );

  it('is refused: what stands under the second is not filed for the first', () => {
    expect(() => plan('ORU^R01', obr(), OTHER, obr('R2'))).toThrow('several patients');
    expect(() => plan('ORM^O01', ...order, OTHER, 'ORC|NW|P2', order[1]!)).toThrow('several patients');
    expect(() => plan('ADT^A08', OTHER)).toThrow('several patients');
    expect(() => plan('ADT^A08', PID.replace('HOSP', 'CLINIC'))).toThrow('several patients');
    expect(plan('ADT^A08', 'PID|2||MRN1')).toMatchObject({ mrn: 'MRN1' });
  });

  it('is none where the second is the first again, or has earlier results of an order', () => {
    expect(plan('ORU^R01', obr(), PID, obr('R2'))).toMatchObject({ mrn: 'MRN1' });
    expect(plan('ORM^O01', ...order, OTHER, 'ORC|PR|P2', order[1]!).flags).toEqual(['prior-results']);
  });
});
