import { randomUUID } from 'node:crypto';
import type {
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  Observation,
  Patient,
  Resource,
  ServiceRequest,
  Task,
} from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Database, Transaction } from '../../src/database/database.ts';
import type { ResourceStore } from '../../src/fhir/resource-store.ts';
import { checkElements } from '../../src/fhir/validate/check-elements.ts';
import { type FilingWorld, makeFilingWorld, message, numbersOf, type Stored } from './filing-world.ts';

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

/** Every test has patients of its own. */
let run = 0;
beforeEach(() => {
  run += 1;
});
const mrn = (name: string) => `${name}${run}`;
const pid = (name: string, family = 'DOE') => `PID|1||${mrn(name)}^^^HOSP^MR||${family}^JANE||19650214|F`;
const mrg = (name: string) => `MRG|${mrn(name)}^^^HOSP^MR||||||OLD^JANE`;
const admit = (name: string, family?: string, event = 'A01') =>
  message(`ADT^${event}`, [pid(name, family), `PV1|1|I|W1||||||||||||||||V${mrn(name)}^^^HOSP^VN`]);
const merge = (...pairs: readonly (readonly [gone: string, stays: string])[]) =>
  message(
    'ADT^A40^ADT_A39',
    pairs.flatMap(([gone, stays]) => [pid(stays), 'PD1||||', mrg(gone)]),
  );
const order = (name: string, number = '1') =>
  message('ORM^O01', [
    pid(name),
    `ORC|NW|P${mrn(name)}-${number}^OE`,
    `OBR|1|||X^Y^L||||||||||||||ACC${mrn(name)}`,
  ]);

/** Who has the number as a number in use, or as the one that was merged away. */
const holder = async (name: string): Promise<Stored<Patient>> => {
  const all = await world.find<Patient>('Patient', `identifier=${mrn(name)}`);
  const own = all.find((one) =>
    one.identifier?.some(({ value, use }) => value === mrn(name) && use !== 'old'),
  );
  if (!own) throw new Error(`nobody has ${name}`);
  return own;
};
const linkOf = ({ link = [] }: Patient) => link.map(({ type, other }) => `${type} ${other.reference}`);
const outcomes = async (...messages: readonly string[]) =>
  (await world.file(...messages)).map((row) => [row.filing_outcome, ...row.flags].join(' '));
const write = (...resources: (Resource & { id: string })[]) =>
  world.database.transaction((tx) =>
    world.store.write(
      tx,
      resources.map((resource) => ({ kind: 'update', resource })),
    ),
  );

