import type { Condition, Encounter, Observation, Patient, ServiceRequest } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { checkElements } from '../../src/fhir/validate/check-elements.ts';
import { StudyContextStore } from '../../src/governance/study-context.store.ts';
import { SUPPORTING_MAX } from '../../src/steps/filing/order-to-resources.ts';
import { type FilingWorld, makeFilingWorld, message, numbersOf, type Stored } from './filing-world.ts';

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

/** Every test has its own patient. */
let patient = 0;
beforeEach(() => {
  patient += 1;
});
const pid = (rest = '') => `PID|1||MRN${patient}^^^HOSP^MR||DOE^JANE||19650214|F${rest}`;
const order = (control: string, ...lines: string[]) =>
  message('OMI^O23^OMI_O23', [
    pid(),
    `PV1|1|E|ED^12||||||||||||||||V${patient}^^^HOSP^VN`,
    `ORC|${control}|P${patient}^OE|||||||20260115093000`,
    `OBR|1|P${patient}^OE||36643-5^XR Chest^LN||||||||||||||ACC${patient}`,
    ...lines,
  ]);
const PNEUMONIA = 'DG1|1||J18.9^Pneumonia^I10||20260112|W';
const CREATININE = 'OBX|1|NM|2160-0^Creatinine^LN|1|1.3|mg/dL^mg/dL^UCUM|||||F|||20260114';
const WEIGHT = 'OBX|2|ST|^Body Weight||65|kg|||||F';

