import type { ImagingStudy, Parameters, Patient } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { messageStepWorld } from '../../../test/hl7/message-step-world.ts';
import { type AccessContext, FULL_ACCESS } from '../../fhir/access-context.ts';
import { OperationRegistry } from '../../fhir/operation-registry.ts';
import { STUDY_NUMBER_SYSTEMS } from '../../hl7/assigning-authority.ts';
import { builtText } from '../../hl7/codec.ts';
import { OruOperation } from './oru.operation.ts';
import { RIS_PROFILE_CODE, RIS_PROFILE_EXTENSION } from './ris-profiles.ts';

const world = messageStepWorld();
const profile = (settings: object) => ({
  resourceType: 'Basic' as const,
  id: 'ris-profile-ris',
  code: { coding: [RIS_PROFILE_CODE] },
  extension: [{ url: RIS_PROFILE_EXTENSION, valueString: JSON.stringify(settings) }],
});
const coding = (system: string, code: string) => ({ coding: [{ system, code }] });

describe('a dry run of a report that a receiver was told of elsewhere', () => {
  let operations: OperationRegistry;
  beforeAll(async () => {
    operations = new OperationRegistry();
    const { store, messages, destinations, profiles } = world;
    new OruOperation(operations, store, messages, destinations, profiles).onModuleInit();
    await world.write(
      { resourceType: 'Device', id: 'd', deviceName: [{ name: 'CXR', type: 'model-name' }] },
      ...['p', 'q'].map((id): Patient & { id: string } => ({
        resourceType: 'Patient',
        id,
        identifier: [{ system: 'urn:oid:1.2', value: `MRN-${id}` }],
      })),
    );
  });
  const study = (id: string, accession: string): ImagingStudy & { id: string } => ({
    resourceType: 'ImagingStudy',
    id,
    status: 'available',
    subject: { reference: 'Patient/p' },
    identifier: [
      { system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' },
      { system: STUDY_NUMBER_SYSTEMS.accession, value: accession },
    ],
  });
  const order = (id: string, placer: string) => ({
    resourceType: 'ServiceRequest' as const,
    id,
    status: 'active' as const,
    intent: 'order' as const,
    subject: { reference: 'Patient/p' },
    identifier: [{ type: coding('http://terminology.hl7.org/CodeSystem/v2-0203', 'PLAC'), value: placer }],
  });
  const report = (id: string, { patient = 'p', basedOn = '' } = {}) =>
    world.write(
      {
        resourceType: 'Observation',
        id,
        status: 'preliminary',
        code: coding('http://snomed.info/sct', '36118008'),
        valueCodeableConcept: coding('http://snomed.info/sct', '52101004'),
        device: { reference: 'Device/d' },
      },
      {
        resourceType: 'DiagnosticReport',
        id,
        status: 'preliminary',
        code: coding('http://loinc.org', '24558-9'),
        subject: { reference: `Patient/${patient}` },
        imagingStudy: [{ reference: `ImagingStudy/${id}` }],
        result: [{ reference: `Observation/${id}` }],
        ...(basedOn === '' ? {} : { basedOn: [{ reference: `ServiceRequest/${basedOn}` }] }),
      },
    );
  /** The step itself: what it stores about the report from now on. */
  const tell = async (id: string): Promise<string[]> => {
    const before = (await stored(id)).length;
    const result = await world.step.run({
      diagnosticReportId: id,
      versionId: 0,
      patientId: 'p',
      ...(before > 0 ? { ifMisplaced: true as const } : {}),
    });
    if ('write' in result && result.write)
      await world.database.transaction(async (tx) => void (await result.write?.(tx)));
    return (await stored(id)).slice(before);
  };
  const stored = async (id: string) =>
    (
      await world.database.run<{ raw: Buffer }>(
        { text: 'SELECT raw FROM hl7_outbound WHERE report_id = $1 ORDER BY message_time' },
        [id],
      )
    ).map(({ raw }) => builtText(raw));
  const dryRun = async (id: string, access: AccessContext = FULL_ACCESS) => {
    const operation = operations.find('instance', 'DiagnosticReport', '$oru');
    const answer = await operation!.run({
      ...{ id, type: 'DiagnosticReport', body: null, headers: {}, access },
      query: new URLSearchParams({ destination: world.destinations.all[0]!.name }),
    });
    const { parameter = [] } = answer.resource as Parameters;
    const text = (name: string) => parameter.find((one) => one.name === name)?.valueString ?? null;
    return { takeBack: text('takeBack'), message: text('message') };
  };
  /** Lines without the times and the number of the message. */
  const lasting = (text: string | null | undefined): string[] =>
    (text ?? '')
      .split(/[\r\n]/)
      .filter((line) => line !== '')
      .map((line) => {
        const fields = line.split('|');
        for (const n of { MSH: [6, 9], OBR: [22] }[fields[0] ?? ''] ?? []) fields[n] = '';
        return fields.join('|');
      });

  it.each([
    ['another accession number', 'a', () => world.write(study('a', 'A2')), 'OBR', 18, 'A1'],
    ['another placer number', 'b', () => report('b', { basedOn: 'two' }), 'OBR', 2, 'P1'],
    [
      'another patient',
      'c',
      () => report('c', { patient: 'q', basedOn: 'one' }),
      'PID',
      3,
      'MRN-p^^^&1.2&ISO',
    ],
  ])(
    'shows of %s what the step sends: first what takes the last one back, then the result as new',
    async (_, id, change, segment, field, before) => {
      await world.write(study(id, 'A1'), order('one', 'P1'), order('two', 'P2'));
      await report(id, { basedOn: 'one' });
      await tell(id);
      expect((await dryRun(id)).takeBack).toBeNull();
      await change();
      // Both letters, as the profile is changed; the last of them is that with which the step then runs.
      for (const wrongPatientStatus of ['X', 'C'] as const) {
        await world.write(profile({ wrongPatientStatus }));
        const fields = new Map(
          (await dryRun(id)).takeBack?.split('\n').map((line) => [line.slice(0, 3), line.split('|')]),
        );
        expect(fields.get(segment)?.[field]).toBe(before);
        expect(fields.get('OBR')?.[25]).toBe(wrongPatientStatus);
      }
      const shown = await dryRun(id);
      const [taken, told] = await tell(id);
      expect(lasting(shown.takeBack)).toEqual(lasting(taken));
      expect(lasting(shown.message)).toEqual(lasting(told));
      // What was taken back is not shown a second time.
      expect((await dryRun(id)).takeBack).toBeNull();
    },
  );

  it('tells one who may not see the order nothing wrong: a number that he does not see is there all the same', async () => {
    await world.write(study('d', 'A1'), order('one', 'P1'));
    await report('d', { basedOn: 'one' });
    await tell('d');
    const withoutOrders: AccessContext = {
      allows: (type) => type !== 'ServiceRequest',
      condition: (type) => (type === 'ServiceRequest' ? 'FALSE' : null),
    };
    const { takeBack, message } = await dryRun('d', withoutOrders);
    expect([takeBack, message?.includes('P1')]).toEqual([null, false]);
  });

  it('is taken back by the step also where the record of today makes no message', async () => {
    await world.write(study('e', 'A1'), order('one', 'P1'), order('two', 'P2'));
    await report('e', { basedOn: 'one' });
    await tell('e');
    await world.write({ resourceType: 'Patient', id: 'p' });
    await report('e', { basedOn: 'two' });
    const [taken, unmade] = await tell('e');
    const fieldOf = (text: string | undefined, n: number) =>
      text
        ?.split('\r')
        .find((line) => line.startsWith('OBR|'))
        ?.split('|')[n];
    expect([fieldOf(taken, 2), fieldOf(taken, 25), unmade]).toEqual(['P1', 'C', '']);
  });
});
