import type { Task } from '@medplum/fhirtypes';
import { describe, expect, test } from 'vitest';
import { rejectedTask } from '../../governance/analysis-task.ts';
import { EARLIER_WITHDRAWN } from '../../governance/refuse-analysis.ts';
import { ageAt } from './age-at.ts';
import { observationToFinding } from './observation-to-finding.ts';
import { noticesOf } from './page/say-row.ts';
import { FIELD_CHARS_MAX, shorten } from './shorten.ts';
import { type AnalysisRecord, idOf, taskToRow } from './task-to-row.ts';
import { noteToVerdict, statusReasonToVerdicts } from './verdict-text.ts';

const TASK: Task = {
  resourceType: 'Task',
  id: 't1',
  status: 'requested',
  intent: 'order',
  authoredOn: '2026-03-01T08:00:00Z',
};
const EMPTY: AnalysisRecord = {
  task: TASK,
  patient: null,
  study: null,
  order: null,
  report: null,
  observations: [],
  media: null,
};

describe('FHIR record to row', () => {
  test('a Task alone makes a row that says what is missing instead of failing', () => {
    expect(taskToRow(EMPTY)).toMatchObject({
      id: 't1',
      status: 'waiting',
      patient: { id: null, name: null, mrn: null, age: null },
      exam: { description: null, since: '2026-03-01T08:00:00Z' },
      order: { matched: false, accession: null },
      report: null,
      picture: null,
      model: null,
    });
  });

  test.each([
    ['requested', undefined, 'waiting'],
    ['in-progress', undefined, 'running'],
    ['completed', 'preliminary', 'preliminary'],
    ['completed', 'final', 'reviewed'],
    ['completed', 'amended', 'reviewed'],
    ['completed', 'entered-in-error', 'retracted'],
    ['rejected', undefined, 'refused'],
    ['failed', undefined, 'failed'],
    ['cancelled', undefined, 'retracted'],
    // The report is not there (or not visible): nothing must look like a result.
    ['completed', undefined, 'running'],
  ] as const)('a Task that is %s with a report that is %s is shown as %s', (status, report, shown) => {
    const record = {
      ...EMPTY,
      task: { ...TASK, status },
      report: report
        ? { resourceType: 'DiagnosticReport' as const, id: 'r', status: report, code: {} }
        : null,
    };
    expect(taskToRow(record).status).toBe(shown);
  });

  test('what the gate writes into a Task comes back rule by rule', () => {
    const task = rejectedTask(
      { ...TASK, id: 't1' },
      [
        { rule: 'body-part', observed: 'HAND; left', required: 'CHEST' },
        { rule: 'view', observed: 'LATERAL', required: 'PA or AP' },
      ],
      new Date(),
    );
    expect(taskToRow({ ...EMPTY, task }).refusals).toMatchObject([
      { rule: 'body-part', observed: 'HAND; left', required: 'CHEST' },
      { rule: 'view', observed: 'LATERAL', required: 'PA or AP' },
    ]);
  });

  test('a refusal after a result that was withdrawn is a refusal, and says that there was one; a study that the PACS has no more is said to be gone', () => {
    const reference = { reference: 'DiagnosticReport/r' };
    const verdict = { rule: 'gaps', observed: 'a gap', required: 'none' };
    const task = rejectedTask({ ...TASK, id: 't1' }, [verdict], new Date(), {
      reference,
      text: EARLIER_WITHDRAWN,
    });
    const report = { resourceType: 'DiagnosticReport', id: 'r', status: 'cancelled', code: {} } as const;
    const study = { resourceType: 'ImagingStudy', status: 'registered', subject: {} } as const;
    const row = taskToRow({ ...EMPTY, task, report, study });
    expect(row).toMatchObject({ status: 'refused', refusals: [{ rule: 'gaps' }] });
    expect(noticesOf(row)).toEqual([
      'The PACS has this study no more. Check whether its result still holds.',
      EARLIER_WITHDRAWN,
    ]);
  });

  test('a withdrawn Observation is not shown', () => {
    const observation = {
      resourceType: 'Observation',
      status: 'entered-in-error',
      code: { text: 'Mass' },
    } as const;
    expect(taskToRow({ ...EMPTY, observations: [observation] }).findings).toEqual([]);
  });

  test('only a reference of the right type and shape names a resource', () => {
    expect(idOf('Patient', 'Patient/7')).toBe('7');
    expect(idOf('Patient', 'Patient/7/_history/2')).toBe('7');
    for (const wrong of [
      'Device/7',
      'Patient/7/../8',
      'https://other.example/Patient/7',
      '#p',
      'Patient/',
      undefined,
    ]) {
      expect(idOf('Patient', wrong)).toBeNull();
    }
  });
});

