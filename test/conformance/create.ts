import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group } from './check.ts';
import { observation, patient } from './samples.ts';

export const create = group('create', 'http.html#create', (check) => {
  check('201 with Location of the version', async (server) => {
    const { headers, body } = await server.expect(201, 'POST', 'Patient', server.tagged(patient()));
    assert.match(
      headers.get('location') ?? '',
      new RegExp(`/Patient/${body.id}/_history/${body.meta.versionId}$`),
    );
  });
  check('the id of the client is not taken', async (server) => {
    const { body } = await server.expect(201, 'POST', 'Patient', server.tagged(patient({ id: 'mine' })));
    assert.notEqual(body.id, 'mine');
  });
  check('versionId and lastUpdated of the client are not taken', async (server) => {
    const meta = { versionId: '77', lastUpdated: '1999-01-01T00:00:00Z' };
    const body = await server.create(patient({ meta }));
    assert.notEqual(body.meta.lastUpdated, meta.lastUpdated);
    assert.notEqual(body.meta.versionId, '77');
  });
  check('Prefer: return=minimal has no body', async (server) => {
    const { text, headers } = await server.expect(201, 'POST', 'Patient', server.tagged(patient()), {
      prefer: 'return=minimal',
    });
    assert.equal(text, '');
    assert.ok(headers.get('location'));
  });
  check('Prefer: return=OperationOutcome gives an outcome', async (server) => {
    const { body } = await server.expect(201, 'POST', 'Patient', server.tagged(patient()), {
      prefer: 'return=OperationOutcome',
    });
    assert.equal(body.resourceType, 'OperationOutcome');
  });
  check('Prefer: return=representation gives the resource', async (server) => {
    const { body } = await server.expect(201, 'POST', 'Patient', server.tagged(patient()), {
      prefer: 'return=representation',
    });
    assert.equal(body.resourceType, 'Patient');
  });
  check('a resource of another type than the URL is refused', (server) =>
    server.refused([400, 422], 'POST', 'Patient', observation()).then(() => undefined),
  );
  check('a conditional reference outside of a transaction is refused', async (server) => {
    const subject = { reference: 'Patient?identifier=urn:x|1' };
    await server.refused(422, 'POST', 'Observation', observation({ subject }));
  });
  check('a body that is no JSON is refused', (server) =>
    server.refused(400, 'POST', 'Patient', '{"resourceType":').then(() => undefined),
  );
  check('an empty body is refused', (server) =>
    server.refused(400, 'POST', 'Patient', '').then(() => undefined),
  );
  check('another media type is 415', (server) =>
    server
      .refused(415, 'POST', 'Patient', '<Patient/>', { 'content-type': 'text/plain' })
      .then(() => undefined),
  );
  check('decimals come back as they were sent', async (server) => {
    const value = '{"value":1.10,"unit":"mm","system":"http://unitsofmeasure.org","code":"mm"}';
    const text = JSON.stringify(server.tagged(observation({ valueQuantity: 'HERE' }))).replace(
      '"HERE"',
      value,
    );
    const { body } = await server.expect(201, 'POST', 'Observation', text);
    const back = await server.expect(200, 'GET', `Observation/${body.id}`);
    assert.match(back.text, /"value": ?1\.10\b/);
  });
  check('extensions of primitives come back', async (server) => {
    const extension = [{ url: 'http://example.org/why', valueString: 'unknown' }];
    const body = await server.create({ ...patient({ _birthDate: { extension } }), birthDate: undefined });
    assert.deepEqual(body._birthDate.extension, extension);
  });
  check('If-None-Exist without a match creates', async (server) => {
    const value = randomUUID();
    const identifier = [{ system: 'urn:x', value }];
    const headers = { 'if-none-exist': `identifier=urn:x|${value}` };
    await server.expect(201, 'POST', 'Patient', server.tagged(patient({ identifier })), headers);
    const { headers: second } = await server.expect(
      200,
      'POST',
      'Patient',
      server.tagged(patient({ identifier })),
      headers,
    );
    assert.ok(second.get('etag'));
  });
  check('If-None-Exist with two matches is 412', async (server) => {
    const value = randomUUID();
    const identifier = [{ system: 'urn:x', value }];
    await server.create(patient({ identifier }));
    await server.create(patient({ identifier }));
    await server.refused(412, 'POST', 'Patient', patient({ identifier }), {
      'if-none-exist': `identifier=urn:x|${value}`,
    });
  });
  check('fifty parallel conditional creates make one resource', async (server) => {
    const value = randomUUID();
    const resource = server.tagged(patient({ identifier: [{ system: 'urn:x', value }] }));
    const headers = { 'if-none-exist': `identifier=urn:x|${value}` };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => server.ask('POST', 'Patient', resource, headers)),
    );
    assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    assert.ok(answers.every(({ status }) => status === 201 || status === 200));
    assert.equal((await server.ids('Patient', `identifier=urn:x|${value}`)).length, 1);
  });
});
