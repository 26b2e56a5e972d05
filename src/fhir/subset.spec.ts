import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FhirApp, fhirApp } from '../../test/fhir-app.ts';

let fhir: FhirApp;
beforeAll(async () => {
  fhir = await fhirApp();
  const div = '<div xmlns="http://www.w3.org/1999/xhtml">a</div>';
  await fhir.send('PUT', 'Patient/p', {
    resourceType: 'Patient',
    id: 'p',
    meta: { tag: [{ code: 'mine' }] },
    text: { status: 'generated', div },
    name: [{ family: 'Doe' }],
    birthDate: '1970-01-01',
    _birthDate: { extension: [{ url: 'urn:x', valueString: 'y' }] },
    maritalStatus: { text: 'x' },
    contact: [{ name: { text: 'c' } }],
  });
  const text = JSON.stringify({
    resourceType: 'Observation',
    id: 'o',
    status: 'final',
    code: { text: 'c' },
    text: { status: 'generated', div },
    subject: { reference: 'Patient/p' },
    valueQuantity: { value: 0 },
    note: [{ text: 'n' }],
  }).replace('"value":0', '"value":1.10');
  await fhir.send('PUT', 'Observation/o', text);
  await fhir.send('PUT', 'ImagingStudy/i', {
    resourceType: 'ImagingStudy',
    id: 'i',
    status: 'available',
    subject: { reference: 'Patient/p' },
    series: [
      {
        uid: '1.2',
        modality: { system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'CT' },
        instance: [{ uid: '1.2.3', sopClass: { system: 'urn:ietf:rfc:3986', code: 'urn:oid:1.2' } }],
      },
    ],
  });
});
afterAll(() => fhir.close());

const keys = (resource: object) => Object.keys(resource).sort();
const SUBSETTED = { system: 'http://terminology.hl7.org/CodeSystem/v3-ObservationValue', code: 'SUBSETTED' };

describe('_summary', () => {
  it('true gives the summary elements of the definition, also within parts of the resource, marked as SUBSETTED', async () => {
    const { json, headers } = await fhir.send('GET', 'Patient/p?_summary=true');
    expect(keys(json)).toEqual(['_birthDate', 'birthDate', 'id', 'meta', 'name', 'resourceType']);
    expect(json.meta.tag).toEqual([{ code: 'mine' }, SUBSETTED]);
    expect(headers['etag']).toBe('W/"1"');
    const study = (await fhir.send('GET', 'ImagingStudy/i?_summary=true')).json;
    expect(keys(study.series[0])).toEqual(['modality', 'uid']);
    const observation = await fhir.send('GET', 'Observation/o?_summary=true');
    expect(keys(observation.json)).toEqual([
      'code',
      'id',
      'meta',
      'resourceType',
      'status',
      'subject',
      'valueQuantity',
    ]);
    expect(observation.text).toContain('"value":1.10');
  });

  it('text gives the narrative and what is mandatory, data everything else', async () => {
    expect(keys((await fhir.send('GET', 'Observation/o?_summary=text')).json)).toEqual([
      'code',
      'id',
      'meta',
      'resourceType',
      'status',
      'text',
    ]);
    const data = (await fhir.send('GET', 'Observation/o?_summary=data')).json;
    expect([data.text, data.note, data.meta.tag]).toEqual([undefined, [{ text: 'n' }], [SUBSETTED]]);
  });

  it('false changes nothing, and the stored resource stays whole', async () => {
    const whole = (await fhir.send('GET', 'Patient/p?_summary=false')).json;
    expect(whole.contact).toHaveLength(1);
    expect(whole.meta.tag).toEqual([{ code: 'mine' }]);
    expect((await fhir.send('GET', 'Patient/p')).json).toEqual(whole);
  });

  it('works for searches, their includes, versions and histories', async () => {
    const found = (await fhir.send('GET', 'Observation?_id=o&_include=Observation:subject&_summary=true'))
      .json;
    expect(
      found.entry.map((one: { resource: { meta: object; contact?: object } }) => [
        one.resource.contact,
        one.resource.meta,
      ]),
    ).toEqual([
      [undefined, expect.objectContaining({ tag: [SUBSETTED] })],
      [undefined, expect.objectContaining({ tag: [{ code: 'mine' }, SUBSETTED] })],
    ]);
    expect(found.link[0].url).toContain('_summary=true');
    expect((await fhir.send('GET', 'Patient?_id=p&_summary=count')).json).toMatchObject({ total: 1 });
    expect((await fhir.send('GET', 'Patient/p/_history/1?_summary=text')).json.name).toBeUndefined();
    expect(
      (await fhir.send('GET', 'Patient/_history?_summary=text')).json.entry[0].resource.name,
    ).toBeUndefined();
  });
});

describe('_elements', () => {
  it('gives what is listed and what is mandatory, a choice by its name, and matches only', async () => {
    const { json } = await fhir.send('GET', 'Observation/o?_elements=value,subject');
    expect(keys(json)).toEqual(['code', 'id', 'meta', 'resourceType', 'status', 'subject', 'valueQuantity']);
    expect(json.meta.tag).toEqual([SUBSETTED]);
    expect(keys((await fhir.send('GET', 'Patient/p?_elements=birthDate')).json)).toEqual([
      '_birthDate',
      'birthDate',
      'id',
      'meta',
      'resourceType',
    ]);
    const found = (await fhir.send('GET', 'Observation?_id=o&_elements=status&_include=Observation:subject'))
      .json;
    expect(found.entry[0].resource.subject).toBeUndefined();
    expect(found.entry[1].resource.contact).toHaveLength(1);
  });

  it.each([
    'Patient/p?_elements=nonsense',
    'Patient/p?_elements=name.family',
    "Patient/p?_elements=' or 1=1--",
    'Patient/p?_elements=__proto__',
    'Patient/p?_elements=constructor',
    'Patient/p?_elements=name&_summary=true',
    'Patient/p?_summary=toString',
    'Patient/p?_summary=everything',
  ])('refuses %s', async (path) => {
    const { status, json } = await fhir.send('GET', path);
    expect([status, json.resourceType]).toEqual([400, 'OperationOutcome']);
  });

  it('is lenient with unknown elements for a client that is', async () => {
    const { json } = await fhir.send('GET', 'Patient/p?_elements=nonsense,name', undefined, {
      prefer: 'handling=lenient',
    });
    expect(keys(json)).toEqual(['id', 'meta', 'name', 'resourceType']);
  });
});
