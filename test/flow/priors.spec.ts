import type { Bundle, DiagnosticReport, Observation, Patient, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PhantomIdentity } from '../../models/phantom/general-attributes.ts';
import { recordedPriors } from '../../src/governance/prior-result.ts';
import type { WorklistRow } from '../../src/steps/worklist/worklist-row.ts';
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
  until,
} from './flow-world.ts';
import { chestStudy, type TestStudy, tinyStudy } from './studies.ts';
import { tinyWorld } from './tiny-world.ts';

const observationsOf = (world: FlowWorld, report: DiagnosticReport) =>
  Promise.all((report.result ?? []).map((one) => read<Observation>(world, String(one.reference))));

async function reported(world: FlowWorld, study: TestStudy, ordered = true) {
  if (ordered) expect(await order(world, study)).toBe('AA');
  expect((await stow(world.server, study.files)).status).toBe(200);
  const task = await taskEnded(world, study, 'completed', 60_000);
  const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
  return { task, report, observations: await observationsOf(world, report) };
}

async function messageOf(world: FlowWorld, report: DiagnosticReport): Promise<string> {
  await until(() => messagesFor(world, fillerOf(report)).length > 0);
  return messagesFor(world, fillerOf(report))[0]?.toString('utf8') ?? '';
}

describe('two chest CTs of one patient, with a known change between them', () => {
  let world: FlowWorld;
  beforeAll(async () => {
    world = await makeWorld({ settings: { STUDY_QUIET_MS: '800' } });
  });
  afterAll(() => world.close());

  it('the change stands beside each finding in its own unit, in the text, the message and the worklist', async () => {
    const before = chestStudy({ patientId: 'TWICE', studyDate: '20260103', studyTime: '101500' }, 0.05);
    const now = chestStudy({ patientId: 'TWICE', studyDate: '20260601', studyTime: '101500' }, 0.2);
    const first = await reported(world, before);
    expect(first.report.conclusion).not.toContain('Compared with');
    expect(first.observations.flatMap(recordedPriors)).toEqual([]);
    const second = await reported(world, now);

    const changeOf = (code: string) => {
      const found = second.observations.find((one) => one.code.coding?.some((c) => c.code === code));
      const [prior, ...others] = recordedPriors(found as Observation);
      expect(others).toEqual([]);
      expect(prior?.caution).toBeNull();
      expect(found?.derivedFrom).toHaveLength(1);
      expect((found?.valueQuantity?.value ?? 0) - (prior?.value ?? 0)).toBeCloseTo(prior?.change ?? 0, 6);
      return prior?.change ?? Number.NaN;
    };
    // Twice the tolerance of one result, which `whole-way.spec.ts` holds it to.
    const truth = {
      laa: now.truth.laa950Percent - before.truth.laa950Percent,
      hu: now.truth.meanLungDensityHu - before.truth.meanLungDensityHu,
      ml: now.truth.lungVolumeMl - before.truth.lungVolumeMl,
    };
    expect(truth.laa).toBeGreaterThan(5);
    expect(Math.abs(changeOf('laa-950') - truth.laa)).toBeLessThan(2);
    expect(Math.abs(changeOf('mean-lung-density') - truth.hu)).toBeLessThan(16);
    expect(Math.abs(changeOf('lung-volume') - truth.ml)).toBeLessThan(0.1 * now.truth.lungVolumeMl);

    const sentence = /Compared with 2026-01-03: [^.]*(?:\.\d[^.]*)*\./.exec(
      second.report.conclusion ?? '',
    )?.[0];
    expect(sentence).toMatch(/[+-][\d.]+ percentage points/);
    expect(sentence).toMatch(/(?:[+-]\d+ mL \([+-][\d.]+ %\)|unchanged)/);
    expect(sentence).toMatch(/[+-][\d.]+ HU/);
    expect(await messageOf(world, second.report)).toContain(sentence);

    const answer = await world.server.ask('GET', `/worklist/api/rows/${second.task.id}`);
    const row = answer.body as WorklistRow;
    const shown = row.findings.find(({ unit }) => unit === '%');
    expect(shown?.priors).toMatchObject([
      { taken: expect.stringContaining('2026-01-03'), unit: '%', caution: null },
    ]);
    expect(shown?.priors[0]?.change).toBe(changeOf('laa-950'));
  }, 120_000);
});

