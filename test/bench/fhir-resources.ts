import type { Bundle, DiagnosticReport, ImagingStudy, Observation, Patient } from '@medplum/fhirtypes';

/** The resources of the FHIR benchmark: what an imaging AI writes, of the size that it has. Numbers make them differ, nothing else does. */

const SNOMED = 'http://snomed.info/sct';
const RADLEX = 'http://www.radlex.org';
const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';
const SITE = 'https://bench.example.org';
const START_MS = Date.UTC(2026, 2, 2, 6);
const MINUTE_MS = 60_000;

/** Codes of findings on a chest radiograph: SNOMED CT, RadLex, text. */
export const CODES = [
  ['60046008', 'RID34539', 'Pleural effusion'],
  ['36118008', 'RID5352', 'Pneumothorax'],
  ['233604007', 'RID5350', 'Pneumonia'],
  ['46621007', 'RID28493', 'Atelectasis'],
  ['8186001', 'RID35057', 'Cardiomegaly'],
  ['95436008', 'RID43255', 'Consolidation'],
  ['19242006', 'RID4866', 'Pulmonary edema'],
  ['427359005', 'RID50149', 'Solitary nodule of lung'],
  ['33737001', 'RID4747', 'Fracture of rib'],
  ['87433001', 'RID4799', 'Emphysema'],
] as const;

export const snomedOf = (n: number): string => `${SNOMED}|${CODES[n % CODES.length]?.[0]}`;

export function patientOf(n: number): Patient {
  return {
    resourceType: 'Patient',
    identifier: [{ use: 'usual', system: `${SITE}/mrn`, value: `M${n}` }],
    active: true,
    name: [{ use: 'official', family: `Bench${n % 97}`, given: [`Ada${n}`, 'B'] }],
    telecom: [{ system: 'phone', value: `+49 30 ${1_000_000 + n}`, use: 'home' }],
    gender: n % 2 === 0 ? 'female' : 'male',
    birthDate: `19${40 + (n % 50)}-0${1 + (n % 9)}-1${n % 10}`,
    address: [
      {
        line: [`Hafenweg ${n}`],
        city: 'Teststadt',
        postalCode: String(10_000 + (n % 80_000)),
        country: 'DE',
      },
    ],
  };
}

export function studyOf(n: number, patient: string): ImagingStudy {
  const uid = `1.2.826.0.1.3680043.8.498.77.${n + 1}`;
  const started = at(n);
  return {
    resourceType: 'ImagingStudy',
    identifier: [
      { system: 'urn:dicom:uid', value: `urn:oid:${uid}` },
      { system: `${SITE}/accession`, value: `A${n}` },
    ],
    status: 'available',
    modality: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'DX' }],
    subject: { reference: patient },
    started,
    numberOfSeries: 1,
    numberOfInstances: 2,
    description: 'Chest PA and lateral',
    series: [
      {
        uid: `${uid}.1`,
        number: 1,
        modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'DX' },
        numberOfInstances: 2,
        started,
        instance: [1, 2].map((number) => ({
          uid: `${uid}.1.${number}`,
          sopClass: { system: 'urn:ietf:rfc:3986', code: 'urn:oid:1.2.840.10008.5.1.4.1.1.1.1' },
          number,
        })),
      },
    ],
  };
}

/** One finding: two codes, a probability, a box, what it was derived from; 1.6 kB of JSON. */
export function observationOf(n: number, code: number, patient: string, study: string): Observation {
  const [snomed, radlex, text] = CODES[code % CODES.length] as (typeof CODES)[number];
  const score = ((n * 7_919) % 1_000) / 1_000;
  return {
    resourceType: 'Observation',
    identifier: [{ system: `${SITE}/finding`, value: `F-${n}` }],
    status: 'preliminary',
    category: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/observation-category',
            code: 'imaging',
            display: 'Imaging',
          },
        ],
      },
    ],
    code: {
      coding: [
        { system: SNOMED, code: snomed, display: text },
        { system: RADLEX, code: radlex, display: text.toLowerCase() },
      ],
      text,
    },
    subject: { reference: patient },
    effectiveDateTime: at(n),
    issued: at(n + 1),
    performer: [{ display: 'Chest model 4.1' }],
    valueQuantity: { value: score, unit: 'probability', system: UCUM, code: '1' },
    interpretation: [
      {
        coding: [
          {
            system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation',
            code: score > 0.5 ? 'POS' : 'NEG',
          },
        ],
      },
    ],
    note: [{ text: 'Found by an algorithm; no radiologist has looked at it yet.' }],
    bodySite: { coding: [{ system: SNOMED, code: '39607008', display: 'Lung structure' }] },
    method: { text: 'Neural network' },
    derivedFrom: [{ reference: study }],
    component: [
      {
        code: { coding: [{ system: RADLEX, code: 'RID39481', display: 'box' }], text: 'Bounding box' },
        valueString: `${n % 900},${(n * 3) % 900},120,140`,
      },
      {
        code: { text: 'Threshold' },
        valueQuantity: { value: 0.5, unit: 'probability', system: UCUM, code: '1' },
      },
    ],
  };
}

export function reportOf(
  n: number,
  status: 'preliminary' | 'final',
  patient: string,
  study: string,
  results: readonly string[],
): DiagnosticReport {
  return {
    resourceType: 'DiagnosticReport',
    identifier: [{ system: `${SITE}/report`, value: `R-${n}` }],
    status,
    category: [
      {
        coding: [
          { system: 'http://terminology.hl7.org/CodeSystem/v2-0074', code: 'RAD', display: 'Radiology' },
        ],
      },
    ],
    code: { coding: [{ system: LOINC, code: '36643-5', display: 'XR Chest 2 Views' }], text: 'Chest X-ray' },
    subject: { reference: patient },
    effectiveDateTime: at(n),
    issued: at(n + 2),
    performer: [{ display: 'Imaging AI' }],
    result: results.map((reference) => ({ reference })),
    imagingStudy: [{ reference: study }],
    conclusion:
      'The heart is of normal size. There is a small effusion on the left with some atelectasis beside it; it was not there in the ' +
      'study before. No pneumothorax, no fracture. This text was written by an algorithm and waits for a radiologist, who may ' +
      'change or reject it. A further radiograph in six weeks is proposed if the complaints go on.',
    conclusionCode: [{ coding: [{ system: SNOMED, code: '60046008', display: 'Pleural effusion' }] }],
  };
}

/** A report with eight findings, as one transaction; the entries refer to each other by urn:uuid. */
export function transactionOf(n: number, patient: string, study: string): Bundle {
  const urn = (part: number): string =>
    `urn:uuid:${(n >>> 0).toString(16).padStart(8, '0')}-0000-4000-8000-${part.toString(16).padStart(12, '0')}`;
  const findings = CODES.slice(0, 8).map((_, code) => ({
    fullUrl: urn(code + 1),
    resource: observationOf(n * 8 + code, code, patient, study),
    request: { method: 'POST' as const, url: 'Observation' },
  }));
  const report = reportOf(
    n,
    'final',
    patient,
    study,
    findings.map(({ fullUrl }) => fullUrl),
  );
  return {
    resourceType: 'Bundle',
    type: 'transaction',
    entry: [
      { fullUrl: urn(0), resource: report, request: { method: 'POST', url: 'DiagnosticReport' } },
      ...findings,
    ],
  };
}

const at = (n: number): string => new Date(START_MS + (n % 500_000) * MINUTE_MS).toISOString();
