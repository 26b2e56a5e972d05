import type { ImagingStudy, Patient, Resource, ServiceRequest } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { LOOK_INTERVAL_MS, QUIET_MS, studyWorld } from '../../../test/study-world.ts';
import type { StudySource } from '../../dicom/study-source.ts';
import { validateResource } from '../../fhir/validate/validate-resource.ts';
import { Failure } from '../../kernel/errors.ts';
import { imagingStudyId } from './metadata-to-imaging-study.ts';

const HOSP = 'https://prelim.example/fhir/NamingSystem/hl7v2/patient/HOSP';
const ACCESSION = {
  type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'ACSN' }] },
  system: 'https://prelim.example/fhir/NamingSystem/accession',
};

const world = studyWorld();
const { step, send, runToEnd } = world;

async function read<T extends Resource>(type: string, id: string): Promise<T> {
  const stored = await world.store.read(type, id);
  if (stored === null) throw new Error(`no ${type}`);
  validateResource(stored.parse());
  return stored.parse<T>();
}

const studyOf = (uid: string) => read<ImagingStudy>('ImagingStudy', imagingStudyId(uid));
const tagsOf = (study: ImagingStudy) => study.meta?.tag?.map((tag) => tag.code) ?? [];
const put = (...resources: (Resource & { id: string })[]) =>
  world.database.transaction((tx) =>
    world.store.write(
      tx,
      resources.map((resource) => ({ kind: 'update', resource })),
    ),
  );

async function order(id: string, accession: string, mrn: string, more: Partial<ServiceRequest> = {}) {
  const patient: Patient & { id: string } = {
    resourceType: 'Patient',
    id: `p-${id}`,
    identifier: [{ system: HOSP, value: mrn }],
    birthDate: '1960-01-01',
    gender: 'female',
  };
  const request: ServiceRequest & { id: string } = {
    resourceType: 'ServiceRequest',
    id,
    status: 'active',
    intent: 'order',
    subject: { reference: `Patient/p-${id}` },
    encounter: { reference: 'Encounter/e1' },
    identifier: [{ ...ACCESSION, value: accession }],
    ...more,
  };
  await put(patient, request);
}

