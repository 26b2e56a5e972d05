import { strict as assert } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { group } from './check.ts';
import type { Json } from './fhir-server.ts';
import { code, parameters } from './samples.ts';

const text = { text: 'x' };
const subject = { reference: 'Patient/x' };
const url = () => `http://example.org/conformance/${randomUUID()}`;

/** A valid resource of each type of the imaging way, a change, and a search that finds it by what it holds. */
const TYPES: Readonly<Record<string, { make: () => Json; change: Json; find: (made: Json) => string }>> = {
  Patient: { make: () => ({ gender: 'female' }), change: { gender: 'male' }, find: () => 'gender=female' },
  Practitioner: { make: () => ({ active: true }), change: { active: false }, find: () => 'active=true' },
  PractitionerRole: { make: () => ({ active: true }), change: { active: false }, find: () => 'active=true' },
  Organization: { make: () => ({ name: 'Haus' }), change: { name: 'Hof' }, find: () => 'name=haus' },
  Location: {
    make: () => ({ status: 'active', name: 'CT 2' }),
    change: { status: 'suspended' },
    find: () => 'name=ct',
  },
  Encounter: {
    make: () => ({
      status: 'in-progress',
      class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'IMP' },
    }),
    change: { status: 'finished' },
    find: () => 'status=in-progress',
  },
  ServiceRequest: {
    make: () => ({ status: 'active', intent: 'order', subject }),
    change: { status: 'completed' },
    find: () => 'intent=order',
  },
  ImagingStudy: {
    make: () => ({
      status: 'available',
      subject,
      series: [
        { uid: '2.25.7', modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'CT' } },
      ],
    }),
    change: { status: 'cancelled' },
    find: () => 'modality=CT',
  },
  DiagnosticReport: {
    make: () => ({ status: 'preliminary', code: code('18748-4') }),
    change: { status: 'final' },
    find: () => 'code=18748-4',
  },
  Observation: {
    make: () => ({ status: 'preliminary', code: code('8867-4') }),
    change: { status: 'final' },
    find: () => 'status=preliminary',
  },
  Task: {
    make: () => ({ status: 'requested', intent: 'order' }),
    change: { status: 'in-progress' },
    find: () => 'status=requested',
  },
  Device: {
    make: () => ({ status: 'active', deviceName: [{ name: 'Modell', type: 'model-name' }] }),
    change: { status: 'inactive' },
    find: () => 'device-name=modell',
  },
  DeviceDefinition: {
    make: () => ({ modelNumber: '7', type: code('x', 'urn:d') }),
    change: { modelNumber: '8' },
    find: () => 'type=urn:d|x',
  },
  Endpoint: {
    make: () => ({
      status: 'active',
      connectionType: {
        system: 'http://terminology.hl7.org/CodeSystem/endpoint-connection-type',
        code: 'dicom-wado-rs',
      },
      payloadType: [text],
      address: 'https://pacs.example/wado',
    }),
    change: { status: 'off' },
    find: () => 'connection-type=dicom-wado-rs',
  },
  Provenance: {
    make: () => ({ target: [subject], recorded: '2026-01-01T00:00:00Z', agent: [{ who: { display: 'x' } }] }),
    change: { recorded: '2026-01-02T00:00:00Z' },
    find: () => 'target=Patient/x',
  },
  Communication: {
    make: () => ({ status: 'completed', subject }),
    change: { status: 'not-done' },
    find: () => 'status=completed',
  },
  CommunicationRequest: {
    make: () => ({ status: 'active', subject }),
    change: { status: 'completed' },
    find: () => 'status=active',
  },
  PlanDefinition: {
    make: () => ({ status: 'draft', title: 'Plan' }),
    change: { status: 'active' },
    find: () => 'title=plan',
  },
  ActivityDefinition: {
    make: () => ({ status: 'draft', title: 'Tat' }),
    change: { status: 'active' },
    find: () => 'title=tat',
  },
  Subscription: {
    make: () => ({
      status: 'off',
      reason: 'x',
      criteria: 'Observation?code=x',
      channel: { type: 'rest-hook', endpoint: 'https://127.0.0.1:9/hook' },
    }),
    change: { reason: 'y' },
    find: () => 'type=rest-hook',
  },
  ConceptMap: {
    make: () => ({ status: 'draft', url: url() }),
    change: { status: 'retired' },
    find: (made) => `url=${made.url}`,
  },
  CodeSystem: {
    make: () => ({ status: 'draft', content: 'complete', url: url() }),
    change: { status: 'retired' },
    find: (made) => `url=${made.url}`,
  },
  ValueSet: {
    make: () => ({ status: 'draft', url: url() }),
    change: { status: 'retired' },
    find: (made) => `url=${made.url}`,
  },
  StructureDefinition: {
    make: () => ({
      status: 'draft',
      url: url(),
      name: 'Probe',
      kind: 'resource',
      abstract: false,
      type: 'Basic',
      baseDefinition: 'http://hl7.org/fhir/StructureDefinition/Basic',
      derivation: 'constraint',
      differential: { element: [{ id: 'Basic', path: 'Basic' }] },
    }),
    change: { status: 'retired' },
    find: (made) => `url=${made.url}`,
  },
  SearchParameter: {
    make: () => ({
      status: 'draft',
      url: url(),
      name: 'probe',
      description: 'x',
      code: `probe-${randomUUID().slice(0, 8)}`,
      base: ['Basic'],
      type: 'token',
      expression: 'Basic.code',
    }),
    change: { description: 'y' },
    find: (made) => `url=${made.url}`,
  },
  Binary: {
    make: () => ({ contentType: 'text/plain', data: 'AAAA' }),
    change: { data: 'BBBB' },
    find: (made) => `_id=${made.id}`,
  },
  DocumentReference: {
    make: () => ({
      status: 'current',
      content: [{ attachment: { contentType: 'application/pdf', url: 'https://x.example/1.pdf' } }],
    }),
    change: { status: 'superseded' },
    find: () => 'status=current',
  },
  Media: {
    make: () => ({
      status: 'completed',
      content: { contentType: 'image/png', url: 'https://x.example/1.png' },
    }),
    change: { status: 'stopped' },
    find: () => 'status=completed',
  },
  Basic: {
    make: () => ({ code: code('x', 'urn:b') }),
    change: { code: code('y', 'urn:b') },
    find: () => 'code=urn:b|x',
  },
};

