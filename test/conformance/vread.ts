import { strict as assert } from 'node:assert';
import { group, once } from './check.ts';
import { patient } from './samples.ts';

const twoVersions = once(async (server) => {
  const first = await server.create(patient());
  const second = await server.expect(200, 'PUT', `Patient/${first.id}`, {
    ...first,
    birthDate: '1962-01-01',
  });
  return { first, second: second.body };
});

export const vread = group('vread', 'http.html#vread', (check) => {
  check('the first version is still there', async (server) => {
    const { first } = await twoVersions(server);
    const { body } = await server.expect(200, 'GET', `Patient/${first.id}/_history/${first.meta.versionId}`);
    assert.equal(body.birthDate, '1961-04-12');
    assert.equal(body.meta.versionId, first.meta.versionId);
  });
  check('the current version is there too', async (server) => {
    const { second } = await twoVersions(server);
    const { body } = await server.expect(
      200,
      'GET',
      `Patient/${second.id}/_history/${second.meta.versionId}`,
    );
    assert.equal(body.birthDate, '1962-01-01');
  });
  check('ETag is that of the version asked for', async (server) => {
    const { first } = await twoVersions(server);
    const { headers } = await server.expect(
      200,
      'GET',
      `Patient/${first.id}/_history/${first.meta.versionId}`,
    );
    assert.equal(headers.get('etag'), `W/"${first.meta.versionId}"`);
  });
  for (const version of ['999', 'abc', '0', '-1', '1.5'])
    check(`version ${version} is 404`, async (server) => {
      const { first } = await twoVersions(server);
      await server.refused(404, 'GET', `Patient/${first.id}/_history/${version}`);
    });
  check('the version of a deletion is 410', async (server) => {
    const { id } = await server.create(patient());
    await server.ask('DELETE', `Patient/${id}`);
    const history = await server.expect(200, 'GET', `Patient/${id}/_history`);
    const deletion = history.body.entry.find((entry: { resource?: unknown }) => !entry.resource);
    const version = /W\/"(.+)"/.exec(deletion.response.etag)?.[1];
    await server.refused(410, 'GET', `Patient/${id}/_history/${version}`);
  });
});
