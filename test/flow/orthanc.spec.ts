import type { DiagnosticReport, Endpoint, ImagingStudy } from '@medplum/fhirtypes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorklistRow } from '../../src/steps/worklist/worklist-row.ts';
import { type Orthanc, orthancMissing, startOrthanc } from '../peers/orthanc.ts';
import { describeWithPeer } from '../peers/required.ts';
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
  taskEnded,
  until,
} from './flow-world.ts';
import { headStudy, lateImage, tinyStudy } from './studies.ts';
import { makeTinyModel } from './tiny-model.ts';

describeWithPeer('a real Orthanc as the PACS', orthancMissing(), () => {
  let world: FlowWorld;
  let orthanc: Orthanc;
  let model: Awaited<ReturnType<typeof makeTinyModel>>;
  beforeAll(async () => {
    orthanc = await startOrthanc({ user: 'prelim', password: 'sesame' });
    model = await makeTinyModel();
    world = await makeWorld({
      settings: {
        PRELIM_MODELS: model.folder,
        DICOMWEB_URL: orthanc.root.href,
        DICOMWEB_USER: 'prelim',
        DICOMWEB_PASSWORD: 'sesame',
        STUDY_LOOK_INTERVAL_MS: '200',
        STUDY_QUIET_MS: '300',
      },
    });
  });
  afterAll(async () => {
    await world?.close();
    await orthanc?.stop();
    await model?.remove();
  });

  const store = async (files: readonly Uint8Array[]) => {
    const parts = files.flatMap((file) => [
      Buffer.from('--edge\r\nContent-Type: application/dicom\r\n\r\n'),
      file,
      Buffer.from('\r\n'),
    ]);
    const answer = await fetch(`${orthanc.root.href.replace(/\/$/, '')}/studies`, {
      method: 'POST',
      headers: {
        authorization: `Basic ${Buffer.from('prelim:sesame').toString('base64')}`,
        'content-type': 'multipart/related; type="application/dicom"; boundary=edge',
        accept: 'application/dicom+json',
      },
      body: new Uint8Array(Buffer.concat([...parts, Buffer.from('--edge--\r\n')])),
    });
    expect(answer.status).toBe(200);
  };

  it('a study that comes there is seen, analysed, reported and sent once; a late image makes no second report', async () => {
    const study = tinyStudy();
    expect(await order(world, study)).toBe('AA');
    await store(study.files);
    await expectExactlyOnce(world, study);
    const task = await taskEnded(world, study, 'completed');
    const imagingStudy = await read<ImagingStudy>(world, String(task.focus?.reference));
    const endpoint = await read<Endpoint>(world, String(imagingStudy.endpoint?.[0]?.reference));
    expect(endpoint.address).toContain(`:${orthanc.root.port}/dicom-web`);
    await store([lateImage(study, 'LL')]);
    await until(
      async () => (await read<ImagingStudy>(world, String(task.focus?.reference))).numberOfInstances === 2,
    );
    await outboxEmpty(world);
    await expectExactlyOnce(world, study);
  }, 60_000);

  const sesame = { authorization: `Basic ${Buffer.from('prelim:sesame').toString('base64')}` };
  const deleteStudy = async (uid: string) => {
    const lookup = { method: 'POST', headers: sesame, body: uid };
    const found = await fetch(new URL('tools/lookup', orthanc.api), lookup);
    const [{ ID: id }] = (await found.json()) as [{ ID: string }];
    const answer = await fetch(new URL(`studies/${id}`, orthanc.api), { method: 'DELETE', headers: sesame });
    expect(answer.status).toBe(200);
    await answer.body?.cancel();
  };
  /** OBR-25 and PID-3 of all that was told of this report. */
  const told = (report: DiagnosticReport) =>
    messagesFor(world, fillerOf(report)).map((one) => [
      fieldOf(one, 'OBR', 25),
      fieldOf(one, 'PID', 3).split('^')[0],
    ]);

  it('a study that is given to another patient in the PACS takes its result with it: the first patient is told that it was an error', async () => {
    const wrong = tinyStudy();
    await order(world, wrong);
    await store(wrong.files);
    const task = await taskEnded(world, wrong, 'completed');
    const reference = `DiagnosticReport/${reportIdOf(task)}`;
    const before = await read<DiagnosticReport>(world, reference);
    const { seriesInstanceUid, studyInstanceUid } = wrong.identity;
    const right = tinyStudy({ seriesInstanceUid, studyInstanceUid });
    // The first order names the study too: a number alone does not decide whose it is.
    await order(world, { ...right, exam: { ...right.exam, studyInstanceUid: `${studyInstanceUid}.9` } });
    await until(() => told(before).length === 1);
    // An object of ours that is stored after the deletion would bring the study of the wrong patient back.
    await outboxEmpty(world);
    // The looks that are under way have listed it as it was.
    await until(async () => {
      const { rows } = await world.sql.query(
        'SELECT 1 FROM study_watch WHERE study_instance_uid = $1 AND listed_identity IS NOT NULL',
        [studyInstanceUid],
      );
      return rows.length > 0;
    });
    await deleteStudy(studyInstanceUid);
    await store(right.files);
    await until(async () => (await read<DiagnosticReport>(world, reference)).meta?.versionId === '2', 30_000);
    const after = await read<DiagnosticReport>(world, reference);
    expect(after).toMatchObject({ status: 'preliminary' });
    expect(after.subject?.reference).not.toBe(before.subject?.reference);
    expect(after.basedOn).not.toEqual(before.basedOn);
    await until(() => told(before).length === 3);
    const [first, second] = [wrong.identity.patientId, right.identity.patientId];
    expect(told(before)).toEqual([
      ['P', first],
      ['X', first],
      ['P', second],
    ]);
    await outboxEmpty(world);
  }, 60_000);

  it('a study that is deleted in the PACS is said to be gone and keeps its result, until a person takes the study back', async () => {
    const study = tinyStudy();
    await order(world, study);
    await store(study.files);
    const task = await taskEnded(world, study, 'completed');
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    const focus = String(task.focus?.reference);
    const status = async () => (await read<ImagingStudy>(world, focus)).status;
    const rowOf = async () =>
      (await world.server.ask('GET', `/worklist/api/rows/${task.id}`)).body as WorklistRow;
    await until(() => told(report).length === 1);
    await outboxEmpty(world);
    await deleteStudy(study.uid);
    await until(async () => (await status()) === 'registered', 30_000);
    expect(await rowOf()).toMatchObject({
      status: 'preliminary',
      warnings: [{ text: expect.stringContaining('The PACS has this study no more') }],
    });
    await store(study.files);
    await until(async () => (await status()) === 'available', 30_000);
    await taskEnded(world, study, 'completed');
    await outboxEmpty(world);
    expect((await rowOf()).warnings).toEqual([]);
    await deleteStudy(study.uid);
    await until(async () => (await status()) === 'registered', 30_000);
    const current = await read<ImagingStudy>(world, focus);
    const put = await world.server.ask('PUT', `/fhir/${focus}`, { ...current, status: 'entered-in-error' });
    expect(put.status).toBe(200);
    await until(() => told(report).length === 2);
    expect(told(report).map(([letter]) => letter)).toEqual(['P', 'X']);
    expect((await rowOf()).status).toBe('retracted');
    // Nothing is left to be rejected in the PACS, and that is no dead letter.
    await outboxEmpty(world);
  }, 90_000);

  it('a study that fits no model is refused by name, and the password is in no output', async () => {
    const study = headStudy();
    await store(study.files);
    const task = await taskEnded(world, study, 'rejected');
    expect(task.statusReason?.coding?.[0]?.code).toBe('body-part');
    expect(world.server.output()).not.toContain('sesame');
  }, 60_000);

  it('a PACS that goes away is named by readiness, and the server stays ready', async () => {
    await orthanc.stop();
    const ready = await world.server.ask('GET', '/health/ready');
    expect(ready.status).toBe(200);
    expect(ready.body.checks).toContainEqual({ name: 'pacs', ok: false, detail: 'does not answer' });
  }, 30_000);
});
