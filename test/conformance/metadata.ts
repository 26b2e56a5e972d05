import { strict as assert } from 'node:assert';
import { group, once } from './check.ts';
import type { FhirServer, Json } from './fhir-server.ts';

const statement = once(async (server: FhirServer) => (await server.expect(200, 'GET', 'metadata')).body);

export const metadata = group('capabilities', 'http.html#capabilities', (check) => {
  check('it is a CapabilityStatement of an instance of R4', async (server) => {
    const body = await statement(server);
    assert.equal(body.resourceType, 'CapabilityStatement');
    assert.equal(body.kind, 'instance');
    assert.match(body.fhirVersion, /^4\.0/);
    assert.ok(body.format.some((format: string) => /json/.test(format)));
  });
  check('it is answered without a token', async (server) => {
    await server.expect(200, 'GET', 'metadata', undefined, { authorization: '' });
  });
  for (const code of ['batch', 'transaction', 'search-system', 'history-system'])
    check(`the system offers ${code}`, async (server) => {
      const body = await statement(server);
      assert.ok(body.rest[0].interaction.some((one: Json) => one.code === code));
    });
  for (const code of [
    'read',
    'vread',
    'update',
    'patch',
    'delete',
    'history-instance',
    'history-type',
    'create',
    'search-type',
  ])
    check(`Observation offers ${code}`, async (server) => {
      const type = (await statement(server)).rest[0].resource.find((one: Json) => one.type === 'Observation');
      assert.ok(type.interaction.some((one: Json) => one.code === code));
    });
  check('what it says of conditions is said', async (server) => {
    const type = (await statement(server)).rest[0].resource.find((one: Json) => one.type === 'Patient');
    assert.equal(type.conditionalCreate, true);
    assert.equal(type.conditionalUpdate, true);
    assert.equal(type.conditionalRead, 'full-support');
    assert.ok(['single', 'multiple'].includes(type.conditionalDelete));
    assert.equal(type.updateCreate, true);
  });
  check('every search parameter it names is understood', async (server) => {
    for (const name of [
      'Patient',
      'Observation',
      'DiagnosticReport',
      'ImagingStudy',
      'ServiceRequest',
      'Task',
    ]) {
      const type = (await statement(server)).rest[0].resource.find((one: Json) => one.type === name);
      assert.ok(type.searchParam.length > 10);
      for (const { name: parameter } of type.searchParam) {
        const { status, text } = await server.get(`${name}?${parameter}:missing=true&_count=1`);
        const { status: plain } = await server.get(`${name}?${parameter}=x`);
        assert.ok(
          [200, 400].includes(status) && [200, 400].includes(plain),
          `${parameter}: ${text.slice(0, 200)}`,
        );
        assert.doesNotMatch(text, /no search parameter|unknown parameter/i, `${name}.${parameter}`);
      }
    }
  });
  check('_include and _revinclude that it names are understood', async (server) => {
    for (const name of ['DiagnosticReport', 'Observation']) {
      const type = (await statement(server)).rest[0].resource.find((one: Json) => one.type === name);
      for (const include of type.searchInclude ?? [])
        if (include !== '*') await server.expect(200, 'GET', `${name}?_count=1&_include=${include}`);
    }
  });
  check('every operation it names answers something else than "no such operation"', async (server) => {
    const { rest } = await statement(server);
    for (const one of rest[0].operation ?? []) {
      const { status } = await server.ask('POST', `$${one.name}`, { resourceType: 'Parameters' });
      assert.notEqual(status, 405, one.name);
    }
  });
});
