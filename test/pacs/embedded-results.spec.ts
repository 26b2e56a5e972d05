import type { DiagnosticReport, Observation } from '@medplum/fhirtypes';
import { expect, it } from 'vitest';
import { readPart10 } from '../../src/dicom/read-part10.ts';
import { outboxEmpty, read, reportIdOf, stow, taskEnded, tasksOf, until } from '../flow/flow-world.ts';
import { lateImage, type TestStudy, tinyStudy } from '../flow/studies.ts';
import { tinyWorld } from '../flow/tiny-world.ts';
import { filesOf, seriesOf } from './pacs-objects.ts';

const world = tinyWorld({ settings: { PACS_OBJECTS: 'sr,seg,sc' } });

const pacs = () => ({
  root: `${world.server.url}/dicomweb`,
  headers: { authorization: `Bearer ${world.server.token}` },
});
const found = async (study: TestStudy) =>
  Object.fromEntries((await seriesOf(pacs(), study.uid)).map((one) => [one.modality, one.instances]));

/** The objects of one kind, in the order of their instance numbers. */
const objects = async (study: TestStudy, modality: string) => {
  const series = (await seriesOf(pacs(), study.uid)).find((one) => one.modality === modality);
  const files = series ? await filesOf(pacs(), study.uid, series.uid) : [];
  const number = (one: (typeof read)[number]) => Number(one.string(0x00200013));
  const read = files.map((file) => readPart10(file).dataset);
  return read.sort((a, b) => number(a) - number(b));
};
type Found = Awaited<ReturnType<typeof objects>>[number];
const uidOf = (one: Found | undefined) => one?.string(0x00080018);
const titleOf = (one: Found | undefined) => one?.items(0x0040a043)[0]?.string(0x00080104);
const rejectedBy = (one: Found | undefined) =>
  (one?.items(0x0040a375)[0]?.items(0x00081115) ?? [])
    .flatMap((series) => series.items(0x00081199))
    .map((each) => each.string(0x00081155))
    .sort();

