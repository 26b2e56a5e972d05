import type { Json } from './fhir-server.ts';

/** Small valid resources. Names and codes are invented or HL7's own. */
export const patient = (more: Json = {}): Json => ({
  resourceType: 'Patient',
  name: [{ family: 'Quarz', given: ['Ilva'] }],
  gender: 'female',
  birthDate: '1961-04-12',
  ...more,
});

export const code = (value = '8867-4', system = 'http://loinc.org'): Json => ({
  coding: [{ system, code: value }],
});

export const observation = (more: Json = {}): Json => ({
  resourceType: 'Observation',
  status: 'final',
  code: code(),
  ...more,
});

export const report = (more: Json = {}): Json => ({
  resourceType: 'DiagnosticReport',
  status: 'preliminary',
  code: code('18748-4'),
  ...more,
});

export const parameters = (...parameter: Json[]): Json => ({ resourceType: 'Parameters', parameter });
