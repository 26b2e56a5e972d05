import type { DiagnosticReport } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { readMessage } from '../../src/hl7/codec.ts';
import { RisProfiles } from '../../src/steps/ris/ris-profiles.ts';
import { messageStepWorld } from './message-step-world.ts';
import { DIAMETER, ORDER, PATIENT, RECORD, REPORT, STUDY } from './out-record.ts';

const ANALYSIS = 'https://prelim.example/fhir/NamingSystem/analysis';

const world = messageStepWorld();

/** A report of its own for each test, and what makes its message. */
async function recordOf(name: string) {
  const subject = { reference: `Patient/${name}` };
  const device = { ...RECORD.device, id: `model-${name}-1.0.0` };
  const observation = { ...DIAMETER, id: `o-${name}`, subject, device: { reference: `Device/${device.id}` } };
  const report: DiagnosticReport & { id: string } = {
    ...REPORT,
    id: `r-${name}`,
    subject,
    imagingStudy: [{ reference: `ImagingStudy/s-${name}` }],
    result: [{ reference: `Observation/${observation.id}` }],
    identifier: [...(REPORT.identifier ?? []), { system: ANALYSIS, value: `1.2.3|${name}@1.0.0|00` }],
  };
  await world.write(
    { ...PATIENT, id: name },
    { ...STUDY, id: `s-${name}`, subject },
    device,
    observation,
    report,
  );
  const make = async () => {
    const handoff = { diagnosticReportId: report.id, versionId: 0, patientId: name };
    const result = await world.step.run(handoff);
    if (result.kind !== 'later') await world.database.transaction(async (tx) => result.write?.(tx));
    return result;
  };
  return { report, make };
}

interface Stored {
  readonly state: string;
  readonly patient_id: string;
  readonly revision: number;
  readonly report_version: number;
  readonly raw: Buffer;
}
const messagesOf = ({ id }: { readonly id: string }) =>
  world.database.run<Stored>(
    {
      text: 'SELECT state, patient_id, revision, report_version, raw FROM hl7_outbound WHERE report_id = $1 ORDER BY message_time',
    },
    [id],
  );
const said = (rows: readonly Stored[]) =>
  rows.map(({ state, patient_id, raw }) => [
    state,
    patient_id,
    raw.length === 0 ? '' : readMessage(raw).get('OBR', 1, 25),
  ]);

describe('A report that is another patient’s since', () => {
  it('is taken back from the first also where a rejected message has used up the next number', async () => {
    const { report, make } = await recordOf('first');
    await make();
    await world.database.run(
      {
        text: `INSERT INTO hl7_outbound (id, destination, lane, control_id, raw, report_id, report_version, message_time, unmapped_letters,
            patient_id, mrn, accession, placer, result_status, line_ids, profile, profile_version, revision, version_of, state)
          SELECT gen_random_uuid(), destination, lane, control_id || 'X', raw, report_id, report_version, message_time + interval '1 s',
            unmapped_letters, patient_id, mrn, accession, placer, result_status, line_ids, profile, profile_version, 2, id, 'rejected'
          FROM hl7_outbound WHERE report_id = $1`,
      },
      [report.id],
    );
    await world.write({ ...PATIENT, id: 'second' }, { ...report, subject: { reference: 'Patient/second' } });
    await make();
    expect(said(await messagesOf(report))).toEqual([
      ['waiting', 'first', 'P'],
      ['rejected', 'first', 'P'],
      ['waiting', 'first', 'X'],
      ['waiting', 'second', 'P'],
    ]);
  });

  it('is taken back from the first, once, though the record of the second makes no message', async () => {
    const { report, make } = await recordOf('third');
    await make();
    const { identifier: _none, ...unnumbered } = PATIENT;
    const moved = { ...report, subject: { reference: 'Patient/fourth' } };
    await world.write({ ...unnumbered, id: 'fourth' }, moved);
    expect(await make()).toMatchObject({ kind: 'given-up' });
    const waits = [
      ['waiting', 'third', 'P'],
      ['waiting', 'third', 'X'],
      ['unmade', 'fourth', ''],
    ];
    expect(said(await messagesOf(report))).toEqual(waits);
    await world.write({ ...PATIENT, id: 'fourth' }, { ...moved, conclusion: 'Another word.' });
    await make();
    const rows = await messagesOf(report);
    expect(said(rows)).toEqual([...waits, ['waiting', 'fourth', 'P']]);
    // Nothing of what the first patient's message said is withdrawn in the second's.
    expect(
      readMessage(rows.at(-1)!.raw)
        .all('OBX')
        .map((line) => line.get(11)),
    ).not.toContain('D');
    const queued = await world.database.run<{ key: string }>(
      {
        text: `SELECT key FROM outbox WHERE key IN (SELECT lane FROM hl7_outbound WHERE report_id = $1)`,
      },
      [report.id],
    );
    expect(queued).toHaveLength(1);
  });
});

it('A report whose only finding was taken out of it is corrected: the number of its analysis names the model', async () => {
  const { report, make } = await recordOf('fifth');
  await make();
  await world.write({ ...report, result: [] });
  expect(await make()).toMatchObject({ kind: 'done' });
  const last = readMessage((await messagesOf(report)).at(-1)!.raw);
  const gone = last.all('OBX').find((line) => line.get(3) === 'diameter');
  expect([gone?.get(4), gone?.get(11)]).toEqual(['2', 'D']);
  expect(last.get('NTE', 1, 3)).toContain('CXR-NET');
});

it('Who asked and who read are said with number and name where the record has them as resources of their own', async () => {
  const { report, make } = await recordOf('sixth');
  const person = (id: string, family: string) => ({
    resourceType: 'Practitioner' as const,
    id,
    identifier: [{ system: 'urn:oid:1.2.9', value: `N${id}` }],
    name: [{ family, given: ['Ann', 'B'] }],
  });
  const requester = { reference: 'Practitioner/asks' };
  await world.write(
    person('asks', 'HOUSE'),
    person('reads', 'READER'),
    { ...ORDER, id: 'o6', subject: report.subject as { reference: string }, requester },
    {
      ...report,
      status: 'final',
      basedOn: [{ reference: 'ServiceRequest/o6' }],
      resultsInterpreter: [{ reference: 'Practitioner/reads' }],
    },
  );
  await make();
  const { raw } = (await messagesOf(report)).at(-1)!;
  const obr = raw
    .toString()
    .split('\r')
    .find((line) => line.startsWith('OBR'))
    ?.split('|');
  expect([obr?.[16], obr?.[32]]).toEqual(['Nasks^HOUSE^Ann^B^^^^^&1.2.9&ISO', 'Nreads&READER&Ann']);
});

it('A profile that no receiver has is shown under the names of the site', async () => {
  const profiles = new RisProfiles(world.store);
  profiles.keep('ris', {}, { sendingFacility: 'NORTH' });
  expect((await profiles.read('legacy-text-2.3.1')).profile.sendingFacility).toBe('NORTH');
});
