import type { DiagnosticReport, Observation } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fieldOf } from '../peers/ris.ts';
import {
  expectExactlyOnce,
  type FlowWorld,
  fillerOf,
  makeWorld,
  messagesFor,
  order,
  outboxEmpty,
  read,
  reportIdOf,
  stow,
  taskEnded,
  until,
} from './flow-world.ts';
import { tinyStudy } from './studies.ts';
import { makeTinyModel } from './tiny-model.ts';

describe('a report that another system changes over FHIR', () => {
  let world: FlowWorld;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    model = await makeTinyModel();
    world = await makeWorld({ settings: { PRELIM_MODELS: model.folder } });
  });
  afterAll(async () => {
    await world.close();
    await model.remove();
  });

  const preliminary = async (): Promise<DiagnosticReport> => {
    const study = tinyStudy();
    await order(world, study);
    expect((await stow(world.server, study.files)).status).toBe(200);
    const id = reportIdOf(await taskEnded(world, study, 'completed'));
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
