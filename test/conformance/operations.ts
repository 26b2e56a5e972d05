import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group, once } from './check.ts';
import type { FhirServer, Json } from './fhir-server.ts';
import { observation, parameters, patient } from './samples.ts';

const part = (body: Json, name: string): Json => body.parameter?.find((one: Json) => one.name === name);

const vocabulary = once(async (server: FhirServer) => {
  const system = `http://example.org/conformance/cs-${randomUUID()}`;
  const set = `http://example.org/conformance/vs-${randomUUID()}`;
  const map = `http://example.org/conformance/cm-${randomUUID()}`;
  await server.create({
    resourceType: 'CodeSystem',
    url: system,
    status: 'active',
    content: 'complete',
    hierarchyMeaning: 'is-a',
    concept: [
      {
        code: 'finding',
        display: 'Finding',
        concept: [
          { code: 'nodule', display: 'Nodule', concept: [{ code: 'solid', display: 'Solid nodule' }] },
          { code: 'effusion', display: 'Effusion' },
        ],
      },
    ],
  });
  await server.create({
    resourceType: 'ValueSet',
    url: set,
    status: 'active',
    compose: { include: [{ system, filter: [{ property: 'concept', op: 'is-a', value: 'nodule' }] }] },
  });
  await server.create({
    resourceType: 'ConceptMap',
    url: map,
    status: 'active',
    sourceUri: set,
    group: [
      {
        source: system,
        target: 'http://example.org/other',
        element: [{ code: 'nodule', target: [{ code: 'N-1', equivalence: 'equivalent' }] }],
      },
    ],
  });
  return { system, set, map };
});

export const terminology = group('terminology operations', 'terminology-service.html', (check) => {
  check('CodeSystem/$lookup', async (server) => {
    const { system } = await vocabulary(server);
    const { body } = await server.expect(200, 'GET', `CodeSystem/$lookup?system=${system}&code=solid`);
    assert.equal(part(body, 'display').valueString, 'Solid nodule');
  });
  check('CodeSystem/$lookup of a code that is not there is 404 or 400', async (server) => {
    const { system } = await vocabulary(server);
    await server.refused([400, 404, 422], 'GET', `CodeSystem/$lookup?system=${system}&code=none`);
  });
  check('CodeSystem/$validate-code', async (server) => {
    const { system } = await vocabulary(server);
    const yes = await server.expect(200, 'GET', `CodeSystem/$validate-code?url=${system}&code=nodule`);
    assert.equal(part(yes.body, 'result').valueBoolean, true);
    const no = await server.expect(200, 'GET', `CodeSystem/$validate-code?url=${system}&code=none`);
    assert.equal(part(no.body, 'result').valueBoolean, false);
  });
  check('ValueSet/$validate-code', async (server) => {
    const { system, set } = await vocabulary(server);
    const ask = (code: string) =>
      server.expect(200, 'GET', `ValueSet/$validate-code?url=${set}&system=${system}&code=${code}`);
    assert.equal(part((await ask('solid')).body, 'result').valueBoolean, true);
    assert.equal(part((await ask('effusion')).body, 'result').valueBoolean, false);
  });
  check('ValueSet/$expand', async (server) => {
    const { set } = await vocabulary(server);
    const { body } = await server.expect(200, 'GET', `ValueSet/$expand?url=${set}`);
    const codes = body.expansion.contains.map((one: Json) => one.code).sort();
    assert.deepEqual(codes, ['nodule', 'solid']);
  });
  check('ValueSet/$expand with a filter and pages', async (server) => {
    const { set } = await vocabulary(server);
    const filtered = await server.expect(200, 'GET', `ValueSet/$expand?url=${set}&filter=solid`);
    assert.deepEqual(
      filtered.body.expansion.contains.map((one: Json) => one.code),
      ['solid'],
    );
    const page = await server.expect(200, 'GET', `ValueSet/$expand?url=${set}&count=1&offset=1`);
    assert.equal(page.body.expansion.contains.length, 1);
    assert.equal(page.body.expansion.total, 2);
  });
  check('ConceptMap/$translate', async (server) => {
    const { system, map } = await vocabulary(server);
    const { body } = await server.expect(
      200,
      'GET',
      `ConceptMap/$translate?url=${map}&system=${system}&code=nodule`,
    );
    assert.equal(part(body, 'result').valueBoolean, true);
    const match = part(body, 'match').part.find((one: Json) => one.name === 'concept');
    assert.equal(match.valueCoding.code, 'N-1');
  });
  for (const [a, b, outcome] of [
    ['nodule', 'solid', 'subsumes'],
    ['solid', 'nodule', 'subsumed-by'],
    ['solid', 'solid', 'equivalent'],
    ['solid', 'effusion', 'not-subsumed'],
  ])
    check(`CodeSystem/$subsumes: ${a} and ${b} are ${outcome}`, async (server) => {
      const { system } = await vocabulary(server);
      const { body } = await server.expect(
        200,
        'GET',
        `CodeSystem/$subsumes?system=${system}&codeA=${a}&codeB=${b}`,
      );
      assert.equal(part(body, 'outcome').valueCode, outcome);
    });
  check('search :in and :below', async (server) => {
    const { system, set } = await vocabulary(server);
    const solid = await server.create(observation({ code: { coding: [{ system, code: 'solid' }] } }));
    await server.create(observation({ code: { coding: [{ system, code: 'effusion' }] } }));
    assert.deepEqual(await server.ids('Observation', `code:in=${set}`), [solid.id]);
    assert.deepEqual(await server.ids('Observation', `code:below=${system}|nodule`), [solid.id]);
  });
});

