import type { Encounter, Patient, ServiceRequest } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ResourceStore } from '../../src/fhir/resource-store.ts';
import { checkElements } from '../../src/fhir/validate/check-elements.ts';
import { Failure } from '../../src/kernel/errors.ts';
import { ORDERS_MAX } from '../../src/steps/filing/order-groups.ts';
import { identifierToCx } from '../../src/steps/ris/fhir-to-datatype.ts';
import { type FilingWorld, makeFilingWorld, message } from './filing-world.ts';

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
const head = (mrn = `MRN${patient}`) => [
  `PID|1||${mrn}^^^HOSP^MR||DOE^JANE||19650214|F`,
  `PV1|1|E|ED^12^A^HOSP||||77^ATT^END||||||||||||V${mrn}^^^HOSP^VN`,
];
const order = (control = 'NW', number = '1', status = 'SC') => [
  `ORC|${control}|P${patient}-${number}^OE|F${patient}-${number}^RIS||${status}||^^^^^S||20260115093000|||1234^HOUSE^GREGORY`,
  `OBR|1|P${patient}-${number}^OE||36643-5^XR Chest^LN^X1^Chest^L||||||||||||||ACC${patient}-${number}|||||||||||||R05^Cough^I10`,
  `IPC|ACC${patient}-${number}|RP1|1.2.3.${patient}|S1|CR`,
  'NTE|1||Short of breath',
];
const omi = (lines: readonly string[], mrn?: string) => message('OMI^O23^OMI_O23', [...head(mrn), ...lines]);
const requests = (number = '1') =>
  world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${patient}-${number}`);

describe('A stored order', () => {
  it('is filed as patient, visit and request, and its row says so', async () => {
    const [row] = await world.file(omi(order()));
    expect(row).toMatchObject({
      filing_outcome: 'filed',
      filing_location: '',
      flags: [],
      mrn: `MRN${patient}`,
      accession: `ACC${patient}-1`,
    });
    const [request] = await requests();
    expect(request).toMatchObject({ status: 'active', intent: 'order', priority: 'stat' });
    expect((await world.read<Patient>(request!.subject.reference)).name?.[0]?.family).toBe('DOE');
    expect((await world.read<Encounter>(request!.encounter?.reference)).class.code).toBe('EMER');
    // ORC-9 has no zone: it is of the site's, whatever that of the machine.
    expect(request!.authoredOn).toBe('2026-01-15T09:30:00-03:30');
  });

  it('makes resources that are valid FHIR R4', async () => {
    await world.file(omi(order()));
    const [request] = await requests();
    const subject = await world.read<Patient>(request!.subject.reference);
    const visit = await world.read<Encounter>(request!.encounter?.reference);
    for (const { version: _, ...resource } of [request!, subject, visit])
      expect(checkElements(resource)).toEqual([]);
  });

  it('is filed once, however often the step is called, and the same order again makes no new version', async () => {
    const [id] = await world.keep(omi(order()));
    await Promise.all([world.step.run({}), world.step.run({}), world.otherStep().run({})]);
    await world.file(omi(order()));
    expect((await requests()).map((one) => one.version)).toEqual(['1']);
    expect((await world.rows([id!]))[0]).toMatchObject({ filing_outcome: 'filed', flags: [] });
  });

  it('changes what a later message says and keeps what it does not say', async () => {
    await world.file(omi(order()), omi([`ORC|CA|P${patient}-1^OE`]));
    const [request, ...more] = await requests();
    expect(more).toEqual([]);
    expect(request).toMatchObject({
      version: '2',
      status: 'revoked',
      priority: 'stat',
      note: [{ text: 'Short of breath' }],
    });
    expect(request!.code?.text).toBe('XR Chest');
  });

  it('has the accession number that was said last before those of earlier messages, which stay', async () => {
    const said = (accession: string) =>
      omi(order().map((line) => line.replace(`IPC|ACC${patient}-1`, `IPC|${accession}`)));
    const accessions = async () =>
      (await requests('1'))[0]?.identifier
        ?.filter((one) => one.type?.coding?.[0]?.code === 'ACSN')
        .map(({ value }) => value);
    await world.file(said(`ACC${patient}-1`), said(`NEW${patient}`));
    expect(await accessions()).toEqual([`NEW${patient}`, `ACC${patient}-1`]);
    // A change that names none leaves it so.
    await world.file(omi([`ORC|SC|P${patient}-1^OE`]));
    expect(await accessions()).toEqual([`NEW${patient}`, `ACC${patient}-1`]);
    await world.file(said(`ACC${patient}-1`));
    expect(await accessions()).toEqual([`ACC${patient}-1`, `NEW${patient}`]);
  });

  it('keeps the authority of a number as the message says it that says most of it, and changes it no more', async () => {
    const said = (authority: string) =>
      message('OMI^O23^OMI_O23', [
        `PID|1||MRN${patient}^^^${authority}^MR||DOE^JANE||19650214|F`,
        ...order(),
      ]);
    await world.file(said('HOSP'), said('HOSP&hosp.example&DNS'), said('HOSP'));
    const [jane] = await world.find<Patient>('Patient', `identifier=MRN${patient}`);
    expect(jane?.version).toBe('2');
    expect(jane?.identifier).toHaveLength(1);
    expect(identifierToCx(jane!.identifier![0]!)).toEqual([
      `MRN${patient}`,
      '',
      '',
      { subcomponents: ['HOSP', 'hosp.example', 'DNS'] },
      'MR',
    ]);
    const { version: _, ...resource } = jane!;
    expect(checkElements(resource)).toEqual([]);
  });

  it('finds the patient and the visit of an earlier order by number, and makes no new version of what is the same', async () => {
    await world.file(omi(order('NW', '1')), omi(order('NW', '2')));
    const patients = await world.find<Patient>('Patient', `identifier=MRN${patient}`);
    expect(patients.map((one) => one.version)).toEqual(['1']);
    const [[first], [second]] = [await requests('1'), await requests('2')];
    expect(second!.subject).toEqual(first!.subject);
    expect(second!.encounter).toEqual(first!.encounter);
  });

  it('files many at once in their order, with one that is refused among them, which changes nothing', async () => {
    const own = (n: number) => omi(order('NW', String(n)), `MRN${patient}-${n}`);
    const foreign = omi(order('NW', '3'), `OTHER${patient}`);
    const all = [own(1), own(2), own(3), foreign, own(4), omi(order('CA', '2'), `MRN${patient}-2`)];
    const rows = await world.file(...all);
    expect(rows.map((row) => row.filing_outcome)).toEqual([
      'filed',
      'filed',
      'filed',
      'order.other-patient',
      'filed',
      'filed',
    ]);
    expect(rows[3]).toMatchObject({ filing_location: 'ORC^1^2', mrn: `OTHER${patient}` });
    expect(await world.find('Patient', `identifier=OTHER${patient}`)).toEqual([]);
    expect((await requests('2'))[0]!.status).toBe('revoked');
  });

  it('files more than a batch in the order of its ids, also for one patient', async () => {
    const statuses = Array.from({ length: 300 }, (_, at) => (at % 2 === 0 ? 'HD' : 'RL'));
    const rows = await world.file(omi(order()), ...statuses.map((control) => omi(order(control))));
    expect(rows.every((row) => row.filing_outcome === 'filed')).toBe(true);
    const [request] = await requests();
    expect(request).toMatchObject({ version: '301', status: 'active' });
  });

  it('files the others of a batch when one of them breaks it, and puts that one aside by name', async () => {
    const broken = `BREAK${patient}`;
    const fragile = Object.assign(Object.create(world.store) as ResourceStore, {
      writeTogether: (...[tx, asked, ...rest]: Parameters<ResourceStore['writeTogether']>) =>
        JSON.stringify(asked).includes(broken)
          ? Promise.reject(new Error('full'))
          : world.store.writeTogether(tx, asked, ...rest),
    });
    const own = (n: number) => omi(order('NW', String(n)), `MRN${patient}-${n}`);
    const ids = await world.keep(own(1), own(2), own(3).replace('DOE', broken), own(4));
    expect(await world.otherStep({ store: fragile }).run({})).toMatchObject({ kind: 'done' });
    const outcomes = (await world.rows(ids)).map((row) => row.filing_outcome);
    expect(outcomes).toEqual(['filed', 'filed', 'internal', 'filed']);
    expect(await requests('4')).toHaveLength(1);
    expect(await requests('3')).toEqual([]);
  });

  it('waits for the database, and what comes after does not overtake', async () => {
    const away = Object.assign(Object.create(world.store) as ResourceStore, {
      writeTogether: () => Promise.reject(new Failure('database.unavailable', 'The database is away.')),
    });
    const ids = await world.keep(omi(order()), omi(order('HD')));
    expect(await world.otherStep({ store: away }).run({})).toMatchObject({
      kind: 'later',
      why: 'database.unavailable',
    });
    expect((await world.rows(ids)).map((row) => row.filing_outcome)).toEqual([null, null]);
    await world.step.run({});
    expect((await requests())[0]).toMatchObject({ version: '2', status: 'on-hold' });
  });

  it('does not lose what somebody else writes while it is filed', async () => {
    await world.file(omi(order()));
    const [known] = await requests();
    let met = false;
    const busy = Object.assign(Object.create(world.store) as ResourceStore, {
      writeTogether: async (...[tx, ...rest]: Parameters<ResourceStore['writeTogether']>) => {
        if (!met) {
          met = true;
          const { version: _, ...resource } = { ...known!, patientInstruction: 'Fasting' };
          await world.database.transaction((other) =>
            world.store.write(other, [
              { kind: 'update', resource: resource as ServiceRequest & { id: string } },
            ]),
          );
        }
        return world.store.writeTogether(tx, ...rest);
      },
    });
    await world.keep(omi(order('HD')));
    await world.otherStep({ store: busy }).run({});
    expect((await requests())[0]).toMatchObject({
      version: '3',
      status: 'on-hold',
      patientInstruction: 'Fasting',
    });
  });

  it('leaves nothing of an order that is refused, and says where the fault is', async () => {
    const [row] = await world.file(omi([...order(), 'ORC|ZZ|P2']));
    expect(row).toMatchObject({ filing_outcome: 'hl7.value', filing_location: 'ORC^1^1' });
    expect(await requests()).toEqual([]);
    expect(await world.find('Patient', `identifier=MRN${patient}`)).toEqual([]);
  });

  it('is refused when its message holds too many, and filed when it holds as many as may be', async () => {
    const many = Array.from({ length: ORDERS_MAX + 1 }, (_, n) => `ORC|NW|P${patient}-${n}^OE`);
    const [row] = await world.file(omi(many));
    expect(row).toMatchObject({ filing_outcome: 'hl7.too-large', filing_location: 'ORC' });
    const [most] = await world.file(omi(many.slice(1)));
    expect(most!.filing_outcome).toBe('filed');
  });

  it('links no visit of another patient, and flags it', async () => {
    await world.file(omi(order('NW', '1')));
    const other = omi(order('NW', '2'), `OTHER${patient}`).replaceAll(`VOTHER${patient}^`, `VMRN${patient}^`);
    const [row] = await world.file(other);
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: ['visit-of-other-patient'] });
    expect((await requests('2'))[0]!.encounter).toBeUndefined();
  });

  it('uses a patient who came by FHIR with the same number, and the survivor of a merge', async () => {
    const system = 'https://prelim.example/fhir/NamingSystem/hl7v2/patient/HOSP';
    const [survivor, retired] = [`survivor-${patient}`, `retired-${patient}`];
    await world.database.transaction((tx) =>
      world.store.write(tx, [
        { kind: 'update', resource: { resourceType: 'Patient', id: survivor, name: [{ family: 'KEPT' }] } },
        {
          kind: 'update',
          resource: {
            resourceType: 'Patient',
            id: retired,
            identifier: [{ system, value: `MRN${patient}` }],
            active: false,
            link: [{ type: 'replaced-by', other: { reference: `Patient/${survivor}` } }],
          },
        },
      ]),
    );
    const [row] = await world.file(omi(order()));
    expect(row!.flags).toEqual(['patient-merged']);
    expect((await requests())[0]!.subject.reference).toBe(`Patient/${survivor}`);
    expect((await world.read(`Patient/${survivor}`)).version).toBe('1');
  });
});

describe('Order control', () => {
  const statusAfter = async (...controls: readonly (readonly [string, string])[]) => {
    await world.file(...controls.map(([control, status]) => omi(order(control, '1', status))));
    return (await requests())[0]!.status;
  };

  it.each([
    [
      'a hold and its release',
      [
        ['NW', ''],
        ['HD', 'SC'],
        ['RL', 'HD'],
      ],
      'active',
    ],
    [
      'a hold',
      [
        ['NW', ''],
        ['HD', 'SC'],
      ],
      'on-hold',
    ],
    [
      'a cancellation',
      [
        ['NW', ''],
        ['CA', 'SC'],
      ],
      'revoked',
    ],
    [
      'a discontinuation',
      [
        ['NW', ''],
        ['DC', 'IP'],
      ],
      'revoked',
    ],
    [
      'a change of a held order that says nothing of its status',
      [
        ['NW', ''],
        ['HD', ''],
        ['XO', ''],
      ],
      'on-hold',
    ],
    [
      'a change of a cancelled order that says nothing of its status',
      [
        ['NW', ''],
        ['CA', ''],
        ['XO', ''],
      ],
      'revoked',
    ],
    [
      'a status of the filler',
      [
        ['NW', ''],
        ['SC', 'CM'],
      ],
      'completed',
    ],
    [
      'a new order under the number of a cancelled one',
      [
        ['NW', ''],
        ['CA', ''],
        ['NW', ''],
      ],
      'active',
    ],
  ] as const)('%s: the order is %#', async (_, controls, expected) => {
    expect(await statusAfter(...controls)).toBe(expected);
  });

  it('replaces: the old order is revoked, the new one names it', async () => {
    await world.file(omi(order('NW', '1')), omi([...order('RP', '1'), ...order('RO', '2')]));
    const [[old], [fresh]] = [await requests('1'), await requests('2')];
    expect(old).toMatchObject({ status: 'revoked', version: '2' });
    expect(fresh).toMatchObject({ status: 'active', replaces: [{ reference: `ServiceRequest/${old!.id}` }] });
  });

  it('replaces several by several, an order that was never seen, and one that keeps its number', async () => {
    await world.file(
      omi([...order('RU', '1'), ...order('RU', '2'), ...order('RO', '3'), ...order('RO', '4')]),
    );
    const ids = await Promise.all(['1', '2'].map(async (number) => (await requests(number))[0]!.id));
    for (const number of ['3', '4']) {
      const [fresh] = await requests(number);
      expect(fresh!.replaces?.map((one) => one.reference)).toEqual(ids.map((id) => `ServiceRequest/${id}`));
    }
    await world.file(omi([...order('RP', '4'), ...order('RO', '4')]));
    const [same] = await requests('4');
    expect(same).toMatchObject({ status: 'active' });
    expect(same!.replaces).not.toContainEqual({ reference: `ServiceRequest/${same!.id}` });
  });

  it('takes several orders of one message, each by its own control', async () => {
    await world.file(omi([...order('NW', '1'), ...order('HD', '2'), ...order('CA', '3')]));
    const found = await Promise.all(
      ['1', '2', '3'].map(async (number) => (await requests(number))[0]!.status),
    );
    expect(found).toEqual(['active', 'on-hold', 'revoked']);
  });
});

describe('The accession number', () => {
  const from = async (setting: string, lines: readonly string[], sender?: string) => {
    const step = world.otherStep({ settings: { HL7_ACCESSION_FROM: setting } });
    const text = message('ORM^O01', [head()[0]!, ...lines], sender);
    const [id] = await world.keep(text);
    await step.run({});
    return (await world.rows([id!]))[0]!.accession;
  };
  const lines = () => [
    `ORC|NW|P${patient}|F${patient}`,
    'OBR|1|||X^Y^L||||||||||||||A18|A19|A20',
    'ZDS|1.2.3^A1.2^Application^DICOM',
  ];

  it.each([
    ['IPC-1,OBR-18', 'A18'],
    ['OBR-20', 'A20'],
    ['OBR-19,OBR-18', 'A19'],
    ['OBR-21,OBR-18', 'A18'],
    ['ZDS-1.2', 'A1.2'],
  ])('stands where %s says: %s', async (setting, expected) => {
    expect(await from(setting, lines())).toBe(expected);
  });

  it('may be the filler number, and may stand elsewhere for one sender', async () => {
    expect(await from('ORC-3', lines())).toBe(`F${patient}`);
    expect(await from('OBR-18;EPIC=OBR-20,ORC-3', lines(), 'EPIC|HOSP')).toBe('A20');
    expect(await from('OBR-18;EPIC=OBR-20,ORC-3', lines(), 'X|EPIC')).toBe('A20');
    expect(await from('OBR-18;EPIC=OBR-20,ORC-3', lines(), 'OTHER|HOSP')).toBe('A18');
  });

  it.each(['', 'PID-3', 'OBR-', 'EPIC=OBR-20', 'OBR-18;EPIC='])('cannot stand at "%s"', (setting) => {
    expect(() => world.otherStep({ settings: { HL7_ACCESSION_FROM: setting } })).toThrow(
      expect.objectContaining({ code: 'config.invalid' }),
    );
  });
});
