import { strict as assert } from 'node:assert';
import { group, once } from './check.ts';
import { code, observation, patient } from './samples.ts';

const stored = once((server) => server.create(patient()));
const narrated = once((server) =>
  server.create(
    patient({ text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">Ilva</div>' } }),
  ),
);

export const negotiation = group('formats and headers', 'http.html#general', (check) => {
  for (const accept of [
    'application/fhir+json',
    'application/json',
    '*/*',
    'application/*',
    'text/html, */*;q=0.1',
  ])
    check(`Accept: ${accept} is JSON`, async (server) => {
      const { id } = await stored(server);
      const { headers } = await server.expect(200, 'GET', `Patient/${id}`, undefined, { accept });
      assert.match(headers.get('content-type') ?? '', /json/);
    });
  for (const accept of ['application/fhir+xml', 'text/turtle', 'application/fhir+json;q=0, text/turtle'])
    check(`Accept: ${accept} is 406`, async (server) => {
      const { id } = await stored(server);
      await server.refused(406, 'GET', `Patient/${id}`, undefined, { accept });
    });
  for (const format of ['json', 'application/json', 'application/fhir%2Bjson'])
    check(`_format=${format} goes before Accept`, async (server) => {
      const { id } = await stored(server);
      const path = `Patient/${id}?_format=${format}`;
      await server.expect(200, 'GET', path, undefined, { accept: 'application/fhir+xml' });
    });
  check('_format=xml is 406', async (server) => {
    const { id } = await stored(server);
    await server.refused(406, 'GET', `Patient/${id}?_format=xml`);
  });
  check('_pretty=true is for people', async (server) => {
    const { id } = await stored(server);
    const { text } = await server.expect(200, 'GET', `Patient/${id}?_pretty=true`);
    assert.match(text, /\n {2}"/);
  });
  check('XML in is 415', (server) =>
    server
      .refused(415, 'POST', 'Patient', '<Patient xmlns="http://hl7.org/fhir"/>', {
        'content-type': 'application/fhir+xml',
      })
      .then(() => undefined),
  );
  check('a method that is not there is 405 or 404', async (server) => {
    const { id } = await stored(server);
    const { status } = await server.ask('POST', `Patient/${id}`, patient());
    assert.ok([404, 405].includes(status));
  });
});

export const subsets = group('_summary and _elements', 'search.html#summary', (check) => {
  check('_summary=true leaves elements out and says so', async (server) => {
    const { id } = await narrated(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}?_summary=true`);
    assert.equal(body.text, undefined);
    assert.equal(body.name[0].family, 'Quarz');
    assert.ok(body.meta.tag.some((tag: { code: string }) => tag.code === 'SUBSETTED'));
  });
  check('_summary=text has the narrative and what must be there', async (server) => {
    const { id } = await narrated(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}?_summary=text`);
    assert.ok(body.text.div);
    assert.equal(body.name, undefined);
  });
  check('_summary=data leaves the narrative out', async (server) => {
    const { id } = await narrated(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}?_summary=data`);
    assert.equal(body.text, undefined);
    assert.equal(body.birthDate, '1961-04-12');
  });
  check('_summary=false is everything', async (server) => {
    const { id } = await narrated(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}?_summary=false`);
    assert.ok(body.text.div);
  });
  check('_summary=count is a number and no entry', async (server) => {
    const { id } = await narrated(server);
    const { body } = await server.expect(200, 'GET', `Patient?_id=${id}&_summary=count`);
    assert.equal(body.total, 1);
    assert.equal(body.entry, undefined);
  });
  check('_summary=maybe is refused', async (server) => {
    const { id } = await narrated(server);
    await server.refused(400, 'GET', `Patient/${id}?_summary=maybe`);
  });
  check('_elements gives what is named, and what must be there', async (server) => {
    const { id } = await server.create(observation({ valueInteger: 3, note: [{ text: 'n' }] }));
    const { body } = await server.expect(200, 'GET', `Observation/${id}?_elements=note`);
    assert.equal(body.note[0].text, 'n');
    assert.equal(body.status, 'final');
    assert.deepEqual(body.code, code());
    assert.equal(body.valueInteger, undefined);
    assert.ok(body.meta.tag.some((tag: { code: string }) => tag.code === 'SUBSETTED'));
  });
  check('_elements works in a search', async (server) => {
    const { id } = await narrated(server);
    const [found] = await server.search('Patient', `_id=${id}&_elements=birthDate`);
    assert.equal(found.birthDate, '1961-04-12');
    assert.equal(found.name, undefined);
  });
  check('_summary works in a search', async (server) => {
    const { id } = await narrated(server);
    const [found] = await server.search('Patient', `_id=${id}&_summary=true`);
    assert.equal(found.text, undefined);
  });
});
