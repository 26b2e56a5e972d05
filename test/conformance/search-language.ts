import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group, once } from './check.ts';
import type { FhirServer, Json } from './fhir-server.ts';
import { code, observation, patient, report } from './samples.ts';

/** A patient with a doctor, an order, a study, two findings and their report; and another patient with one finding. */
const world = once(async (server: FhirServer) => {
  const mark = randomUUID();
  const doctor = await server.create({ resourceType: 'Practitioner', name: [{ family: `Arzt${mark}` }] });
  const ilva = await server.create(
    patient({
      name: [{ family: `Ilva${mark}` }],
      generalPractitioner: [{ reference: `Practitioner/${doctor.id}` }],
    }),
  );
  const other = await server.create(patient({ name: [{ family: `Otto${mark}` }], birthDate: '1999-09-09' }));
  const subject = { reference: `Patient/${ilva.id}` };
  const order = await server.create({
    resourceType: 'ServiceRequest',
    status: 'active',
    intent: 'order',
    subject,
    identifier: [{ system: 'urn:acc', value: mark }],
    requester: { reference: `Practitioner/${doctor.id}` },
  });
  const finding = (value: string, who: Json) =>
    server.create(observation({ code: code(`${value}${mark}`, 'urn:w'), subject: who }));
  const first = await finding('one', subject);
  const second = await finding('two', subject);
  const third = await finding('one', { reference: `Patient/${other.id}` });
  const record = await server.create(
    report({
      subject,
      basedOn: [{ reference: `ServiceRequest/${order.id}` }],
      result: [first, second].map(({ id }) => ({ reference: `Observation/${id}` })),
    }),
  );
  return { mark, doctor, ilva, other, order, first, second, third, record };
});

const entries = async (server: FhirServer, path: string, mode: string): Promise<string[]> => {
  const { body } = await server.expect(200, 'GET', path);
  return (body.entry ?? [])
    .filter((entry: Json) => entry.search?.mode === mode)
    .map((entry: Json) => `${entry.resource.resourceType}/${entry.resource.id}`)
    .sort();
};

export const chains = group('search: chains', 'search.html#chaining', (check) => {
  check('one link', async (server) => {
    const { mark, first, second } = await world(server);
    const ids = await server.ids('Observation', `subject:Patient.family=Ilva${mark}`);
    assert.deepEqual(ids.sort(), [first.id, second.id].sort());
  });
  check('one link without a type', async (server) => {
    const { mark, first, second } = await world(server);
    const ids = await server.ids('Observation', `patient.family=Ilva${mark}`);
    assert.deepEqual(ids.sort(), [first.id, second.id].sort());
  });
  check('two links', async (server) => {
    const { mark, first, second } = await world(server);
    const query = `subject:Patient.general-practitioner:Practitioner.family=Arzt${mark}`;
    assert.deepEqual((await server.ids('Observation', query)).sort(), [first.id, second.id].sort());
  });
  check('three links', async (server) => {
    const { mark, record } = await world(server);
    const query = `result.subject:Patient.general-practitioner:Practitioner.family=Arzt${mark}`;
    assert.deepEqual(await server.ids('DiagnosticReport', query), [record.id]);
  });
  check('by the order', async (server) => {
    const { mark, record } = await world(server);
    const ids = await server.ids('DiagnosticReport', `based-on:ServiceRequest.identifier=urn:acc|${mark}`);
    assert.deepEqual(ids, [record.id]);
  });
  check('a chain that matches nobody finds nothing', async (server) => {
    assert.deepEqual(await server.ids('Observation', `subject:Patient.family=Nobody${randomUUID()}`), []);
  });
  for (const query of ['subject.bogus=1', 'status.family=x', 'subject:Cupboard.name=x', 'subject:Patient.=x'])
    check(`${query} is refused`, (server) =>
      server.refused(400, 'GET', `Observation?${query}`).then(() => undefined),
    );
});

