import type { ImagingStudy, ServiceRequest } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { messageStepWorld } from '../../../test/hl7/message-step-world.ts';
import { fieldOf } from '../../../test/peers/ris.ts';
import { STUDY_NUMBER_SYSTEMS } from '../../hl7/assigning-authority.ts';
import type { ReportWritten } from '../../kernel/handoffs.ts';
import { RIS_PROFILE_CODE, RIS_PROFILE_EXTENSION } from './ris-profiles.ts';

const world = messageStepWorld();
const coding = (system: string, code: string) => ({ coding: [{ system, code }] });
const subject = { reference: 'Patient/p' };

describe('what a receiver was told under numbers that the study has no more', () => {
  beforeAll(async () => {
    await world.write(
      {
        resourceType: 'Patient',
        id: 'p',
        identifier: [{ system: 'urn:oid:1.2', value: 'MRN1' }],
      },
      { resourceType: 'Device', id: 'd', deviceName: [{ name: 'CXR', type: 'model-name' }] },
    );
  });
  const study = (id: string, accession: string | null): ImagingStudy & { id: string } => ({
    resourceType: 'ImagingStudy',
    id,
    status: 'available',
    subject,
    identifier: [
      { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' },
      ...(accession === null ? [] : [{ system: STUDY_NUMBER_SYSTEMS.accession, value: accession }]),
    ],
  });
  const order = (id: string, placer: string, accession: string): ServiceRequest & { id: string } => ({
    resourceType: 'ServiceRequest',
    id,
    status: 'active',
    intent: 'order',
    subject,
    identifier: [
      { type: coding('http://terminology.hl7.org/CodeSystem/v2-0203', 'PLAC'), value: placer },
      { system: STUDY_NUMBER_SYSTEMS.accession, value: accession },
    ],
  });
  /** Writes the report of the study `id`; `orders` are its orders. */
  const report = (id: string, status: 'preliminary' | 'final', ...orders: string[]) =>
    world.write(
      {
        resourceType: 'Observation',
        id,
        status: 'preliminary',
        code: coding('http://snomed.info/sct', '36118008'),
        valueCodeableConcept: coding('http://snomed.info/sct', '52101004'),
        device: { reference: 'Device/d' },
      },
      {
        resourceType: 'DiagnosticReport',
        id,
        status,
        code: coding('http://loinc.org', '24558-9'),
        subject,
        imagingStudy: [{ reference: `ImagingStudy/${id}` }],
        result: [{ reference: `Observation/${id}` }],
        ...(orders.length > 0 ? { basedOn: orders.map((one) => ({ reference: one })) } : {}),
      },
    );
  const tell = async (id: string, more: Partial<ReportWritten> = {}): Promise<string> => {
    const result = await world.step.run({ diagnosticReportId: id, versionId: 0, patientId: 'p', ...more });
    if ('write' in result && result.write)
      await world.database.transaction(async (tx) => void (await result.write?.(tx)));
    return result.kind;
  };
  /** OBR-25, OBR-2, OBR-18 and the letters of the findings of every message, in the order in which they go out. */
  const told = async (id: string) => {
    const rows = await world.database.run<{ raw: Buffer; lane: string }>(
      { text: 'SELECT raw, lane FROM hl7_outbound WHERE report_id = $1 ORDER BY message_time' },
      [id],
    );
    expect(new Set(rows.map(({ lane }) => lane)).size).toBeLessThanOrEqual(1);
    expect(new Set(rows.map(({ raw }) => fieldOf(raw, 'OBR', 3))).size).toBe(1);
    return rows.map(({ raw }) => {
      const letters = raw.toString('latin1').split('\r');
      const lines = letters.filter((line) => line.startsWith('OBX')).map((line) => line.split('|')[11]);
      const found = [...new Set(lines.filter((letter) => letter !== 'O'))].join('');
      return [25, 2, 18]
        .map((field) => fieldOf(raw, 'OBR', field))
        .concat(found)
        .join(' ');
    });
  };

  it('is taken back there first, when an accession number is corrected and the report itself is as it was', async () => {
    await world.write(study('a', 'A1'));
    await report('a', 'preliminary');
    await tell('a');
    expect(await tell('a', { ifMisplaced: true })).toBe('skipped');
    await world.write(study('a', 'A2'));
    expect(await tell('a', { ifMisplaced: true })).toBe('done');
    expect(await told('a')).toEqual(['P  A1 P', 'X  A1 W', 'P  A2 P']);
    expect(await tell('a', { ifMisplaced: true })).toBe('skipped');
    const { text } = {
      text: "SELECT convert_from(raw, 'LATIN1') AS raw FROM hl7_outbound WHERE result_status = 'X' AND report_id = 'a'",
    };
    const [taken] = await world.database.run<{ raw: string }>({ text });
    expect(taken?.raw).toContain('WRONG ORDER OR ACCESSION NUMBER');
  });

  it('is taken back under the order it had, and the next version of it is no correction for the order it has', async () => {
    await world.write(study('b', 'B1'), order('one', 'P1', 'B1'), order('two', 'P2', 'B2'));
    await report('b', 'final', 'ServiceRequest/one');
    await tell('b');
    await report('b', 'final', 'ServiceRequest/two');
    await tell('b');
    expect(await told('b')).toEqual(['F P1 B1 F', 'X P1 B1 W', 'F P2 B2 F']);
  });

  it('stays where it had no number and an order comes late', async () => {
    await world.write(study('c', null), order('late', 'P3', 'C1'));
    await report('c', 'preliminary');
    await tell('c');
    await report('c', 'preliminary', 'ServiceRequest/late');
    await tell('c');
    expect(await told('c')).toEqual(['P   P', 'P P3 C1 P']);
  });

  it('is taken back under the number in OBR-3 that the profile has put there, once the order gives it another', async () => {
    const profile = (settings: object) =>
      world.write({
        resourceType: 'Basic',
        id: 'ris-profile-ris',
        code: { coding: [RIS_PROFILE_CODE] },
        extension: [{ url: RIS_PROFILE_EXTENSION, valueString: JSON.stringify(settings) }],
      });
    /** OBR-3 and OBR-25 of every message. */
    const fillers = async (id: string) => {
      const rows = await world.database.run<{ raw: Buffer }>(
        { text: 'SELECT raw FROM hl7_outbound WHERE report_id = $1 ORDER BY message_time' },
        [id],
      );
      return rows.map(({ raw }) => [fieldOf(raw, 'OBR', 3), fieldOf(raw, 'OBR', 25)].join(' '));
    };
    const filled = (filler: string) => ({
      ...order('filled', 'P9', 'G1'),
      identifier: [
        { type: coding('http://terminology.hl7.org/CodeSystem/v2-0203', 'FILL'), value: filler },
        { system: STUDY_NUMBER_SYSTEMS.accession, value: 'G1' },
      ],
    });
    await profile({ fillerNumber: 'order' });
    await world.write(study('g', 'G1'), filled('F1'));
    await report('g', 'preliminary');
    await tell('g');
    await report('g', 'preliminary', 'ServiceRequest/filled');
    await tell('g');
    expect(await tell('g', { ifMisplaced: true })).toBe('skipped');
    await world.write(filled('F2'));
    expect(await tell('g', { ifMisplaced: true })).toBe('done');
    expect(await fillers('g')).toEqual(['g^PRELIM P', 'g^PRELIM X', 'F1 P', 'F1 X', 'F2 P']);
    // A number that the profile always writes is no other one, and the name of our application is no number.
    await profile({ overrides: [{ at: 'OBR-3.1', constant: 'F2' }], sendingApplication: 'OTHER' });
    await report('g', 'final', 'ServiceRequest/filled');
    await tell('g');
    expect((await fillers('g')).slice(-1)).toEqual(['F2^OTHER F']);
    expect(await fillers('g')).toHaveLength(6);
    await profile({});
  });

  it('is taken back also where the last message about the same version was rejected', async () => {
    await world.write(study('e', 'E1'));
    await report('e', 'preliminary');
    await tell('e');
    const { rows } = {
      rows: await world.database.run<{ id: string }>({
        text: "SELECT id FROM hl7_outbound WHERE report_id = 'e'",
      }),
    };
    expect(await tell('e', { rebuildOf: String(rows[0]?.id) })).toBe('done');
    await world.database.run({
      text: "UPDATE hl7_outbound SET state = CASE revision WHEN 1 THEN 'acknowledged' ELSE 'rejected' END WHERE report_id = 'e'",
    });
    await world.write({ ...study('e', 'E2') });
    await report('e', 'final');
    await tell('e');
    expect((await told('e')).slice(-2)).toEqual(['X  E1 W', 'F  E2 F']);
  });
});
