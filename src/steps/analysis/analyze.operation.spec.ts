import type { DiagnosticReport, ImagingStudy, Resource, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { type AccessContext, accessOfScopes } from '../../fhir/access-context.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { type OperationAnswer, OperationRegistry } from '../../fhir/operation-registry.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import {
  type AnalysisTask,
  analysisTaskId,
  completedTask,
  failedTask,
  requestedTask,
} from '../../governance/analysis-task.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { Outbox } from '../../queue/outbox.ts';
import { AnalysisRequestsStore } from './analysis-requests.store.ts';
import { AnalyzeOperation } from './analyze.operation.ts';
import { TaskEnds } from './task-ends.ts';

const MODEL = 'tiny@1.0.0';
const ALL = 'system/ImagingStudy.r system/DiagnosticReport.cr system/Task.r';
const UID = '1.2.3';
const TASK = analysisTaskId(UID, MODEL);

let database: Database;
let close: () => Promise<void>;
let store: ResourceStore;
let operations: OperationRegistry;
let study: ImagingStudy;

beforeAll(async () => {
  ({ database, close } = await freshDatabase());
  await loadDefinitions();
  store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  operations = new OperationRegistry();
  const models = new ModelRegister(
    [
      {
        ref: MODEL,
        manifest: { id: 'tiny', version: '1.0.0' } as Manifest,
        folder: '',
        file: '',
        graph: null,
      },
    ],
    [],
  );
  const ends = new TaskEnds(store);
  ends.onModuleInit();
  // Nothing runs jobs here: what was asked for stays asked for.
  new AnalyzeOperation(
    operations,
    store,
    models,
    ends,
    new AnalysisRequestsStore(database, new Outbox()),
  ).onModuleInit();
});
afterAll(() => close());
beforeEach(async () => {
  await database.run({ text: 'TRUNCATE outbox, resource, resource_version' });
  const made: ImagingStudy & { id: string } = {
    resourceType: 'ImagingStudy',
    id: 'study',
    status: 'available',
    subject: { reference: 'Patient/p' },
    identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${UID}` }],
  };
  await write(made);
  study = (await store.read('ImagingStudy', 'study'))!.parse<ImagingStudy>();
});

const write = (resource: Resource & { id: string }) =>
  database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }]));
const task = (): AnalysisTask => requestedTask({ study, studyInstanceUid: UID, model: MODEL }, new Date());
const call = (
  type: string,
  id: string,
  name: string,
  scope: string,
  headers: Record<string, string> = {},
  access: AccessContext = accessOfScopes(scope),
): Promise<OperationAnswer> => {
  const operation = operations.find('instance', type, name);
  if (!operation) throw new Error(`no ${name}`);
  return operation.run({
    id,
    type,
    query: new URLSearchParams({ model: 'tiny' }),
    body: null,
    headers,
    access,
  });
};
const analyze = (scope = ALL, headers: Record<string, string> = { prefer: 'respond-async' }) =>
  call('ImagingStudy', 'study', '$analyze', scope, headers);
const result = (scope = ALL, id = TASK, access?: AccessContext) =>
  call('Task', id, '$result', scope, {}, access);
const jobs = async () =>
  (await database.run<{ n: number }>({ text: 'SELECT count(*)::int AS n FROM outbox' }))[0]?.n;
const taken = () => database.run({ text: 'TRUNCATE outbox' });

describe('$analyze', () => {
  it.each([
    ['the study may not be read', 'system/DiagnosticReport.cr system/Task.r'],
    ['a report may not be made', 'system/ImagingStudy.r system/DiagnosticReport.r'],
    ['the report may not be read', 'system/ImagingStudy.r system/DiagnosticReport.c'],
  ])('is 403 at once where %s, and nothing is queued', async (_, scope) => {
    await expect(analyze(scope, {})).rejects.toMatchObject({ code: 'auth.scope', kind: 'forbidden' });
    expect(await jobs()).toBe(0);
  });

  it('asked for by many at once is one job, and each is told where to look', async () => {
    const answers = await Promise.all([analyze(), analyze(), analyze()]);
    for (const answer of answers) {
      expect(answer).toMatchObject({
        status: 202,
        headers: { 'content-location': `http://127.0.0.1:8080/fhir/Task/${TASK}/$result` },
      });
    }
    expect(await jobs()).toBe(1);
  });

  it('waits for the end of this request, not for a failure that an earlier one left', async () => {
    await write(failedTask(task(), 'inference.timeout', new Date()));
    const answer = analyze(ALL, {});
    // Longer than the pause between two looks: the old failure must not count at the second look either.
    await new Promise((resolve) => setTimeout(resolve, 700));
    await write({
      resourceType: 'DiagnosticReport',
      id: 'r',
      status: 'preliminary',
      code: { text: 'x' },
    } as DiagnosticReport & { id: string });
    await write(completedTask(task(), { reference: 'DiagnosticReport/r' }, new Date()));
    expect(await answer).toMatchObject({ status: 200, resource: { id: 'r' } });
  });
});

