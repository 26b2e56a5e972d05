import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group } from './check.ts';
import type { Json } from './fhir-server.ts';
import { observation, patient, report } from './samples.ts';

const bundle = (type: string, ...entry: Json[]): Json => ({ resourceType: 'Bundle', type, entry });
const post = (resource: Json, more: Json = {}): Json => ({
  resource,
  request: { method: 'POST', url: resource.resourceType },
  ...more,
});

export const batch = group('batch', 'http.html#transaction', (check) => {
  check('entries are judged one by one', async (server) => {
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle('batch', post(server.tagged(patient())), post({ resourceType: 'Patient', gender: 'purple' }), {
        request: { method: 'GET', url: 'Patient/no-such-id' },
      }),
    );
    assert.equal(body.type, 'batch-response');
    assert.deepEqual(
      body.entry.map((entry: Json) => entry.response.status.slice(0, 3)),
      ['201', '422', '404'],
    );
    assert.equal(body.entry[1].response.outcome.resourceType, 'OperationOutcome');
  });
  check('a search is an entry', async (server) => {
    const { id } = await server.create(patient());
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle('batch', { request: { method: 'GET', url: `Patient?_id=${id}` } }),
    );
    assert.equal(body.entry[0].resource.resourceType, 'Bundle');
    assert.equal(body.entry[0].resource.entry[0].resource.id, id);
  });
  for (const url of ['../admin', 'http://elsewhere.example/Patient', 'Patient/1/../2', '/etc/passwd', ''])
    check(`the URL "${url}" in an entry is refused`, async (server) => {
      const { body, status } = await server.ask(
        'POST',
        '',
        bundle('batch', { request: { method: 'GET', url } }),
      );
      if (status === 200) assert.match(body.entry[0].response.status, /^4/);
      else assert.equal(Math.floor(status / 100), 4);
    });
  check('a Bundle inside an entry is not run', async (server) => {
    const inner = bundle('batch', post(server.tagged(patient())));
    const { body, status } = await server.ask(
      'POST',
      '',
      bundle('batch', { resource: inner, request: { method: 'POST', url: '' } }),
    );
    if (status === 200) assert.match(body.entry[0].response.status, /^4/);
    else assert.equal(Math.floor(status / 100), 4);
  });
});

