import type { DiagnosticReport, ImagingStudy, Observation, Task } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase } from '../../../test/database.ts';
import type { Database } from '../../database/database.ts';
import { loadDefinitions } from '../../fhir/definitions/definitions.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import { PAGE_ENTRIES } from '../../fhir/search/parse-query.ts';
import { analysisTaskId, reportId, requestedTask } from '../../governance/analysis-task.ts';
import type { Manifest } from '../../governance/manifest.ts';
import { ModelRegister } from '../../governance/model-register.ts';
import { ModelReleaseStore } from '../../governance/model-release.store.ts';
import { ModelStates } from '../../governance/model-states.ts';
import { EARLIER_STANDS, EARLIER_WITHDRAWN, refuseAnalysis } from '../../governance/refuse-analysis.ts';
import { StudyContextStore } from '../../governance/study-context.store.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import type { FindingsCoded, GateVerdict } from '../../kernel/handoffs.ts';
import { Outbox } from '../../queue/outbox.ts';
import type { StepResult } from '../step.ts';
import { ReportStep, SIGNED_FOR_OTHERS } from './report.step.ts';
import { withdrawResultsWithStudy } from './withdraw-with-study.ts';

const MODEL = 'tiny@1.0.0';
const manifest = {
  id: 'tiny',
  version: '1.0.0',
  title: 'Tiny',
  device: { uid: '2.25.3', manufacturer: 'tests', model: 'tiny' },
  file: { path: 'model.onnx', sha256: 'b'.repeat(64), licence: 'Apache-2.0' },
  fits: { modality: ['DX'] },
  report: {
    code: { system: 'http://loinc.org', code: '36554-4', display: 'XR Chest Single view' },
    caution: 'For tests.',
  },
} as unknown as Manifest;
const GAP: GateVerdict = { rule: 'gaps', observed: 'a slice is missing', required: 'no slice missing' };