export const reverseChains = group('search: _has', 'search.html#has', (check) => {
  check('one link', async (server) => {
    const { mark, ilva } = await world(server);
    const ids = await server.ids('Patient', `_has:Observation:patient:code=urn:w|two${mark}`);
    assert.deepEqual(ids, [ilva.id]);
  });
  check('several that have it', async (server) => {
    const { mark, ilva, other } = await world(server);
    const ids = await server.ids('Patient', `_has:Observation:patient:code=one${mark}`);
    assert.deepEqual(ids.sort(), [ilva.id, other.id].sort());
  });
  check('_has inside _has', async (server) => {
    const { mark, ilva } = await world(server);
    const query = `_has:Observation:patient:_has:DiagnosticReport:result:based-on.identifier=urn:acc|${mark}`;
    assert.deepEqual(await server.ids('Patient', query), [ilva.id]);
  });
  check('a chain that ends in _has', async (server) => {
    const { mark, record } = await world(server);
    const query = `subject:Patient._has:Observation:patient:code=two${mark}`;
    assert.deepEqual(await server.ids('DiagnosticReport', query), [record.id]);
  });
  for (const query of [
    '_has:Observation:patient=1',
    '_has:Cupboard:patient:code=1',
    '_has:Observation:bogus:code=1',
    '_has:Observation:patient:bogus=1',
  ])
    check(`${query} is refused`, (server) =>
      server.refused(400, 'GET', `Patient?${query}`).then(() => undefined),
    );
});

export const includes = group('search: _include and _revinclude', 'search.html#include', (check) => {
  check('_include brings the referenced resource', async (server) => {
    const { record, ilva } = await world(server);
    const path = `DiagnosticReport?_id=${record.id}&_include=DiagnosticReport:subject`;
    assert.deepEqual(await entries(server, path, 'include'), [`Patient/${ilva.id}`]);
    assert.deepEqual(await entries(server, path, 'match'), [`DiagnosticReport/${record.id}`]);
  });
  check('_include with a type', async (server) => {
    const { record, ilva } = await world(server);
    const path = `DiagnosticReport?_id=${record.id}&_include=DiagnosticReport:subject:Patient`;
    assert.deepEqual(await entries(server, path, 'include'), [`Patient/${ilva.id}`]);
    const none = `DiagnosticReport?_id=${record.id}&_include=DiagnosticReport:subject:Group`;
    assert.deepEqual(await entries(server, none, 'include'), []);
  });
  check('several _include', async (server) => {
    const { record, ilva, first, second } = await world(server);
    const path = `DiagnosticReport?_id=${record.id}&_include=DiagnosticReport:subject&_include=DiagnosticReport:result`;
    assert.deepEqual(
      await entries(server, path, 'include'),
      [`Patient/${ilva.id}`, `Observation/${first.id}`, `Observation/${second.id}`].sort(),
    );
  });
  check('_include:iterate follows what came', async (server) => {
    const { record, ilva, doctor } = await world(server);
    const path = `DiagnosticReport?_id=${record.id}&_include=DiagnosticReport:subject&_include:iterate=Patient:general-practitioner`;
    assert.deepEqual(
      await entries(server, path, 'include'),
      [`Patient/${ilva.id}`, `Practitioner/${doctor.id}`].sort(),
    );
  });
  check('_revinclude brings what refers to it', async (server) => {
    const { ilva, record } = await world(server);
    const path = `Patient?_id=${ilva.id}&_revinclude=DiagnosticReport:subject`;
    assert.deepEqual(await entries(server, path, 'include'), [`DiagnosticReport/${record.id}`]);
  });
  check('includes do not count in total', async (server) => {
    const { record } = await world(server);
    const path = `DiagnosticReport?_id=${record.id}&_include=DiagnosticReport:result&_total=accurate`;
    const { body } = await server.expect(200, 'GET', path);
    assert.equal(body.total, 1);
  });
  check('what is included by two comes once', async (server) => {
    const { first, second, ilva } = await world(server);
    const path = `Observation?_id=${first.id},${second.id}&_include=Observation:subject`;
    assert.deepEqual(await entries(server, path, 'include'), [`Patient/${ilva.id}`]);
  });
  for (const query of [
    '_include=Observation:bogus',
    '_include=Observation',
    '_include=Cupboard:subject',
    '_revinclude=Observation:status',
  ])
    check(`${query} is refused`, (server) =>
      server.refused(400, 'GET', `Observation?${query}`).then(() => undefined),
    );
});

const sortable = once(async (server: FhirServer) => {
  const mark = `urn:sort:${randomUUID()}`;
  const make = (value: string, family: string | null, birthDate?: string) =>
    server.create({
      resourceType: 'Patient',
      identifier: [{ system: mark, value }],
      ...(family ? { name: [{ family }] } : {}),
      ...(birthDate ? { birthDate } : {}),
    });
  const made: Record<string, string> = {};
  for (const [letter, family, birth] of [
    ['a', 'Berg', '1950-01-01'],
    ['b', 'Adler', '1960-01-01'],
    ['c', 'Berg', '1940-01-01'],
    ['d', null, '1930-01-01'],
    ['e', 'Clausen', undefined],
  ] as const)
    made[(await make(letter, family, birth)).id] = letter;
  return { mark, made };
});