export const transaction = group('transaction', 'http.html#trules', (check) => {
  check('references by urn:uuid become real ones', async (server) => {
    const uuid = `urn:uuid:${randomUUID()}`;
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle(
        'transaction',
        post(server.tagged(observation({ subject: { reference: uuid } }))),
        post(server.tagged(patient()), { fullUrl: uuid }),
      ),
    );
    assert.equal(body.type, 'transaction-response');
    const [first, second] = body.entry.map((entry: Json) =>
      entry.response.location.replace(/^.*?([A-Za-z]+\/[^/]+)\/_history.*$/, '$1'),
    );
    const stored = await server.expect(200, 'GET', first);
    assert.equal(stored.body.subject.reference, second);
  });
  check('a faulty entry leaves nothing of the others', async (server) => {
    const value = randomUUID();
    await server.refused(
      [400, 422],
      'POST',
      '',
      bundle(
        'transaction',
        post(server.tagged(patient({ identifier: [{ system: 'urn:x', value }] }))),
        post({ resourceType: 'Patient', gender: 'purple' }),
      ),
    );
    assert.deepEqual(await server.ids('Patient', `identifier=urn:x|${value}`), []);
  });
  check('deletes come before creates, whatever their order', async (server) => {
    const value = randomUUID();
    const old = await server.create(patient({ identifier: [{ system: 'urn:x', value }] }));
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle(
        'transaction',
        {
          ...post(server.tagged(patient({ identifier: [{ system: 'urn:x', value }] }))),
          request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=urn:x|${value}` },
        },
        { request: { method: 'DELETE', url: `Patient/${old.id}` } },
      ),
    );
    assert.match(body.entry[0].response.status, /^201/);
    assert.equal((await server.ids('Patient', `identifier=urn:x|${value}`)).length, 1);
  });
  check('GET entries see what the transaction wrote', async (server) => {
    const value = randomUUID();
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle(
        'transaction',
        { request: { method: 'GET', url: `Patient?identifier=urn:x|${value}` } },
        post(server.tagged(patient({ identifier: [{ system: 'urn:x', value }] }))),
      ),
    );
    assert.equal(body.entry[0].resource.entry.length, 1);
  });
  check('a conditional reference is resolved', async (server) => {
    const value = randomUUID();
    const { id } = await server.create(patient({ identifier: [{ system: 'urn:x', value }] }));
    const reference = `Patient?identifier=urn:x|${value}`;
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle('transaction', post(server.tagged(observation({ subject: { reference } })))),
    );
    const location = body.entry[0].response.location;
    const stored = await server.expect(200, 'GET', location.replace(/^.*?(Observation\/)/, '$1'));
    assert.equal(stored.body.subject.reference, `Patient/${id}`);
  });
  check('a conditional reference without a match refuses the whole', async (server) => {
    const reference = `Patient?identifier=urn:x|${randomUUID()}`;
    await server.refused(
      [400, 404, 409, 412, 422],
      'POST',
      '',
      bundle('transaction', post(server.tagged(observation({ subject: { reference } })))),
    );
  });
  check('one resource changed twice is refused', async (server) => {
    const one = await server.create(patient());
    const put = { resource: one, request: { method: 'PUT', url: `Patient/${one.id}` } };
    await server.refused([400, 409, 422], 'POST', '', bundle('transaction', put, put));
  });
  check('one fullUrl twice is refused', async (server) => {
    const fullUrl = `urn:uuid:${randomUUID()}`;
    await server.refused(
      [400, 422],
      'POST',
      '',
      bundle('transaction', post(patient(), { fullUrl }), post(patient(), { fullUrl })),
    );
  });
  check('a reference to a urn:uuid that is no entry is refused', async (server) => {
    const subject = { reference: `urn:uuid:${randomUUID()}` };
    await server.refused([400, 422], 'POST', '', bundle('transaction', post(observation({ subject }))));
  });
  check('ifNoneExist with a match takes the one that is there, and references follow', async (server) => {
    const value = randomUUID();
    const { id } = await server.create(patient({ identifier: [{ system: 'urn:x', value }] }));
    const fullUrl = `urn:uuid:${randomUUID()}`;
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle(
        'transaction',
        {
          fullUrl,
          resource: patient({ identifier: [{ system: 'urn:x', value }] }),
          request: { method: 'POST', url: 'Patient', ifNoneExist: `identifier=urn:x|${value}` },
        },
        post(server.tagged(observation({ subject: { reference: fullUrl } }))),
      ),
    );
    assert.match(body.entry[0].response.status, /^200/);
    const location = body.entry[1].response.location.replace(/^.*?(Observation\/)/, '$1');
    const stored = await server.expect(200, 'GET', location);
    assert.equal(stored.body.subject.reference, `Patient/${id}`);
  });
  check('ifMatch of another version refuses the whole', async (server) => {
    const one = await server.create(patient());
    await server.refused(
      [409, 412],
      'POST',
      '',
      bundle('transaction', {
        resource: { ...one, gender: 'male' },
        request: { method: 'PUT', url: `Patient/${one.id}`, ifMatch: 'W/"55"' },
      }),
    );
  });
  check('PUT creates under the id of the client', async (server) => {
    const id = randomUUID();
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle('transaction', {
        resource: server.tagged(patient({ id })),
        request: { method: 'PUT', url: `Patient/${id}` },
      }),
    );
    assert.match(body.entry[0].response.status, /^201/);
  });
  check('a conditional PUT updates its match', async (server) => {
    const value = randomUUID();
    const { id } = await server.create(patient({ identifier: [{ system: 'urn:x', value }] }));
    const resource = server.tagged(patient({ identifier: [{ system: 'urn:x', value }], gender: 'male' }));
    const request = { method: 'PUT', url: `Patient?identifier=urn:x|${value}` };
    const { body } = await server.expect(200, 'POST', '', bundle('transaction', { resource, request }));
    assert.match(body.entry[0].response.location, new RegExp(`Patient/${id}/`));
  });
  check('PATCH is an entry', async (server) => {
    const { id } = await server.create(patient());
    const operations = [{ op: 'replace', path: '/gender', value: 'male' }];
    const resource = {
      resourceType: 'Binary',
      contentType: 'application/json-patch+json',
      data: Buffer.from(JSON.stringify(operations)).toString('base64'),
    };
    const request = { method: 'PATCH', url: `Patient/${id}` };
    await server.expect(200, 'POST', '', bundle('transaction', { resource, request }));
    const { body } = await server.expect(200, 'GET', `Patient/${id}`);
    assert.equal(body.gender, 'male');
  });
  check('a report with eight findings is stored with its references', async (server) => {
    const ids = Array.from({ length: 8 }, () => `urn:uuid:${randomUUID()}`);
    const entries = [
      post(server.tagged(report({ result: ids.map((reference) => ({ reference })) }))),
      ...ids.map((fullUrl) => post(server.tagged(observation()), { fullUrl })),
    ];
    const { body } = await server.expect(200, 'POST', '', bundle('transaction', ...entries));
    const location = body.entry[0].response.location.replace(/^.*?(DiagnosticReport\/)/, '$1');
    const stored = await server.expect(200, 'GET', location);
    assert.equal(stored.body.result.length, 8);
    assert.ok(stored.body.result.every((one: Json) => /^Observation\/[^:]+$/.test(one.reference)));
  });
  check('answers stand in the order of the entries', async (server) => {
    const one = await server.create(patient());
    const { body } = await server.expect(
      200,
      'POST',
      '',
      bundle(
        'transaction',
        { request: { method: 'GET', url: `Patient/${one.id}` } },
        post(server.tagged(observation())),
        { resource: { ...one, gender: 'male' }, request: { method: 'PUT', url: `Patient/${one.id}` } },
      ),
    );
    assert.deepEqual(
      body.entry.map((entry: Json) => entry.response.status.slice(0, 3)),
      ['200', '201', '200'],
    );
    assert.equal(body.entry[0].resource.gender, 'male');
  });
  check('an empty transaction is answered', async (server) => {
    const { body } = await server.expect(200, 'POST', '', { resourceType: 'Bundle', type: 'transaction' });
    assert.equal(body.type, 'transaction-response');
  });
  check('a Bundle of another type is refused', (server) =>
    server.refused([400, 422], 'POST', '', bundle('collection', post(patient()))).then(() => undefined),
  );
});
