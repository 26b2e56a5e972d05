import { strict as assert } from 'node:assert';
import { group, once } from './check.ts';
import { patient } from './samples.ts';

const stored = once((server) => server.create(patient()));

export const read = group('read', 'http.html#read', (check) => {
  check('a stored resource is given back with its id', async (server) => {
    const { id } = await stored(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}`);
    assert.equal(body.resourceType, 'Patient');
    assert.equal(body.id, id);
    assert.equal(body.name[0].family, 'Quarz');
  });
  check('ETag is the weak version id', async (server) => {
    const { id } = await stored(server);
    const { headers, body } = await server.expect(200, 'GET', `Patient/${id}`);
    assert.equal(headers.get('etag'), `W/"${body.meta.versionId}"`);
  });
  check('Last-Modified is meta.lastUpdated', async (server) => {
    const { id } = await stored(server);
    const { headers, body } = await server.expect(200, 'GET', `Patient/${id}`);
    const second = Math.floor(Date.parse(body.meta.lastUpdated) / 1_000) * 1_000;
    assert.equal(Date.parse(headers.get('last-modified') ?? ''), second);
  });
  check('the media type is application/fhir+json', async (server) => {
    const { id } = await stored(server);
    const { headers } = await server.expect(200, 'GET', `Patient/${id}`);
    assert.match(headers.get('content-type') ?? '', /^application\/fhir\+json/);
  });
  check('HEAD has the headers and no body', async (server) => {
    const { id } = await stored(server);
    const { headers, text } = await server.expect(200, 'HEAD', `Patient/${id}`);
    assert.match(headers.get('etag') ?? '', /^W\/"/);
    assert.equal(text, '');
  });
  check('an id that is not there is 404', (server) =>
    server.refused(404, 'GET', 'Patient/no-such-id').then(() => undefined),
  );
  check('an id that cannot be one is refused', (server) =>
    server.refused([400, 404], 'GET', `Patient/${'x'.repeat(65)}`).then(() => undefined),
  );
  check('a type that does not exist is 404', (server) =>
    server.refused(404, 'GET', 'Cupboard/1').then(() => undefined),
  );
  check('the id of another type is not found', async (server) => {
    const { id } = await stored(server);
    await server.refused(404, 'GET', `Observation/${id}`);
  });
  check('If-None-Match with the current version is 304 without a body', async (server) => {
    const { id, meta } = await stored(server);
    const { text } = await server.expect(304, 'GET', `Patient/${id}`, undefined, {
      'if-none-match': `W/"${meta.versionId}"`,
    });
    assert.equal(text, '');
  });
  check('If-None-Match with another version is 200', async (server) => {
    const { id } = await stored(server);
    await server.expect(200, 'GET', `Patient/${id}`, undefined, { 'if-none-match': 'W/"77"' });
  });
  check('If-Modified-Since after the change is 304', async (server) => {
    const { id } = await stored(server);
    const later = new Date(Date.now() + 5_000).toUTCString();
    await server.expect(304, 'GET', `Patient/${id}`, undefined, { 'if-modified-since': later });
  });
  check('If-Modified-Since before the change is 200', async (server) => {
    const { id } = await stored(server);
    await server.expect(200, 'GET', `Patient/${id}`, undefined, {
      'if-modified-since': 'Sat, 01 Jan 2000 00:00:00 GMT',
    });
  });
});
