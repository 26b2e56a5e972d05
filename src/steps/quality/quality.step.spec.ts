import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ImagingStudy, Patient, Resource, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { datasetToJson } from '../../dicom/dataset-to-json.ts';
import { readPart10 } from '../../dicom/read-part10.ts';
import type { DicomJson, StudySource } from '../../dicom/study-source.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { ConformanceStore } from '../../governance/conformance.store.ts';
import { Conformance } from '../../governance/conformance.ts';
import { inspectAndRelease } from '../../governance/inspect-model.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { ProtocolLibrary } from '../../governance/protocol-library.ts';
import { StudyContextStore } from '../../governance/study-context.store.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import type { AnalysisAccepted } from '../../kernel/handoffs.ts';
import { SubsumingCodes } from '../../terminology/subsuming-codes.ts';
import { TerminologySources } from '../../terminology/terminology-sources.ts';
import { QualityStep } from './quality.step.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const SHARED = resolve(ROOT, '../shared/data');

const read = (file: string): DicomJson =>
  datasetToJson(readPart10(readFileSync(resolve(SHARED, 'dicom', file)), { stopBeforePixels: true }).dataset);

const handoff: AnalysisAccepted = {
  taskId: 'task-1',
  imagingStudyId: 'study-1',
  studyInstanceUid: '1.2.3',
  model: 'cxr15-mobilenetv3-int8@1.0.0',
};

describe.skipIf(!existsSync(SHARED))('the step quality (skipped: no shared data)', () => {
  let database: Database;
  let close: () => Promise<void>;
  let store: ResourceStore;
  let models: ModelRegister;
  let conformance: Conformance;
  beforeAll(async () => {
    ({ database, close } = await freshDatabase());
    await loadDefinitions();
    store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
    const library = new ProtocolLibrary(store, database, { PRELIM_PROTOCOLS: [] });
    await library.start();
    conformance = new Conformance(library, new ConformanceStore(database), store);
    models = await ModelRegister.read(
      { own: [], required: [resolve(ROOT, 'test/fixtures/models')] },
      inspectAndRelease,
    );
  });
  afterAll(() => close());

  const stepOver = (...files: readonly string[]) =>
    new QualityStep(
      { metadata: async () => files.map(read) } as Partial<StudySource> as StudySource,
      models,
      store,
      conformance,
      new StudyContextStore(database),
      codes(),
    );

  const codes = () => new SubsumingCodes(new TerminologySources(store, database));

  async function putTask(status: Task['status'] = 'requested'): Promise<void> {
    const resource: Task & { id: string } = { resourceType: 'Task', id: 'task-1', status, intent: 'order' };
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }]));
  }
  const taskNow = async () => (await store.read('Task', 'task-1'))?.parse<Task>() as Task;

  it('hands on the chosen image and keeps the warnings in the Task', async () => {
    await putTask();
    const result = await stepOver('cxr/nih_dx_implicit_1024.dcm').run(handoff);
    expect(result).toMatchObject({
      kind: 'done',
      durable: false,
      next: {
        ...handoff,
        sopInstanceUids: [expect.any(String)],
        warnings: [{ rule: 'body-part' }, { rule: 'view' }],
      },
    });
    if (result.kind === 'done' && result.write) await database.transaction(result.write);
    expect(await taskNow()).toMatchObject({ status: 'in-progress' });
    expect(JSON.stringify((await taskNow()).note)).toContain('body-part');
  });

  it('takes the age of the Patient where the images do not say it, and names the scanner in the Task', async () => {
    await putTask();
    const image: DicomJson = {
      ...read('cxr/fuji_cr_mono1_no_preamble.dcm'),
      '00080020': { vr: 'DA', Value: ['20260115'] },
      '00080070': { vr: 'LO', Value: ['Acme'] },
      '00181000': { vr: 'LO', Value: ['4711'] },
    };
    const source = { metadata: async () => [image] } as Partial<StudySource> as StudySource;
    const step = new QualityStep(
      source,
      models,
      store,
      conformance,
      new StudyContextStore(database),
      codes(),
    );
    expect(await step.run(handoff)).toMatchObject({ kind: 'done', next: { warnings: [{ rule: 'age' }] } });
    const study: ImagingStudy & { id: string } = {
      resourceType: 'ImagingStudy',
      id: 'study-1',
      status: 'available',
      subject: { reference: 'Patient/p1' },
    };
    const born = (birthDate: string): Patient & { id: string } => ({
      resourceType: 'Patient',
      id: 'p1',
      birthDate,
    });
    const put = (...resources: (Resource & { id: string })[]) =>
      database.transaction((tx) =>
        store.write(
          tx,
          resources.map((resource) => ({ kind: 'update', resource }) as const),
        ),
      );
    await put(study, born('1960-02-28'));
    const passed = await step.run(handoff);
    expect(passed).toMatchObject({ kind: 'done', next: { warnings: [] } });
    if (passed.kind === 'done' && passed.write) await database.transaction(passed.write);
    const scanner = (await taskNow()).input?.find(({ type }) => type.text === 'scanner')?.valueReference
      ?.reference;
    const device = await store.read('Device', scanner?.split('/')[1] ?? '');
    expect(device?.parse()).toMatchObject({ manufacturer: 'Acme', serialNumber: '4711' });
    await put(born('2020-02-28'));
    expect(await step.run(handoff)).toMatchObject({
      kind: 'refused',
      why: expect.stringContaining('a younger patient'),
    });
    // A year alone says no age at a day.
    await put(born('1960'));
    expect(await step.run(handoff)).toMatchObject({ kind: 'done', next: { warnings: [{ rule: 'age' }] } });
  });

  it('refuses with a coded reason in the Task, and may run twice', async () => {
    await putTask();
    for (let run = 0; run < 2; run++) {
      const result = await stepOver('other-xray/wg04_RG2_JPLY_hip.dcm').run(handoff);
      expect(result).toMatchObject({ kind: 'refused', why: expect.stringContaining('body-part') });
      if (result.kind === 'refused' && result.write) await database.transaction(result.write);
    }
    const task = await taskNow();
    expect(task.status).toBe('rejected');
    expect(task.statusReason?.coding?.[0]).toMatchObject({ system: CODE_SYSTEMS.refusal, code: 'body-part' });
    expect(task.statusReason?.text).toContain('pelvis');
    expect(task.statusReason?.text).toContain('CHEST');
  });

  it('leaves a cancelled Task alone, and one that is gone', async () => {
    await putTask('cancelled');
    expect(await stepOver('cxr/siim_pa_mono2.dcm').run(handoff)).toMatchObject({ kind: 'skipped' });
    expect(await stepOver('cxr/siim_pa_mono2.dcm').run({ ...handoff, taskId: 'none' })).toMatchObject({
      kind: 'skipped',
    });
  });

  it('refuses when the model is no longer in the register', async () => {
    await putTask();
    const result = await stepOver('cxr/siim_pa_mono2.dcm').run({ ...handoff, model: 'gone@1.0.0' });
    expect(result).toMatchObject({ kind: 'refused', why: expect.stringContaining('model') });
  });

  it('does not swallow a PACS that does not answer', async () => {
    await putTask();
    const source = {
      metadata: async () => Promise.reject(new Error('no answer')),
    } as Partial<StudySource> as StudySource;
    await expect(
      new QualityStep(source, models, store, conformance, new StudyContextStore(database), codes()).run(
        handoff,
      ),
    ).rejects.toThrow('no answer');
  });
});
