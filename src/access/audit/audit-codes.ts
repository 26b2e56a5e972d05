import type { Coding } from '@medplum/fhirtypes';

const DCM = 'http://dicom.nema.org/resources/ontology/DCM';
const REST = 'http://terminology.hl7.org/CodeSystem/audit-event-type';
const RESTFUL = 'http://hl7.org/fhir/restful-interaction';
const OWN = 'https://prelim.example/fhir/CodeSystem/audit-interaction';

const dcm = (code: string, display: string): Coding => ({ system: DCM, code, display });

/** AuditEvent.type (R4 valueset-audit-event-type; DICOM PS3.16 CID 400). */
const TYPES: Readonly<Record<string, Coding>> = {
  rest: { system: REST, code: 'rest', display: 'RESTful Operation' },
  dicomweb: dcm('110104', 'DICOM Instances Transferred'),
  page: dcm('110110', 'Patient Record'),
  'sign-in': dcm('110114', 'User Authentication'),
  'break-glass': dcm('110113', 'Security Alert'),
  hook: dcm('110106', 'Export'),
  inference: dcm('110103', 'DICOM Instances Accessed'),
  message: dcm('110107', 'Import'),
  operator: dcm('110113', 'Security Alert'),
  chain: dcm('110101', 'Audit Log Used'),
};

/** Beside our own word, where DICOM has one (PS3.16 CID 401, 402). */
const SUBTYPES: Readonly<Record<string, Coding>> = {
  start: dcm('110120', 'Application Start'),
  stop: dcm('110121', 'Application Stop'),
  token: dcm('110122', 'Login'),
  login: dcm('110122', 'Login'),
  logout: dcm('110123', 'Logout'),
  '$break-glass': dcm('110127', 'Emergency Override Started'),
};

const RESTFUL_CODES: ReadonlySet<string> = new Set([
  ...['read', 'vread', 'update', 'patch', 'delete', 'create', 'transaction', 'batch'],
  ...['history-instance', 'history-type', 'history-system', 'search-type', 'search-system'],
]);

export const typeOf = (kind: string): Coding => TYPES[kind] ?? (TYPES['rest'] as Coding);

export function subtypesOf(interaction: string): Coding[] {
  const own: Coding = { system: RESTFUL_CODES.has(interaction) ? RESTFUL : OWN, code: interaction };
  const known = SUBTYPES[interaction];
  return known ? [known, own] : [own];
}

/** Kinds that a code of AuditEvent.type stands for. */
export const kindsOfType = (code: string): string[] =>
  Object.entries(TYPES).flatMap(([kind, coding]) => (coding.code === code ? [kind] : []));

export function interactionsOfSubtype(code: string): string[] {
  return [
    code,
    ...Object.entries(SUBTYPES).flatMap(([word, coding]) => (coding.code === code ? [word] : [])),
  ];
}
