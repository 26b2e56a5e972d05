import type { Resource } from '@medplum/fhirtypes';
import { ANALYSIS_CODE } from '../../src/governance/analysis-task.ts';
import { observation, person, VERY_RESTRICTED } from './access-world.ts';

/** Somebody whom nobody but the integrator may see, with a record; and what an attacker asks to learn of them. */
const SYSTEM = 'https://t21.example';
const meta = { security: [VERY_RESTRICTED] };
const subject = { reference: 'Patient/t21-h' };
const identifier = [{ system: SYSTEM, value: 'HIDDEN-1' }];
export const HIDDEN_STUDY = '1.2.826.0.21.1';

export const HIDDEN: readonly Resource[] = [
  { ...person('t21-h', 'HIDDEN'), identifier, meta } as Resource,
  observation('t21-h-o', 't21-h', { identifier, meta }),
  {
    resourceType: 'ServiceRequest',
    id: 't21-h-r',
    status: 'active',
    intent: 'order',
    subject,
    identifier,
    meta,
  },
  {
    resourceType: 'DiagnosticReport',
    id: 't21-h-d',
    status: 'final',
    code: { text: 'x' },
    subject,
    meta,
    result: [{ reference: 'Observation/t21-h-o' }],
  },
  {
    resourceType: 'ImagingStudy',
    id: 't21-h-s',
    status: 'available',
    subject,
    meta,
    identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${HIDDEN_STUDY}` }],
  },
  {
    resourceType: 'Task',
    id: 't21-h-t',
    status: 'completed',
    intent: 'order',
    code: { coding: [ANALYSIS_CODE] },
    for: subject,
    focus: { reference: 'ImagingStudy/t21-h-s' },
    meta,
  },
  { resourceType: 'Group', id: 't21-h-g', type: 'person', actual: true, member: [{ entity: subject }], meta },
  {
    resourceType: 'List',
    id: 't21-h-l',
    status: 'current',
    mode: 'working',
    subject,
    entry: [{ item: { reference: 'Observation/t21-h-o' } }],
    meta,
  },
  {
    resourceType: 'Provenance',
    id: 't21-h-p',
    target: [subject],
    recorded: '2026-01-01T00:00:00Z',
    agent: [{ who: { display: 'x' } }],
    meta,
  },
  {
    resourceType: 'Binary',
    id: 't21-h-b',
    contentType: 'text/plain',
    data: 'eA==',
    securityContext: subject,
    meta,
  },
];

/** Of those who refuse that others see it. */
export const OPTED_OUT: Resource = {
  resourceType: 'Consent',
  id: 't21-h-c',
  status: 'active',
  scope: {
    coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }],
  },
  category: [{ coding: [{ system: 'http://loinc.org', code: '59284-0' }] }],
  policyRule: { text: 'opt out' },
  patient: subject,
  provision: { type: 'deny' },
  meta,
};

/** The same for somebody who is not there. */
export const ofNobody = (text: string): string =>
  text.replaceAll('t21-h', 't21-n').replaceAll('HIDDEN', 'NOBODY').replaceAll(HIDDEN_STUDY, '1.2.826.0.21.9');

const json = { 'content-type': 'application/json-patch+json' };
const patch = JSON.stringify([{ op: 'replace', path: '/status', value: 'amended' }]);
const O = (more: object = {}) => ({ ...observation(undefined, 't21-a'), ...more });
const bundle = (type: string, ...entry: object[]) => ({ resourceType: 'Bundle', type, entry });
const params = (...parameter: object[]) => ({ resourceType: 'Parameters', parameter });

export type Question = readonly [string, string, unknown?, Record<string, string>?];
const READS = [
  'Patient/t21-h',
  'Observation/t21-h-o',
  'ServiceRequest/t21-h-r',
  'DiagnosticReport/t21-h-d',
  'ImagingStudy/t21-h-s',
  'Task/t21-h-t',
  'Group/t21-h-g',
  'List/t21-h-l',
  'Provenance/t21-h-p',
  'Binary/t21-h-b',
  'Consent/t21-h-c',
];
export const QUESTIONS: readonly Question[] = [
  ...READS.flatMap((path): Question[] => [
    ['GET', path],
    ['GET', path, undefined, { 'if-none-match': 'W/"1"' }],
    ['GET', `${path}/_history`],
    ['GET', `${path}/_history/1`],
    ['GET', `${path}/$meta`],
    [
      'POST',
      `${path}/$meta-delete`,
      params({ name: 'meta', valueMeta: { tag: [{ system: 'x', code: 'y' }] } }),
    ],
    ['GET', `${path}/$validate`],
    ['DELETE', path, undefined, { 'if-match': 'W/"9"' }],
    ['PATCH', path, patch, { ...json, 'if-match': 'W/"9"' }],
  ]),
  ['POST', 'Observation/t21-h-o/$validate?mode=update', { ...observation('t21-h-o', 't21-a') }],
  ['POST', 'Observation/$validate', O({ hasMember: [{ reference: 'Observation/t21-h-o' }] })],
  ['HEAD', 'Patient/t21-h'],
  ['GET', 'Patient/t21-h/$everything'],
  ['GET', 'Patient/t21-h/Observation'],
  ['GET', 'Patient/t21-h/*'],
  [
    'GET',
    'Patient/$export?patient=Patient/t21-h',
    undefined,
    { prefer: 'respond-async', accept: 'application/fhir+json' },
  ],
  [
    'POST',
    'Patient/$export',
    params({ name: 'patient', valueReference: subject }),
    { prefer: 'respond-async' },
  ],
  ['GET', 'Group/t21-h-g/$export', undefined, { prefer: 'respond-async' }],
  ...[
    'Patient?identifier=HIDDEN-1',
    'Patient?name=HIDDEN',
    'Patient?_id=t21-h',
    'Patient?_id:not=t21-h',
    'Observation?subject=Patient/t21-h',
    'Observation?subject:identifier=HIDDEN-1',
    'Observation?patient.identifier=HIDDEN-1',
    'Observation?subject:Patient.name:exact=HIDDEN',
    'Observation?patient:missing=true&_id=t21-h-o',
    'Observation?patient._has:ServiceRequest:patient:_id=t21-h-r',
    'Observation?patient._has:DiagnosticReport:patient:result.identifier=HIDDEN-1',
    'Patient?_has:Observation:patient:identifier=HIDDEN-1',
    'Patient?_has:Observation:patient:_has:DiagnosticReport:result:_id=t21-h-d',
    'Patient?_has:Observation:patient:_has:DiagnosticReport:result:patient.identifier=HIDDEN-1',
    'Patient?_has:Group:member:_id=t21-h-g',
    'Patient?_has:List:subject:_id=t21-h-l',
    'Patient?_has:Provenance:target:_id=t21-h-p',
    'Patient?_has:Task:patient:_id=t21-h-t',
    'Observation?_has:List:item:_id=t21-h-l',
    'Observation?has-member.identifier=HIDDEN-1',
    'Observation?has-member:Observation.subject:Patient.name=HIDDEN',
    'Observation?focus:Patient.name=HIDDEN',
    'Observation?has-member.patient.identifier=HIDDEN-1',
    'Observation?focus:Patient._has:Task:patient:_id=t21-h-t',
    'Observation?_list=t21-h-l',
    'Patient?_list=t21-h-l',
    'Group?member=Patient/t21-h',
    'Group?member:Patient.name=HIDDEN',
    'List?item=Observation/t21-h-o',
    'Provenance?target=Patient/t21-h',
    'Provenance?patient.name=HIDDEN',
    'Task?patient=Patient/t21-h',
    'Task?focus:ImagingStudy.patient.name=HIDDEN',
    'AuditEvent?patient=Patient/t21-h',
    'AuditEvent?entity=Observation/t21-h-o',
    'Binary?_id=t21-h-b',
    'Consent?patient=Patient/t21-h',
    'Patient?link:Patient.name=HIDDEN',
    'Observation?_id=t21-a1,t21-h-o',
    'Observation?_filter=subject eq Patient/t21-h',
    'Observation?_text=HIDDEN',
    'Observation?_content=HIDDEN',
  ].flatMap((path): Question[] => [
    ['GET', path],
    ['GET', `${path}&_summary=count`],
    [
      'POST',
      path.replace(/\?.*/, ''),
      O({ resourceType: path.replace(/\?.*/, '') }),
      { 'if-none-exist': path.replace(/^[^?]*\?/, '') },
    ],
  ]),
  [
    'POST',
    '',
    bundle(
      'batch',
      { request: { method: 'GET', url: 'Observation/t21-h-o' } },
      { request: { method: 'DELETE', url: 'Observation/t21-h-o' } },
      { request: { method: 'GET', url: 'Patient?name=HIDDEN' } },
      { request: { method: 'GET', url: 'Observation/t21-h-o', ifNoneMatch: 'W/"1"' } },
    ),
  ],
  [
    'POST',
    '',
    bundle('transaction', {
      resource: O({ subject: { reference: `Patient?identifier=${SYSTEM}|HIDDEN-1` } }),
      request: { method: 'POST', url: 'Observation' },
    }),
  ],
  [
    'POST',
    '',
    bundle('transaction', {
      resource: O({ hasMember: [{ reference: `Observation?identifier=${SYSTEM}|HIDDEN-1` }] }),
      request: { method: 'POST', url: 'Observation' },
    }),
  ],
  [
    'POST',
    '',
    bundle('transaction', { request: { method: 'DELETE', url: `Observation?identifier=HIDDEN-1` } }),
  ],
  [
    'POST',
    '',
    bundle('transaction', {
      resource: { ...observation('t21-h-o', 't21-a') },
      request: { method: 'PUT', url: 'Observation/t21-h-o' },
    }),
  ],
  ['POST', 'Observation', O({ subject })],
  ['POST', 'Observation', O({ focus: [subject], basedOn: [{ reference: 'ServiceRequest/t21-h-r' }] })],
  ['PUT', 'Observation/t21-h-o', { ...observation('t21-h-o', 't21-a') }],
  ['PUT', 'Observation/t21-h-o', { ...observation('t21-h-o', 't21-h') }],
  ['PUT', 'Patient/t21-h', person('t21-h', 'x')],
  [
    'POST',
    'Observation/_search',
    'subject:Patient.name=HIDDEN',
    { 'content-type': 'application/x-www-form-urlencoded' },
  ],
  ['GET', '/worklist/api/rows/t21-h-t'],
  ['GET', '/worklist/api/pictures/t21-h-t'],
  ['GET', '/jobs'],
  ...[
    '',
    '/metadata',
    '/series',
    `/series/${HIDDEN_STUDY}.1/instances`,
    `/series/${HIDDEN_STUDY}.1/instances/${HIDDEN_STUDY}.1.1`,
    `/series/${HIDDEN_STUDY}.1/instances/${HIDDEN_STUDY}.1.1/frames/1`,
    `/series/${HIDDEN_STUDY}.1/metadata`,
    '/rendered',
    '/thumbnail',
  ].map((end): Question => ['GET', `/dicomweb/studies/${HIDDEN_STUDY}${end}`]),
  ['GET', `/dicomweb/studies?StudyInstanceUID=${HIDDEN_STUDY}`],
  ['GET', `/dicomweb/instances?SOPInstanceUID=${HIDDEN_STUDY}.1.1&limit=1&offset=0`],
];