describe('ADT of a visit', () => {
  it.each([
    ['A01', 'in-progress'],
    ['A03', 'finished'],
    ['A04', 'in-progress'],
    ['A05', 'planned'],
    ['A11', 'cancelled'],
  ])('%s makes patient and visit, which is %s', async (event, status) => {
    expect(await outcomes(admit('A', 'DOE', event))).toEqual(['filed']);
    const [visit] = await world.find<Encounter>('Encounter', `identifier=V${mrn('A')}`);
    expect(visit).toMatchObject({ status, class: { code: 'IMP' } });
    const { version: _, ...subject } = await world.read<Patient>(visit!.subject?.reference);
    expect(checkElements(subject)).toEqual([]);
  });

  it('changes what A08 says, and leaves the status of the visit and what it does not say', async () => {
    await world.file(admit('A', 'DOE', 'A05'), admit('A', 'ROE', 'A08'));
    const [visit] = await world.find<Encounter>('Encounter', `identifier=V${mrn('A')}`);
    expect(visit!.status).toBe('planned');
    expect((await holder('A')).name?.[0]?.family).toBe('ROE');
    await world.file(message('ADT^A31', [`PID|1||${mrn('A')}^^^HOSP^MR|||||M`]));
    expect(await holder('A')).toMatchObject({
      gender: 'male',
      name: [{ family: 'ROE' }],
      birthDate: '1965-02-14',
    });
  });

  it('leaves the class of a visit where PV1-2 is empty', async () => {
    await world.file(admit('A'), admit('A', 'DOE', 'A08').replace('PV1|1|I|', 'PV1|1||'));
    const [visit] = await world.find<Encounter>('Encounter', `identifier=V${mrn('A')}`);
    expect(visit).toMatchObject({ class: { code: 'IMP' }, status: 'in-progress' });
  });

  it('is filed without its visit where an account stands for several: the others are none the worse', async () => {
    const account = `||||||||||AC${run}`;
    const visit = (number: string) => `PV1|1|I|${number}||||||||||||||||${number && `${number}-${run}`}`;
    expect(
      await outcomes(
        message('ADT^A01', [pid('A') + account, visit('W1')]),
        message('ADT^A01', [pid('A') + account, visit('W2')]),
        message('ADT^A08', [pid('A', 'ROE') + account, visit('')]),
        message('ORM^O01', [pid('A', 'ROE') + account, visit(''), `ORC|NW|P${run}^OE`, 'OBR|1|||X^Y^L']),
        message('ORU^R01', [
          pid('A') + account,
          visit(''),
          `OBR|1|P${run}^OE|R${run}^RIS|X^Y${'|'.repeat(21)}F`,
        ]),
      ),
    ).toEqual(['filed', 'filed', 'filed visit-unclear', 'filed visit-unclear', 'filed visit-unclear']);
    expect((await holder('A')).name?.[0]?.family).toBe('ROE');
    const visits = await world.find<Encounter>('Encounter', `identifier=AC${run}`);
    expect(visits.map((one) => [one.location?.[0]?.location.display, one.version]).toSorted()).toEqual([
      ['W1', '1'],
      ['W2', '1'],
    ]);
    const [order] = await world.find<ServiceRequest>('ServiceRequest', `identifier=P${run}`);
    expect(order?.encounter).toBeUndefined();
  });

  it('needs no visit number to update a patient, and refuses a visit of another patient', async () => {
    expect(await outcomes(message('ADT^A08', [pid('A'), 'PV1|1|O']))).toEqual(['filed visit-without-number']);
    await world.file(admit('A'));
    const stolen = admit('B').replace(`V${mrn('B')}`, `V${mrn('A')}`);
    const [row] = await world.file(stolen);
    expect(row).toMatchObject({ filing_outcome: 'order.other-patient', filing_location: 'PV1^1^19' });
    await expect(holder('B')).rejects.toThrow();
  });

  it('leaves the survivor as he is when it comes under the number that was merged away', async () => {
    await world.file(admit('A'), admit('B', 'STAYS'), merge(['A', 'B']));
    const before = await holder('B');
    expect(await outcomes(message('ADT^A08', [pid('A', 'LATE')]))).toEqual(['filed patient-merged']);
    expect(await holder('B')).toEqual(before);
  });
});

