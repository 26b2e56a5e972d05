import type { Endpoint, ImagingStudy } from '@medplum/fhirtypes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Orthanc, orthancMissing, startOrthanc } from '../peers/orthanc.ts';
import { describeWithPeer } from '../peers/required.ts';
import {
  expectExactlyOnce,
  type FlowWorld,
  makeWorld,
  order,
  outboxEmpty,
  read,
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
