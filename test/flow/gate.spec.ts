import type {
  DiagnosticReport,
  MeasureReport,
  OperationOutcome,
  PlanDefinition,
  Task,
} from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { dxAttributes } from '../../models/phantom/dx-attributes.ts';
import { phantomFile } from '../../models/phantom/phantom-file.ts';
import { fillerOf, messagesFor, order, read, reportIdOf, stow, taskEnded, until } from './flow-world.ts';
import { type TestStudy, tinyStudy } from './studies.ts';
import { tinyWorld } from './tiny-world.ts';

const ROOM_ONE = {
  Manufacturer: 'Acme',
  ManufacturerModelName: 'Ray 1',
  StationName: 'DX01',
  DeviceSerialNumber: '1',
};
const ROOM_TWO = {
  Manufacturer: 'Acme',
  ManufacturerModelName: 'Ray 1',
  StationName: 'DX02',
  DeviceSerialNumber: '2',
};

/** A radiograph of the scanner; noise with shades, or what `valueAt` gives. */
function studyOf(
  scanner: object,
  over: object = {},
  valueAt = (pixel: number) => (pixel * 7_919) % 4_093,
): TestStudy {
  const study = tinyStudy();
  const stored = Uint16Array.from({ length: 64 * 64 }, (_, pixel) => valueAt(pixel));
  const attributes = { ...dxAttributes(study.identity, 64, 64, 350), ...scanner, ...over };
  return { ...study, files: [phantomFile(attributes, stored)] };
}