describe('Task/{id}/$result', () => {
  it('is 404 for what was never asked for, 202 from the first request on, and the report at the end', async () => {
    await expect(result()).rejects.toMatchObject({ code: 'fhir.not-found' });
    await analyze();
    expect(await result()).toMatchObject({ status: 202, headers: { 'x-progress': 'requested' } });
    await expect(result(ALL, 'other')).rejects.toMatchObject({ code: 'fhir.not-found' });
    await write(task());
    await taken();
    expect(await result()).toMatchObject({ status: 202, headers: { 'x-progress': 'waiting for the gate' } });
    await write({
      resourceType: 'DiagnosticReport',
      id: 'r',
      status: 'preliminary',
      code: { text: 'x' },
    } as DiagnosticReport & { id: string });
    await write(completedTask(task(), { reference: 'DiagnosticReport/r' }, new Date()));
    expect(await result()).toMatchObject({
      status: 200,
      resource: { resourceType: 'DiagnosticReport', id: 'r' },
    });
  });

  it('tells nobody of a request for a study that they may not see', async () => {
    await analyze();
    const others = { ...accessOfScopes(ALL), condition: () => 'FALSE' };
    await expect(result(ALL, TASK, others)).rejects.toMatchObject({ code: 'fhir.not-found' });
    const noStudies = 'system/DiagnosticReport.r system/Task.r';
    await expect(result(noStudies)).rejects.toMatchObject({ code: 'fhir.not-found' });
    expect(await result()).toMatchObject({ status: 202 });
  });

  it('does not give the failure of an earlier request while a new one waits', async () => {
    await write(failedTask(task(), 'inference.timeout', new Date()));
    expect(await result()).toMatchObject({ status: 422 });
    await analyze();
    expect(await result()).toMatchObject({ status: 202 });
  });

  it('is 404 again for a request that died before it was taken up, and 410 for a Task that was deleted', async () => {
    await analyze();
    await database.run({ text: `UPDATE outbox SET state = 'dead'` });
    await expect(result()).rejects.toMatchObject({ code: 'fhir.not-found' });
    await write(task() as Task & { id: string });
    await database.transaction((tx) => store.write(tx, [{ kind: 'delete', type: 'Task', id: TASK }]));
    await expect(result()).rejects.toMatchObject({ code: 'fhir.deleted' });
  });

  it.each(['system/DiagnosticReport.r', 'system/Task.r', 'system/Task.c system/DiagnosticReport.r'])(
    'is 403 with the scope %s, whether there is such a Task or not',
    async (scope) => {
      await expect(result(scope)).rejects.toMatchObject({ code: 'auth.scope' });
      await write(task());
      await expect(result(scope)).rejects.toMatchObject({ code: 'auth.scope' });
    },
  );
});
