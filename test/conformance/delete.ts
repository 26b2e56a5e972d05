import { strict as assert } from 'node:assert';
import { group } from './check.ts';
import { patient } from './samples.ts';

export const deletion = group('delete', 'http.html#delete', (check) => {
  check('200 or 204', async (server) => {
    const { id } = await server.create(patient());
    const { status } = await server.ask('DELETE', `Patient/${id}`);
    assert.ok(status === 200 || status === 204);
  });
  check('a read afterwards is 410', async (server) => {
    const { id } = await server.create(patient());
    await server.ask('DELETE', `Patient/${id}`);
    await server.refused(410, 'GET', `Patient/${id}`);
  });
  check('a search does not find it', async (server) => {
    const { id } = await server.create(patient());
    await server.ask('DELETE', `Patient/${id}`);
    assert.deepEqual(await server.ids('Patient', `_id=${id}`), []);
  });
  check('deleting twice is no error', async (server) => {
    const { id } = await server.create(patient());
    await server.ask('DELETE', `Patient/${id}`);
    const { status } = await server.ask('DELETE', `Patient/${id}`);
    assert.ok(status === 200 || status === 204);
  });
  check('deleting what never was is no error', async (server) => {
    const { status } = await server.ask('DELETE', 'Patient/never-was');
    assert.ok([200, 204, 404].includes(status));
  });
  check('its history stays readable', async (server) => {
    const { id } = await server.create(patient());
    await server.ask('DELETE', `Patient/${id}`);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history`);
    assert.equal(body.entry.length, 2);
    assert.equal(body.entry[0].request.method, 'DELETE');
  });
  check('If-Match with another version is 412', async (server) => {
    const { id } = await server.create(patient());
    await server.refused(412, 'DELETE', `Patient/${id}`, undefined, { 'if-match': 'W/"99"' });
    await server.expect(200, 'GET', `Patient/${id}`);
  });
});