describe('which earlier studies are compared', () => {
  const world = tinyWorld();

  const at = (patientId: string, studyDate: string, more: Partial<PhantomIdentity> = {}) =>
    tinyStudy({ patientId, studyDate, studyTime: '120000', ...more });
  const days = (observations: readonly Observation[]) =>
    observations.flatMap(recordedPriors).map(({ taken }) => taken.slice(0, 10));

  it('the newest five before the study, and none dated after it', async () => {
    for (const year of ['2018', '2019', '2020', '2021', '2022', '2023'])
      await reported(world, at('MANY', `${year}0301`));
    await reported(world, at('MANY', '20300101'));
    const { observations, report } = await reported(world, at('MANY', '20240301'));
    expect(days(observations)).toEqual(
      ['2023', '2022', '2021', '2020', '2019'].map((year) => `${year}-03-01`),
    );
    expect(report.conclusion).toContain('A later study, of 2030-01-01, was reported before this one');
    expect(report.conclusion).not.toContain('Compared with 2030');
  }, 90_000);

  it('an earlier study that is analysed later leaves the newer report as it is, and says so', async () => {
    const newer = await reported(world, at('LATE', '20260501'));
    const late = await reported(world, at('LATE', '20260101'));
    expect(days(late.observations)).toEqual([]);
    expect(late.report.conclusion).toContain('A later study, of 2026-05-01, was reported before this one');
    expect(await messageOf(world, late.report)).toContain('A later study, of 2026-05-01');
    await outboxEmpty(world);
    const again = await read<DiagnosticReport>(world, `DiagnosticReport/${newer.report.id}`);
    expect(again.meta?.versionId).toBe('1');
    expect(again.conclusion).toBe(newer.report.conclusion);
  }, 60_000);

  it('never those of another patient, were name, birth date and sex the same', async () => {
    const same = { patientName: 'TWIN^ONE', birthDate: '19600101', sex: 'F' as const };
    await reported(world, at('TWIN1', '20250101', same));
    const { observations, report } = await reported(world, at('TWIN2', '20260101', same));
    expect(days(observations)).toEqual([]);
    expect(report.conclusion).not.toMatch(/Compared|later study/);
  }, 60_000);

  it('those of a record that was merged with it, whichever of the two says so', async () => {
    for (const [side, type] of [
      ['old', 'replaced-by'],
      ['new', 'replaces'],
    ] as const) {
      const old = await reported(world, at(`OLD${side}`, '20250101'));
      const fresh = await reported(world, at(`NEW${side}`, '20250601'));
      expect(days(fresh.observations)).toEqual([]);
      const [patients, others] = [old, fresh].map(({ report }) => String(report.subject?.reference));
      const [holder, other] = side === 'old' ? [patients, others] : [others, patients];
      const patient = await read<Patient>(world, String(holder));
      const link = [{ other: { reference: String(other) }, type }];
      expect((await world.server.ask('PUT', `/fhir/${holder}`, { ...patient, link })).status).toBe(200);
      const { observations } = await reported(world, at(`NEW${side}`, '20260101'));
      expect(days(observations)).toEqual(['2025-06-01', '2025-01-01']);
    }
  }, 90_000);

  it('not one whose report was withdrawn by a person', async () => {
    const { report } = await reported(world, at('GONE', '20250101'));
    const withdrawn = { ...report, status: 'entered-in-error' };
    expect((await world.server.ask('PUT', `/fhir/DiagnosticReport/${report.id}`, withdrawn)).status).toBe(
      200,
    );
    expect(days((await reported(world, at('GONE', '20260101'))).observations)).toEqual([]);
  }, 60_000);

  it('a study without any has no word about it', async () => {
    const { task, report, observations } = await reported(world, at('ALONE', '20260101'));
    expect(days(observations)).toEqual([]);
    expect(report.conclusion).not.toMatch(/Compared|later study/);
    const found = (await world.server.ask('GET', `/fhir/Task/${task.id}`)).body as Task;
    expect(found.status).toBe('completed');
    const all = (await world.server.ask('GET', `/fhir/Observation?subject=${report.subject?.reference}`))
      .body as Bundle;
    expect(all.entry).toHaveLength(1);
  });
});
