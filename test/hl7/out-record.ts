import type {
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  Observation,
  Patient,
  ServiceRequest,
} from '@medplum/fhirtypes';
import type { OruInput } from '../../src/steps/ris/oru-input.ts';

const SYSTEM = 'https://prelim.example/fhir';
const type = (code: string) => ({ coding: [{ code }] });
const ours = (code: string, display: string) => ({
  coding: [{ system: `${SYSTEM}/CodeSystem/finding`, code, display }],
});

/** A record of our own making, with everything a message can hold: it is the cause of the golden messages. */
export const PATIENT: Patient & { id: string } = {
  resourceType: 'Patient',
  id: 'golden-patient',
  identifier: [
    { type: type('MR'), system: `${SYSTEM}/NamingSystem/hl7v2/patient/HOSP`, value: 'MRN100' },
    { type: type('PI'), system: 'urn:oid:1.2.3', value: '77', assigner: { display: 'CLINIC' } },
  ],
  name: [{ use: 'official', family: 'MÜLLER & DOE', given: ['ŁUCJA', 'Q'] }],
  birthDate: '1965-02-14',
  gender: 'female',
};
export const ENCOUNTER: Encounter & { id: string } = {
  resourceType: 'Encounter',
  id: 'golden-encounter',
  status: 'in-progress',
  class: { code: 'EMER' },
  identifier: [{ type: type('VN'), system: `${SYSTEM}/NamingSystem/hl7v2/visit/HOSP`, value: 'V0009988' }],
};
export const ORDER: ServiceRequest & { id: string } = {
  resourceType: 'ServiceRequest',
  id: 'golden-order',
  status: 'active',
  intent: 'order',
  subject: { reference: 'Patient/golden-patient' },
  identifier: [
    { type: type('PLAC'), system: `${SYSTEM}/NamingSystem/hl7v2/placer/OE`, value: 'ORD7788' },
    { type: type('FILL'), system: `${SYSTEM}/NamingSystem/hl7v2/filler/RIS`, value: 'F1' },
    { type: type('ACSN'), system: `${SYSTEM}/NamingSystem/accession`, value: 'ACC0012345' },
    { system: `${SYSTEM}/NamingSystem/requested-procedure`, value: 'RP0001' },
    { system: `${SYSTEM}/NamingSystem/scheduled-procedure-step`, value: 'SPS0001' },
  ],
  code: { coding: [{ system: 'http://loinc.org', code: '36643-5', display: 'XR Chest 2 Views' }] },
  reasonCode: [{ coding: [{ system: 'http://hl7.org/fhir/sid/icd-10', code: 'R05', display: 'Cough' }] }],
};
export const STUDY: ImagingStudy & { id: string } = {
  resourceType: 'ImagingStudy',
  id: 'golden-study',
  status: 'available',
  subject: { reference: 'Patient/golden-patient' },
  started: '2026-01-15T09:30:00Z',
  modality: [{ code: 'DX' }],
  identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.840.99999.1.2.3' }],
};
export const NODULE: Observation & { id: string } = {
  resourceType: 'Observation',
  id: 'nodule',
  status: 'preliminary',
  code: {
    coding: [
      ...ours('lung-nodule', 'Lung nodule').coding,
      { system: 'http://radlex.org', code: 'RID50149', display: 'pulmonary nodule' },
    ],
    text: 'Lung nodule',
  },
  valueCodeableConcept: {
    coding: [{ system: 'http://snomed.info/sct', code: '52101004', display: 'Present' }],
  },
  interpretation: [{ coding: [{ code: 'AA' }] }],
  effectiveDateTime: '2026-01-15T09:30:00Z',
  component: [
    { code: ours('score', 'Score'), valueQuantity: { value: 0.87, code: '1' } },
    { code: ours('threshold', 'Threshold'), valueQuantity: { value: 0.5, code: '1' } },
  ],
};
export const DIAMETER: Observation & { id: string } = {
  resourceType: 'Observation',
  id: 'diameter',
  status: 'preliminary',
  code: { ...ours('diameter', 'Largest diameter'), text: 'Largest diameter' },
  valueQuantity: { value: 6.2, code: 'mm', comparator: '>' },
  effectiveDateTime: '2026-01-15T09:30:00Z',
};
export const COMMENT: Observation & { id: string } = {
  resourceType: 'Observation',
  id: 'comment',
  status: 'preliminary',
  code: { ...ours('side', 'Side'), text: 'Side' },
  valueString: 'left | upper',
};
export const REPORT: DiagnosticReport & { id: string } = {
  resourceType: 'DiagnosticReport',
  id: 'golden-report',
  status: 'preliminary',
  code: { coding: [{ system: 'http://loinc.org', code: '24558-9', display: 'AI chest x-ray' }] },
  identifier: [{ system: `${SYSTEM}/NamingSystem/filler`, value: 'AI0001' }],
  subject: { reference: 'Patient/golden-patient' },
  issued: '2026-01-15T10:15:00Z',
  conclusion: 'Preliminary AI result. Not reviewed by a radiologist. Present: Lung nodule.',
  presentedForm: [
    { contentType: 'application/pdf', data: 'JVBERi0xLjQK' },
    { contentType: 'text/html', url: 'https://viewer.example/report/1' },
    { contentType: 'text/plain', data: Buffer.from('LEFT LUNG:\nA nodule.').toString('base64') },
  ],
};

export const RECORD: Pick<
  OruInput,
  'report' | 'observations' | 'patient' | 'encounter' | 'serviceRequest' | 'imagingStudy' | 'device'
> = {
  report: REPORT,
  observations: [NODULE, DIAMETER, COMMENT],
  patient: PATIENT,
  encounter: ENCOUNTER,
  serviceRequest: ORDER,
  imagingStudy: STUDY,
  device: {
    resourceType: 'Device',
    id: 'golden-device',
    identifier: [{ system: `${SYSTEM}/NamingSystem/model`, value: 'cxr-net@2.1.0' }],
    deviceName: [{ name: 'CXR-NET', type: 'user-friendly-name' }],
    version: [{ value: '2.1.0' }],
  },
};
