import type {
  Bundle,
  DiagnosticReport,
  ImagingStudy,
  Observation,
  Provenance,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fieldOf } from '../peers/ris.ts';
import {
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
} from './flow-world.ts';
import { chestStudy, headStudy } from './studies.ts';

describe('the whole way of a study', () => {
  let world: FlowWorld;
  beforeAll(async () => {
    world = await makeWorld({ settings: { STUDY_QUIET_MS: '800' } }); // the archive takes a CT in batches
  });
  afterAll(() => world.close());

  it('an order and a chest CT become a preliminary report at the EHR, the RIS and the worklist', async () => {
    const study = chestStudy();
    expect(await order(world, study)).toBe('AA');
    expect((await stow(world.server, study.files)).status).toBe(200);
    const task = await taskEnded(world, study, 'completed', 60_000);
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    await outboxEmpty(world);

    expect(report.status).toBe('preliminary');
    expect(report.conclusion).toMatch(/not reviewed by a radiologist/i);
    const request = await read<ServiceRequest>(world, String(report.basedOn?.[0]?.reference));
    expect(JSON.stringify(request.identifier)).toContain(study.exam.accession);

    const observations = await Promise.all(
      (report.result ?? []).map((result) => read<Observation>(world, String(result.reference))),
    );
    const quantityOf = (code: string) =>
      observations.find((one) => one.code.coding?.some((coding) => coding.code === code))?.valueQuantity
        ?.value ?? Number.NaN;
    expect(Math.abs(quantityOf('lung-volume') / study.truth.lungVolumeMl - 1)).toBeLessThan(0.05);
    expect(Math.abs(quantityOf('laa-950') - study.truth.laa950Percent)).toBeLessThan(1);
    expect(Math.abs(quantityOf('mean-lung-density') - study.truth.meanLungDensityHu)).toBeLessThan(8);

    const found = await world.server.ask('GET', `/fhir/Provenance?target=DiagnosticReport/${report.id}`);
    const provenance = (found.body as Bundle).entry?.[0]?.resource as Provenance;
    expect(provenance.target?.length).toBe(1 + observations.length);
    expect(JSON.stringify(provenance.entity)).toContain(String(report.imagingStudy?.[0]?.reference));

    const sent = messagesFor(world, fillerOf(report));
    expect(sent).toHaveLength(1);
    const [oru] = sent as [Buffer];
    expect([fieldOf(oru, 'MSH', 9), fieldOf(oru, 'OBR', 25)]).toEqual(['ORU^R01^ORU_R01', 'P']);
    expect(oru.toString('utf8')).toContain(study.exam.accession);
    expect(fieldOf(oru, 'PID', 3)).toContain(study.exam.patientId);

    const rows = (await world.server.ask('GET', '/worklist/api/rows')).body.rows as {
      report: { id: string } | null;
      status: string;
    }[];
    expect(rows.filter((row) => row.report?.id === report.id).map((row) => row.status)).toEqual([
      'preliminary',
    ]);
  }, 90_000);

  it('a study that does not fit ends in a named refusal, and nobody is told a number', async () => {
    const study = headStudy();
    expect(await order(world, study)).toBe('AA');
    expect((await stow(world.server, study.files)).status).toBe(200);
    const task = await taskEnded(world, study, 'rejected');
    await outboxEmpty(world);
    expect(task.statusReason?.coding?.[0]).toMatchObject({ code: 'body-part' });
    expect(task.statusReason?.text).toContain('required');
    expect(task.output).toBeUndefined();
    const imagingStudy = await read<ImagingStudy>(world, String(task.focus?.reference));
    const reports = await world.server.ask(
      'GET',
      `/fhir/DiagnosticReport?subject=${imagingStudy.subject.reference}`,
    );
    expect((reports.body as Bundle).total ?? 0).toBe(0);
    expect(world.ris.messages.filter((message) => message.includes(study.exam.accession))).toEqual([]);
    const rows = (await world.server.ask('GET', '/worklist/api/rows')).body.rows as {
      id: string;
      status: string;
      refusals: unknown[];
    }[];
    expect(rows.find((row) => row.id === task.id)).toMatchObject({ status: 'refused' });
  });
});
