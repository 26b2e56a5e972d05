import type { Resource } from '@medplum/fhirtypes';
import type { AccessContext } from '../src/fhir/access-context.ts';
import { type StoredResources, storedResources } from './stored-resources.ts';

export const made = (resourceType: string, id: string, more: object): Resource =>
  ({ resourceType, id, ...more }) as Resource;
export const ref = (reference: string) => ({ reference });

/** Anna has a report with her finding and with one that belongs to Berta; Berta's doctor works at the clinic in the house. */
const FIXTURES: Resource[] = [
  made('Organization', 'house', { name: 'Great House' }),
  made('Organization', 'clinic', { name: 'Clinic', partOf: ref('Organization/house') }),
  made('Practitioner', 'doc', { name: [{ family: 'Curie' }] }),
  made('PractitionerRole', 'role', {
    organization: ref('Organization/clinic'),
    practitioner: ref('Practitioner/doc'),
  }),
  made('Patient', 'anna', {
    name: [{ family: 'Alpha' }],
    birthDate: '1970-01-01',
    managingOrganization: ref('Organization/clinic'),
    identifier: [{ system: 'urn:a,b', value: '1|2' }],
    address: [{ city: 'Ulm, Donau' }],
  }),
  made('Patient', 'berta', {
    name: [{ family: 'Beta' }],
    birthDate: '1980-01-01',
    gender: 'female',
    generalPractitioner: [ref('PractitionerRole/role')],
  }),
  made('Observation', 'of-anna', {
    status: 'final',
    code: { coding: [{ system: 'urn:c', code: 'b-code' }] },
    subject: ref('Patient/anna'),
    effectiveDateTime: '2024-01-01',
    valueQuantity: { value: 3, system: 'http://unitsofmeasure.org', code: 'mm' },
  }),
  made('Observation', 'of-berta', {
    status: 'preliminary',
    code: { coding: [{ system: 'urn:c', code: 'a-code' }] },
    subject: ref('Patient/berta'),
    performer: [ref('PractitionerRole/role')],
    effectiveDateTime: '2023-01-01',
    valueQuantity: { value: 9, system: 'http://unitsofmeasure.org', code: 'mm' },
  }),
  made('Observation', 'plain', { status: 'final', code: { text: 'none' }, subject: ref('Device/x') }),
  made('DiagnosticReport', 'report', {
    status: 'final',
    code: { text: 'x' },
    subject: ref('Patient/anna'),
    result: [ref('Observation/of-anna'), ref('Observation/of-berta')],
    issued: '2024-02-01T00:00:00Z',
  }),
  made('Provenance', 'p1', {
    target: [ref('DiagnosticReport/report')],
    recorded: '2024-02-01T00:00:00Z',
    agent: [{ who: ref('Practitioner/doc') }],
  }),
  made('Provenance', 'p2', {
    target: [ref('Observation/of-berta')],
    recorded: '2024-02-01T00:00:00Z',
    agent: [{ who: ref('Practitioner/doc') }],
  }),
  made('Encounter', 'visit', { status: 'finished', class: { code: 'AMB' }, subject: ref('Patient/anna') }),
];

/** Their ids, sorted, as one text. */
export const ids = (found: readonly { id: string }[]): string =>
  found
    .map(({ id }) => id)
    .sort()
    .join(' ');

/**
 * As a token for one patient would see it: the patient, what refers to the patient, and what belongs to no patient at all. Written here on the
 * tokens, since the condition is what is tested, not who may have it.
 */
export const onlyOf = (patient: string): AccessContext => ({
  allows: () => true,
  condition: (type, _interaction, alias, parameters) => {
    if (type === 'Patient') return `${alias}.id = ${parameters.add(patient, 'text')}`;
    if (type !== 'Observation' && type !== 'DiagnosticReport') return null;
    return `${alias}.tokens && ${parameters.add([`${type}.subject>Patient/${patient}`], 'text[]')}`;
  },
});

export const patient = (at: number): Resource =>
  made('Patient', `many${String(at).padStart(4, '0')}`, {
    name: [{ family: 'Many' }],
    ...(at % 3 === 0 ? {} : { birthDate: `19${10 + (at % 80)}-01-01` }),
  });

export const finding = (at: number): Resource =>
  made('Observation', `many${String(at).padStart(4, '0')}`, {
    status: at % 2 ? 'final' : 'preliminary',
    code: { coding: [{ code: 'many' }, ...(at % 5 ? [] : [{ code: `m${at}` }])] },
    subject: ref(`Patient/many${String(at).padStart(4, '0')}`),
    performer: [ref('Practitioner/doc')],
    ...(at % 4 === 0 ? {} : { effectiveDateTime: `2020-01-${String((at % 28) + 1).padStart(2, '0')}` }),
    ...(at % 3 === 0 ? {} : { valueQuantity: { value: at % 7 } }),
  });

export interface SearchRecords extends StoredResources {
  /** Writes so many Patients with a finding each. */
  many(count: number): Promise<void>;
  /** Takes away what `many` wrote. */
  forget(): Promise<void>;
}

/** For a spec: the records above in a store of their own. */
export function searchRecords(): SearchRecords {
  const stored = storedResources(FIXTURES);
  return Object.assign(stored, {
    async many(count: number) {
      const all = Array.from({ length: count }, (_, at) => [patient(at), finding(at)]).flat();
      const named = all as (Resource & { id: string })[];
      await stored.write(...named.map((resource) => ({ kind: 'update' as const, resource })));
    },
    async forget() {
      const rows = await stored.database.run<{ type: string; id: string }>({
        text: "SELECT type, id FROM resource WHERE id LIKE 'many%' AND NOT deleted",
      });
      await stored.write(...rows.map(({ type, id }) => ({ kind: 'delete' as const, type, id })));
    },
  });
}
