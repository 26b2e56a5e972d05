import type { DiagnosticReport, ImagingStudy, Observation } from '@medplum/fhirtypes';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readPart10 } from '../../src/dicom/read-part10.ts';
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
  taskEnded,
  tasksOf,
  until,
} from '../flow/flow-world.ts';
import { chestStudy, headStudy, type TestStudy } from '../flow/studies.ts';
import { dciodvfy, dciodvfyMissing, dsrdump, dsrdumpMissing } from '../peers/dicom-validators.ts';
import { type Orthanc, orthancMissing, startOrthanc } from '../peers/orthanc.ts';
import { describeWithPeer } from '../peers/required.ts';
import { fieldOf } from '../peers/ris.ts';
import { filesOf, type Pacs, seriesOf } from './pacs-objects.ts';

const missing = orthancMissing() ?? dciodvfyMissing() ?? dsrdumpMissing();

describeWithPeer('results in a real Orthanc', missing, () => {
  let orthanc: Orthanc;
  let world: FlowWorld;
  let pacs: Pacs;
  let study: TestStudy;
  let report: DiagnosticReport;
  let earlier: TestStudy[];
  let taskId: string;
  beforeAll(async () => {
    orthanc = await startOrthanc();
    world = await makeWorld({
      settings: {
        DICOMWEB_URL: orthanc.root.href,
        PACS_OBJECTS: 'sr,seg,sc',
        STUDY_LOOK_INTERVAL_MS: '200',
        STUDY_QUIET_MS: '300',
      },
    });
    pacs = { root: orthanc.root.href.replace(/\/$/, ''), headers: {} };
    study = chestStudy();
    expect(await order(world, study)).toBe('AA');
    // What the PACS has of this patient from years ago, too long for anybody to be asked to look at it.
    const of = { patientId: study.identity.patientId };
    earlier = [
      headStudy({ ...of, studyDate: '20190304', bodyPart: 'CHEST', studyDescription: 'CT CHEST' }),
      headStudy({ ...of, studyDate: '20200304' }),
      headStudy({ studyDate: '20210304' }),
    ];
    await send([...earlier.map(({ files }) => files[0]!), ...study.files]);
    const task = await taskEnded(world, study, 'completed', 60_000);
    taskId = String(task.id);
    report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
  }, 120_000);
  afterAll(async () => {
    await world?.close();
    await orthanc?.stop();
  });

  const send = async (images: readonly Uint8Array[]) => {
    for (const file of images) {
      const body = new Uint8Array(file);
      const answer = await fetch(new URL('instances', orthanc.api), { method: 'POST', body });
      expect(answer.status).toBe(200);
      await answer.body?.cancel();
    }
  };
  const deleteInPacs = async (images: readonly Uint8Array[]) => {
    for (const file of images) {
      const uid = String(readPart10(Buffer.from(file)).dataset.string(0x00080018));
      const found = await fetch(new URL('tools/lookup', orthanc.api), { method: 'POST', body: uid });
      const [{ ID: id }] = (await found.json()) as [{ ID: string }];
      const answer = await fetch(new URL(`instances/${id}`, orthanc.api), { method: 'DELETE' });
      expect(answer.status).toBe(200);
      await answer.body?.cancel();
    }
  };
  const files = async (modality: string, of: TestStudy = study) => {
    const series = (await seriesOf(pacs, of.uid)).find((one) => one.modality === modality);
    return series ? filesOf(pacs, of.uid, series.uid) : [];
  };
  const has = (wanted: Readonly<Record<string, number>>, of: TestStudy = study) =>
    until(async () => {
      const found = Object.fromEntries(
        (await seriesOf(pacs, of.uid)).map((one) => [one.modality, one.instances]),
      );
      return Object.entries(wanted).every(([modality, count]) => found[modality] === count);
    }, 60_000);
  const put = async (change: Partial<DiagnosticReport>) => {
    const current = await read<DiagnosticReport>(world, `DiagnosticReport/${report.id}`);
    const answer = await world.server.ask('PUT', `/fhir/DiagnosticReport/${report.id}`, {
      ...current,
      ...change,
    });
    expect(answer.status).toBe(200);
  };

  it('a chest CT ends with one SR, one SEG and one picture beside it, and dciodvfy finds no error in any', async () => {
    await has({ CT: study.files.length, OT: 1, SEG: 1, SR: 1 });
    for (const modality of ['SR', 'SEG', 'OT']) {
      const [file] = await files(modality);
      expect(dciodvfy(file!).errors).toEqual([]);
    }
  }, 60_000);

  it('the SR is a TID 1500 tree that DCMTK reads, with model, images, tracking and measurements', async () => {
    const [file] = await files('SR');
    const tree = dsrdump(file!);
    expect(tree).toContain('Comprehensive 3D SR Document');
    expect(tree).toContain('Preliminary Flag    : PRELIMINARY');
    expect(tree).toContain('Verification Flag   : UNVERIFIED');
    expect(tree).toContain('"Device Observer UID")="2.25.260390082306636974162370629252317636002"');
    expect(tree).toContain('"Procedure reported")=(24627-2,LN,"CT Chest")');
    expect(tree).toMatch(/"Low-attenuation area below -950 HU"\)="\d+(\.\d)?" \(%,UCUM,"%"\)/);
    expect(tree).toContain('"Referenced Segment")=(SG image');
    const { dataset } = readPart10(file!);
    const [evidence] = dataset.items(0x0040a375);
    const references = evidence?.items(0x00081115).map((series) => series.items(0x00081199).length);
    expect(references?.sort((a, b) => a - b)).toEqual([1, study.files.length]);
  });

  it('the mask has the size of the lung, frame by frame on its own slice', async () => {
    const [file] = await files('SEG');
    const { dataset } = readPart10(file!);
    const frames = dataset.items(0x52009230);
    expect(frames.length).toBe(dataset.number(0x00280008));
    const sources = frames.map((frame) =>
      frame.items(0x00089124)[0]?.items(0x00082112)[0]?.string(0x00081155),
    );
    const slices = new Map(
      study.files.map((one) => {
        const slice = readPart10(Buffer.from(one)).dataset;
        return [slice.string(0x00080018), slice.numbers(0x00200032)];
      }),
    );
    for (const [at, frame] of frames.entries())
      expect(frame.items(0x00209113)[0]?.numbers(0x00200032)).toEqual(slices.get(sources[at] ?? ''));
  });

  it('the chest CT of years ago is shown as not analysed; that of the head and that of somebody else are not', async () => {
    const rowOf = async () =>
      (await world.server.ask('GET', `/worklist/api/rows/${taskId}`)).body as WorklistRow;
    await until(async () => (await rowOf()).priorStudies !== null);
    expect((await rowOf()).priorStudies).toEqual({ studies: ['CT 2019-03-04'], asked: true });
  });

  it('what came back from the PACS starts nothing: one Task, one report version, and the study as it was', async () => {
    await outboxEmpty(world, 30_000);
    const [task] = await tasksOf(world, study);
    expect(await tasksOf(world, study)).toHaveLength(1);
    const imagingStudy = await read<ImagingStudy>(world, String(task?.focus?.reference));
    expect(imagingStudy).toMatchObject({ numberOfInstances: study.files.length, meta: { versionId: '1' } });
    expect((await read<DiagnosticReport>(world, `DiagnosticReport/${report.id}`)).meta?.versionId).toBe('1');
  }, 60_000);

  it('a correction is a further SR that names the one before; the same mask is not stored twice', async () => {
    await put({ status: 'amended', conclusion: 'Seen by a radiologist.' });
    await has({ CT: study.files.length, OT: 1, SEG: 1, SR: 2 });
    const both = (await files('SR')).map((file) => readPart10(file).dataset);
    const later = both.find((one) => one.string(0x00200013) === '2');
    const earlier = both.find((one) => one.string(0x00200013) === '1');
    const predecessor = later?.items(0x0040a360)[0]?.items(0x00081115)[0]?.items(0x00081199)[0];
    expect(predecessor?.string(0x00081155)).toBe(earlier?.string(0x00080018));
    expect(later?.string(0x0040a496)).toBe('FINAL');
    const tracking = (file: Buffer) =>
      [...dsrdump(file).matchAll(/"Tracking Unique Identifier"\)="([\d.]+)"/g)].map((match) => match[1]);
    const [one, two] = (await files('SR')).map(tracking);
    expect(one?.length).toBeGreaterThan(0);
    expect(one).toEqual(two);
  }, 60_000);

  const namedIn = (file: Buffer) =>
    (readPart10(file).dataset.items(0x0040a375)[0]?.items(0x00081115) ?? [])
      .flatMap((series) => series.items(0x00081199))
      .map((one) => one.string(0x00081155));

  it('a corrected number is a further picture, and a rejection note for the one that shows the old number', async () => {
    const [old] = (await files('OT')).map((file) => readPart10(file).dataset.string(0x00080018));
    const volume = await read<Observation>(world, String(report.result?.at(-1)?.reference));
    const changed = { ...volume, status: 'amended', valueQuantity: { ...volume.valueQuantity, value: 4321 } };
    expect((await world.server.ask('PUT', `/fhir/Observation/${volume.id}`, changed)).status).toBe(200);
    // The report itself keeps its version.
    await has({ CT: study.files.length, OT: 2, SEG: 1, SR: 3, KO: 1 });
    const [note] = await files('KO');
    expect(dciodvfy(note!).errors).toEqual([]);
    expect(dsrdump(note!)).toContain('AI result replaced');
    expect(namedIn(note!)).toEqual([old]);
    for (const file of await files('OT')) expect(dciodvfy(file).errors).toEqual([]);
  }, 60_000);

  it('a withdrawal is a rejection note that names everything made of the report', async () => {
    await put({ status: 'entered-in-error' });
    await has({ KO: 2 });
    const file = (await files('KO')).find((one) => namedIn(one).length > 1);
    expect(dciodvfy(file!).errors).toEqual([]);
    expect(dsrdump(file!)).toContain('"Rejected for Patient Safety Reasons"');
    expect(namedIn(file!)).toHaveLength(6);
    await outboxEmpty(world, 30_000);
  }, 60_000);

  it.concurrent('an Enhanced CT goes the same way: every object names its frames, and dciodvfy finds no error in any', async () => {
    const enhanced = chestStudy({}, 0.12, 'enhanced');
    await send(enhanced.files);
    await has({ CT: 1, OT: 1, SEG: 1, SR: 1 }, enhanced);
    const [image] = enhanced.files.map(
      (file) => readPart10(Buffer.from(file), { elementsMax: 20_000 }).dataset,
    );
    for (const modality of ['SR', 'SEG', 'OT']) {
      const [file] = await files(modality, enhanced);
      expect(dciodvfy(file!).errors).toEqual([]);
    }
    const [seg] = await files('SEG', enhanced);
    const frames = readPart10(seg!, { elementsMax: 200_000 }).dataset.items(0x52009230);
    const places = (image?.items(0x52009230) ?? []).map((frame) =>
      frame.items(0x00209113)[0]?.numbers(0x00200032),
    );
    expect(frames.length).toBeGreaterThan(100);
    for (const frame of frames) {
      const source = frame.items(0x00089124)[0]?.items(0x00082112)[0];
      expect(source?.string(0x00081155)).toBe(image?.string(0x00080018));
      const place = places[(source?.number(0x00081160) ?? 0) - 1];
      expect(frame.items(0x00209113)[0]?.numbers(0x00200032)).toEqual(place);
    }
    const task = await taskEnded(world, enhanced, 'completed');
    const { result } = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    const findings = await Promise.all(
      (result ?? []).map((one) => read<Observation>(world, String(one.reference))),
    );
    const volume = findings.find((one) => one.valueQuantity?.code === 'mL')?.valueQuantity?.value;
    expect(Math.abs(Number(volume) / enhanced.truth.lungVolumeMl - 1)).toBeLessThan(0.02);
    await outboxEmpty(world, 30_000);
  }, 150_000);

  it.concurrent('slices that are deleted in the PACS take the result back: a note names everything made of it, the RIS is told, and it comes back with them', async () => {
    const shrunk = chestStudy();
    await send(shrunk.files);
    await has({ CT: 74, OT: 1, SEG: 1, SR: 1 }, shrunk);
    const done = await taskEnded(world, shrunk, 'completed');
    const given = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(done)}`);
    const made = (await Promise.all(['OT', 'SEG', 'SR'].map((modality) => files(modality, shrunk))))
      .flat()
      .map((file) => String(readPart10(file).dataset.string(0x00080018)));
    await deleteInPacs(shrunk.files.slice(30, 34));
    await has({ CT: 70, OT: 1, SEG: 1, SR: 1, KO: 1 }, shrunk);
    const [note] = await files('KO', shrunk);
    expect(dciodvfy(note!).errors).toEqual([]);
    expect(dsrdump(note!)).toContain('Rejected for Quality Reasons');
    expect(namedIn(note!).sort()).toEqual(made.sort());
    const task = await taskEnded(world, shrunk, 'rejected');
    expect(task.statusReason?.coding?.[0]?.code).toBe('gaps');
    const said = () => messagesFor(world, fillerOf(given)).map((one) => fieldOf(one, 'OBR', 25));
    await until(() => said().length === 2);
    expect(said()).toEqual(['P', 'X']);

    await send(shrunk.files.slice(30, 34));
    await has({ CT: 74, OT: 2, SEG: 2, SR: 2, KO: 1 }, shrunk);
    await until(() => said().length === 3);
    expect(said()).toEqual(['P', 'X', 'P']);
    await outboxEmpty(world, 30_000);
  }, 150_000);

  it.concurrent('slices that come late give the analysis again: mask and picture of before are rejected by a note, the SR has a successor', async () => {
    const grown = chestStudy();
    await send(grown.files.slice(0, 70));
    await has({ CT: 70, OT: 1, SEG: 1, SR: 1 }, grown);
    const uidsNow = async () =>
      (await Promise.all(['OT', 'SEG'].map((modality) => files(modality, grown))))
        .flat()
        .map((file) => String(readPart10(file).dataset.string(0x00080018)));
    const before = await uidsNow();
    await send(grown.files.slice(70));
    await has({ CT: 74, OT: 2, SEG: 2, SR: 2, KO: 1 }, grown);
    const [note] = await files('KO', grown);
    expect(dciodvfy(note!).errors).toEqual([]);
    expect(dsrdump(note!)).toContain('Rejected for Quality Reasons');
    expect(namedIn(note!).sort()).toEqual(before.sort());
    const after = (await uidsNow()).filter((uid) => !before.includes(uid));
    const later = (await files('SR', grown)).map((file) => readPart10(file).dataset);
    const second = later.find((one) => one.string(0x00200013) === '2');
    const first = later.find((one) => one.string(0x00200013) === '1');
    const named = (tag: number) =>
      (second?.items(tag) ?? [])
        .flatMap((one) => one.items(0x00081115))
        .flatMap((series) => series.items(0x00081199))
        .map((one) => one.string(0x00081155));
    expect(named(0x0040a360)).toEqual([first?.string(0x00080018)]);
    const evidence = named(0x0040a375);
    expect(after.filter((uid) => evidence.includes(uid))).toHaveLength(1);
    expect(before.filter((uid) => evidence.includes(uid))).toEqual([]);
    await outboxEmpty(world, 30_000);
  }, 150_000);
});
