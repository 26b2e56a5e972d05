import type { DiagnosticReport } from '@medplum/fhirtypes';
import { expect, it } from 'vitest';
import { outboxEmpty, read, reportIdOf, stow, taskEnded, tasksOf, until } from '../flow/flow-world.ts';
import { type TestStudy, tinyStudy } from '../flow/studies.ts';
import { tinyWorld } from '../flow/tiny-world.ts';
import { seriesOf } from './pacs-objects.ts';

const world = tinyWorld({ settings: { PACS_OBJECTS: 'sr,seg,sc' } });

const found = async (study: TestStudy) => {
  const pacs = {
    root: `${world.server.url}/dicomweb`,
    headers: { authorization: `Bearer ${world.server.token}` },
  };
  return Object.fromEntries((await seriesOf(pacs, study.uid)).map((one) => [one.modality, one.instances]));
};

it('the embedded archive gets report and picture of a radiograph, once, and they start nothing', async () => {
  const study = tinyStudy();
  expect((await stow(world.server, study.files)).status).toBe(200);
  await until(async () => (await found(study))['SR'] === 1);
  await outboxEmpty(world);
  expect(await found(study)).toEqual({ DX: 1, OT: 1, SR: 1 });
  const [task] = await tasksOf(world, study);
  expect(await tasksOf(world, study)).toHaveLength(1);
  const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task!)}`);
  expect(report.meta?.versionId).toBe('1');
}, 60_000);

it('a kill at any moment after the report leaves each object in the archive exactly once', async () => {
  const studies: TestStudy[] = [];
  for (const waitMs of [0, 20, 60]) {
    const study = tinyStudy();
    studies.push(study);
    expect((await stow(world.server, study.files)).status).toBe(200);
    await taskEnded(world, study, 'completed');
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    await world.server.kill('SIGKILL');
    await world.server.start();
  }
  await outboxEmpty(world, 30_000);
  for (const study of studies) expect(await found(study)).toEqual({ DX: 1, OT: 1, SR: 1 });
  const { rows } = await world.sql.query(
    `SELECT count(*)::int AS left FROM pacs_object WHERE state <> 'stored'`,
  );
  expect(rows).toEqual([{ left: 0 }]);
}, 120_000);

it('a cancelled report gets one rejection note', async () => {
  const study = tinyStudy();
  expect((await stow(world.server, study.files)).status).toBe(200);
  const id = reportIdOf(await taskEnded(world, study, 'completed'));
  await outboxEmpty(world);
  const withdraw = async (status: DiagnosticReport['status']) => {
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${id}`);
    return (await world.server.ask('PUT', `/fhir/DiagnosticReport/${id}`, { ...report, status })).status;
  };
  expect(await withdraw('cancelled')).toBe(200);
  await until(async () => (await found(study))['KO'] === 1);
  await outboxEmpty(world);
  expect(await found(study)).toEqual({ DX: 1, KO: 1, OT: 1, SR: 1 });
}, 60_000);