export const types = group('resource types', 'resourcelist.html', (check) => {
  for (const [type, { make, change, find }] of Object.entries(TYPES)) {
    check(`${type} is stored, read, searched, changed, versioned, deleted`, async (server) => {
      const made = await server.create({ resourceType: type, ...make() });
      const read = await server.expect(200, 'GET', `${type}/${made.id}`, undefined, {
        accept: 'application/fhir+json',
      });
      assert.equal(read.body.resourceType, type);
      const found = await server.ids(type, `${find(made)}&_count=500`);
      assert.ok(found.includes(made.id), 'the search does not find it');
      await server.expect(200, 'PUT', `${type}/${made.id}`, { ...made, ...change });
      const history = await server.expect(200, 'GET', `${type}/${made.id}/_history`);
      assert.equal(history.body.entry.length >= 2, true);
      const { status } = await server.ask('DELETE', `${type}/${made.id}`);
      assert.ok(status === 200 || status === 204);
      await server.refused(410, 'GET', `${type}/${made.id}`);
    });
    check(`${type} with an element that does not exist is refused`, (server) =>
      server
        .refused([400, 422], 'POST', type, { resourceType: type, ...make(), notAnElement: true })
        .then(() => undefined),
    );
    check(`${type} is answered by $validate`, async (server) => {
      const { body } = await server.expect(
        200,
        'POST',
        `${type}/$validate`,
        parameters({ name: 'resource', resource: { resourceType: type, ...make() } }),
      );
      const errors = body.issue.filter((issue: Json) => ['error', 'fatal'].includes(issue.severity));
      assert.deepEqual(errors, []);
    });
  }
});