const request = async () =>
  (await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${patient}`))[0]!;
const linked = async <T extends Condition | Observation>(
  links: readonly { reference?: string }[] | undefined,
): Promise<Stored<T>[]> => Promise.all((links ?? []).map(({ reference }) => world.read<T>(reference)));

describe('What comes with an order', () => {
  it('is filed as Condition and Observation of the patient and the visit, valid FHIR R4, and the order refers to it', async () => {
    const [row] = await world.file(order('NW', PNEUMONIA, CREATININE, 'NTE|1||Sample was late', WEIGHT));
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: [] });
    const { reasonReference, supportingInfo, subject, encounter } = await request();
    expect(reasonReference?.map(({ display }) => display)).toEqual(['Pneumonia']);
    const conditions = await linked<Condition>(reasonReference);
    const observations = await linked<Observation>(supportingInfo);
    expect(
      observations.map(({ code, valueQuantity, note }) => [code.text, valueQuantity?.value, note?.[0]?.text]),
    ).toEqual([
      ['Creatinine', 1.3, 'Sample was late'],
      ['Body Weight', 65, undefined],
    ]);
    for (const { version: _, ...resource } of [...conditions, ...observations]) {
      expect(checkElements(resource)).toEqual([]);
      expect([resource.subject, resource.encounter]).toEqual([subject, encounter]);
    }
  });

  it('is the same with the same message, stays with one that has none, and is corrected in its place', async () => {
    await world.file(order('NW', PNEUMONIA, CREATININE), order('NW', PNEUMONIA, CREATININE), order('SC'));
    const before = await request();
    const [[condition], [observation]] = [
      await linked(before.reasonReference),
      await linked(before.supportingInfo),
    ];
    expect([condition?.version, observation?.version]).toEqual(['1', '1']);
    await world.file(
      order('XO', PNEUMONIA.replace('J18.9^Pneumonia', 'J90^Effusion'), CREATININE.replace('1.3', '1.6')),
    );
    const after = await request();
    expect(after.reasonReference).toEqual([{ ...before.reasonReference![0], display: 'Effusion' }]);
    const [corrected] = await linked<Observation>(after.supportingInfo);
    expect([corrected?.id, corrected?.valueQuantity?.value]).toEqual([observation?.id, 1.6]);
  });

  it('that a later list does not repeat was entered in error and is linked no more; what others linked stays', async () => {
    await world.file(order('NW', PNEUMONIA, CREATININE, WEIGHT));
    const before = await request();
    const foreign = {
      resourceType: 'Observation' as const,
      id: `lab-${patient}`,
      status: 'final' as const,
      code: { text: 'INR' },
      subject: before.subject,
    };
    const { version, ...known } = before;
    const supportingInfo = [{ reference: `Observation/${foreign.id}` }, ...before.supportingInfo!];
    await world.database.transaction((tx) =>
      world.store.write(tx, [
        { kind: 'update', resource: foreign },
        { kind: 'update', resource: { ...known, id: known.id!, supportingInfo }, ifVersion: version },
      ]),
    );
    await world.file(order('XO', 'DG1|1||J18.9^Pneumonia^I10||||||||||||||||||D', WEIGHT));
    const after = await request();
    expect(after.supportingInfo?.map(({ reference }) => reference)).toEqual([
      `Observation/${foreign.id}`,
      before.supportingInfo![1]!.reference,
    ]);
    expect(after.reasonReference ?? []).toEqual([]);
    const creatinine = await world.read<Observation>(before.supportingInfo![0]!.reference);
    const condition = await world.read<Condition>(before.reasonReference![0]!.reference);
    expect([creatinine.status, condition.verificationStatus?.coding?.[0]?.code]).toEqual([
      'entered-in-error',
      'entered-in-error',
    ]);
    expect((await world.read<Observation>(`Observation/${foreign.id}`)).status).toBe('final');
  });

  it('moves with its patient when he is merged, and a correction under his old number finds it', async () => {
    await world.file(order('NW', PNEUMONIA, CREATININE));
    const before = await request();
    await world.file(
      message('ADT^A40^ADT_A39', [
        `PID|1||NEW${patient}^^^HOSP^MR||DOE^JANE||19650214|F`,
        `MRG|MRN${patient}^^^HOSP^MR`,
      ]),
    );
    await world.file(order('XO', PNEUMONIA.replace('Pneumonia', 'Effusion'), CREATININE));
    const after = await request();
    expect(after.subject).not.toEqual(before.subject);
    for (const one of [...(await linked(after.reasonReference)), ...(await linked(after.supportingInfo))])
      expect(one.subject).toEqual(after.subject);
    expect(after.reasonReference).toEqual([{ ...before.reasonReference![0], display: 'Effusion' }]);
  });

  it('counts as a reason of the exam for the models, and not as a problem of the patient', async () => {
    await world.file(order('NW', 'DG1|1||Z33^Pregnant state^I10||20260112|F'));
    const { id, subject } = await request();
    const study = {
      ...{ resourceType: 'ImagingStudy' as const, id: `study-${patient}`, status: 'available' as const },
      ...{ subject: { reference: subject.reference! }, basedOn: [{ reference: `ServiceRequest/${id}` }] },
    };
    await world.database.transaction((tx) => world.store.write(tx, [{ kind: 'update', resource: study }]));
    const context = await new StudyContextStore(world.database).readPatient(study.id);
    expect([context.reasons.map(({ text }) => text), context.problems]).toEqual([['Pregnant state'], []]);
  });

  it('that has no place is left out and flagged, and hostile values are kept as the text they are', async () => {
    const hostile = '<script>alert(1)</script>';
    const [row] = await world.file(
      order(
        'NW',
        'OBX|1|ED|11528-7^Letter^LN||A^Application^PDF^Base64^QUJD',
        'OBX|2|NM||7',
        `OBX|3|NM|2160-0^Creatinine^LN||${hostile}`,
        `DG1|1||${'x'.repeat(5_000)}^${hostile}^I10`,
      ),
    );
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: ['order-line-left-out'] });
    const [observation] = await linked<Observation>((await request()).supportingInfo);
    expect([observation?.valueString, observation?.valueQuantity]).toEqual([hostile, undefined]);
  });

  it('is filed as a note when it is more than a transaction should hold', async () => {
    const many = Array.from(
      { length: SUPPORTING_MAX + 1 },
      (_, n) => `OBX|${n}|NM|C${n}^Value ${n}^L||${n}|mg`,
    );
    const [row] = await world.file(order('NW', ...many));
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: ['results-as-text'] });
    const { note, supportingInfo } = await request();
    expect(supportingInfo).toBeUndefined();
    expect(note?.[0]?.text.split('\n')).toHaveLength(SUPPORTING_MAX + 1);
    expect(note?.[0]?.text).toContain('Value 1000: 1000 mg');
  });
});

describe('An order', () => {
  it('of its own is each OBR of an ORM^O01 that has a number of its own, also under one ORC', async () => {
    const obr = (at: number, numbers: string) =>
      `OBR|${at}|${numbers}|X${at}^Exam ${at}^L||||||||||||||ACC${patient}-${at}`;
    const lines = [
      `PID|1||MRN${patient}^^^HOSP^MR||DOE^JANE`,
      `ORC|NW|S${patient}^OE|F${patient}^RIS`,
      'TQ1|1||||||||S',
      obr(1, `S${patient}^OE|F${patient}^RIS`),
      'NTE|1||first',
      obr(2, `S${patient}^OE|G${patient}^RIS`),
      obr(3, `T${patient}^OE|`),
      'NTE|1||third',
      obr(4, '|'),
    ];
    const [row, stop] = await world.file(
      message('ORM^O01', lines),
      message('ORM^O01', [lines[0]!, `ORC|CA||G${patient}^RIS`]),
    );
    expect([row?.filing_outcome, stop?.filing_outcome]).toEqual(['filed', 'filed']);
    // The fourth has none: it is another exam of the third, and told.
    expect(row?.flags).toEqual(['obr-without-orc']);
    const all = await Promise.all(
      [1, 2, 3, 4].map((at) =>
        world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${patient}-${at}`),
      ),
    );
    expect(
      all.map(([one]) => [
        one?.status,
        one?.code?.text,
        one?.note?.[0]?.text,
        one?.priority,
        one && numbersOf(one),
      ]),
    ).toEqual([
      ['active', 'Exam 1', 'first', 'stat', [`S${patient}`, `F${patient}`, `ACC${patient}-1`]],
      ['revoked', 'Exam 2', undefined, 'stat', [`G${patient}`, `ACC${patient}-2`]],
      ['active', 'Exam 3', 'third', 'stat', [`T${patient}`, `ACC${patient}-3`]],
      [undefined, undefined, undefined, undefined, undefined],
    ]);
  });

  it('keeps the time it was first placed when it is changed', async () => {
    const changed = order('XO').replace('20260115093000', '20260120093000');
    await world.file(order('NW'), changed);
    expect((await request()).authoredOn).toBe('2026-01-15T09:30:00-03:30');
  });

  it('says when a second OBR stands under one ORC, and when its priority is none', async () => {
    const [row] = await world.file(order('NW', 'TQ1|1||||||||ZZ', `OBR|2|P${patient}^OE||X^Other^L`));
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: ['obr-without-orc', 'priority-unknown'] });
  });
});