describe('study step', () => {
  it('waits until the count stood still over two looks and the quiet time, then hands on', async () => {
    await send('2.1', 2);
    const first = await step().run({ studyInstanceUid: '2.1' });
    expect(first).toMatchObject({ kind: 'later', afterMs: LOOK_INTERVAL_MS });
    world.now += LOOK_INTERVAL_MS;
    await send('2.1', 3);
    const grown = world.now;
    const result = await runToEnd('2.1');
    expect(world.now - grown).toBe(QUIET_MS);
    expect(result).toMatchObject({
      kind: 'done',
      next: { imagingStudyId: imagingStudyId('2.1'), studyInstanceUid: '2.1' },
    });
    const study = await studyOf('2.1');
    expect(study).toMatchObject({ status: 'available', numberOfInstances: 3, numberOfSeries: 1 });
    const endpoint = await read('Endpoint', study.endpoint![0]!.reference!.split('/')[1]!);
    expect(endpoint).toMatchObject({
      address: expect.stringMatching(/\/dicomweb$/),
      connectionType: { code: 'dicom-wado-rs' },
    });
  });

  it('waits as long as its instances are still being sent, however long the count stands still', async () => {
    await send('2.31', 2);
    let growing = true;
    const archive = world.source;
    const slow = Object.assign(Object.create(archive) as StudySource, { isGrowing: () => growing });
    for (let looks = 0; looks < 4; looks += 1) {
      expect(await step(slow).run({ studyInstanceUid: '2.31' })).toMatchObject({ kind: 'later' });
      world.now += QUIET_MS;
    }
    growing = false;
    expect(await runToEnd('2.31', slow)).toMatchObject({ kind: 'done' });
  });

  it('skips a study that did not change, and opens it again for a late series', async () => {
    expect(await runToEnd('2.1')).toMatchObject({ kind: 'skipped' });
    await send('2.1', 2, [], '2');
    expect(await runToEnd('2.1')).toMatchObject({ kind: 'done' });
    const study = await studyOf('2.1');
    expect(study.meta?.versionId).toBe('2');
    expect(study.series?.map((series) => [series.number, series.numberOfInstances])).toEqual([
      [1, 3],
      [2, 2],
    ]);
  });

  it('writes nothing new when it runs twice for the same study', async () => {
    await send('2.2', 1);
    await step().run({ studyInstanceUid: '2.2' });
    world.now += QUIET_MS;
    const [a, b] = [
      await step().run({ studyInstanceUid: '2.2' }),
      await step().run({ studyInstanceUid: '2.2' }),
    ];
    for (const result of [a, b]) {
      if (result.kind !== 'done') throw new Error(`ended as ${result.kind}`);
      await world.database.transaction(async (tx) => void (await result.write?.(tx)));
    }
    expect((await studyOf('2.2')).meta?.versionId).toBe('1');
  });

  it('skips a study that is not there', async () => {
    expect(await runToEnd('2.404')).toMatchObject({ kind: 'skipped' });
  });

  it('knows of a study that is gone whose it was, so that another patient in its place is a correction', async () => {
    await send('2.90', 1);
    await runToEnd('2.90');
    await world.watches.keepIdentities([['2.90', 'one']]);
    const empty = Object.assign(Object.create(world.source), { countInstances: async () => 0 });
    expect(await runToEnd('2.90', empty)).toMatchObject({ kind: 'skipped' });
    expect((await studyOf('2.90')).status).toBe('registered');
    expect(await world.watches.read('2.90')).toMatchObject({ completedCount: 0, listedIdentity: 'one' });
  });

  it('links the order with the accession number, when the patient is the same', async () => {
    await order('o1', 'ACC1', 'MRN1');
    await send('2.3', 1, [
      ['00080050', 'SH', 'ACC1'],
      ['00100020', 'LO', 'MRN1'],
      ['00100021', 'LO', 'HOSP'],
    ]);
    await runToEnd('2.3');
    const study = await studyOf('2.3');
    expect(study).toMatchObject({
      basedOn: [{ reference: 'ServiceRequest/o1' }],
      subject: { reference: 'Patient/p-o1' },
      encounter: { reference: 'Encounter/e1' },
    });
    expect(tagsOf(study)).toEqual([]);
  });

  it('links the order that names the Study Instance UID, also without an accession number', async () => {
    await order('o2', 'ELSE', 'MRN2', { identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:2.4' }] });
    await send('2.4', 1, [['00100020', 'LO', 'MRN2']]);
    await runToEnd('2.4');
    expect((await studyOf('2.4')).basedOn).toEqual([{ reference: 'ServiceRequest/o2' }]);
  });

  it.each([
    ['no accession number', '2.10', [['00100020', 'LO', 'MRN10']], 'no-accession-number'],
    [
      'an accession number that no order has',
      '2.11',
      [
        ['00080050', 'SH', 'NONE'],
        ['00100020', 'LO', 'MRN11'],
      ],
      'no-order',
    ],
    [
      'the accession number of another patient',
      '2.12',
      [
        ['00080050', 'SH', 'ACC1'],
        ['00100020', 'LO', 'OTHER'],
      ],
      'other-patient',
    ],
    [
      'the same number from another hospital',
      '2.13',
      [
        ['00080050', 'SH', 'ACC1'],
        ['00100020', 'LO', 'MRN1'],
        ['00100021', 'LO', 'ELSEWHERE'],
      ],
      'other-patient',
    ],
    ['no patient id', '2.14', [['00080050', 'SH', 'ACC1']], 'no-patient-id'],
    [
      'the right numbers and another birth date',
      '2.140',
      [
        ['00080050', 'SH', 'ACC1'],
        ['00100020', 'LO', 'MRN1'],
        ['00100030', 'DA', '19990909'],
      ],
      'other-patient',
    ],
    [
      'the right numbers and the other sex',
      '2.141',
      [
        ['00080050', 'SH', 'ACC1'],
        ['00100020', 'LO', 'MRN1'],
        ['00100040', 'CS', 'M'],
      ],
      'other-patient',
    ],
  ] as [string, string, [string, string, string][], string][])(
    'keeps a study with %s unmatched, with the reason',
    async (_what, uid, elements, reason) => {
      await send(uid, 1, elements);
      expect(await runToEnd(uid)).toMatchObject({ kind: 'done' });
      const study = await studyOf(uid);
      expect(study.basedOn).toBeUndefined();
      expect(tagsOf(study)).toEqual(['unmatched', `unmatched-${reason}`]);
      expect(study.note?.[0]?.text).toMatch(/\.$/);
      expect(study.subject.reference).not.toBe('Patient/p-o1');
      await read('Patient', study.subject.reference!.split('/')[1]!);
    },
  );

  it('keeps a study unmatched when two orders fit or the order was revoked', async () => {
    await order('o5', 'ACC5', 'MRN5');
    await order('o6', 'ACC5', 'MRN5');
    await order('o7', 'ACC7', 'MRN7', { status: 'revoked' });
    await send('2.15', 1, [
      ['00080050', 'SH', 'ACC5'],
      ['00100020', 'LO', 'MRN5'],
    ]);
    await send('2.16', 1, [
      ['00080050', 'SH', 'ACC7'],
      ['00100020', 'LO', 'MRN7'],
    ]);
    await runToEnd('2.15');
    await runToEnd('2.16');
    expect(tagsOf(await studyOf('2.15'))).toContain('unmatched-several-orders');
    expect(tagsOf(await studyOf('2.16'))).toContain('unmatched-order-withdrawn');
  });

  it('does not take a placer number that happens to be the accession number', async () => {
    const placer = {
      type: { coding: [{ system: ACCESSION.type.coding[0]!.system, code: 'PLAC' }] },
      value: 'ACC8',
    };
    await order('o8', 'X', 'MRN8', { identifier: [placer] });
    await send('2.17', 1, [
      ['00080050', 'SH', 'ACC8'],
      ['00100020', 'LO', 'MRN8'],
    ]);
    await runToEnd('2.17');
    expect((await studyOf('2.17')).basedOn).toBeUndefined();
  });

  it('matches an order that came after the study, and takes the marks away', async () => {
    await send('2.18', 1, [
      ['00080050', 'SH', 'ACC9'],
      ['00100020', 'LO', 'MRN9'],
    ]);
    await runToEnd('2.18');
    expect(await runToEnd('2.18')).toMatchObject({ kind: 'skipped' });
    await order('o9', 'ACC9', 'MRN9');
    expect(await runToEnd('2.18')).toMatchObject({ kind: 'done' });
    const study = await studyOf('2.18');
    expect(study).toMatchObject({
      basedOn: [{ reference: 'ServiceRequest/o9' }],
      subject: { reference: 'Patient/p-o9' },
    });
    expect(tagsOf(study)).toEqual([]);
    expect(study.note).toBeUndefined();
    expect(await runToEnd('2.18')).toMatchObject({ kind: 'skipped' });
  });

  it('never undoes what a person linked, and takes the patient who took over after a merge', async () => {
    await send('2.19', 1, [
      ['00080050', 'SH', 'BYHAND'],
      ['00100020', 'LO', 'MRN20'],
    ]);
    await runToEnd('2.19');
    const study = await studyOf('2.19');
    await put({
      ...study,
      id: study.id!,
      basedOn: [{ reference: 'ServiceRequest/o1' }],
      subject: { reference: 'Patient/p-o1' },
    });
    await send(
      '2.19',
      2,
      [
        ['00080050', 'SH', 'BYHAND'],
        ['00100020', 'LO', 'MRN20'],
      ],
      '2',
    );
    await runToEnd('2.19');
    expect(await studyOf('2.19')).toMatchObject({
      basedOn: [{ reference: 'ServiceRequest/o1' }],
      subject: { reference: 'Patient/p-o1' },
      numberOfInstances: 3,
    });

    await order('o21', 'ACC21', 'OLD21');
    const survivor = {
      resourceType: 'Patient' as const,
      id: 'p-new',
      identifier: [
        { system: HOSP, value: 'NEW21' },
        { use: 'old' as const, system: HOSP, value: 'OLD21' },
      ],
    };
    await put(survivor, {
      resourceType: 'Patient',
      id: 'p-o21',
      active: false,
      link: [{ type: 'replaced-by', other: { reference: 'Patient/p-new' } }],
    });
    await send('2.21', 1, [
      ['00080050', 'SH', 'ACC21'],
      ['00100020', 'LO', 'OLD21'],
    ]);
    await runToEnd('2.21');
    expect((await studyOf('2.21')).subject.reference).toBe('Patient/p-new');
  });

  it('never puts two persons into one Patient because their numbers are the same', async () => {
    for (const [uid, name] of [
      ['2.22', 'A'],
      ['2.23', 'B'],
      ['2.24', 'A'],
    ] as const) {
      await send(uid, 1, [
        ['00100020', 'LO', 'ANON'],
        ['00100010', 'PN', name],
      ]);
      await runToEnd(uid);
    }
    const [a, b, again] = await Promise.all(
      ['2.22', '2.23', '2.24'].map(async (uid) => (await studyOf(uid)).subject.reference),
    );
    expect(a).not.toBe(b);
    expect(a).toBe(again);
  });

  it('gives up a study whose instances name different patients, and writes nothing', async () => {
    await send('2.25', 1, [['00100020', 'LO', 'ONE']]);
    await send('2.25', 1, [['00100020', 'LO', 'TWO']], '2');
    expect(await runToEnd('2.25')).toMatchObject({ kind: 'given-up' });
    expect(await world.store.read('ImagingStudy', imagingStudyId('2.25'))).toBeNull();
  });

  it('looks again when the PACS is away, and fails when it hides instances', async () => {
    const own = world.source;
    const away: StudySource = {
      ...own,
      endpoint: own.endpoint,
      countInstances: () => Promise.reject(new Failure('dicomweb.unreachable', 'away')),
    } as never;
    expect(await step(away).run({ studyInstanceUid: '2.2' })).toMatchObject({ kind: 'later' });
    await send('2.26', 3);
    const hiding = {
      endpoint: own.endpoint,
      countInstances: (uid: string) => own.countInstances(uid),
      metadata: async (uid: string) => (await own.metadata(uid)).slice(1),
    } as never as StudySource;
    await expect(runToEnd('2.26', hiding)).rejects.toMatchObject({ code: 'dicomweb.incomplete' });
  });
});
