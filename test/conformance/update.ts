import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group } from './check.ts';
import { observation, patient } from './samples.ts';

export const update = group('update', 'http.html#update', (check) => {
  check('an update makes the next version', async (server) => {
    const first = await server.create(patient());
    const { body, headers } = await server.expect(200, 'PUT', `Patient/${first.id}`, {
      ...first,
      gender: 'other',
    });
    assert.equal(body.gender, 'other');
    assert.notEqual(body.meta.versionId, first.meta.versionId);
    assert.equal(headers.get('etag'), `W/"${body.meta.versionId}"`);
  });
  check('lastUpdated never goes back', async (server) => {
    const first = await server.create(patient());
    const { body } = await server.expect(200, 'PUT', `Patient/${first.id}`, { ...first, gender: 'other' });
    assert.ok(Date.parse(body.meta.lastUpdated) >= Date.parse(first.meta.lastUpdated));
  });
  check('a search finds the new values and no longer the old', async (server) => {
    const old = `Alt${randomUUID()}`;
    const fresh = `Neu${randomUUID()}`;
    const first = await server.create(patient({ name: [{ family: old }] }));
    await server.expect(200, 'PUT', `Patient/${first.id}`, { ...first, name: [{ family: fresh }] });
    assert.deepEqual(await server.ids('Patient', `family=${fresh}`), [first.id]);
    assert.deepEqual(await server.ids('Patient', `family=${old}`), []);
  });
  check('an id of the client creates', async (server) => {
    const id = randomUUID();
    const { headers } = await server.expect(201, 'PUT', `Patient/${id}`, server.tagged(patient({ id })));
    assert.match(headers.get('location') ?? '', new RegExp(`/Patient/${id}/_history/`));
  });
  check('an id in the body other than in the URL is refused', async (server) => {
    const first = await server.create(patient());
    await server.refused([400, 422], 'PUT', `Patient/${first.id}`, { ...first, id: 'another' });
  });
  check('a body without an id is refused', async (server) => {
    const first = await server.create(patient());
    await server.refused([400, 422], 'PUT', `Patient/${first.id}`, patient());
  });
  check('a body of another type is refused', async (server) => {
    const first = await server.create(patient());
    await server.refused([400, 422], 'PUT', `Patient/${first.id}`, observation({ id: first.id }));
  });
  check('If-Match with the current version updates', async (server) => {
    const first = await server.create(patient());
    const headers = { 'if-match': `W/"${first.meta.versionId}"` };
    await server.expect(200, 'PUT', `Patient/${first.id}`, { ...first, gender: 'male' }, headers);
  });
  check('If-Match with an older version is 412 and changes nothing', async (server) => {
    const first = await server.create(patient());
    await server.expect(200, 'PUT', `Patient/${first.id}`, { ...first, gender: 'male' });
    const headers = { 'if-match': `W/"${first.meta.versionId}"` };
    await server.refused(412, 'PUT', `Patient/${first.id}`, { ...first, gender: 'other' }, headers);
    const { body } = await server.expect(200, 'GET', `Patient/${first.id}`);
    assert.equal(body.gender, 'male');
  });
  check('of fifty parallel updates of one version one wins', async (server) => {
    const first = await server.create(patient());
    const headers = { 'if-match': `W/"${first.meta.versionId}"` };
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        server.ask('PUT', `Patient/${first.id}`, { ...first, birthDate: `19${10 + at}-01-01` }, headers),
      ),
    );
    assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(49).fill(412)]);
  });
  check('If-Match without quotes is refused, not taken for another version', async (server) => {
    const first = await server.create(patient());
    await server.refused(400, 'PUT', `Patient/${first.id}`, first, { 'if-match': first.meta.versionId });
  });
  check('Prefer: return=minimal has no body', async (server) => {
    const first = await server.create(patient());
    const { text } = await server.expect(200, 'PUT', `Patient/${first.id}`, first, {
      prefer: 'return=minimal',
    });
    assert.equal(text, '');
  });
  check('an update after the deletion brings it back', async (server) => {
    const first = await server.create(patient());
    await server.ask('DELETE', `Patient/${first.id}`);
    const { status } = await server.ask('PUT', `Patient/${first.id}`, first);
    assert.ok(status === 200 || status === 201);
    await server.expect(200, 'GET', `Patient/${first.id}`);
  });
});