export const operations = group('other operations', 'operations.html', (check) => {
  check('Patient/[id]/$everything has the patient and what is theirs', async (server) => {
    const { id } = await server.create(patient());
    const finding = await server.create(observation({ subject: { reference: `Patient/${id}` } }));
    const { body } = await server.expect(200, 'GET', `Patient/${id}/$everything`);
    const ids = body.entry.map((entry: Json) => entry.resource.id);
    assert.ok(ids.includes(id));
    assert.ok(ids.includes(finding.id));
  });
  check('$meta, $meta-add and $meta-delete', async (server) => {
    const { id } = await server.create(patient());
    const tag = { system: 'urn:t', code: randomUUID() };
    const meta = parameters({ name: 'meta', valueMeta: { tag: [tag] } });
    await server.expect(200, 'POST', `Patient/${id}/$meta-add`, meta);
    const has = async () => {
      const { body } = await server.expect(200, 'GET', `Patient/${id}/$meta`);
      return (part(body, 'return').valueMeta.tag ?? []).some((one: Json) => one.code === tag.code);
    };
    assert.equal(await has(), true);
    await server.expect(200, 'POST', `Patient/${id}/$meta-delete`, meta);
    assert.equal(await has(), false);
  });
  check('an operation that is not there is refused', (server) =>
    server.refused([400, 404, 501], 'POST', 'Patient/$bogus', parameters()).then(() => undefined),
  );
  check('$graphql is not offered and says so', (server) =>
    server.refused([404, 501], 'GET', '$graphql?query=x').then(() => undefined),
  );
  check('$export without Prefer: respond-async is refused', (server) =>
    server.refused([400, 412, 422], 'GET', '$export').then(() => undefined),
  );
  check('$export gives a status URL, then a manifest', async (server) => {
    await server.create(patient());
    const kicked = await server.expect(202, 'GET', '$export?_type=Patient', undefined, {
      prefer: 'respond-async',
    });
    const at = kicked.headers.get('content-location') ?? '';
    for (let look = 0; look < 100; look += 1) {
      const answer = await server.get(at);
      if (answer.status === 200) {
        assert.ok(answer.body.output.some((file: Json) => file.type === 'Patient'));
        const { text } = await server.expect(200, 'GET', answer.body.output[0].url, undefined, {
          accept: 'application/fhir+ndjson',
        });
        assert.equal(JSON.parse(text.split('\n')[0] ?? '').resourceType, 'Patient');
        return;
      }
      assert.equal(answer.status, 202);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.fail('the export does not end');
  });
});
