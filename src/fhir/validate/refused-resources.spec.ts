import type { Resource } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  bundle,
  coded,
  div,
  ext,
  observation,
  patient,
  questionnaire,
  refusal,
  report,
  xhtml,
} from '../../../test/resource-shapes.ts';
import { Failure } from '../../kernel/errors.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import { validateResource } from './validate-resource.ts';

/** Our own list of what must be refused, each for one reason. What looks alike and must not be stands in `accepted-resources.spec.ts`. */

beforeAll(() => loadDefinitions().then(() => undefined));

const UCUM = 'http://unitsofmeasure.org';
const condition = (more: object) => ({ resourceType: 'Condition', subject: { display: 'x' }, ...more });
const ENCOUNTER = {
  resourceType: 'Encounter',
  status: 'planned',
  class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'IMP' },
};

const INVALID: Readonly<Record<string, readonly (readonly [string, object])[]>> = {
  'codes outside required bindings': [
    ['Patient.gender', patient({ gender: 'foo' })],
    ['Observation.status', observation({ status: 'done' })],
    ['Task.status', { resourceType: 'Task', status: 'new', intent: 'order' }],
    ['Bundle.type', bundle('list')],
    [
      'AuditEvent.action',
      {
        resourceType: 'AuditEvent',
        type: { code: 'x' },
        action: 'X',
        recorded: '2024-01-01T00:00:00Z',
        agent: [{ requestor: true }],
        source: { observer: { display: 'x' } },
      },
    ],
    ['a status in the wrong case', observation({ status: 'Final' })],
    [
      'a required concept in words only',
      { resourceType: 'Condition', subject: { display: 'x' }, clinicalStatus: { text: 'x' } },
    ],
    [
      'a required concept whose coding has no code',
      {
        resourceType: 'Condition',
        subject: { display: 'x' },
        clinicalStatus: { coding: [{ display: 'Active' }] },
      },
    ],
    [
      'a required code that is only an extension',
      {
        resourceType: 'Observation',
        _status: { extension: [{ url: 'http://x.example/e', valueCode: 'unknown' }] },
        code: { text: 'x' },
      },
    ],
  ],
  'values that are no value of their type': [
    ['a dateTime with a time and no zone', observation({ effectiveDateTime: '2024-01-01T10:00:00' })],
    ['a dateTime without seconds', observation({ effectiveDateTime: '2024-01-01T10:00Z' })],
    ['30 February', patient({ birthDate: '2024-02-30' })],
    ['29 February of a common year', patient({ birthDate: '2100-02-29' })],
    ['month 13', patient({ birthDate: '2024-13' })],
    ['hour 24', observation({ effectiveDateTime: '2024-01-01T24:00:00Z' })],
    ['an instant without a time', observation({ issued: '2024-01-01' })],
    ['a year of two digits', patient({ birthDate: '24' })],
    ['the year 0', patient({ birthDate: '0000' })],
    ['an id with an underscore', patient({ id: 'a_b' })],
    ['an id with a slash', patient({ id: 'a/b' })],
    ['an id of 65 characters', patient({ id: 'a'.repeat(65) })],
    [
      'a contained id with an underscore',
      observation({ contained: [{ resourceType: 'Patient', id: 'p_1' }], subject: { reference: '#p_1' } }),
    ],
    ['a number as text', observation({ valueInteger: '5' })],
    ['text as a number', patient({ name: [{ family: 5 }] })],
    ['a boolean as text', patient({ active: 'true' })],
    ['a whole number with a fraction', observation({ valueInteger: 1.5 })],
    ['a number beyond 32 bits', observation({ valueInteger: 2_147_483_648 })],
    ['a positive number that is zero', patient({ telecom: [{ rank: 0 }] })],
    ['a code with a space at its end', patient({ language: 'en ' })],
    ['a language that is no tag of BCP 47', patient({ language: 'en_US' })],
    ['an age in milligrams', condition({ onsetAge: { value: 3, system: UCUM, code: 'mg' } })],
    ['an age in a unit that is none', condition({ onsetAge: { value: 3, system: UCUM, code: 'years' } })],
    ['a duration in metres', { ...ENCOUNTER, length: { value: 3, system: UCUM, code: 'm' } }],
    [
      'a distance in seconds',
      {
        ...ENCOUNTER,
        location: [
          {
            location: { display: 'x' },
            extension: [{ url: 'http://x.example/d', valueDistance: { value: 3, system: UCUM, code: 's' } }],
          },
        ],
      },
    ],
    ['a code with two spaces', observation({ code: { coding: [{ code: 'a  b' }] } })],
    ['a uri with a space', observation({ code: { coding: [{ system: 'http://a b' }] } })],
    ['a control character', patient({ name: [{ family: 'a\u0007b' }] })],
    ['base64 that is none', patient({ photo: [{ contentType: 'image/png', data: 'a!b' }] })],
    [
      'an attachment of another size than it says',
      patient({ photo: [{ contentType: 'image/png', data: 'YWJj', size: 4 }] }),
    ],
    ['a time with a zone', observation({ valueTime: '10:00:00Z' })],
  ],
  'empty things': [
    ['an empty string', patient({ language: '' })],
    ['white space', patient({ name: [{ family: ' \n' }] })],
    ['an empty list', patient({ name: [] })],
    ['an empty object', patient({ maritalStatus: {} })],
    ['an empty item', patient({ name: [{}] })],
    ['null', patient({ birthDate: null })],
    ['null in a list', patient({ name: [null] })],
    ['null in a list of texts without an extension', patient({ name: [{ given: ['a', null] }] })],
    ['an empty extension of a primitive', patient({ birthDate: '2024', _birthDate: {} })],
  ],
  'wrong structure': [
    ['an unknown element', patient({ nonsense: 1 })],
    ['an unknown element inside', patient({ name: [{ surname: 'x' }] })],
    ['a comment element of an older FHIR', patient({ fhir_comments: ['x'] })],
    ['an element of another type', patient({ status: 'final' })],
    ['one where a list belongs', patient({ name: { family: 'x' } })],
    ['a list where one belongs', patient({ birthDate: ['2024'] })],
    ['an object for a primitive', patient({ birthDate: { year: 2024 } })],
    ['a primitive for an object', patient({ maritalStatus: 'M' })],
    ['a missing required element', { resourceType: 'Observation', status: 'final' }],
    ['a missing required element inside', patient({ link: [{ type: 'refer' }] })],
    ['two types of a choice', observation({ valueString: 'x', valueInteger: 1 })],
    [
      'two types of a choice, one only as an extension',
      observation({
        valueString: 'x',
        _valueInteger: { extension: [{ url: 'http://x.example/e', valueCode: 'y' }] },
      }),
    ],
    ['a type the choice does not have', observation({ valueMoney: { value: 1 } })],
    ['extensions of what is no primitive', patient({ _name: [{ id: 'x' }] })],
    ['a list of extensions beside one value', patient({ gender: 'male', _gender: [{ id: 'x' }] })],
    [
      'lists of values and extensions of different length',
      patient({ name: [{ given: ['a'], _given: [null, { id: 'x' }] }] }),
    ],
    [
      'two elements with one id',
      patient({
        name: [
          { id: 'a', family: 'x' },
          { id: 'a', family: 'y' },
        ],
      }),
    ],
    [
      'a modifierExtension where there is none',
      patient({
        name: [{ family: 'x', modifierExtension: [{ url: 'http://x.example/e', valueCode: 'y' }] }],
      }),
    ],
  ],
  references: [
    ['to a type the element does not allow', observation({ subject: { reference: 'Organization/1' } })],
    ['of a report to a Patient as its result', report({ result: [{ reference: 'Patient/1' }] })],
    ['to an unknown type', observation({ subject: { reference: 'Foo/1' } })],
    ['that are no URL', observation({ subject: { reference: 'http://a b' } })],
    ['that are no reference', observation({ subject: { reference: 'the patient' } })],
    ['with an impossible id', observation({ subject: { reference: 'Patient/a_b' } })],
    ['to a contained resource that is not there', observation({ subject: { reference: '#x' } })],
    [
      'to a contained resource of a type the element does not allow',
      observation({
        contained: [{ resourceType: 'Organization', id: 'o', name: 'x' }],
        subject: { reference: '#o' },
      }),
    ],
    ['whose type contradicts them', observation({ subject: { reference: 'Patient/1', type: 'Group' } })],
  ],
  'contained resources': [
    ['without a type', patient({ contained: [{ id: 'x' }] })],
    ['of an unknown type', patient({ contained: [{ resourceType: 'Foo', id: 'x' }] })],
    ['of an abstract type', patient({ contained: [{ resourceType: 'DomainResource', id: 'x' }] })],
    ['without an id', observation({ contained: [{ resourceType: 'Patient' }] })],
    ['that nothing refers to (dom-3)', observation({ contained: [{ resourceType: 'Patient', id: 'p' }] })],
    [
      'that contain others (dom-2)',
      observation({
        contained: [{ resourceType: 'Patient', id: 'p', contained: [{ resourceType: 'Patient', id: 'q' }] }],
        subject: { reference: '#p' },
      }),
    ],
    [
      'with a version (dom-4)',
      observation({
        contained: [{ resourceType: 'Patient', id: 'p', meta: { versionId: '1' } }],
        subject: { reference: '#p' },
      }),
    ],
    [
      'with a security label (dom-5)',
      observation({
        contained: [{ resourceType: 'Patient', id: 'p', meta: { security: [{ code: 'R' }] } }],
        subject: { reference: '#p' },
      }),
    ],
    [
      'twice with one id',
      observation({
        contained: [
          { resourceType: 'Patient', id: 'p' },
          { resourceType: 'Patient', id: 'p' },
        ],
        subject: { reference: '#p' },
      }),
    ],
  ],
  invariants: [
    ['pat-1', patient({ contact: [{ gender: 'male' }] })],
    ['per-1', patient({ name: [{ family: 'x', period: { start: '2024', end: '2023' } }] })],
    [
      'per-1 within a second',
      observation({ effectivePeriod: { start: '2024-01-01T10:00:00.5Z', end: '2024-01-01T10:00:00.4Z' } }),
    ],
    ['obs-3', observation({ referenceRange: [{ appliesTo: [{ text: 'x' }] }] })],
    ['obs-6', observation({ valueString: 'x', dataAbsentReason: { text: 'y' } })],
    [
      'obs-7',
      {
        resourceType: 'Observation',
        status: 'final',
        code: coded('1-8', 'd'),
        valueString: 'x',
        component: [{ code: coded('1-8', 'd'), valueString: 'y' }],
      },
    ],
    [
      'que-2',
      questionnaire(
        { linkId: 'a', type: 'group', item: [{ linkId: 'b', type: 'string' }] },
        { linkId: 'b', type: 'string' },
      ),
    ],
    ['que-1', questionnaire({ linkId: 'a', type: 'group' })],
    [
      'csd-1',
      {
        resourceType: 'CodeSystem',
        status: 'draft',
        content: 'complete',
        concept: [{ code: 'a', concept: [{ code: 'b' }] }, { code: 'b' }],
      },
    ],
    ['ext-1, neither', ext({})],
    ['ext-1, both', ext({ valueCode: 'x', extension: [{ url: 'y', valueCode: 'z' }] })],
    ['att-1', patient({ photo: [{ data: 'YWJj' }] })],
    ['cpt-2', patient({ telecom: [{ value: '1' }] })],
    ['qty-3', observation({ valueQuantity: { value: 1, code: 'mg' } })],
    ['rng-2', observation({ valueRange: { low: { value: 5 }, high: { value: 4 } } })],
    ['rat-1', observation({ valueRatio: { numerator: { value: 1 } } })],
    ['tim-1', observation({ effectiveTiming: { repeat: { duration: 1 } } })],
    ['org-1', { resourceType: 'Organization', active: true }],
    [
      'prr-1',
      {
        resourceType: 'ServiceRequest',
        status: 'active',
        intent: 'order',
        subject: { display: 'x' },
        orderDetail: [{ text: 'x' }],
      },
    ],
    [
      'con-5',
      {
        resourceType: 'Condition',
        subject: { display: 'x' },
        clinicalStatus: {
          coding: [{ system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' }],
        },
        verificationStatus: {
          coding: [
            {
              system: 'http://terminology.hl7.org/CodeSystem/condition-ver-status',
              code: 'entered-in-error',
            },
          ],
        },
      },
    ],
    ['bdl-5', bundle('collection', { fullUrl: 'urn:uuid:8a4a7a1e-0000-4000-8000-000000000000' })],
    [
      'bdl-7',
      bundle(
        'collection',
        { fullUrl: 'http://a/Patient/1', resource: patient({ id: '1' }) },
        { fullUrl: 'http://a/Patient/1', resource: patient({ id: '1' }) },
      ),
    ],
    ['inv-1 of Parameters', { resourceType: 'Parameters', parameter: [{ name: 'a' }] }],
    [
      'inv-1 of Task',
      {
        resourceType: 'Task',
        status: 'draft',
        intent: 'order',
        authoredOn: '2024-02-01',
        lastModified: '2024-01-01',
      },
    ],
  ],
  Bundles: [
    ['with a fault in an entry', bundle('collection', { resource: patient({ gender: 'foo' }) })],
    [
      'with a relative fullUrl',
      bundle('collection', { fullUrl: 'Patient/1', resource: patient({ id: '1' }) }),
    ],
    [
      'of a search with a match that has no id',
      bundle('searchset', { resource: patient({}), search: { mode: 'match' } }),
    ],
    [
      'with an outcome that is none',
      bundle('searchset', { resource: patient({ id: '1' }), search: { mode: 'outcome' } }),
    ],
  ],
  narrative: [
    ['plain text in place of a div', div('hello')],
    ['an empty div', xhtml('')],
    ['a div of white space', xhtml('<p> </p>')],
    ['two divs', div('<div>a</div><div>b</div>')],
    ['another root', div('<p>a</p>')],
    ['text after the div', div('<div>a</div> b')],
    ['a script', xhtml('a<script>alert(1)</script>')],
    ['an event attribute', xhtml('<img src="a.png" alt="a" onerror="alert(1)"/>')],
    ['a javascript link', xhtml('<a href="javascript:alert(1)">a</a>')],
    ['a javascript link, disguised', xhtml('<a href=" java&#x09;script&#58;alert(1)">a</a>')],
    ['a page as data', xhtml('<a href="data:text/html,x">a</a>')],
    ['a picture that is a program', xhtml('<img src="data:image/svg+xml;base64,AAAA" alt="a"/>')],
    ['SVG', xhtml('<svg><path d="M0 0"/></svg>')],
    ['MathML', xhtml('<math><mi>a</mi></math>')],
    ['a style element', xhtml('<style>@import "x"</style>a')],
    ['a style that loads', xhtml('<p style="background:url(http://evil.example/x)">a</p>')],
    ['a style that runs', xhtml('<p style="width:expression(alert(1))">a</p>')],
    ['a frame with a document', xhtml('<iframe srcdoc="&lt;script&gt;"></iframe>a')],
    ['a form', xhtml('<form action="http://evil.example"><input name="a"/></form>a')],
    [
      'what a browser reads otherwise',
      xhtml('<noscript><p title="</noscript><img src=x onerror=alert(1)>">a</p></noscript>'),
    ],
    ['an unclosed element', xhtml('<p>a')],
    ['crossed elements', xhtml('<b><i>a</b></i>')],
    ['an attribute without quotes', xhtml('<p class=a>a</p>')],
    ['an entity of HTML', xhtml('a&nbsp;b')],
    ['a document type', div('<!DOCTYPE div [<!ENTITY a "b">]><div>a</div>')],
    ['a processing instruction', xhtml('<?php x ?>a')],
  ],
};

describe.each(Object.entries(INVALID))('refused: %s', (_group, cases) => {
  it.each(cases)('%s', (_what, resource) => {
    const error = refusal(() => validateResource(resource as Resource));
    expect(error).toBeInstanceOf(Failure);
    expect(error).toMatchObject({ code: 'fhir.validation' });
    // One fault, one place: not a flood of what follows from it.
    const { issues } = error as Failure;
    expect(issues.length).toBeLessThanOrEqual(3);
    expect(issues[0]?.at).toMatch(/^[A-Z][A-Za-z]+(\.|$)/);
  });
});