describe('the gate, from the study to the worklist, the RIS and the counts', () => {
  const more =
    'fits:\n  protocol: warn\n  sex: [F, M]\n  histogram: { distinct_min: 64, repeat_share_max: 0.7, saturated_share_max: 0.4 }\n';
  const world = tinyWorld({
    manifest: (text) => `${text.replace('fits:\n', more)}warn_only: [saturated]\n`,
  });
  beforeAll(async () => {
    const plan = await read<PlanDefinition>(world, 'PlanDefinition/dx-chest-pa-adult');
    expect(plan.status).toBe('draft');
    const answer = await world.server.ask('PUT', '/fhir/PlanDefinition/dx-chest-pa-adult', {
      ...plan,
      status: 'active',
    });
    expect(answer.status).toBe(200);
  });

  const send = async (study: TestStudy, status: Task['status']) => {
    await order(world, study);
    // Acknowledged is not filed yet: a study that is there before its order is analysed again with it, and counted again.
    await until(async () => {
      const filed = `SELECT 1 FROM resource WHERE type = 'ServiceRequest' AND position($1 IN content) > 0`;
      return (await world.sql.query(filed, [study.exam.accession])).rows.length > 0;
    });
    expect((await stow(world.server, study.files)).status).toBe(200);
    return taskEnded(world, study, status);
  };
  const rowOf = async (task: Task) => {
    const answer = await world.server.ask('GET', '/worklist/api/rows');
    return (answer.body as { rows: { id: string }[] }).rows.find(({ id }) => id === task.id) as never as {
      warnings: { rule: string; observed: string; required: string }[];
      refusals: { rule: string; observed: string; required: string }[];
    };
  };

  it('a warning travels with the result: Task, report, ORU, worklist', async () => {
    const task = await send(studyOf(ROOM_ONE, { KVP: 80, DistanceSourceToDetector: 1800 }), 'completed');
    const rules = task.output?.flatMap((one) => one.valueCodeableConcept?.coding?.[0]?.code ?? []);
    expect(rules).toEqual(['protocol']);
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    expect(report.conclusion).toContain('Image quality warnings: protocol: observed tube voltage 80 kV');
    await until(() => messagesFor(world, fillerOf(report)).length > 0);
    expect(messagesFor(world, fillerOf(report))[0]?.toString()).toContain('tube voltage 80 kV');
    expect((await rowOf(task)).warnings).toMatchObject([
      {
        rule: 'protocol',
        observed: 'tube voltage 80 kV',
        required: expect.stringContaining('100 to 150 kV'),
      },
    ]);
  });

  it('a warning that only the pixels give travels the same way', async () => {
    const cut = (pixel: number) => Math.min((pixel * 7_919) % 4_093, 1_500);
    const task = await send(studyOf(ROOM_ONE, { DistanceSourceToDetector: 1800 }, cut), 'completed');
    expect(task.output?.flatMap((one) => one.valueCodeableConcept?.coding?.[0]?.code ?? [])).toEqual([
      'saturated',
    ]);
    expect((await rowOf(task)).warnings.map(({ rule }) => rule)).toEqual(['saturated']);
  });

  it('a refusal by header and one by pixels are stored with their code, and shown with what was seen and needed', async () => {
    const child = await send(studyOf(ROOM_TWO, { PatientSex: 'O' }), 'rejected');
    expect(child.statusReason?.coding?.[0]?.code).toBe('sex');
    expect((await rowOf(child)).refusals).toEqual([
      { rule: 'sex', observed: 'other', required: 'female or male', text: expect.any(String) },
    ]);
    const pattern = await send(
      studyOf(ROOM_TWO, {}, (pixel) => 100 * Math.floor(pixel / 512)),
      'rejected',
    );
    expect(pattern.statusReason?.coding?.[0]?.code).toBe('histogram');
    expect((await rowOf(pattern)).refusals).toMatchObject([
      {
        rule: 'histogram',
        observed: '8 distinct pixel values',
        required: 'at least 64 distinct pixel values',
      },
    ]);
  });

  it('verdicts and conformance are counted by scanner, in MeasureReports and as metrics', async () => {
    const today = new Date().toISOString().slice(0, 10);
    const evaluate = async (id: string) => {
      const path = `/fhir/Measure/${id}/$evaluate-measure?periodStart=${today.slice(0, 4)}-01-01&periodEnd=${today}`;
      const answer = await world.server.ask('GET', path);
      expect(answer.status).toBe(200);
      return (answer.body as MeasureReport).group?.map(({ code, population }) => [
        code?.text,
        ...(population ?? []).map(({ count }) => count),
      ]);
    };
    expect((await evaluate('gate-verdicts'))?.sort()).toEqual([
      ['DX01, Ray 1, Acme, serial 1', 2, 0],
      ['DX02, Ray 1, Acme, serial 2', 2, 2],
    ]);
    expect((await evaluate('protocol-conformance'))?.sort()).toEqual([
      ['dx-chest-pa-adult 1.0.0: DX01, Ray 1, Acme, serial 1', 2, 1],
      ['dx-chest-pa-adult 1.0.0: DX02, Ray 1, Acme, serial 2', 2, 2],
    ]);
    const scanners = await world.server.ask(
      'GET',
      '/fhir/Device?identifier=https://prelim.example/fhir/NamingSystem/scanner|',
    );
    expect(scanners.body.entry).toHaveLength(2);
    const metrics = (await world.server.ask('GET', '/metrics')).text;
    expect(metrics).toContain('prelim_gate_analyses_total{outcome="refused"} 2');
    expect(metrics).toContain('prelim_gate_rules_total{rule="histogram",outcome="refused"} 1');
    expect(metrics).toContain('prelim_gate_rules_total{rule="protocol",outcome="warned"} 1');
  });

  it('a PlanDefinition that means no protocol is refused at the door, with its places', async () => {
    const plan = await read<PlanDefinition>(world, 'PlanDefinition/dx-chest-pa-adult');
    const spoilt = structuredClone(plan);
    spoilt.goal![0]!.target![0]!.measure!.coding![0]!.code = 'flux';
    const answer = await world.server.ask('PUT', '/fhir/PlanDefinition/dx-chest-pa-adult', spoilt);
    expect(answer.status).toBe(422);
    expect((answer.body as OperationOutcome).issue[0]?.expression).toEqual([
      'PlanDefinition.goal[0].target[0].measure',
    ]);
  });
});
