import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { CODE_SYSTEMS } from '../../kernel/code-systems.ts';
import type { Inferred } from '../../kernel/handoffs.ts';
import { ConceptMaps } from '../../terminology/concept-maps.ts';
import { FindingsStep } from './findings.step.ts';

const FOLDER = resolve(import.meta.dirname, '../../../test/fixtures/models/cxr15-mobilenetv3-int8/1.0.0');
const manifest = parse(readFileSync(resolve(FOLDER, 'manifest.yaml'), 'utf8')) as Manifest;
const ref = 'cxr15-mobilenetv3-int8@1.0.0';
const models = new ModelRegister([{ ref, manifest, folder: FOLDER, file: '', graph: null }], []);

const inferred = (data: readonly number[]): Inferred => ({
  taskId: 'task-1',
  imagingStudyId: 'study-1',
  studyInstanceUid: '1.2.3',
  model: ref,
  seriesInstanceUid: '1.2.3.1',
  sopInstanceUids: ['1.2.3.1.1'],
  warnings: [],
  outputs: { output: { dims: [1, 15], data } },
  inputsDigest: 'a'.repeat(64),
  keyPicture: null,
  keySopInstanceUid: null,
  inferenceMs: 5,
});

describe('the step findings', () => {
  let database: Database;
  let close: () => Promise<void>;
  let store: ResourceStore;
  beforeAll(async () => {
    ({ database, close } = await freshDatabase());
    await loadDefinitions();
    store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
  });
  afterAll(() => close());
  const step = () => new FindingsStep(models, ConceptMaps.shipped(), store);

  it('gives each finding its codes with their grade, or an explicit none, and survives JSON', async () => {
    const handoff = inferred(
      manifest.outputs
        .flatMap((o) => ('labels' in o ? o.labels : []))
        .map((l) => (l === 'Cardiomegaly' ? 9 : 0)),
    );
    const result = await step().run(handoff);
    if (result.kind !== 'done' || result.next === null) throw new Error('not done');
    expect(JSON.parse(JSON.stringify(result.next))).toEqual(result.next);
    const cardiomegaly = result.next.findings.find(({ key }) => key === 'cardiomegaly');
    expect(cardiomegaly).toMatchObject({ presence: 'present', label: 'Cardiomegaly' });
    expect(cardiomegaly?.codes).toContainEqual({
      system: CODE_SYSTEMS.sct,
      code: '8186001',
      display: 'Cardiomegaly',
      match: 'exact',
    });
    expect(cardiomegaly?.codes).toContainEqual({
      system: CODE_SYSTEMS.radlex,
      code: null,
      display: null,
      match: 'none',
    });
    expect(result.next.findings.some(({ label }) => label === 'No Finding')).toBe(false);
  });

  it('refuses by name, in the Task, when a number means nothing', async () => {
    const resource: Task & { id: string } = {
      resourceType: 'Task',
      id: 'task-1',
      status: 'in-progress',
      intent: 'order',
    };
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource }]));
    const result = await step().run(inferred(Array(15).fill(Number.NaN)));
    expect(result).toMatchObject({ kind: 'refused', why: expect.stringContaining('implausible-output') });
    if (result.kind === 'refused' && result.write) await database.transaction(result.write);
    const task = (await store.read('Task', 'task-1'))?.parse<Task>();
    expect(task).toMatchObject({
      status: 'rejected',
      statusReason: { coding: [{ code: 'implausible-output' }] },
    });
  });

  it('has a concept for every key of the example models', () => {
    const maps = ConceptMaps.shipped();
    for (const { key } of manifest.findings)
      expect(maps.codesOf(CODE_SYSTEMS.finding, key).length, key).toBeGreaterThan(1);
  });
});