describe('What a message does not say', () => {
  const find = async <T extends Patient | Encounter>(type: 'Patient' | 'Encounter', number: string) =>
    (await world.find<T>(type, `identifier=${number}`))[0]!;
  const adt = (event: string, pv1: string, rest = '') =>
    message(`ADT^${event}`, [pid(rest), `PV1|1|I|${pv1}`]);
  const visit = (from: string, to: string, start: string, end: string) =>
    `W1|||||||||||${from}|||||V${patient}^^^HOSP^VN|||||||||||||||||${to}||||||||${start}|${end}`;

  it('of a stay stays: the discharge keeps where he came from and when, and one taken back has no end', async () => {
    await world.file(adt('A01', visit('7', '', '20260110', '')), adt('A03', visit('', '01', '', '20260120')));
    const ended = await find<Encounter>('Encounter', `V${patient}`);
    expect(ended).toMatchObject({
      status: 'finished',
      period: { start: '2026-01-10', end: '2026-01-20' },
      hospitalization: { admitSource: { text: '7' }, dischargeDisposition: { text: '01' } },
    });
    await world.file(adt('A13', visit('', '', '', '')));
    const open = await find<Encounter>('Encounter', `V${patient}`);
    expect([open.status, open.period]).toEqual(['in-progress', { start: '2026-01-10' }]);
  });

  it('of a person stays, but for what contradicts it: another birth date ends its time, a time of death the flag', async () => {
    const person = (birth: string, rest: string) =>
      message('ADT^A08', [`PID|1||MRN${patient}^^^HOSP^MR||DOE^JANE||${birth}|F${rest}`]);
    const death = (time: string, flag: string) => `${'|'.repeat(21)}${time}|${flag}`;
    await world.file(person('196502140830-0330', death('', 'Y')));
    const before = await find<Patient>('Patient', `MRN${patient}`);
    expect([before.deceasedBoolean, '_birthDate' in before]).toEqual([true, true]);
    const { version, ...known } = before;
    const extension = [{ url: 'https://ehr.example/vip', valueBoolean: true }];
    await world.database.transaction((tx) =>
      world.store.write(tx, [
        { kind: 'update', resource: { ...known, id: known.id!, extension }, ifVersion: version },
      ]),
    );
    await world.file(person('19660214', death('20260201', 'Y')), person('', `${'|'.repeat(15)}Ulm`));
    const { version: _, ...after } = await find<Patient>('Patient', `MRN${patient}`);
    expect(after).toMatchObject({ birthDate: '1966-02-14', deceasedDateTime: '2026-02-01' });
    expect(['_birthDate' in after, after.deceasedBoolean]).toEqual([false, undefined]);
    expect(after.extension?.map(({ url }) => url.split('/').at(-1))).toEqual(['vip', 'patient-birthPlace']);
    expect(checkElements(after)).toEqual([]);
  });
});
