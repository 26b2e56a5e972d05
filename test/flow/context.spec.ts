import type { DiagnosticReport, ImagingStudy, Patient, ServiceRequest } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { orderMessage } from '../../demo/order-message.ts';
import type { WorklistRow } from '../../src/steps/worklist/worklist-row.ts';
import { fieldOf, sendOrder } from '../peers/ris.ts';
import { fillerOf, messagesFor, order, read, reportIdOf, stow, taskEnded, until } from './flow-world.ts';
import { lateImage, tinyStudy } from './studies.ts';
import { tinyWorld } from './tiny-world.ts';

const REASON = 'Cough for three weeks (question: pneumothorax)';

describe('what order and EHR know of the patient, at the gate and in the report', () => {
  const world = tinyWorld({
    manifest: (text) =>
      text.replace('fits:\n', "fits:\n  problems_not: ['http://snomed.info/sct|49795001']\n"),
  });

  it('the reason for the exam (OBR-31) stands in report, message and worklist, and in no log', async () => {
    const study = tinyStudy();
    const message = orderMessage(study.exam, `R${Date.now()}`, new Date())
      .split('\r')
      .map((line) =>
        line.startsWith('OBR|') ? `${line}${'|'.repeat(31 - (line.split('|').length - 1))}^${REASON}` : line,
      )
      .join('\r');
    expect(fieldOf(await sendOrder(world.server.mllpPort, message), 'MSA', 1)).toBe('AA');
    await stow(world.server, study.files);
    const task = await taskEnded(world, study, 'completed');
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    const request = await read<ServiceRequest>(world, String(report.basedOn?.[0]?.reference));
    expect(request.reasonCode?.[0]?.text ?? request.reasonCode?.[0]?.coding?.[0]?.display).toBe(REASON);
    expect(report.conclusion).toContain(`Reason for exam: ${REASON}.`);
    await until(() => messagesFor(world, fillerOf(report)).length > 0);
    expect(messagesFor(world, fillerOf(report))[0]?.toString()).toContain('Cough for three weeks');
    const row = (await world.server.ask('GET', `/worklist/api/rows/${task.id}`)).body as WorklistRow;
    expect(row.exam.reason).toBe(REASON);
    expect(world.server.output()).not.toContain('Cough');
  });

  it('a problem that the manifest excludes refuses the next study of the patient, once it is active', async () => {
    const first = tinyStudy({ patientId: 'PROBLEM' });
    await order(world, first);
    await stow(world.server, first.files);
    const task = await taskEnded(world, first, 'completed');
    const problem = (status: string, code: string) => ({
      resourceType: 'Condition',
      subject: task.for,
      clinicalStatus: {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: status }],
      },
      code: { coding: [{ system: 'http://snomed.info/sct', code }] },
    });
    for (const body of [problem('resolved', '49795001'), problem('active', '195967001')])
      expect((await world.server.ask('POST', '/fhir/Condition', body)).status).toBe(201);
    const second = tinyStudy({ patientId: 'PROBLEM' });
    await order(world, second);
    await stow(world.server, second.files);
    await taskEnded(world, second, 'completed');
    expect((await world.server.ask('POST', '/fhir/Condition', problem('active', '49795001'))).status).toBe(
      201,
    );
    const third = tinyStudy({ patientId: 'PROBLEM' });
    await order(world, third);
    await stow(world.server, third.files);
    const refused = await taskEnded(world, third, 'rejected');
    expect(refused.statusReason?.coding?.[0]?.code).toBe('problem');
    expect(refused.statusReason?.text).not.toContain('49795001');
    expect(world.server.output()).not.toContain('49795001');
  });

  it('a study that grows and is refused then has its earlier result withdrawn, in the record, at the RIS and in the worklist, until it fits again', async () => {
    const study = tinyStudy({ patientId: 'GROWS' });
    await order(world, study);
    await stow(world.server, study.files);
    const before = await taskEnded(world, study, 'completed');
    const reference = `DiagnosticReport/${reportIdOf(before)}`;
    const report = await read<DiagnosticReport>(world, reference);
    const told = async (letters: readonly string[]) => {
      await until(() => messagesFor(world, fillerOf(report)).length >= letters.length);
      expect(messagesFor(world, fillerOf(report)).map((one) => fieldOf(one, 'OBR', 25))).toEqual(letters);
    };
    await told(['P']);
    const problem = {
      resourceType: 'Condition',
      id: 'grows',
      subject: before.for,
      clinicalStatus: {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
      },
      code: { coding: [{ system: 'http://snomed.info/sct', code: '49795001' }] },
    };
    const put = (body: object) => world.server.ask('PUT', '/fhir/Condition/grows', body);
    expect((await put(problem)).status).toBe(201);
    await stow(world.server, [lateImage(study, 'LL')]);
    const status = async () => (await read<DiagnosticReport>(world, reference)).status;
    await until(async () => (await status()) === 'cancelled');
    await told(['P', 'X']);
    const message = messagesFor(world, fillerOf(report))[1]?.toString() ?? '';
    expect(message).toContain('AI RESULT WITHDRAWN. DISREGARD EARLIER VERSIONS.');
    const task = await taskEnded(world, study, 'rejected');
    const row = (await world.server.ask('GET', `/worklist/api/rows/${task.id}`)).body as WorklistRow;
    expect(row).toMatchObject({
      status: 'refused',
      findings: [],
      picture: null,
      refusals: [{ rule: 'problem' }],
      warnings: [{ text: 'An earlier AI result of this study was withdrawn. Disregard it.' }],
    });
    const search = await world.server.ask(
      'GET',
      `/fhir/Observation?patient=${String(before.for?.reference)}`,
    );
    const findings = (search.body.entry ?? []) as { resource: { status: string } }[];
    expect(findings.map(({ resource }) => resource.status)).toEqual(['cancelled']);

    const over = [{ ...problem.clinicalStatus.coding[0], code: 'resolved' }];
    expect((await put({ ...problem, clinicalStatus: { coding: over } })).status).toBe(200);
    // In one more series.
    await stow(world.server, [lateImage({ ...study, uid: `${study.uid}.2` }, 'PA')]);
    await until(async () => (await status()) === 'preliminary');
    await told(['P', 'X', 'P']);
    expect((await taskEnded(world, study, 'completed')).note).toBeUndefined();
  }, 60_000);

  it('so does a problem that is a kind of the excluded one, once a code system here says that it is', async () => {
    const first = tinyStudy({ patientId: 'KIND' });
    await order(world, first);
    await stow(world.server, first.files);
    const task = await taskEnded(world, first, 'completed');
    const problem = {
      resourceType: 'Condition',
      subject: task.for,
      clinicalStatus: {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
      },
      code: { coding: [{ system: 'http://snomed.info/sct', code: '787136004' }] },
    };
    expect((await world.server.ask('POST', '/fhir/Condition', problem)).status).toBe(201);
    const second = tinyStudy({ patientId: 'KIND' });
    await order(world, second);
    await stow(world.server, second.files);
    await taskEnded(world, second, 'completed');
    const hierarchy = {
      resourceType: 'CodeSystem',
      url: 'http://snomed.info/sct',
      version: 'http://snomed.info/sct/900000000000207008',
      status: 'active',
      content: 'fragment',
      concept: [{ code: '49795001', concept: [{ code: '119746007', concept: [{ code: '787136004' }] }] }],
    };
    expect((await world.server.ask('POST', '/fhir/CodeSystem', hierarchy)).status).toBe(201);
    const third = tinyStudy({ patientId: 'KIND' });
    await order(world, third);
    await stow(world.server, third.files);
    const refused = await taskEnded(world, third, 'rejected');
    expect(refused.statusReason?.coding?.[0]?.code).toBe('problem');
  }, 60_000);

  it('images of another sex than the record are warned of by name, in the Task, the report and the worklist', async () => {
    // Without an issuer the number alone decides nothing: name and birth date find the Patient, and the sex is not asked.
    const same = {
      patientId: 'NOISSUER',
      issuerOfPatientId: '',
      patientName: 'SAME^PERSON',
      birthDate: '19700101',
    };
    const first = tinyStudy({ ...same, sex: 'F' });
    await stow(world.server, first.files);
    const before = await taskEnded(world, first, 'completed');
    const second = tinyStudy({ ...same, sex: 'M' });
    await stow(world.server, second.files);
    const task = await taskEnded(world, second, 'completed');
    const study = await read<ImagingStudy>(world, String(task.focus?.reference));
    expect(study.subject.reference).toBe(before.for?.reference);
    expect((await read<Patient>(world, String(study.subject.reference))).gender).toBe('female');
    const rules = task.output?.flatMap((one) => one.valueCodeableConcept?.coding?.[0]?.code ?? []);
    expect(rules).toEqual(['patient-mismatch']);
    const report = await read<DiagnosticReport>(world, `DiagnosticReport/${reportIdOf(task)}`);
    expect(report.conclusion).toContain(
      'patient-mismatch: observed another sex in the images than in the record',
    );
    const row = (await world.server.ask('GET', `/worklist/api/rows/${task.id}`)).body as WorklistRow;
    expect(row.warnings.map(({ rule }) => rule)).toEqual(['patient-mismatch']);
  });
});
