import type {
  DiagnosticReport,
  Encounter,
  Observation,
  Patient,
  Resource,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FilingWorld, makeFilingWorld, message, type Stored } from './filing-world.ts';

let world: FilingWorld;
beforeAll(async () => {
  world = await makeFilingWorld();
});
afterAll(() => world?.close());

/** Every test has a patient of its own. */
let run = 0;
beforeEach(() => {
  run += 1;
});
const pid = () => `PID|1||A${run}^^^HOSP^MR||DOE^JANE||19650214|F`;
const visit = () => `PV1|1|E|ED^12||||||||||||||||V${run}^^^HOSP^VN`;
const order = (control = 'NW') =>
  message('ORM^O01', [
    pid(),
    visit(),
    `ORC|${control}|P${run}^OE`,
    `OBR|1|P${run}^OE||X^Chest`,
    `OBX|1|NM|CREA^Creatinine^L||${run}|mg/dL^^UCUM|||||F`,
  ]);
const SIZE = 'OBX|1|NM|SIZE^Size^L|1|6.2|mm^^UCUM|||||F';
const COUNT = 'OBX|2|NM|COUNT^Count^L|2|3||||||F';
const result = (hour: number, lines: readonly string[], status = 'F') =>
  message('ORU^R01', [
    pid(),
    `OBR|1|P${run}^OE|R${run}^RIS|X^Chest${'|'.repeat(18)}202601151${hour}0000+0000|||${status}`,
    ...lines,
  ]);
const found = async <T extends Resource>(type: T['resourceType'], number: string) =>
  (await world.find<T>(type, `identifier=${number}${run}`))[0];
const remove = (...all: readonly Stored<Resource>[]) =>
  world.database.transaction((tx) =>
    world.store.write(
      tx,
      all.map(({ resourceType: type, id = '' }) => ({ kind: 'delete' as const, type, id })),
    ),
  );

describe('A line of a result that was taken out', () => {
  it('comes back with a later version of the report', async () => {
    const rows = await world.file(
      result(1, [SIZE, COUNT]),
      result(2, [SIZE]),
      result(3, [SIZE, COUNT.replace('|3|', '|4|')], 'C'),
    );
    expect(rows.map((row) => row.filing_outcome)).toEqual(['filed', 'filed', 'filed']);
    const report = await found<DiagnosticReport>('DiagnosticReport', 'R');
    expect(report?.status).toBe('corrected');
    const lines = await Promise.all(report!.result!.map((one) => world.read<Observation>(one.reference)));
    expect(lines.map((one) => [one.status, one.valueQuantity?.value, one.version])).toEqual([
      ['final', 6.2, '1'],
      ['final', 4, '3'],
    ]);
  });

  it('comes back in the place of the report that a later version has as text', async () => {
    const rows = await world.file(
      result(1, [SIZE]),
      result(2, ['OBX|1|TX|REP^Report^L||Size: 6.2 mm||||||F']),
      result(3, [SIZE]),
    );
    expect(rows.map((row) => row.filing_outcome)).toEqual(['filed', 'filed', 'filed']);
    expect((await found<DiagnosticReport>('DiagnosticReport', 'R'))?.result).toHaveLength(1);
  });
});

describe('What somebody deleted over FHIR', () => {
  it('is made again by the next message about it: an order with its patient, visit and lines', async () => {
    await world.file(order());
    const before = [
      (await found<ServiceRequest>('ServiceRequest', 'P'))!,
      (await found<Encounter>('Encounter', 'V'))!,
      (await found<Patient>('Patient', 'A'))!,
    ];
    const [line] = before[0]!.resourceType === 'ServiceRequest' ? before[0]!.supportingInfo! : [];
    await remove(...before, await world.read<Observation>(line?.reference));
    const [other, row] = await world.file(message('ADT^A08', [pid().replace('A', 'B')]), order('XO'));
    expect([other?.filing_outcome, row?.filing_outcome]).toEqual(['filed', 'filed']);
    const after = [
      await found<ServiceRequest>('ServiceRequest', 'P'),
      await found<Encounter>('Encounter', 'V'),
      await found<Patient>('Patient', 'A'),
    ];
    expect(after.map((one) => [one?.id, one?.version])).toEqual(before.map((one) => [one.id, '3']));
    expect(await world.read<Observation>(line?.reference)).toMatchObject({ status: 'final', version: '3' });
  });

  it('is made again: a report of which only the lines were left, and a line of a report', async () => {
    await world.file(result(1, [SIZE, COUNT]));
    const report = (await found<DiagnosticReport>('DiagnosticReport', 'R'))!;
    await remove(report);
    expect((await world.file(result(2, [SIZE, COUNT])))[0]?.filing_outcome).toBe('filed');
    await remove(await world.read<Observation>(report.result![0]!.reference));
    expect((await world.file(result(3, [SIZE, COUNT])))[0]?.filing_outcome).toBe('filed');
    expect((await found<DiagnosticReport>('DiagnosticReport', 'R'))?.id).toBe(report.id);
    expect(await world.read<Observation>(report.result![0]!.reference)).toMatchObject({ version: '3' });
  });

  it('is made again by a merge', async () => {
    const [a, b] = [pid(), pid().replace(`A${run}`, `B${run}`)];
    await world.file(message('ADT^A04', [a]), message('ADT^A04', [b]));
    await remove((await found<Patient>('Patient', 'A'))!, (await found<Patient>('Patient', 'B'))!);
    const [row] = await world.file(message('ADT^A40', [a, `MRG|B${run}^^^HOSP^MR`]));
    expect(row).toMatchObject({ filing_outcome: 'filed', flags: ['merged-unknown'] });
    expect((await found<Patient>('Patient', 'A'))?.link?.[0]?.type).toBe('replaces');
  });
});