describe('Observation to finding', () => {
  test('a Hounsfield unit is written as people write it, and a bare 1 is no unit', () => {
    const unitOf = (code: string) =>
      observationToFinding({
        resourceType: 'Observation',
        status: 'preliminary',
        code: {},
        valueQuantity: { value: 1, unit: code, code },
      }).unit;
    expect(unitOf("[hnsf'U]")).toBe('HU');
    expect(unitOf('1')).toBeNull();
    expect(unitOf('%')).toBe('%');
  });

  test('a presence in another code system than SNOMED CT is no presence', () => {
    const finding = observationToFinding({
      resourceType: 'Observation',
      status: 'preliminary',
      code: {},
      valueCodeableConcept: { coding: [{ system: 'http://other.example', code: '52101004' }] },
    });
    expect(finding).toMatchObject({ presence: null, label: 'Finding without a name' });
  });

  test('"none" is told apart from "not mapped", and a broader code is called broader', () => {
    const finding = observationToFinding({
      resourceType: 'Observation',
      status: 'preliminary',
      code: {
        extension: [
          {
            url: 'https://prelim.example/fhir/StructureDefinition/no-matching-code',
            valueUri: 'http://radlex.org',
          },
        ],
        coding: [
          {
            extension: [
              { url: 'https://prelim.example/fhir/StructureDefinition/match-grade', valueCode: 'broader' },
            ],
            system: 'http://snomed.info/sct',
            code: '1',
          },
        ],
      },
    });
    expect(finding.codes.map((code) => code.match)).toEqual(['broader', 'none']);
    const bare = observationToFinding({
      resourceType: 'Observation',
      status: 'preliminary',
      code: { text: 'x' },
    });
    expect(bare.codes.map((code) => code.match)).toEqual(['not mapped', 'not mapped']);
  });
});

describe('texts of a verdict', () => {
  test('a sentence in another shape is shown whole', () => {
    expect(noteToVerdict({ text: 'The series is short.' })).toEqual({
      rule: null,
      observed: null,
      required: null,
      text: 'The series is short.',
    });
    expect(statusReasonToVerdicts(undefined)).toEqual([]);
  });

  test('a very long text without the words it looks for costs no time', () => {
    const start = performance.now();
    noteToVerdict({ text: 'observed '.repeat(100_000) });
    noteToVerdict({ text: `a${'-a'.repeat(100_000)}` });
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe('texts and ages', () => {
  test('a field is cut at its limit without breaking a letter, and control characters are gone', () => {
    const cut = shorten('😀'.repeat(FIELD_CHARS_MAX + 5)) ?? '';
    expect([...cut]).toHaveLength(FIELD_CHARS_MAX);
    expect(cut.endsWith('😀…')).toBe(true);
    expect(shorten('a\u0000\nb')).toBe('a b');
    expect(shorten(' \t ')).toBeNull();
  });

  test.each([
    ['1960-05-17', '2026-05-16T08:00:00Z', '65 y'],
    ['1960-05-17', '2026-05-17T08:00:00Z', '66 y'],
    ['1960', '2026-05-17', '66 y'],
    ['2025-10-01', '2026-05-17', '7 mo'],
    ['2024-06-01', '2026-05-17', '23 mo'],
    ['2026-05-05', '2026-05-17', '12 d'],
    ['2026-05-18', '2026-05-17', null],
    ['unknown', '2026-05-17', null],
    [undefined, '2026-05-17', null],
  ])('born %s, seen %s: %s', (birthDate, time, age) => {
    expect(ageAt(birthDate, time)).toBe(age);
  });
});
