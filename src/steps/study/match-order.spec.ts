import type { Patient, ServiceRequest } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { matchOrder, type StudyKeys } from './match-order.ts';

const SYSTEM = 'https://prelim.example/fhir/NamingSystem';
const study: StudyKeys = {
  studyInstanceUid: '1.2.3',
  accession: { system: `${SYSTEM}/accession`, value: 'A1' },
  patientIds: [{ value: 'MRN1' }],
  birthDate: '1960-01-01',
  gender: 'female',
};
const order = (id = 'o1'): ServiceRequest => ({
  resourceType: 'ServiceRequest',
  id,
  status: 'active',
  intent: 'order',
  subject: { reference: 'Patient/p1' },
  identifier: [{ system: `${SYSTEM}/accession`, value: 'A1' }],
});
const patient = (more: Partial<Patient>): Patient => ({
  resourceType: 'Patient',
  id: 'p1',
  identifier: [{ system: `${SYSTEM}/hl7v2/patient/HOSP`, value: 'MRN1' }],
  ...more,
});
const match = (person: Partial<Patient>, keys: Partial<StudyKeys> = {}) => {
  const result = matchOrder({ ...study, ...keys }, [{ order: order(), patient: patient(person) }]);
  return result.kind === 'matched' ? 'matched' : result.reason;
};

describe('Whose order it is, beside the numbers', () => {
  it.each<[string, Partial<Patient>, Partial<StudyKeys>]>([
    ['birth date and sex agree', { birthDate: '1960-01-01', gender: 'female' }, {}],
    ['the order names neither', {}, {}],
    [
      'the images name neither',
      { birthDate: '1960-01-01', gender: 'male' },
      { birthDate: null, gender: null },
    ],
    ['one side knows the year only', { birthDate: '1960' }, {}],
    ['one side knows the month only', { birthDate: '1960-01-01' }, { birthDate: '1960-01' }],
    ['one side says other, which contradicts neither', { gender: 'other' }, {}],
    ['one side says unknown', { gender: 'unknown' }, {}],
  ])('matches when %s', (_what, person, keys) => {
    expect(match(person, keys)).toBe('matched');
  });

  it.each<[string, Partial<Patient>, Partial<StudyKeys>]>([
    ['another birth date', { birthDate: '1960-01-02' }, {}],
    ['another year, where only that is known', { birthDate: '1961' }, {}],
    ['another month', { birthDate: '1960-02-01' }, { birthDate: '1960-01' }],
    ['M against F', { gender: 'male' }, {}],
    [
      'F against M, with the right birth date',
      { birthDate: '1960-01-01', gender: 'female' },
      { gender: 'male' },
    ],
  ])('does not match %s: it is another patient', (_what, person, keys) => {
    expect(match(person, keys)).toBe('other-patient');
  });

  it('does not use a birth date to choose between two orders that the numbers both name', () => {
    const candidates = [
      { order: order('o1'), patient: patient({ birthDate: '1960-01-01' }) },
      { order: order('o2'), patient: patient({ birthDate: '1999-09-09' }) },
    ];
    expect(matchOrder(study, candidates)).toEqual({ kind: 'unmatched', reason: 'several-orders' });
  });
});