/** A study with its report, and everything made of it in the archive. */
const reported = async () => {
  const study = tinyStudy();
  expect((await stow(world.server, study.files)).status).toBe(200);
  const id = reportIdOf(await taskEnded(world, study, 'completed'));
  await outboxEmpty(world);
  return { study, report: await read<DiagnosticReport>(world, `DiagnosticReport/${id}`) };
};
const change = async (method: 'PUT' | 'DELETE', path: string, body?: object) => {
  const { status } = await world.server.ask(method, `/fhir/${path}`, body);
  await outboxEmpty(world);
  return status;
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

it('a cancelled report gets one rejection note, and one more when it is called an error', async () => {
  const { study, report } = await reported();
  const withdraw = (status: DiagnosticReport['status']) =>
    change('PUT', `DiagnosticReport/${report.id}`, { ...report, status });
  expect(await withdraw('cancelled')).toBe(200);
  expect(await found(study)).toEqual({ DX: 1, KO: 1, OT: 1, SR: 1 });
  expect(await withdraw('entered-in-error')).toBe(200);
  expect((await objects(study, 'KO')).map(titleOf)).toEqual([
    'Rejected for Quality Reasons',
    'Rejected for Patient Safety Reasons',
  ]);
}, 60_000);

it('a deleted report, and its findings with it, is withdrawn from the PACS once; brought back, it gets objects that nobody rejected', async () => {
  const { study, report } = await reported();
  const first = [...(await objects(study, 'SR')), ...(await objects(study, 'OT'))].map(uidOf);
  const path = `DiagnosticReport/${report.id}`;
  const findings = await Promise.all(
    (report.result ?? []).map((one) => read<Observation>(world, String(one.reference))),
  );
  const entry = [path, ...findings.map((one) => `Observation/${one.id}`)].map((url) => ({
    request: { method: 'DELETE', url },
  }));
  const bundle = { resourceType: 'Bundle', type: 'transaction', entry };
  expect((await world.server.ask('POST', '/fhir', bundle)).status).toBe(200);
  await outboxEmpty(world);
  const notes = await objects(study, 'KO');
  expect(notes.map(titleOf)).toEqual(['Rejected for Patient Safety Reasons']);
  expect(rejectedBy(notes[0])).toEqual([...first].sort());
  // Nothing of it stands, and a further deletion or edit says nothing.
  expect(await change('PUT', `Observation/${findings[0]?.id}`, findings[0])).toBe(200);
  expect(await found(study)).toEqual({ DX: 1, KO: 1, OT: 1, SR: 1 });

  for (const one of findings.slice(1)) expect(await change('PUT', `Observation/${one.id}`, one)).toBe(200);
  expect(await change('PUT', path, report)).toBe(200);
  expect(await found(study)).toEqual({ DX: 1, KO: 1, OT: 2, SR: 2 });
  const second = [...(await objects(study, 'SR')), ...(await objects(study, 'OT'))]
    .map(uidOf)
    .filter((uid) => !first.includes(uid));
  expect(second).toHaveLength(2);
  const [, back] = await objects(study, 'SR');
  expect(back?.items(0x0040a360)).toEqual([]);
  expect(await change('DELETE', path)).toBe(204);
  expect(rejectedBy((await objects(study, 'KO'))[1])).toEqual([...second].sort());
}, 60_000);

it('a finding that is edited under an unchanged report makes a further SR and picture; what nobody would see there makes none', async () => {
  const { study, report } = await reported();
  const path = String(report.result?.[0]?.reference);
  const finding = await read<Observation>(world, path);
  expect(await change('PUT', path, { ...finding, note: [{ text: 'for nobody but the record' }] })).toBe(200);
  expect(await found(study)).toEqual({ DX: 1, OT: 1, SR: 1 });
  const [picture] = await objects(study, 'OT');
  expect(await change('PUT', path, { ...finding, status: 'entered-in-error' })).toBe(200);
  expect(await found(study)).toEqual({ DX: 1, KO: 1, OT: 2, SR: 2 });
  const [before, after] = await objects(study, 'SR');
  const predecessor = after?.items(0x0040a360)[0]?.items(0x00081115)[0]?.items(0x00081199)[0];
  expect(predecessor?.string(0x00081155)).toBe(uidOf(before));
  expect(after?.string(0x00200013)).toBe('2');
  expect(rejectedBy((await objects(study, 'KO'))[0])).toEqual([uidOf(picture)]);
  expect((await read<DiagnosticReport>(world, `DiagnosticReport/${report.id}`)).meta?.versionId).toBe('1');

  expect(await change('PUT', path, { ...finding, status: 'amended' })).toBe(200);
  expect(await found(study)).toEqual({ DX: 1, KO: 2, OT: 3, SR: 3 });
  const pictures = (await objects(study, 'OT')).map(uidOf);
  expect(new Set(pictures).size).toBe(3);
}, 60_000);

it('where nothing is wanted in the PACS any more, what is there is still rejected when it says what the record says no more', async () => {
  const [seen, corrected, grown, withdrawn] = [
    await reported(),
    await reported(),
    await reported(),
    await reported(),
  ];
  await world.server.stop();
  await world.server.start({ PACS_OBJECTS: 'none' });
  const put = (report: DiagnosticReport, status: DiagnosticReport['status']) =>
    change('PUT', `DiagnosticReport/${report.id}`, { ...report, status });

  // A radiologist who agrees makes nothing wrong that is there.
  expect(await put(seen.report, 'final')).toBe(200);
  expect(await found(seen.study)).toEqual({ DX: 1, OT: 1, SR: 1 });

  const path = String(corrected.report.result?.[0]?.reference);
  const finding = await read<Observation>(world, path);
  expect(await change('PUT', path, { ...finding, status: 'entered-in-error' })).toBe(200);
  expect(await found(corrected.study)).toEqual({ DX: 1, KO: 1, OT: 1, SR: 1 });

  expect((await stow(world.server, [lateImage(grown.study, 'PA')])).status).toBe(200);
  await until(async () => (await found(grown.study))['KO'] === 1);

  expect(await put(withdrawn.report, 'cancelled')).toBe(200);
  for (const { study } of [corrected, grown, withdrawn]) {
    await outboxEmpty(world);
    const [note] = await objects(study, 'KO');
    const both = [...(await objects(study, 'SR')), ...(await objects(study, 'OT'))].map(uidOf);
    expect(titleOf(note)).toBe('Rejected for Quality Reasons');
    expect(rejectedBy(note)).toEqual(both.sort());
  }
  // What never was in the PACS needs no note there.
  const { study, report } = await reported();
  expect(await put(report, 'cancelled')).toBe(200);
  expect(await found(study)).toEqual({ DX: 1 });
}, 60_000);
