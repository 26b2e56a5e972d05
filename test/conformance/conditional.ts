import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group } from './check.ts';
import { patient } from './samples.ts';

const identified = (value: string, more = {}) =>
  patient({ identifier: [{ system: 'urn:x', value }], ...more });
const by = (value: string) => `Patient?identifier=urn:x|${value}`;

export const conditional = group('conditional update, patch and delete', 'http.html#cond-update', (check) => {
  check('an update without a match creates', async (server) => {
    const value = randomUUID();
    await server.expect(201, 'PUT', by(value), server.tagged(identified(value)));
    assert.equal((await server.ids('Patient', `identifier=urn:x|${value}`)).length, 1);
  });
  check('an update without a match creates under the id in the body', async (server) => {
    const id = randomUUID();
    const { body } = await server.expect(201, 'PUT', by(id), server.tagged(identified(id, { id })));
    assert.equal(body.id, id);
  });
  check('an update with one match updates it', async (server) => {
    const value = randomUUID();
    const { id } = await server.create(identified(value));
    const { body } = await server.expect(
      200,
      'PUT',
      by(value),
      server.tagged(identified(value, { gender: 'male' })),
    );
    assert.equal(body.id, id);
    assert.equal(body.gender, 'male');
  });
  check('an update with one match and another id in the body is refused', async (server) => {
    const value = randomUUID();
    await server.create(identified(value));
    await server.refused([400, 409, 412, 422], 'PUT', by(value), identified(value, { id: randomUUID() }));
  });
  check('an update with several matches is 412', async (server) => {
    const value = randomUUID();
    await server.create(identified(value));
    await server.create(identified(value));
    await server.refused(412, 'PUT', by(value), identified(value));
  });
  check('fifty parallel conditional updates make one resource', async (server) => {
    const value = randomUUID();
    const resource = server.tagged(identified(value));
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => server.ask('PUT', by(value), resource)),
    );
    assert.deepEqual(
      answers.filter(({ status }) => ![200, 201, 409, 412].includes(status)),
      [],
    );
    assert.equal((await server.ids('Patient', `identifier=urn:x|${value}`)).length, 1);
  });
  check('a condition that is no search is refused', (server) =>
    server.refused([400, 412], 'PUT', 'Patient?colour=green', patient()).then(() => undefined),
  );
  check('an update by no condition is refused', (server) =>
    server.refused([400, 405, 412], 'PUT', 'Patient', patient()).then(() => undefined),
  );
  check('a patch with one match patches it', async (server) => {
    const value = randomUUID();
    const { id } = await server.create(identified(value));
    const operations = [{ op: 'replace', path: '/gender', value: 'other' }];
    const headers = { 'content-type': 'application/json-patch+json' };
    const { body } = await server.expect(200, 'PATCH', by(value), operations, headers);
    assert.equal(body.id, id);
    assert.equal(body.gender, 'other');
  });
  check('a patch without a match is 404', async (server) => {
    const headers = { 'content-type': 'application/json-patch+json' };
    await server.refused(404, 'PATCH', by(randomUUID()), [{ op: 'remove', path: '/gender' }], headers);
  });
  check('a patch with several matches is 412', async (server) => {
    const value = randomUUID();
    await server.create(identified(value));
    await server.create(identified(value));
    const headers = { 'content-type': 'application/json-patch+json' };
    await server.refused(412, 'PATCH', by(value), [{ op: 'remove', path: '/gender' }], headers);
  });
  check('a delete with one match deletes it', async (server) => {
    const value = randomUUID();
    const { id } = await server.create(identified(value));
    const { status } = await server.ask('DELETE', by(value));
    assert.ok(status === 200 || status === 204);
    await server.refused(410, 'GET', `Patient/${id}`);
  });
  check('a delete without a match is no error', async (server) => {
    const { status } = await server.ask('DELETE', by(randomUUID()));
    assert.ok([200, 204, 404].includes(status));
  });
  check('a delete by no condition is refused', (server) =>
    server.refused([400, 405, 412], 'DELETE', 'Patient').then(() => undefined),
  );
});
