import type { DiagnosticReport, ImagingStudy, Observation, Patient } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { fieldOf, sendOrder } from '../peers/ris.ts';
import {
  expectExactlyOnce,
  fillerOf,
  messagesFor,
  outboxEmpty,
  read,
  reportIdOf,
  stow,
  taskEnded,
  until,
} from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { TINY_MODEL } from './tiny-model.ts';
import { analyse, tinyWorld } from './tiny-world.ts';

const world = tinyWorld();

describe('a report that another system changes over FHIR', () => {
  const preliminary = async (): Promise<DiagnosticReport> => {
    const study = tinyStudy();
    const id = reportIdOf(await analyse(world, study));
    await expectExactlyOnce(world, study);
    return read<DiagnosticReport>(world, `DiagnosticReport/${id}`);
  };
  const put = (report: DiagnosticReport, more: Partial<DiagnosticReport>) =>
    world.server.ask('PUT', `/fhir/DiagnosticReport/${report.id}`, { ...report, ...more });
  const told = async (report: DiagnosticReport, count: number): Promise<string[]> => {
    await until(() => messagesFor(world, fillerOf(report)).length >= count);
    await outboxEmpty(world);
    return messagesFor(world, fillerOf(report)).map((message) => fieldOf(message, 'OBR', 25));
  };

  it('final, corrected and entered in error each reach the RIS as F, C and X, under the same filler number and in order', async () => {
    const report = await preliminary();
    expect(await told(report, 1)).toEqual(['P']);
    const statuses = [
      ['final', 'F'],
      ['corrected', 'C'],
      ['entered-in-error', 'X'],
    ] as const;
    const letters: string[] = ['P'];
    for (const [status, letter] of statuses) {
      expect((await put(report, { status })).status).toBe(200);
      letters.push(letter);
      expect(await told(report, letters.length)).toEqual(letters);
    }
    const messages = messagesFor(world, fillerOf(report));
    expect(new Set(messages.map((message) => fieldOf(message, 'MSH', 10))).size).toBe(4);
    const times = messages.map((message) => fieldOf(message, 'OBR', 22));
    expect(times).toEqual([...new Set(times)].sort());
    const { rows } = await world.sql.query(
      'SELECT report_version FROM hl7_outbound WHERE report_id = $1 ORDER BY report_version',
      [report.id],
    );
    expect(rows.map((row) => row.report_version)).toEqual([1, 2, 3, 4]);
  }, 60_000);

  it('changes in quick succession end with what the report says last, and no version is told twice', async () => {
    const report = await preliminary();
    await Promise.all([
      put(report, { status: 'final' }),
      put(report, { status: 'final', conclusion: 'Seen.' }),
    ]);
    expect((await put(report, { status: 'amended' })).status).toBe(200);
    await until(() =>
      messagesFor(world, fillerOf(report)).some((message) => fieldOf(message, 'OBR', 25) === 'C'),
    );
    await outboxEmpty(world);
    const { rows } = await world.sql.query(
      'SELECT report_version FROM hl7_outbound WHERE report_id = $1 ORDER BY report_version',
      [report.id],
    );
    expect(new Set(rows.map((row) => row.report_version)).size).toBe(rows.length);
    expect(rows.at(-1).report_version).toBe(4);
    expect((await told(report, 2)).at(-1)).toBe('C');
  }, 60_000);

  it('a version without our filler number, or with another, is refused and nothing is sent', async () => {
    const report = await preliminary();
    const others = (report.identifier ?? []).filter(({ system }) => !system?.endsWith('/filler'));
    const another = [
      ...others,
      { system: report.identifier?.at(-1)?.system ?? '', value: 'AI00000000000000' },
    ];
    for (const [identifier, status] of [
      // The profile it claims asks for one; that it must be ours is asked by the step that sends.
      [others, 422],
      [another, 400],
    ] as const) {
      const answer = await put(report, { status: 'final', identifier });
      expect(answer.status).toBe(status);
      expect(answer.body.issue[0].expression[0]).toMatch(/^DiagnosticReport\.identifier/);
    }
    expect((await read<DiagnosticReport>(world, `DiagnosticReport/${report.id}`)).meta?.versionId).toBe('1');
    expect(await told(report, 1)).toEqual(['P']);
  }, 60_000);

  it('edited while it is preliminary, as a report or in a finding, it is told again; what the receiver would not see is not, and a report of somebody else neither', async () => {
    const report = await preliminary();
    expect((await put(report, { conclusion: 'Normal.' })).status).toBe(422);
    const conclusion = `${report.conclusion} Motion at the bases.`;
    expect((await put(report, { conclusion })).status).toBe(200);
    expect(await told(report, 2)).toEqual(['P', 'P']);
    const [, edited] = messagesFor(world, fillerOf(report));
    expect(edited?.toString()).toContain('Motion at the bases.');

    const reference = String(report.result?.[0]?.reference);
    const finding = await read<Observation>(world, reference);
    const putFinding = async (more: Partial<Observation>) =>
      (await world.server.ask('PUT', `/fhir/${reference}`, { ...finding, ...more })).status;
    expect(await putFinding({ note: [{ text: 'for nobody but the record' }] })).toBe(200);
    await outboxEmpty(world);
    expect(await told(report, 2)).toEqual(['P', 'P']);
    expect(await putFinding({ status: 'entered-in-error' })).toBe(200);
    expect(await told(report, 3)).toEqual(['P', 'P', 'P']);
    const withdrawn = messagesFor(world, fillerOf(report))[2]?.toString() ?? '';
    expect(withdrawn.split('\r').some((line) => /^OBX\|(?:[^|]*\|){10}D/.test(line))).toBe(true);
    const { rows } = await world.sql.query(
      'SELECT report_version, revision FROM hl7_outbound WHERE report_id = $1 ORDER BY message_time',
      [report.id],
    );
    expect(rows.map((row) => [row.report_version, row.revision])).toEqual([
      [1, 1],
      [2, 1],
      [2, 2],
    ]);

    const { id: _id, meta: _meta, ...content } = report;
    const foreign = { ...content, identifier: [{ system: 'urn:ris', value: '1' }], status: 'final' };
    expect((await world.server.ask('POST', '/fhir/DiagnosticReport', foreign)).status).toBe(201);
    await outboxEmpty(world);
    expect(await told(report, 3)).toHaveLength(3);
  }, 60_000);

  it('a study without an order whose accession number is corrected has its result taken back under the old number', async () => {
    const study = tinyStudy();
    expect((await stow(world.server, study.files)).status).toBe(200);
    const task = await taskEnded(world, study, 'completed');
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    expect(await told(report, 1)).toEqual(['P']);
    const reference = String(report.imagingStudy?.[0]?.reference);
    const before = await read<ImagingStudy>(world, reference);
    const number = `N${study.exam.accession.slice(1)}`;
    const identifier = before.identifier?.map((one) =>
      one.value === study.exam.accession ? { ...one, value: number } : one,
    );
    const corrected = await world.server.ask('PUT', `/fhir/${reference}`, { ...before, identifier });
    expect(corrected.status).toBe(200);
    const asked = await world.server.ask('POST', `/fhir/${reference}/$analyze?model=${TINY_MODEL}@1.0.0`);
    expect(asked.status).toBeLessThan(300);
    expect(await told(report, 3)).toEqual(['P', 'X', 'P']);
    const numbers = messagesFor(world, fillerOf(report)).map((message) => fieldOf(message, 'OBR', 18));
    expect(numbers).toEqual([study.exam.accession, study.exam.accession, number]);
    expect((await read<DiagnosticReport>(world, `DiagnosticReport/${report.id}`)).meta?.versionId).toBe('1');
  }, 60_000);

  it('a report that is deleted is taken back at the RIS, once, and one that was never told says nothing', async () => {
    const report = await preliminary();
    expect((await world.server.ask('DELETE', `/fhir/DiagnosticReport/${report.id}`)).status).toBe(204);
    expect(await told(report, 2)).toEqual(['P', 'X']);
    const last = messagesFor(world, fillerOf(report))[1]?.toString() ?? '';
    expect(last).toContain('AI RESULT DELETED FROM THE RECORD');
    expect(last.split('\r').filter((line) => /^OBX\|(?:[^|]*\|){10}[^WO]/.test(line))).toEqual([]);
    expect((await put(report, { status: 'preliminary' })).status).toBe(200);
    expect(await told(report, 3)).toEqual(['P', 'X', 'P']);
    expect((await put(report, { status: 'cancelled' })).status).toBe(200);
    expect(await told(report, 4)).toEqual(['P', 'X', 'P', 'X']);
    expect((await world.server.ask('DELETE', `/fhir/DiagnosticReport/${report.id}`)).status).toBe(204);
    await outboxEmpty(world);
    expect(await told(report, 4)).toHaveLength(4);
  }, 60_000);
});