export const sorting = group('search: _sort', 'search.html#sort', (check) => {
  for (const [sort, order] of [
    ['birthdate', /^dcab/],
    ['-birthdate', /^bac.?d|^ebacd|^bacde/],
    ['family,birthdate', /bcae/],
    ['family,-birthdate', /bace/],
    ['-family,birthdate', /ecab/],
    ['_id', /^.{5}$/],
    ['-_lastUpdated', /^edcba$/],
    ['_lastUpdated', /^abcde$/],
  ] as const)
    check(`_sort=${sort}`, async (server) => {
      const { mark, made } = await sortable(server);
      const found = await server.search('Patient', `identifier=${mark}|&_sort=${sort}`);
      const letters = found.map(({ id }) => made[id]).join('');
      assert.equal(letters.length, 5, 'those without a value are there too');
      assert.match(letters, order);
    });
  for (const sort of ['bogus', '-', 'birthdate,bogus', "birthdate'; drop table x"])
    check(`_sort=${sort} is refused`, (server) =>
      server.refused(400, 'GET', `Patient?_sort=${encodeURIComponent(sort)}`).then(() => undefined),
    );
});

async function walk(server: FhirServer, first: string, between?: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  let next: string | undefined = first;
  for (let page = 0; next && page < 100; page += 1) {
    const { body }: { body: Json } = await server.expect(200, 'GET', next);
    seen.push(...(body.entry ?? []).map((entry: Json) => entry.resource.id));
    next = body.link.find((link: Json) => link.relation === 'next')?.url;
    await between?.();
  }
  return seen;
}

export const paging = group('search: pages and totals', 'http.html#paging', (check) => {
  for (const sort of ['', '&_sort=birthdate', '&_sort=-_lastUpdated', '&_sort=family,-birthdate'])
    check(`pages of two with "${sort}" give all, each once`, async (server) => {
      const { mark, made } = await sortable(server);
      const seen = await walk(server, `Patient?identifier=${mark}|&_count=2${sort}`);
      assert.deepEqual([...seen].sort(), Object.keys(made).sort());
    });
  check('pages stay complete while resources are added and deleted', async (server) => {
    const system = `urn:page:${randomUUID()}`;
    const make = () => server.create(patient({ identifier: [{ system, value: randomUUID() }] }));
    const wanted: string[] = [];
    for (let n = 0; n < 9; n += 1) wanted.push((await make()).id);
    const doomed = await make();
    let first = true;
    const seen = await walk(server, `Patient?identifier=${system}|&_count=2`, async () => {
      if (first) await server.ask('DELETE', `Patient/${doomed.id}`);
      first = false;
      await make();
    });
    assert.equal(new Set(seen).size, seen.length);
    for (const id of wanted) assert.ok(seen.includes(id));
  });
  check('_count=0 is a number and no entry', async (server) => {
    const { mark } = await sortable(server);
    const { body } = await server.expect(200, 'GET', `Patient?identifier=${mark}|&_count=0`);
    assert.equal(body.total, 5);
    assert.equal(body.entry, undefined);
  });
  check('_total=accurate counts all pages', async (server) => {
    const { mark } = await sortable(server);
    const { body } = await server.expect(200, 'GET', `Patient?identifier=${mark}|&_count=2&_total=accurate`);
    assert.equal(body.total, 5);
    assert.equal(body.entry.length, 2);
  });
  check('_total=none gives none', async (server) => {
    const { mark } = await sortable(server);
    const { body } = await server.expect(200, 'GET', `Patient?identifier=${mark}|&_count=2&_total=none`);
    assert.equal(body.total, undefined);
  });
  check('the self link says what was understood', async (server) => {
    const { mark } = await sortable(server);
    const { body } = await server.expect(200, 'GET', `Patient?identifier=${mark}|&_count=2`);
    const self = body.link.find((link: Json) => link.relation === 'self').url;
    assert.match(decodeURIComponent(self), new RegExp(`identifier=${mark}`));
  });
  for (const query of ['_count=-1', '_count=abc', '_count=1e9', '_total=roughly'])
    check(`${query} is refused`, (server) =>
      server.refused(400, 'GET', `Patient?${query}`).then(() => undefined),
    );
});