describe('A merge (ADT^A40)', () => {
  it('retires one patient, keeps the other, and links both', async () => {
    expect(await outcomes(admit('A'), admit('B'), merge(['A', 'B']))).toEqual(['filed', 'filed', 'filed']);
    const [gone, stays] = [await holder('A'), await holder('B')];
    expect(gone.active).toBe(false);
    expect(linkOf(gone)).toEqual([`replaced-by Patient/${stays.id}`]);
    expect(linkOf(stays)).toEqual([`replaces Patient/${gone.id}`]);
    expect(numbersOf(stays)).toEqual([mrn('B'), `${mrn('A')} old`]);
    expect(stays.active).not.toBe(false);
    for (const { version: _, ...one } of [gone, stays]) expect(checkElements(one)).toEqual([]);
  });

  it('is of who has the other numbers, where both are listed with one number of an index over hospitals', async () => {
    const shared = (line: string) => line.replace(/\|([AB]\d+\^\^\^HOSP\^MR)/, `|E${run}^^^INDEX^PI~$1`);
    await world.file(admit('A'), shared(admit('B')));
    const merged = merge(['A', 'B']).split('\r').map(shared).join('\r');
    expect(await outcomes(merged)).toEqual(['filed']);
    const [gone, stays] = [await holder('A'), await holder('B')];
    expect(gone.active).toBe(false);
    expect(linkOf(gone)).toEqual([`replaced-by Patient/${stays.id}`]);
    expect(numbersOf(stays)).toEqual([`E${run}`, mrn('B'), `${mrn('A')} old`]);
  });

  it('moves what was recorded: order, visit, study, report, finding and task, each as a new version', async () => {
    await world.file(order('A'), admit('A'), admit('B'));
    const gone = await holder('A');
    const subject = { reference: `Patient/${gone.id}` };
    const id = `moved-${run}`;
    const code = { text: 'x' };
    await write(
      { resourceType: 'ImagingStudy', id, status: 'available', subject },
      { resourceType: 'Observation', id, status: 'preliminary', code, subject },
      {
        resourceType: 'DiagnosticReport',
        id,
        status: 'preliminary',
        code,
        subject,
        result: [{ reference: `Observation/${id}` }],
      },
      { resourceType: 'Task', id, status: 'in-progress', intent: 'order', for: subject },
      {
        resourceType: 'Provenance',
        id,
        recorded: '2026-01-01T00:00:00Z',
        target: [subject],
        agent: [{ who: { display: 'x' } }],
      },
    );
    expect(await outcomes(merge(['A', 'B']))).toEqual(['filed']);
    const stays = { reference: `Patient/${(await holder('B')).id}` };
    for (const type of ['ImagingStudy', 'Observation', 'DiagnosticReport'] as const) {
      const moved = await world.read<ImagingStudy | Observation | DiagnosticReport>(`${type}/${id}`);
      expect(moved).toMatchObject({ subject: stays, version: '2' });
    }
    expect(await world.read<Task>(`Task/${id}`)).toMatchObject({ for: stays });
    const [request] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    expect(request!.subject).toEqual(stays);
    const [visit] = await world.find<Encounter>('Encounter', `identifier=V${mrn('A')}`);
    expect(visit!.subject).toEqual(stays);
    // What was so at its time stays so.
    expect((await world.read(`Provenance/${id}`)).version).toBe('1');
    expect(
      (await world.store.readVersion('DiagnosticReport', id, 1))!.parse<DiagnosticReport>().subject,
    ).toEqual(subject);
  });

  it('moves more than is read at once', async () => {
    await world.file(admit('A'), admit('B'));
    const subject = { reference: `Patient/${(await holder('A')).id}` };
    const many = Array.from({ length: 1_203 }, (_, at): Observation & { id: string } => ({
      resourceType: 'Observation',
      id: `many-${run}-${at}`,
      status: 'final',
      code: { text: 'x' },
      subject,
    }));
    await write(...many);
    await world.file(merge(['A', 'B']));
    expect((await world.store.search('Observation', `subject=${subject.reference}`)).matches).toEqual([]);
  });

  it('is the same when it comes again, also in one batch with others and in one message', async () => {
    await world.file(admit('A'), admit('B'), merge(['A', 'B']));
    const before = [await holder('A'), await holder('B')];
    expect(await outcomes(merge(['A', 'B']), merge(['A', 'B'], ['A', 'B']))).toEqual([
      'filed merge-repeated',
      'filed merge-repeated',
    ]);
    expect([await holder('A'), await holder('B')]).toEqual(before);
  });

  it('follows a chain: A into B, B into C, then a late order for A is one for C', async () => {
    await world.file(
      admit('A'),
      admit('B'),
      admit('C'),
      order('A', '1'),
      merge(['A', 'B']),
      merge(['B', 'C']),
    );
    await world.file(order('A', '2'));
    const stays = await holder('C');
    const requests = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    expect(requests.map((one) => one.subject.reference)).toEqual(Array(2).fill(`Patient/${stays.id}`));
    expect(numbersOf(stays)).toEqual([mrn('C'), `${mrn('B')} old`, `${mrn('A')} old`]);
    expect(await outcomes(merge(['A', 'B']), merge(['A', 'C']))).toEqual([
      'filed merge-repeated',
      'filed merge-repeated',
    ]);
  });

  it('does a chain in one message, and all of a message or none', async () => {
    await world.file(admit('A'), admit('B'), admit('C'), order('A'));
    expect(await outcomes(merge(['A', 'B'], ['B', 'C']))).toEqual(['filed']);
    const [request] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    expect(request!.subject.reference).toBe(`Patient/${(await holder('C')).id}`);
    await world.file(admit('D'), admit('E'));
    expect(await outcomes(merge(['D', 'E'], ['C', 'A']))).toEqual(['merge.reversed']);
    expect((await holder('D')).active).not.toBe(false);
  });

  it('is refused the other way round, into itself, and for one who was merged into another', async () => {
    await world.file(admit('A'), admit('B'), admit('C'), merge(['A', 'B']));
    const before = [await holder('A'), await holder('B'), await holder('C')];
    expect(await outcomes(merge(['B', 'A']), merge(['C', 'C']), merge(['A', 'C']))).toEqual([
      'merge.reversed',
      'merge.same-patient',
      'merge.already-merged',
    ]);
    expect([await holder('A'), await holder('B'), await holder('C')]).toEqual(before);
  });

  it('into one who was merged away goes to who took over', async () => {
    await world.file(admit('A'), admit('B'), admit('C'), merge(['A', 'B']));
    expect(await outcomes(merge(['C', 'A']))).toEqual(['filed patient-merged']);
    expect(linkOf(await holder('C'))).toEqual([`replaced-by Patient/${(await holder('B')).id}`]);
  });

  it('moves what names the patient elsewhere: a device, a relative, who pays, and a task he is to do', async () => {
    await world.file(admit('A'), admit('B'));
    const [old, stays] = [await holder('A'), await holder('B')];
    const patient = { reference: `Patient/${old.id}` };
    const texts = { text: 'X' };
    const named: (Resource & { id: string })[] = [
      { resourceType: 'Device', id: randomUUID(), patient },
      {
        resourceType: 'FamilyMemberHistory',
        id: randomUUID(),
        status: 'completed',
        patient,
        relationship: texts,
      },
      {
        resourceType: 'Coverage',
        id: randomUUID(),
        status: 'active',
        beneficiary: patient,
        payor: [patient],
      },
      { resourceType: 'Task', id: randomUUID(), status: 'requested', intent: 'order', owner: patient },
      { resourceType: 'BodyStructure', id: randomUUID(), patient },
    ];
    await write(...named);
    expect(await outcomes(merge(['A', 'B']))).toEqual(['filed']);
    for (const { resourceType, id } of named) {
      const { version, ...moved } = await world.read<Resource>(`${resourceType}/${id}`);
      expect([resourceType, version, JSON.stringify(moved).includes(String(old.id))]).toEqual([
        resourceType,
        '2',
        false,
      ]);
      expect(JSON.stringify(moved)).toContain(`Patient/${stays.id}`);
    }
  });

  it('of one never seen leaves a mark, so that a late order still finds the survivor', async () => {
    await world.file(admit('B'));
    expect(await outcomes(merge(['A', 'B']), order('A'))).toEqual([
      'filed merged-unknown',
      'filed patient-merged',
    ]);
    const [request] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    expect(request!.subject.reference).toBe(`Patient/${(await holder('B')).id}`);
    expect(await holder('A')).toMatchObject({ active: false, name: [{ family: 'OLD' }] });
  });

  it('into one never seen makes him; and both may be unknown', async () => {
    await world.file(order('A'));
    expect(await outcomes(merge(['A', 'B']), merge(['X', 'Y']))).toEqual(['filed', 'filed merged-unknown']);
    const [request] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    expect(request!.subject.reference).toBe(`Patient/${(await holder('B')).id}`);
    expect(linkOf(await holder('X'))).toEqual([`replaced-by Patient/${(await holder('Y')).id}`]);
  });

  it('knows an order that was written for the old one too late to move along as one of the survivor', async () => {
    await world.file(order('A'), admit('B'));
    const [request] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    await world.file(merge(['A', 'B']));
    const { version: _, ...late } = request!;
    await write(late as ServiceRequest & { id: string });
    expect(await outcomes(order('A'))).toEqual(['filed patient-merged']);
    const [moved] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    expect(moved!.subject.reference).toBe(`Patient/${(await holder('B')).id}`);
  });

  it('stands in its place among other messages of a batch', async () => {
    const rows = await outcomes(
      admit('A'),
      admit('B'),
      order('A', '1'),
      merge(['A', 'B']),
      order('A', '2'),
      order('B', '3'),
    );
    expect(rows).toEqual(['filed', 'filed', 'filed', 'filed', 'filed patient-merged', 'filed']);
    const stays = `Patient/${(await holder('B')).id}`;
    for (const name of ['A', 'B']) {
      const requests = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn(name)}`);
      expect(new Set(requests.map((one) => one.subject.reference))).toEqual(new Set([stays]));
    }
  });

  it('of an ordinary patient takes few round trips, and shares its transaction with what stands beside it', async () => {
    const many = Array.from({ length: 20 }, (_, n) => n);
    for (const n of many) await world.file(order(`A${n}`, `${n}`), admit(`B${n}`));
    const ids = await world.keep(...many.map((n) => merge([`A${n}`, `B${n}`])));
    const asked = new Map<string, number>();
    const counting = countingTransactions(world.database, asked);
    await world.otherStep({ database: counting }).run({});
    expect((await world.rows(ids)).map((row) => row.filing_outcome)).toEqual(many.map(() => 'filed'));
    const all = [...asked.values()].reduce((sum, n) => sum + n, 0);
    // Numbers, what was said of them, what refers to him, the write, unsent messages, what is said now, and the later look with its call: eight for each, and a few for the batch.
    expect([all <= many.length * 8 + 10, Object.fromEntries(asked)]).toEqual([true, expect.anything()]);
    expect(asked.get('filing-lock')).toBeLessThanOrEqual(2);
  });

  it('that is refused among others of a batch changes nothing, and all of them are filed in their order', async () => {
    await world.file(admit('A'), admit('B'), merge(['A', 'B']));
    const rows = await outcomes(
      order('A', '1'),
      merge(['X', 'Y'], ['B', 'A']),
      order('X', '2'),
      merge(['B', 'A']),
      merge(['C', 'B']),
      order('C', '3'),
    );
    expect(rows).toEqual([
      'filed patient-merged',
      'merge.reversed',
      'filed',
      'merge.reversed',
      'filed merged-unknown',
      'filed patient-merged',
    ]);
    // Nothing of the first group of the refused one stayed.
    expect((await holder('X')).active).not.toBe(false);
    const stays = `Patient/${(await holder('B')).id}`;
    const [last] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('C')}`);
    expect(last!.subject.reference).toBe(stays);
  });

  it('does not lose what work under way writes while it moves, and moves what is written for the old one later', async () => {
    await world.file(order('A'), admit('B'));
    const [request] = await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`);
    const gone = await holder('A');
    let met = false;
    const busy = Object.assign(Object.create(world.store) as ResourceStore, {
      write: async (...[tx, writes, ...rest]: Parameters<ResourceStore['write']>) => {
        if (
          !met &&
          writes.some((one) => one.kind === 'update' && one.resource.resourceType === 'ServiceRequest')
        ) {
          met = true;
          const { version: _, ...resource } = { ...request!, patientInstruction: 'Fasting' };
          await write(resource as ServiceRequest & { id: string });
        }
        return world.store.write(tx, writes, ...rest);
      },
    });
    const [id] = await world.keep(merge(['A', 'B']));
    await world.otherStep({ store: busy }).run({});
    expect((await world.rows([id!]))[0]!.filing_outcome).toBe('filed');
    const stays = `Patient/${(await holder('B')).id}`;
    expect(
      (await world.find<ServiceRequest>('ServiceRequest', `identifier=ACC${mrn('A')}`))[0],
    ).toMatchObject({
      patientInstruction: 'Fasting',
      subject: { reference: stays },
    });
    const late = `late-${run}`;
    await write({
      resourceType: 'ImagingStudy',
      id: late,
      status: 'available',
      subject: { reference: `Patient/${gone.id}` },
    });
    const due = () =>
      world.database.run<{ payload: { looks: number } }>({
        text: `SELECT payload FROM outbox WHERE queue = 'filing' AND payload->>'retiredPatientId' = '${gone.id}' ORDER BY id`,
      });
    expect((await due()).map(({ payload }) => payload.looks)).toEqual([0]);
    // Each look asks for the next one; the last for none.
    await world.step.run({ retiredPatientId: String(gone.id), looks: 0 });
    await world.step.run({ retiredPatientId: String(gone.id), looks: 1 });
    expect((await due()).map(({ payload }) => payload.looks)).toEqual([0, 1]);
    expect(await world.read<ImagingStudy>(`ImagingStudy/${late}`)).toMatchObject({
      subject: { reference: stays },
    });
  });

  it('stops the message that waits for the old number, and asks for one with the new', async () => {
    await world.file(order('A'), admit('B'));
    const subject = { reference: `Patient/${(await holder('A')).id}` };
    const code = { text: 'x' };
    const [waiting, sent] = [`waiting-${run}`, `sent-${run}`];
    for (const id of [waiting, sent])
      await write({ resourceType: 'DiagnosticReport', id, status: 'preliminary', code, subject });
    await out(waiting, 'waiting');
    await out(sent, 'acknowledged');
    await world.file(merge(['A', 'B']));
    const states = await world.database.run<{ report_id: string; state: string }>({
      text: `SELECT report_id, state FROM hl7_outbound WHERE report_id LIKE '%-${run}' ORDER BY report_id DESC`,
    });
    expect(states).toEqual([
      { report_id: waiting, state: 'superseded' },
      { report_id: sent, state: 'acknowledged' },
    ]);
    const jobs = await world.database.run<{ payload: object; lane: string }>({
      text: `SELECT payload, lane FROM outbox WHERE queue = 'ris-message' AND payload::text LIKE '%-${run}"%'`,
    });
    const stays = (await holder('B')).id;
    expect(jobs).toEqual([
      { payload: { diagnosticReportId: waiting, versionId: 2, patientId: stays }, lane: `oru:${stays}` },
    ]);
  });

  it('finds who is merged away by a number alone, as older senders write it', async () => {
    const bare = (name: string) => message('ADT^A40', [pid('B'), `MRG|${mrn(name)}`]);
    expect(await outcomes(admit('A'), admit('B'), bare('A'), bare('A'))).toEqual([
      'filed',
      'filed',
      'filed',
      'filed merge-repeated',
    ]);
    expect(await holder('A')).toMatchObject({ active: false, link: [{ type: 'replaced-by' }] });
    const [row] = await world.file(bare('B'));
    expect(row).toMatchObject({ filing_outcome: 'merge.same-patient', filing_location: 'MRG^1^1' });
    // One who was never seen: a late order finds the survivor, however it writes the number.
    const unknown = [bare('C'), order('C', '1'), order('C', '2').replace(`${mrn('C')}^^^HOSP^MR`, mrn('C'))];
    expect(await outcomes(...unknown)).toEqual([
      'filed merged-unknown',
      'filed patient-merged',
      'filed patient-merged',
    ]);
  });

  it.each([
    ['no MRG', () => message('ADT^A40', [pid('A')]), 'hl7.missing', 'MRG^1^1'],
    ['no number in MRG-1', () => message('ADT^A40', [pid('A'), 'MRG|^^^HOSP']), 'hl7.missing', 'MRG^1^1'],
    ['no number in PID-3', () => message('ADT^A40', ['PID|1', mrg('A')]), 'hl7.missing', 'PID^1^3'],
    [
      'one of two groups without MRG',
      () => message('ADT^A40', [pid('A'), mrg('B'), pid('C')]),
      'hl7.missing',
      'MRG^2^1',
    ],
  ])('is refused with %s, by name and place', async (_, text, outcome, location) => {
    const [row] = await world.file(text());
    expect(row).toMatchObject({ filing_outcome: outcome, filing_location: location });
  });
});

async function out(reportId: string, state: string): Promise<void> {
  await world.database.run(
    {
      text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time, state)
        VALUES ($1::uuid, 'ris', 'l', $1::text, '', $2, 1, now(), $3)`,
    },
    [randomUUID(), reportId, state],
  );
}

/** The database, counting the statements of its transactions that wait for an answer. */
function countingTransactions(database: Database, asked: Map<string, number>): Database {
  const counted = (tx: Transaction): Transaction => ({
    ...tx,
    run: (statement, values) => {
      asked.set(statement.name ?? '', (asked.get(statement.name ?? '') ?? 0) + 1);
      return tx.run(statement, values);
    },
  });
  return Object.assign(Object.create(database) as Database, {
    transaction: (...[work, options]: Parameters<Database['transaction']>) =>
      database.transaction((tx) => work(counted(tx)), options),
  });
}