/** What the hospital says after a result was made and before the RIS has taken it. */
describe('a result that waits for the RIS', () => {
  const waitingReport = async (study: TestStudy): Promise<DiagnosticReport> => {
    await world.ris.goDown();
    const id = reportIdOf(await analyse(world, study));
    await until(async () => (await statesOf(id)).includes('waiting'));
    return read<DiagnosticReport>(world, `DiagnosticReport/${id}`);
  };
  const statesOf = async (reportId: string): Promise<string[]> => {
    const { rows } = await world.sql.query(
      'SELECT state FROM hl7_outbound WHERE report_id = $1 ORDER BY created_at',
      [reportId],
    );
    return rows.map((row) => String(row.state));
  };
  const say = async (type: string, id: string, lines: readonly string[]) => {
    const head = `MSH|^~\\&|ADT|DEMO|PRELIM|RADIOLOGY|20260115101522||${type}|${id}|P|2.5.1`;
    const answer = await sendOrder(world.server.mllpPort, [head, ...lines, ''].join('\r'));
    expect(fieldOf(answer, 'MSA', 1)).toBe('AA');
    await until(async () => {
      const { rows } = await world.sql.query('SELECT filing_outcome FROM hl7_inbound WHERE control_id = $1', [
        id,
      ]);
      return rows[0]?.filing_outcome === 'filed';
    });
  };

  it('goes out once, under the number of the survivor, when its patient is merged meanwhile', async () => {
    const study = tinyStudy();
    const report = await waitingReport(study);
    const { patientId, patientIdIssuer } = study.exam;
    await say('ADT^A40^ADT_A39', `M${study.uid}`.slice(-18), [
      `PID|1||N${patientId}^^^${patientIdIssuer}^MR||NEW^NAME`,
      `MRG|${patientId}^^^${patientIdIssuer}^MR`,
    ]);
    await world.ris.comeBack();
    await until(async () => (await statesOf(String(report.id))).includes('acknowledged'));
    const sent = messagesFor(world, fillerOf(report));
    expect(sent.map((one) => fieldOf(one, 'PID', 3).split('^')[0])).toEqual([`N${patientId}`]);
    const moved = await read<DiagnosticReport>(world, `DiagnosticReport/${report.id}`);
    const patient = await read<Patient>(world, String(moved.subject?.reference));
    expect(patient.name?.[0]?.family).toBe('NEW');
  }, 90_000);

  it('does not go out any more when the radiologist was faster', async () => {
    const study = tinyStudy();
    const report = await waitingReport(study);
    const { patientId, patientIdIssuer, accession } = study.exam;
    await say('ORU^R01^ORU_R01', `F${study.uid}`.slice(-18), [
      `PID|1||${patientId}^^^${patientIdIssuer}^MR||DOE`,
      `OBR|1|P${accession}^DEMO_OE|R${accession}^DEMO_RIS|36643-5^XR^LN||||||||||||||${accession}|||||||F`,
      'OBX|1|TX|19005-8^Impression^LN||Normal.||||||F',
    ]);
    await world.ris.comeBack();
    await until(async () => !(await statesOf(String(report.id))).includes('waiting'));
    expect(await statesOf(String(report.id))).toEqual(['stopped']);
    expect(messagesFor(world, fillerOf(report))).toEqual([]);
  }, 90_000);
});
