import type { DiagnosticReport, Patient } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fieldOf, sendOrder } from '../peers/ris.ts';
import {
  type FlowWorld,
  fillerOf,
  makeWorld,
  messagesFor,
  order,
  read,
  reportIdOf,
  stow,
  taskEnded,
  until,
} from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { makeTinyModel } from './tiny-model.ts';

/** What the hospital says after a result was made and before the RIS has taken it. */
describe('a result that waits for the RIS', () => {
  let world: FlowWorld;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    model = await makeTinyModel();
    world = await makeWorld({ settings: { PRELIM_MODELS: model.folder } });
  });
  afterAll(async () => {
    await world?.close();
    await model?.remove();
  });

  const waitingReport = async (study: TestStudy): Promise<DiagnosticReport> => {
    await world.ris.goDown();
    expect(await order(world, study)).toBe('AA');
    expect((await stow(world.server, study.files)).status).toBe(200);
    const id = reportIdOf(await taskEnded(world, study, 'completed'));
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