describe('the step report, when the study changes meanwhile', () => {
  let database: Database;
  let close: () => Promise<void>;
  let store: ResourceStore;
  let step: ReportStep;
  beforeAll(async () => {
    ({ database, close } = await freshDatabase());
    await loadDefinitions();
    store = new ResourceStore(database, { baseUrl: 'http://127.0.0.1:8080' });
    const models = new ModelRegister(
      [{ ref: MODEL, manifest, folder: '/nowhere', file: '', graph: null }],
      [],
    );
    const states = new ModelStates(models, new ModelReleaseStore(database), { PRELIM_MODEL_STATE: 'pilot' });
    await states.refresh();
    step = new ReportStep(store, models, states, new StudyContextStore(database), new Outbox());
  });
  afterAll(() => close());

  /** A study in this version, and its Task renewed for it. */
  const renew = async (
    uid: string,
    version: string,
    more: Partial<ImagingStudy> = {},
  ): Promise<FindingsCoded> => {
    const study: ImagingStudy & { id: string } = {
      resourceType: 'ImagingStudy',
      id: uid.replaceAll('.', '-'),
      status: 'available',
      subject: { reference: 'Patient/p' },
      identifier: [{ system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${uid}` }],
      description: `version ${version}`,
      ...more,
    };
    const subject = {
      study: { ...study, meta: { versionId: version } },
      studyInstanceUid: uid,
      model: MODEL,
    };
    const task = requestedTask(subject, new Date());
    await database.transaction((tx) =>
      store.write(tx, [
        { kind: 'update', resource: study, unchanged: 'skip' },
        { kind: 'update', resource: task },
      ]),
    );
    return coded(uid, version);
  };
  const coded = (uid: string, studyVersion: string, inputsDigest = 'a'.repeat(64)): FindingsCoded => ({
    taskId: analysisTaskId(uid, MODEL),
    imagingStudyId: uid.replaceAll('.', '-'),
    studyInstanceUid: uid,
    model: MODEL,
    studyVersion,
    seriesInstanceUid: `${uid}.1`,
    sopInstanceUids: [`${uid}.1.1`],
    warnings: [],
    outputs: {},
    inputsDigest,
    keyPicture: null,
    keySopInstanceUid: null,
    inferenceMs: 1,
    findings: [
      {
        key: 'pneumothorax',
        label: 'Pneumothorax',
        kind: 'presence',
        presence: 'present',
        score: 0.9,
        threshold: 0.5,
        value: null,
        unit: null,
        codes: [],
        actionable: 2,
      },
    ],
  });
  const end = async (result: StepResult<object>): Promise<string> => {
    if ('write' in result && result.write)
      await database.transaction(async (tx) => void (await result.write?.(tx)));
    return result.kind;
  };
  const run = async (handoff: FindingsCoded) => end(await step.run(handoff));
  const refuse = (handoff: FindingsCoded, ...refusals: GateVerdict[]) =>
    database.transaction((tx) => refuseAnalysis(store, tx, handoff, refusals));
  const read = async <T>(type: string, id: string): Promise<T> => {
    const kept = await store.read(type, id);
    if (!kept) throw new Error(`no ${type}`);
    return kept.parse<never>() as T;
  };
  const reportOf = (uid: string) => read<DiagnosticReport>('DiagnosticReport', reportId(uid, MODEL));
  const taskOf = (uid: string) => read<Task>('Task', analysisTaskId(uid, MODEL));
  const findingOf = async (uid: string) =>
    read<Observation>('Observation', String((await reportOf(uid)).result?.[0]?.reference).split('/')[1]!);
  const sign = async (uid: string) => {
    const report = { ...(await reportOf(uid)), status: 'final' } as DiagnosticReport & { id: string };
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: report }]));
  };

  it('a study that the gate refuses after it changed has its preliminary result withdrawn, and has it back when it fits again', async () => {
    await run(await renew('1.1', '1'));
    expect((await reportOf('1.1')).status).toBe('preliminary');
    const second = await renew('1.1', '2');
    await refuse(second, GAP);
    const withdrawn = await reportOf('1.1');
    expect(withdrawn).toMatchObject({
      status: 'cancelled',
      conclusion: expect.stringContaining('gaps: observed'),
    });
    expect(withdrawn.conclusion).not.toContain('Pneumothorax');
    expect((await findingOf('1.1')).status).toBe('cancelled');
    expect(await taskOf('1.1')).toMatchObject({
      status: 'rejected',
      statusReason: { coding: [{ code: 'gaps' }] },
      output: [{ valueReference: { reference: `DiagnosticReport/${withdrawn.id}` } }],
      note: [{ text: EARLIER_WITHDRAWN }],
    });
    // Refused again: nothing more is said of it.
    await refuse(await renew('1.1', '3'), GAP);
    expect((await reportOf('1.1')).meta?.versionId).toBe(withdrawn.meta?.versionId);
    // The same images as at first: the same digest.
    expect(await run(await renew('1.1', '4'))).toBe('done');
    expect(await reportOf('1.1')).toMatchObject({ status: 'preliminary' });
    expect((await reportOf('1.1')).meta?.tag).toBeUndefined();
    expect((await findingOf('1.1')).status).toBe('preliminary');
    expect((await taskOf('1.1')).note).toBeUndefined();
  });

  it('images of another person than the record make it an error, for it should never have been there', async () => {
    await run(await renew('1.2', '1'));
    await refuse(await renew('1.2', '2'), { ...GAP, rule: 'patient-mismatch' });
    expect((await reportOf('1.2')).status).toBe('entered-in-error');
    expect((await findingOf('1.2')).status).toBe('entered-in-error');
  });

  it('a signed report stands, and the Task says that it is to be looked at; what a person withdrew does not come back', async () => {
    await run(await renew('1.3', '1'));
    await sign('1.3');
    await refuse(await renew('1.3', '2'), GAP);
    expect((await reportOf('1.3')).status).toBe('final');
    expect((await taskOf('1.3')).note).toEqual([{ text: EARLIER_STANDS }]);
    const report = { ...(await reportOf('1.3')), status: 'cancelled' } as DiagnosticReport & { id: string };
    await database.transaction((tx) => store.write(tx, [{ kind: 'update', resource: report }]));
    expect(await run(await renew('1.3', '3'))).toBe('skipped');
    expect((await reportOf('1.3')).status).toBe('cancelled');
  });

  it('the same findings of another patient, or for an order that came late, are a new version; a signed report is not changed and the Task says so', async () => {
    await run(await renew('1.8', '1'));
    const order = { basedOn: [{ reference: 'ServiceRequest/late' }], subject: { reference: 'Patient/q' } };
    expect(await run(await renew('1.8', '2', order))).toBe('done');
    expect(await reportOf('1.8')).toMatchObject({ ...order, meta: { versionId: '2' } });
    expect((await findingOf('1.8')).subject).toEqual(order.subject);
    expect(await run(await renew('1.8', '3', order))).toBe('skipped');
    await sign('1.8');
    expect(await run(await renew('1.8', '4'))).toBe('skipped');
    expect(await reportOf('1.8')).toMatchObject({ ...order, status: 'final' });
    expect((await taskOf('1.8')).note).toEqual([{ text: SIGNED_FOR_OTHERS }]);
  });

  it('a study that a person takes back takes its unsigned result with it, and ends what is under way', async () => {
    withdrawResultsWithStudy(store);
    for (const [uid, status] of [
      ['1.9', 'entered-in-error'],
      ['1.10', 'cancelled'],
    ] as const) {
      await run(await renew(uid, '1'));
      const under = await renew(uid, '2', { description: 'renewed' });
      const study = await read<ImagingStudy & { id: string }>('ImagingStudy', uid.replaceAll('.', '-'));
      await database.transaction((tx) =>
        store.write(tx, [{ kind: 'update', resource: { ...study, status } }]),
      );
      expect((await reportOf(uid)).status).toBe(status);
      expect((await findingOf(uid)).status).toBe(status);
      expect((await taskOf(uid)).status).toBe(status);
      expect(await run(under)).toBe('skipped');
      expect((await reportOf(uid)).status).toBe(status);
    }
    await run(await renew('1.11', '1'));
    await sign('1.11');
    await renew('1.11', '2', { status: 'entered-in-error' });
    expect((await reportOf('1.11')).status).toBe('final');
  });

  it('a study that is taken back ends every analysis of it, however many models have looked', async () => {
    withdrawResultsWithStudy(store);
    await renew('1.12', '1');
    const task = await taskOf('1.12');
    const more = Array.from({ length: PAGE_ENTRIES + 1 }, (_, at) => ({ ...task, id: `more-${at}` }));
    await database.transaction((tx) =>
      store.write(
        tx,
        more.map((resource) => ({ kind: 'update', resource }) as const),
      ),
    );
    await renew('1.12', '2', { status: 'entered-in-error' });
    const ofStudy = 'focus=ImagingStudy/1-12&_summary=count&status=';
    expect((await store.search('Task', `${ofStudy}requested`)).total).toBe(0);
    expect((await store.search('Task', `${ofStudy}entered-in-error`)).total).toBe(more.length + 1);
  });

  it('a model that is gone says nothing of what it found earlier', async () => {
    await run(await renew('1.4', '1'));
    await refuse(await renew('1.4', '2'), { ...GAP, rule: 'model' });
    expect((await reportOf('1.4')).status).toBe('preliminary');
    expect((await taskOf('1.4')).status).toBe('rejected');
  });

  it('what was made of an older version of the study is not written over what the gate says of the newer', async () => {
    const first = await renew('1.5', '1');
    const second = await renew('1.5', '2');
    await refuse(second, GAP);
    expect(await step.run(first)).toMatchObject({ kind: 'skipped' });
    // The other way round: the refusal of the older version comes last.
    await renew('1.5', '3');
    await refuse(second, GAP);
    expect((await taskOf('1.5')).status).toBe('requested');
  });

  it('a signature, or a newer version of the study, that comes while the report is made is not written over', async () => {
    await run(await renew('1.6', '1'));
    const other = { ...(await renew('1.6', '2')), inputsDigest: 'c'.repeat(64) };
    const made = await step.run(other);
    await sign('1.6');
    await expect(end(made)).rejects.toMatchObject({ code: 'fhir.version-conflict' });
    expect((await reportOf('1.6')).status).toBe('final');
    expect(await run(other)).toBe('skipped');

    const third = { ...(await renew('1.7', '1')), inputsDigest: 'd'.repeat(64) };
    const late = await step.run(third);
    await renew('1.7', '2');
    await expect(end(late)).rejects.toMatchObject({ code: 'fhir.version-conflict' });
    expect((await taskOf('1.7')).status).toBe('requested');
    expect(await run(third)).toBe('skipped');
  });
});