export const common = group('search: parameters of all resources', 'search.html#all', (check) => {
  check('_id takes several', async (server) => {
    const { first, second } = await world(server);
    const ids = await server.ids('Observation', `_id=${first.id},${second.id},none`);
    assert.deepEqual(ids.sort(), [first.id, second.id].sort());
  });
  check('_lastUpdated', async (server) => {
    const one = await server.create(patient());
    const at = encodeURIComponent(one.meta.lastUpdated);
    assert.ok((await server.ids('Patient', `_lastUpdated=ge${at}`)).includes(one.id));
    assert.ok(!(await server.ids('Patient', `_lastUpdated=lt${at}&_id=${one.id}`)).includes(one.id));
  });
  check('_tag, _profile, _security and _source', async (server) => {
    const mark = randomUUID();
    const one = await server.create({
      ...patient(),
      meta: {
        tag: [{ system: 'urn:t', code: mark }],
        security: [{ system: 'http://terminology.hl7.org/CodeSystem/v3-Confidentiality', code: 'R' }],
        profile: ['http://hl7.org/fhir/StructureDefinition/Patient'],
      },
    });
    assert.deepEqual(await server.ids('Patient', `_tag=urn:t|${mark}`), [one.id]);
    assert.deepEqual(await server.ids('Patient', `_tag=urn:t|${mark}&_security=R`), [one.id]);
    const profile = 'http://hl7.org/fhir/StructureDefinition/Patient';
    assert.deepEqual(await server.ids('Patient', `_tag=urn:t|${mark}&_profile=${profile}`), [one.id]);
    assert.deepEqual(await server.ids('Patient', `_tag=urn:t|${mark}&_security=N`), []);
  });
  check('POST _search answers as GET does', async (server) => {
    const { mark, ilva } = await world(server);
    const { body } = await server.expect(200, 'POST', 'Patient/_search', `family=Ilva${mark}`, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    assert.deepEqual(
      body.entry.map((entry: Json) => entry.resource.id),
      [ilva.id],
    );
  });
  check('an unknown parameter is refused', (server) =>
    server.refused(400, 'GET', 'Patient?colour=green').then(() => undefined),
  );
  check('with Prefer: handling=strict too', (server) =>
    server
      .refused(400, 'GET', 'Patient?colour=green', undefined, { prefer: 'handling=strict' })
      .then(() => undefined),
  );
  check('with Prefer: handling=lenient it is left out, and said', async (server) => {
    const { mark } = await world(server);
    const path = `Patient?colour=green&family=Ilva${mark}`;
    const { body } = await server.expect(200, 'GET', path, undefined, { prefer: 'handling=lenient' });
    const self = body.link.find((link: Json) => link.relation === 'self').url;
    assert.doesNotMatch(self, /colour/);
    assert.equal(body.entry.filter((entry: Json) => entry.search.mode === 'match').length, 1);
  });
  for (const parameter of ['_text=x', '_content=x', '_filter=name eq x', '_query=x'])
    check(`${parameter} is not offered and is refused`, (server) =>
      server.refused([400, 501], 'GET', `Patient?${parameter}`).then(() => undefined),
    );
  check('a compartment has what belongs to the patient', async (server) => {
    const { ilva, first, second } = await world(server);
    const { body } = await server.expect(200, 'GET', `Patient/${ilva.id}/Observation`);
    assert.deepEqual(body.entry.map((entry: Json) => entry.resource.id).sort(), [first.id, second.id].sort());
  });
  check('a compartment can be searched', async (server) => {
    const { ilva, mark, second } = await world(server);
    const { body } = await server.expect(200, 'GET', `Patient/${ilva.id}/Observation?code=two${mark}`);
    assert.deepEqual(
      body.entry.map((entry: Json) => entry.resource.id),
      [second.id],
    );
  });
  check('a search over several types', async (server) => {
    const { ilva, record } = await world(server);
    const { body } = await server.expect(
      200,
      'GET',
      `?_type=Patient,DiagnosticReport&_id=${ilva.id},${record.id}`,
    );
    assert.deepEqual(body.entry.map((entry: Json) => entry.resource.id).sort(), [ilva.id, record.id].sort());
  });
  check('entries have fullUrl and mode', async (server) => {
    const { ilva } = await world(server);
    const { body } = await server.expect(200, 'GET', `Patient?_id=${ilva.id}`);
    assert.equal(body.resourceType, 'Bundle');
    assert.equal(body.type, 'searchset');
    assert.match(body.entry[0].fullUrl, new RegExp(`/Patient/${ilva.id}$`));
    assert.equal(body.entry[0].search.mode, 'match');
  });
});
