import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { group, once } from './check.ts';
import type { FhirServer, Json } from './fhir-server.ts';
import { patient } from './samples.ts';

const threeVersions = once(async (server) => {
  const first = await server.create(patient());
  await sleep(15);
  const { body: second } = await server.expect(200, 'PUT', `Patient/${first.id}`, {
    ...first,
    gender: 'male',
  });
  await sleep(15);
  const { body: third } = await server.expect(200, 'PUT', `Patient/${first.id}`, {
    ...first,
    gender: 'other',
  });
  return { id: first.id, first, second, third };
});

const versions = (bundle: Json): string[] =>
  (bundle.entry ?? []).map((entry: Json) => entry.resource?.meta.versionId ?? 'deleted');

async function allPages(server: FhirServer, path: string): Promise<Json[]> {
  const entries: Json[] = [];
  let next: string | undefined = path;
  for (let page = 0; next && page < 200; page += 1) {
    const { body }: { body: Json } = await server.expect(200, 'GET', next);
    entries.push(...(body.entry ?? []));
    next = body.link?.find((link: Json) => link.relation === 'next')?.url;
  }
  return entries;
}

export const history = group('history', 'http.html#history', (check) => {
  check('an instance has its versions, newest first', async (server) => {
    const { id, first, second, third } = await threeVersions(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history`);
    assert.equal(body.type, 'history');
    assert.deepEqual(
      versions(body),
      [third, second, first].map((one) => one.meta.versionId),
    );
  });
  check('each entry has request and response', async (server) => {
    const { id } = await threeVersions(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history`);
    assert.deepEqual(
      body.entry.map((entry: Json) => entry.request.method),
      ['PUT', 'PUT', 'POST'],
    );
    for (const entry of body.entry) {
      assert.match(entry.response.status, /^20[01]/);
      assert.match(entry.response.etag, /^W\/"/);
      assert.ok(entry.response.lastModified);
      assert.match(entry.fullUrl, new RegExp(`/Patient/${id}$`));
    }
  });
  check('_count limits a page and next leads on to the end', async (server) => {
    const { id } = await threeVersions(server);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history?_count=2`);
    assert.equal(body.entry.length, 2);
    const all = await allPages(server, `Patient/${id}/_history?_count=1`);
    assert.equal(all.length, 3);
  });
  check('_since leaves out what is older', async (server) => {
    const { id, second } = await threeVersions(server);
    const since = encodeURIComponent(second.meta.lastUpdated);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history?_since=${since}`);
    assert.ok(versions(body).includes('3'));
    assert.ok(!versions(body).includes('1'));
  });
  check('_at gives what was current then', async (server) => {
    const { id, second } = await threeVersions(server);
    const at = encodeURIComponent(second.meta.lastUpdated);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history?_at=${at}`);
    assert.deepEqual(versions(body), [second.meta.versionId]);
  });
  check('a deletion is an entry without a resource', async (server) => {
    const { id } = await server.create(patient());
    await server.ask('DELETE', `Patient/${id}`);
    const { body } = await server.expect(200, 'GET', `Patient/${id}/_history`);
    assert.equal(body.entry[0].resource, undefined);
    assert.equal(body.entry[0].request.method, 'DELETE');
  });
  check('the history of what never was is 404', (server) =>
    server.refused(404, 'GET', 'Patient/never-was/_history').then(() => undefined),
  );
  check('a _since that is no instant is refused', async (server) => {
    const { id } = await threeVersions(server);
    await server.refused(400, 'GET', `Patient/${id}/_history?_since=yesterday`);
  });
  for (const path of ['Patient/_history', '_history'])
    check(`${path} has what was changed just now, newest first`, async (server) => {
      const { body: one } = await server.expect(201, 'POST', 'Patient', server.tagged(patient()));
      const since = encodeURIComponent(one.meta.lastUpdated);
      const entries = await allPages(server, `${path}?_since=${since}&_count=10`);
      assert.ok(entries.some((entry) => entry.resource?.id === one.id));
      const times = entries.map((entry) => Date.parse(entry.response.lastModified));
      assert.deepEqual(
        times,
        [...times].sort((a, b) => b - a),
      );
    });
  check('pages of a type are complete and without repeats while data change', async (server) => {
    const before = await server.create(patient());
    const wanted = new Set<string>();
    for (let n = 0; n < 7; n += 1) wanted.add((await server.create(patient())).id);
    const since = encodeURIComponent(before.meta.lastUpdated);
    const seen: string[] = [];
    let next: string | undefined = `Patient/_history?_since=${since}&_count=3`;
    while (next) {
      const { body }: { body: Json } = await server.expect(200, 'GET', next);
      seen.push(...(body.entry ?? []).map((entry: Json) => entry.response.etag + entry.fullUrl));
      next = body.link?.find((link: Json) => link.relation === 'next')?.url;
      await server.create(patient());
    }
    assert.equal(new Set(seen).size, seen.length);
    for (const id of wanted) assert.ok(seen.some((key) => key.endsWith(id)));
  });
});
