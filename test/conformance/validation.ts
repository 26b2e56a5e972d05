import { group } from './check.ts';
import type { Json } from './fhir-server.ts';
import { code, observation, patient, report } from './samples.ts';

const div = (inner: string) => ({
  text: { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>` },
});

const INVALID: readonly (readonly [string, Json])[] = [
  ['a code outside its required set', patient({ gender: 'purple' })],
  ['an unknown element', patient({ colour: 'green' })],
  ['a missing required element', { resourceType: 'Observation', code: code() }],
  ['a wrong JSON type', patient({ active: 'true' })],
  ['a list where one is meant', patient({ gender: ['male'] })],
  ['one where a list is meant', patient({ name: { family: 'X' } })],
  ['an empty string', patient({ name: [{ family: '' }] })],
  ['an empty list', patient({ name: [] })],
  ['an empty object', patient({ name: [{}] })],
  ['a null', patient({ name: null })],
  ['a date that is none', patient({ birthDate: '1990-02-30' })],
  ['a date in another form', patient({ birthDate: '12.04.1961' })],
  ['a dateTime with time and no zone', observation({ effectiveDateTime: '2020-01-01T10:00:00' })],
  ['two of a choice', observation({ valueString: 'x', valueInteger: 1 })],
  ['a reference to a type that is not allowed', observation({ subject: { reference: 'Organization/1' } })],
  ['a reference to no type', observation({ subject: { reference: 'Cupboard/1' } })],
  ['a reference to a contained resource that is not there', observation({ subject: { reference: '#x' } })],
  [
    'a contained resource nobody refers to',
    patient({ contained: [{ resourceType: 'Organization', id: 'o', name: 'X' }] }),
  ],
  [
    'a period that ends before it starts',
    patient({ name: [{ family: 'X', period: { start: '2020', end: '2019' } }] }),
  ],
  ['a script in the narrative', patient(div('<script>alert(1)</script>'))],
  ['an event handler in the narrative', patient(div('<img src="x" onerror="alert(1)"/>'))],
  ['a javascript link in the narrative', patient(div('<a href="javascript:alert(1)">x</a>'))],
  ['an empty narrative', patient(div(''))],
  [
    'a value in an Observation that also says why there is none',
    observation({
      valueInteger: 1,
      dataAbsentReason: code('unknown', 'http://terminology.hl7.org/CodeSystem/data-absent-reason'),
    }),
  ],
  ['a contact without any detail (pat-1)', patient({ contact: [{ gender: 'male' }] })],
  [
    'an extension with value and extensions',
    patient({
      extension: [{ url: 'http://x.example', valueString: 'x', extension: [{ url: 'y', valueString: 'z' }] }],
    }),
  ],
  ['an extension without url', patient({ extension: [{ valueString: 'x' }] })],
  ['an integer with decimals', patient({ multipleBirthInteger: 1.5 })],
  ['a status that is none of a report', report({ status: 'done' })],
  [
    'a code in an Attachment that is no base64',
    patient({ photo: [{ contentType: 'image/png', data: '%%%' }] }),
  ],
  ['an instant without zone', { ...report(), issued: '2020-01-01T10:00:00' }],
  ['a uri with blanks', patient({ identifier: [{ system: 'http://a b', value: '1' }] })],
];

export const validation = group('validation', 'validation.html', (check) => {
  for (const [what, resource] of INVALID)
    check(`refuses ${what}`, (server) =>
      server.refused([400, 422], 'POST', resource.resourceType, resource).then(() => undefined),
    );
  check('refuses a body of forbidden keys', (server) =>
    server
      .refused([400, 422], 'POST', 'Patient', '{"resourceType":"Patient","__proto__":{"a":1}}')
      .then(() => undefined),
  );
  check('refuses a key twice', (server) =>
    server
      .refused([400, 422], 'POST', 'Patient', '{"resourceType":"Patient","gender":"male","gender":"female"}')
      .then(() => undefined),
  );
  check('refuses 10,000 levels', (server) =>
    server
      .refused(
        [400, 413, 422],
        'POST',
        'Patient',
        `{"resourceType":"Patient","extension":${'['.repeat(10_000)}`,
      )
      .then(() => undefined),
  );
  check('$validate says what is wrong and stores nothing', async (server) => {
    const answer = await server.ask('POST', 'Patient/$validate', patient({ gender: 'purple' }));
    if (![200, 400, 422].includes(answer.status)) throw new Error(`$validate answered ${answer.status}`);
    if (!answer.body.issue.some((issue: Json) => issue.severity === 'error')) throw new Error('no error');
  });
  check('$validate finds a good resource good', async (server) => {
    const { body } = await server.expect(200, 'POST', 'Patient/$validate', patient());
    if (body.issue.some((issue: Json) => ['error', 'fatal'].includes(issue.severity)))
      throw new Error(JSON.stringify(body.issue));
  });
});
