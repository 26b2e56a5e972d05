import type { ImagingStudy, List, Patient } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import type { PatientStudiesAsked, PatientStudy } from '../../dicom/study-source.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { FindPriorsStep, PATIENT_NUMBERS_MAX, PRIOR_STUDIES_MAX, PRIOR_YEARS_MAX } from './find-priors.ts';

const STUDY = {
  resourceType: 'ImagingStudy',
  id: 'now',
  status: 'available',
  started: '2026-06-01T10:00:00Z',
  modality: [{ code: 'CT' }],
  subject: { reference: 'Patient/p0' },
} as ImagingStudy;

/** Records p0, p1 and so on: all but the first were merged into it. */
const patients = (count: number): Patient[] =>
  Array.from({ length: count }, (_, at) => ({
    resourceType: 'Patient',
    id: `p${at}`,
    birthDate: '1970-01-01',
    identifier: [{ use: 'usual', value: `MRN${at}`, assigner: { display: 'HOSP' } }],
    ...(at > 0
      ? {}
      : {
          link: Array.from({ length: count - 1 }, (_, n) => ({
            type: 'replaces' as const,
            other: { reference: `Patient/p${n + 1}` },
          })),
        }),
  }));

/** Runs the step over what the record and the PACS hold. Gives the questions to the PACS and the list that was written. */
async function run(pacs: readonly PatientStudy[], people: readonly Patient[] = patients(1)) {
  const asked: PatientStudiesAsked[] = [];
  const written: List[] = [];
  const held = new Map([STUDY, ...people].map((one) => [`${one.resourceType}/${one.id}`, one]));
  const store = {
    readMany: async (wanted: readonly { type: string; id: string }[]) =>
      wanted.flatMap(({ type, id }) => {
        const resource = held.get(`${type}/${id}`);
        return resource ? [{ type, id, deleted: false, parse: () => resource }] : [];
      }),
    write: async (_tx: unknown, [write]: readonly { resource: List }[]) =>
      void (write && written.push(write.resource)),
  };
  const source = {
    studiesOfPatient: async (one: PatientStudiesAsked) => {
      asked.push(one);
      return asked.length === 1 ? pacs : [];
    },
  };
  const contexts = { readUnanalysed: async () => [] };
  const clock = { now: () => new Date('2026-06-01T11:00:00Z') };
  const step = new FindPriorsStep(source, store as unknown as ResourceStore, contexts, clock);
  const result = await step.run({ imagingStudyId: 'now' } as never);
  if (result.kind === 'done') await result.write?.({} as never);
  return { asked, listed: written[0]?.entry ?? [] };
}

const studies = (count: number): PatientStudy[] =>
  Array.from({ length: count }, (_, at) => ({
    studyInstanceUid: `1.2.${at}`,
    date: `2025${String(1 + Math.floor(at / 28)).padStart(2, '0')}${String(1 + (at % 28)).padStart(2, '0')}`,
    description: null,
  }));

describe('earlier studies that are not analysed', () => {
  it('are asked for back to a number of years before the study', async () => {
    const { asked } = await run([]);
    expect(asked).toMatchObject([{ from: `${2026 - PRIOR_YEARS_MAX}0601`, to: '20260601', modality: 'CT' }]);
  });

  it('are listed up to a number, the newest', async () => {
    expect((await run(studies(PRIOR_STUDIES_MAX))).listed).toHaveLength(PRIOR_STUDIES_MAX);
    const { listed } = await run(studies(PRIOR_STUDIES_MAX + 1));
    expect(listed).toHaveLength(PRIOR_STUDIES_MAX);
    expect(listed.at(-1)?.item.display).toBe('CT 2025-01-02');
  });

  it('are asked for under so many numbers of the patient at most, the current one first', async () => {
    const numbers = async (records: number) =>
      (await run([], patients(records))).asked.map(({ patientId }) => patientId);
    const all = Array.from({ length: PATIENT_NUMBERS_MAX }, (_, at) => `MRN${at}`);
    expect(await numbers(PATIENT_NUMBERS_MAX)).toEqual(all);
    expect(await numbers(PATIENT_NUMBERS_MAX + 1)).toEqual(all);
  });
});
