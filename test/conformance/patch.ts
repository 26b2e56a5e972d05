import { strict as assert } from 'node:assert';
import { group } from './check.ts';
import type { FhirServer, Json } from './fhir-server.ts';
import { parameters, patient } from './samples.ts';

const JSON_PATCH = { 'content-type': 'application/json-patch+json' };

async function patched(server: FhirServer, operations: Json, resource: Json = patient()): Promise<Json> {
  const { id } = await server.create(resource);
  return (await server.expect(200, 'PATCH', `Patient/${id}`, operations, JSON_PATCH)).body;
}

export const jsonPatch = group('JSON Patch', 'http.html#patch', (check) => {
  check('replace', async (server) => {
    const body = await patched(server, [{ op: 'replace', path: '/gender', value: 'male' }]);
    assert.equal(body.gender, 'male');
  });
  check('add an element', async (server) => {
    const body = await patched(server, [{ op: 'add', path: '/active', value: true }]);
    assert.equal(body.active, true);
  });
  check('add to the end of a list', async (server) => {
    const body = await patched(server, [{ op: 'add', path: '/name/-', value: { family: 'Basalt' } }]);
    assert.deepEqual(
      body.name.map((name: Json) => name.family),
      ['Quarz', 'Basalt'],
    );
  });
  check('remove', async (server) => {
    const body = await patched(server, [{ op: 'remove', path: '/birthDate' }]);
    assert.equal(body.birthDate, undefined);
  });
  check('move', async (server) => {
    const name = [{ family: 'A' }, { family: 'B' }];
    const body = await patched(server, [{ op: 'move', from: '/name/1', path: '/name/0' }], patient({ name }));
    assert.equal(body.name[0].family, 'B');
  });
  check('copy', async (server) => {
    const body = await patched(server, [{ op: 'copy', from: '/name/0', path: '/name/-' }]);
    assert.equal(body.name.length, 2);
  });
  check('test that holds lets the rest happen', async (server) => {
    const body = await patched(server, [
      { op: 'test', path: '/gender', value: 'female' },
      { op: 'replace', path: '/gender', value: 'unknown' },
    ]);
    assert.equal(body.gender, 'unknown');
  });
  check('test that fails changes nothing', async (server) => {
    const { id, meta } = await server.create(patient());
    const operations = [
      { op: 'replace', path: '/gender', value: 'unknown' },
      { op: 'test', path: '/birthDate', value: '2000-01-01' },
    ];
    await server.refused([400, 409, 412, 422], 'PATCH', `Patient/${id}`, operations, JSON_PATCH);
    const { body } = await server.expect(200, 'GET', `Patient/${id}`);
    assert.equal(body.meta.versionId, meta.versionId);
  });
  for (const [what, operations] of [
    ['a path that is not there', [{ op: 'remove', path: '/deceasedBoolean' }]],
    ['an unknown operation', [{ op: 'increment', path: '/multipleBirthInteger', value: 1 }]],
    ['a result that is no valid resource', [{ op: 'replace', path: '/gender', value: 'purple' }]],
    ['an element that Patient does not have', [{ op: 'add', path: '/colour', value: 'green' }]],
    ['another id', [{ op: 'replace', path: '/id', value: 'another' }]],
    ['another type', [{ op: 'replace', path: '/resourceType', value: 'Observation' }]],
    ['a path through __proto__', [{ op: 'add', path: '/__proto__/polluted', value: true }]],
    ['no list of operations', { op: 'remove', path: '/gender' }],
  ] as const)
    check(`refuses ${what}`, async (server) => {
      const { id } = await server.create(patient());
      await server.refused([400, 403, 409, 422], 'PATCH', `Patient/${id}`, operations, JSON_PATCH);
      const { body } = await server.expect(200, 'GET', `Patient/${id}`);
      assert.equal(body.meta.versionId, '1');
    });
  check('a resource that is not there is 404', (server) =>
    server
      .refused(404, 'PATCH', 'Patient/no-such-id', [{ op: 'remove', path: '/gender' }], JSON_PATCH)
      .then(() => undefined),
  );
  check('If-Match with an older version is 412', async (server) => {
    const { id } = await server.create(patient());
    const headers = { ...JSON_PATCH, 'if-match': 'W/"77"' };
    await server.refused(412, 'PATCH', `Patient/${id}`, [{ op: 'remove', path: '/gender' }], headers);
  });
  check('another media type is 415', async (server) => {
    const { id } = await server.create(patient());
    await server.refused(415, 'PATCH', `Patient/${id}`, '<diff/>', { 'content-type': 'application/xml' });
  });
});

const operation = (type: string, path: string, ...more: Json[]): Json => ({
  name: 'operation',
  part: [{ name: 'type', valueCode: type }, { name: 'path', valueString: path }, ...more],
});

async function fhirPathPatched(server: FhirServer, ...operations: Json[]): Promise<Json> {
  const { id } = await server.create(patient());
  return (await server.expect(200, 'PATCH', `Patient/${id}`, parameters(...operations))).body;
}

export const fhirPathPatch = group('FHIRPath Patch', 'fhirpatch.html', (check) => {
  check('replace', async (server) => {
    const body = await fhirPathPatched(
      server,
      operation('replace', 'Patient.birthDate', { name: 'value', valueDate: '1970-01-01' }),
    );
    assert.equal(body.birthDate, '1970-01-01');
  });
  check('add', async (server) => {
    const body = await fhirPathPatched(
      server,
      operation(
        'add',
        'Patient',
        { name: 'name', valueString: 'active' },
        { name: 'value', valueBoolean: true },
      ),
    );
    assert.equal(body.active, true);
  });
  check('add to a list', async (server) => {
    const body = await fhirPathPatched(
      server,
      operation(
        'add',
        'Patient',
        { name: 'name', valueString: 'identifier' },
        { name: 'value', valueIdentifier: { system: 'urn:x', value: '1' } },
      ),
    );
    assert.deepEqual(body.identifier, [{ system: 'urn:x', value: '1' }]);
  });
  check('delete', async (server) => {
    const body = await fhirPathPatched(server, operation('delete', 'Patient.birthDate'));
    assert.equal(body.birthDate, undefined);
  });
  check('insert', async (server) => {
    const body = await fhirPathPatched(
      server,
      operation(
        'insert',
        'Patient.name',
        { name: 'index', valueInteger: 0 },
        { name: 'value', valueHumanName: { family: 'Basalt' } },
      ),
    );
    assert.equal(body.name[0].family, 'Basalt');
  });
  check('a path that selects several is refused', async (server) => {
    const { id } = await server.create(patient({ name: [{ family: 'A' }, { family: 'B' }] }));
    const body = parameters(operation('replace', 'Patient.name.family', { name: 'value', valueString: 'C' }));
    await server.refused([400, 422], 'PATCH', `Patient/${id}`, body);
  });
  check('a path that is no FHIRPath is refused', async (server) => {
    const { id } = await server.create(patient());
    await server.refused([400, 422], 'PATCH', `Patient/${id}`, parameters(operation('delete', 'Patient.((')));
  });
  check('a path to the id is refused', async (server) => {
    const { id } = await server.create(patient());
    const body = parameters(operation('replace', 'Patient.id', { name: 'value', valueId: 'x' }));
    await server.refused([400, 403, 422], 'PATCH', `Patient/${id}`, body);
  });
});
