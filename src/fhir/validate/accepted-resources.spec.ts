import type { Resource } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { bundle, coded, ext, observation, patient, refusal, xhtml } from '../../../test/resource-shapes.ts';
import { Failure } from '../../kernel/errors.ts';
import { loadDefinitions } from '../definitions/definitions.ts';
import { parseResource } from './parse-resource.ts';
import { validateResource } from './validate-resource.ts';

beforeAll(() => loadDefinitions().then(() => undefined));

/** What looks like what must be refused, and must not be. */
const VALID: readonly (readonly [string, object])[] = [
  [
    'an invariant that a display alone avoids (obs-7 compares whole codings)',
    {
      resourceType: 'Observation',
      status: 'final',
      code: coded('1-8', 'a'),
      valueString: 'x',
      component: [{ code: coded('1-8', 'b'), valueString: 'y' }],
    },
  ],
  ['a text of emoji and tabs', patient({ name: [{ family: '👩‍⚕️\tx' }] })],
  ['29 February of a leap year', patient({ birthDate: '2000-02-29' })],
  ['the last second of a leap minute', observation({ effectiveDateTime: '2016-12-31T23:59:60Z' })],
  ['a zone of half an hour', observation({ effectiveDateTime: '2024-01-01T10:00:00+05:30' })],
  [
    'a contained resource that refers to its container',
    observation({
      contained: [
        {
          resourceType: 'Provenance',
          id: 'p',
          target: [{ reference: '#' }],
          recorded: '2024-01-01T00:00:00Z',
          agent: [{ who: { display: 'x' } }],
        },
      ],
    }),
  ],
  [
    'a contained value set named by a canonical',
    {
      resourceType: 'Questionnaire',
      status: 'draft',
      contained: [{ resourceType: 'ValueSet', id: 'v', status: 'draft' }],
      item: [{ linkId: 'a', type: 'choice', answerValueSet: '#v' }],
    },
  ],
  [
    'a Bundle whose entries contain resources',
    bundle('collection', {
      resource: observation({
        contained: [{ resourceType: 'Patient', id: 'p' }],
        subject: { reference: '#p' },
      }),
    }),
  ],
  [
    'a Range in different units',
    observation({ valueRange: { low: { value: 5, unit: 'mg' }, high: { value: 4, unit: 'g' } } }),
  ],
  [
    'a narrative with a table, a link, a picture and a comment',
    xhtml(
      '<!-- a --><table><tr><td style="color:red">a &amp; b &#160;</td></tr></table><a href="#x">a</a><img src="data:image/png;base64,AAAA" alt="a"/>',
    ),
  ],
  ['a narrative with a picture only', xhtml('<img src="a.png" alt="a"/>')],
  [
    'an attachment of the size it says',
    patient({ photo: [{ contentType: 'image/png', data: 'YWJj', size: 3 }] }),
  ],
  ['an empty Parameters', { resourceType: 'Parameters' }],
  [
    'a concept whose words stand beside a code of the required binding',
    {
      resourceType: 'Condition',
      subject: { display: 'x' },
      clinicalStatus: {
        text: 'x',
        coding: [
          { display: 'ours' },
          { system: 'http://terminology.hl7.org/CodeSystem/condition-clinical', code: 'active' },
        ],
      },
    },
  ],
  ['a key named like a property of every object, as a value', patient({ name: [{ family: 'constructor' }] })],
  ['an extension nobody knows', ext({ valueString: 'x' })],
];

it.each(VALID)('accepted: %s', (_what, resource) => {
  expect((refusal(() => validateResource(resource as Resource)) as Failure | null)?.issues ?? []).toEqual([]);
});

describe('what no parser should meet', () => {
  it('is refused in time and memory, and the server never sees a plain error', () => {
    const hostile: unknown[] = [
      { resourceType: 'Patient', text: { status: 'generated', div: `<div>${'<b>'.repeat(50_000)}` } },
      { resourceType: 'Patient', text: { status: 'generated', div: `<div ${'a="b" '.repeat(50_000)}x` } },
      { resourceType: 'Patient', text: { status: 'generated', div: '<'.repeat(100_000) } },
      { resourceType: 'Observation', status: 'final', code: { coding: Array(9_000).fill({ code: ' ' }) } },
      { resourceType: 'Patient', ['__proto__x']: 1, toString: 1, hasOwnProperty: 1 },
      { resourceType: 'Patient', name: Object.create({ length: 1 }) },
      { resourceType: 'Bundle', type: 'collection', entry: 'x' },
      { resourceType: 'Questionnaire', status: 'draft', item: [1, null, [], { linkId: [] }] },
      { resourceType: 'Patient', contained: { resourceType: 'Patient' }, meta: { profile: [1, null, {}] } },
      { resourceType: 'Observation', status: 'final', code: { coding: 5 }, component: 'x', valueString: 'y' },
    ];
    for (const resource of hostile) {
      const started = process.cpuUsage();
      expect(refusal(() => validateResource(resource as Resource))).toMatchObject({
        code: 'fhir.validation',
      });
      expect(process.cpuUsage(started).user / 1_000).toBeLessThan(500);
    }
  });

  it('keeps the spelling of decimals through reading and validation', () => {
    const text =
      '{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.10}}';
    const resource = parseResource(Buffer.from(text));
    validateResource(resource);
    expect(resource).toMatchObject({ valueQuantity: { value: 1.1 } });
  });
});
