import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binary, Bundle, Consent } from '@medplum/fhirtypes';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { ANALYSIS_CODE } from '../../src/governance/analysis-task.ts';
import { dicomFile } from '../peers/dicom-file.ts';
import {
  AccessWorld,
  type Ask,
  idsIn,
  observation,
  person,
  RESTRICTED,
  VERY_RESTRICTED,
} from './access-world.ts';

/** Studies of A, of B, and one that no record knows. */
const STUDY = { a: '1.2.826.0.1.1', b: '1.2.826.0.1.2', unknown: '1.2.826.0.1.3' };

let world: AccessWorld;
let ofA: Ask;

beforeAll(async () => {
  world = await AccessWorld.start({ STUDY_QUIET_MS: '600000' });
  for (const id of ['a', 'b'] as const) {
    await world.write(person(`door-${id}`, id === 'a' ? 'Alpha' : 'Beta'));
    await world.write(observation(`door-o${id}`, `door-${id}`));
    await world.write({
      resourceType: 'ImagingStudy',
      id: `door-s${id}`,
      status: 'available',
      subject: { reference: `Patient/door-${id}` },
      identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${STUDY[id]}` }],
    });
    await world.write({
      resourceType: 'Task',
      id: `door-t${id}`,
      status: 'completed',
      intent: 'order',
      code: { coding: [ANALYSIS_CODE] },
      for: { reference: `Patient/door-${id}` },
      focus: { reference: `ImagingStudy/door-s${id}` },
    });
  }
  for (const uid of Object.values(STUDY)) {
    const file = dicomFile({ study: uid, series: `${uid}.1`, sop: `${uid}.1.1` });
    const head = '--b\r\nContent-Type: application/dicom\r\n\r\n';
    const body = Buffer.concat([Buffer.from(head), file, Buffer.from('\r\n--b--\r\n')]);
    const stored = await world.server.ask('POST', '/dicomweb/studies', body, {
      'content-type': 'multipart/related; type="application/dicom"; boundary=b',
    });
    expect(stored.status, stored.text).toBe(200);
  }
  ofA = await world.patient('door-a', 'patient/*.rs');
}, 120_000);
afterAll(() => world?.close());

describe('what is in no compartment of R4, and belongs to a patient all the same', () => {
  const put = (id: string, reference?: string) =>
    world.write({
      resourceType: 'Binary',
      id,
      contentType: 'text/plain',
      data: 'SGVsbG8=',
      ...(reference === undefined ? {} : { securityContext: { reference } }),
    } as Binary);
  const seenBy = async (ask: Ask, ids: readonly string[]) => {
    const answers = await Promise.all(ids.map((id) => ask('GET', `Binary/${id}`)));
    return ids.filter((_, at) => answers[at]?.status === 200);
  };

  it('a Binary goes with what its securityContext refers to: its compartment, its labels, and that it is there', async () => {
    await put('door-bin-study', 'ImagingStudy/door-sa');
    await put('door-bin-patient', 'Patient/door-a');
    await put('door-bin-other', 'ImagingStudy/door-sb');
    await put('door-bin-nobody');
    await put('door-bin-place', 'Organization/door-org');
    await put('door-bin-gone', 'Observation/door-gone');
    await put('door-bin-secret', 'Observation/door-secret');
    await world.write(observation('door-secret', 'door-a', { meta: { security: [VERY_RESTRICTED] } }));
    const ids = ['study', 'patient', 'other', 'nobody', 'place', 'gone', 'secret'].map(
      (one) => `door-bin-${one}`,
    );
    expect(await seenBy(ofA, ids)).toEqual(['door-bin-study', 'door-bin-patient']);
    expect(idsIn(await ofA('GET', 'Binary'))).toEqual(['Binary/door-bin-patient', 'Binary/door-bin-study']);
    expect((await ofA('GET', 'Binary/door-bin-study/_history')).body.total).toBe(1);
    expect((await ofA('GET', 'Binary/door-bin-other/_history/1')).status).toBe(404);
    const clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
    expect(await seenBy(clinician, ids)).toEqual(ids.slice(0, 4));
    expect(await seenBy(world.all, ids)).toEqual(ids);
    // Nobody takes another patient's Binary over by a new securityContext, nor makes one.
    const write = await world.patient('door-a');
    const body = { resourceType: 'Binary', contentType: 'text/plain', data: 'eA==' };
    const mine = { ...body, securityContext: { reference: 'Patient/door-a' } };
    for (const id of ['door-bin-other', 'door-bin-study'])
      expect((await write('PUT', `Binary/${id}`, { ...mine, id })).status, id).toBe(403);
    expect((await write('POST', 'Binary', mine)).status).toBe(403);
    expect((await ofA('GET', 'Binary?securityContext=Patient/door-b')).status).toBe(400);
  });

  it('a study that turns out to be another patient’s takes its Binary along', async () => {
    await world.write(observation('door-moves', 'door-a'));
    await put('door-bin-moves', 'Observation/door-moves');
    expect(await seenBy(ofA, ['door-bin-moves'])).toEqual(['door-bin-moves']);
    await world.write(observation('door-moves', 'door-b'));
    expect(await seenBy(ofA, ['door-bin-moves'])).toEqual([]);
  });

  it('a Task is read by the app of the patient it is for, and changed by none', async () => {
    expect(idsIn(await ofA('GET', 'Task'))).toEqual(['Task/door-ta']);
    expect((await ofA('GET', 'Task/door-ta')).status).toBe(200);
    expect((await ofA('GET', 'Task/door-tb')).status).toBe(404);
    const write = await world.patient('door-a');
    const stored = (await write('GET', 'Task/door-ta')).body;
    expect((await write('PUT', 'Task/door-ta', { ...stored, status: 'cancelled' })).status).toBe(403);
    const byScope = await world.patient('door-a', 'patient/Task.rs?status=ready');
    expect(idsIn(await byScope('GET', 'Task'))).toEqual([]);
  });
});

describe('the archive shows the studies of the patient in context', () => {
  it('QIDO: studies, series and instances', async () => {
    for (const path of ['studies', 'series', 'instances', `studies/${STUDY.a}/series`]) {
      const answer = await ofA('GET', `/dicomweb/${path}`);
      expect(answer.status, path).toBe(200);
      expect(
        answer.body.map((row: Record<string, { Value: string[] }>) => row['0020000D']?.Value[0]),
      ).toEqual([STUDY.a]);
    }
    for (const uid of [STUDY.b, STUDY.unknown, '1.2.3.4']) {
      expect((await ofA('GET', `/dicomweb/studies?StudyInstanceUID=${uid}`)).status).toBe(204);
      expect((await ofA('GET', `/dicomweb/studies/${uid}/series`)).status).toBe(204);
    }
    expect((await world.server.ask('GET', '/dicomweb/studies')).body).toHaveLength(3);
  });

  it('WADO: metadata and instances; the study of another is one that is not there', async () => {
    for (const end of ['', '/metadata']) {
      expect((await ofA('GET', `/dicomweb/studies/${STUDY.a}${end}`)).status).toBe(200);
      const [other, none] = [
        await ofA('GET', `/dicomweb/studies/${STUDY.b}${end}`),
        await ofA('GET', `/dicomweb/studies/1.2.3.4${end}`),
      ];
      expect([other.status, none.status]).toEqual([404, 404]);
      expect(other.text).toBe(none.text);
      expect((await ofA('GET', `/dicomweb/studies/${STUDY.unknown}${end}`)).status).toBe(404);
    }
  });

  it('a study whose record has a label is shown to those who see the label', async () => {
    await world.write({
      resourceType: 'ImagingStudy',
      id: 'door-sa',
      status: 'available',
      subject: { reference: 'Patient/door-a' },
      identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${STUDY.a}` }],
      meta: { security: [RESTRICTED] },
    });
    expect((await ofA('GET', '/dicomweb/studies')).status).toBe(204);
    const clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
    expect((await clinician('GET', '/dicomweb/studies')).body).toHaveLength(2);
  });
});

describe('the doors beside FHIR', () => {
  const DOORS: readonly (readonly [string, string, readonly string[]])[] = [
    ['GET', '/dicomweb/studies', ['clinician', 'radiologist', 'integrator']],
    ['POST', '/dicomweb/studies', ['integrator']],
    ['GET', '/worklist/api/rows', ['clinician', 'radiologist', 'integrator']],
    ['GET', '/metrics', ['operator', 'model-owner', 'integrator', 'auditor', 'administrator']],
    ['GET', '/jobs', ['operator', 'administrator']],
  ];
  const ROLES = [
    'clinician',
    'radiologist',
    'operator',
    'model-owner',
    'integrator',
    'auditor',
    'administrator',
  ] as const;

  it.each(DOORS)('%s %s is for %s and no other role', async (method, path, roles) => {
    for (const role of ROLES) {
      const ask = await world.as({ scope: 'user/*.cruds', roles: [role] });
      const { status } = await ask(method, path);
      expect(status === 403, `${role}: ${status}`).toBe(!roles.includes(role));
    }
  });

  it('what cannot be cut to one patient is shut for scopes of a patient, and of a part', async () => {
    for (const path of ['/metrics', '/jobs']) expect((await ofA('GET', path)).status).toBe(403);
    const store = await world.patient('door-a', 'patient/*.cruds', { roles: ['integrator'] });
    expect((await store('POST', '/dicomweb/studies')).status).toBe(403);
    const part = await world.as({
      scope: 'system/Device.rs?type=x system/Task.rs?status=ready',
      subject: 'test-app',
    });
    for (const path of ['/metrics', '/jobs']) expect((await part('GET', path)).status).toBe(403);
  });

  it('a path that only looks like a door, or spells it otherwise, opens nothing', async () => {
    const modelOwner = await world.as({ scope: 'user/*.cruds', roles: ['model-owner'] });
    for (const path of [
      '/dicomweb',
      '/dicomweb/',
      '/dicomweb//studies',
      '/dicomweb/./studies',
      '/dicomweb/%73tudies',
      '/%64icomweb/studies',
      '/DICOMWEB/studies',
    ]) {
      const { status } = await modelOwner('GET', path);
      expect([403, 404], path).toContain(status);
    }
  });
});

describe('the worklist', () => {
  it('shows the rows of those whose records the token may read', async () => {
    const all = await world.server.ask('GET', '/worklist/api/rows');
    expect(all.body.rows.map((row: { id: string }) => row.id).sort()).toEqual(['door-ta', 'door-tb']);
    await world.write({
      resourceType: 'Task',
      id: 'door-tb',
      status: 'completed',
      intent: 'order',
      code: { coding: [ANALYSIS_CODE] },
      for: { reference: 'Patient/door-b' },
      meta: { security: [VERY_RESTRICTED] },
    });
    const clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
    const seen = await clinician('GET', '/worklist/api/rows');
    expect(seen.body.rows.map((row: { id: string }) => row.id)).toEqual(['door-ta']);
    expect((await clinician('GET', '/worklist/api/rows/door-tb')).status).toBe(404);
  });
});

describe('a WebSocket', () => {
  it('is told of what the author of its Subscription may see, and of nothing else', async () => {
    const author = await world.as({
      scope: 'system/Observation.rs?category=imaging system/Subscription.cruds',
      subject: 'test-app',
    });
    const made = await author('POST', 'Subscription', {
      resourceType: 'Subscription',
      status: 'requested',
      reason: 'test',
      criteria: 'Observation?code=8867-4',
      channel: { type: 'websocket' },
    });
    expect(made.status).toBe(201);
    const path = `Subscription/${made.body.id}`;
    for (let round = 0; round < 100 && (await world.all('GET', path)).body.status !== 'active'; round++)
      await sleep(50);
    const token = (await author('GET', `${path}/$get-ws-binding-token`)).body.parameter[0].valueString;
    const socket = new WebSocket(`${world.server.url.replace('http', 'ws')}/fhir/ws`);
    const heard: string[] = [];
    socket.on('message', (data) => heard.push(String(data)));
    await once(socket, 'open');
    socket.send(`bind-with-token ${token}`);
    for (let round = 0; round < 100 && heard.length === 0; round++) await sleep(50);
    await world.write(observation('door-lab', 'door-a', { kind: 'laboratory' }));
    await sleep(300);
    const before = heard.length;
    await world.write(observation('door-img', 'door-a'));
    for (let round = 0; round < 100 && heard.length === before; round++) await sleep(50);
    socket.close();
    expect(before).toBe(1);
    expect(heard).toHaveLength(2);
  });
});

const denialOf = (patient: string): Consent => ({
  resourceType: 'Consent',
  id: `denied-${patient}`,
  status: 'active',
  scope: {
    coding: [{ system: 'http://terminology.hl7.org/CodeSystem/consentscope', code: 'patient-privacy' }],
  },
  category: [{ coding: [{ system: 'http://loinc.org', code: '59284-0' }] }],
  policyRule: { text: 'opt out' },
  patient: { reference: `Patient/${patient}` },
  provision: { type: 'deny' },
});

describe('consent and break-glass', () => {
  it('a patient who opts out is hidden from those who do not treat them, at once and at every door, and shown again', async () => {
    const consent = denialOf('door-b');
    // An auditor reads Provenance; one is about the patient.
    await world.write({
      resourceType: 'Provenance',
      id: 'door-prov',
      target: [{ reference: 'Patient/door-b' }],
      recorded: '2026-01-01T00:00:00Z',
      agent: [{ who: { display: 'RIS' } }],
    });
    const auditor = await world.as({ scope: 'user/*.rs', roles: ['auditor'] });
    const clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
    const seen = async () => idsIn(await auditor('GET', 'Provenance'));
    expect(await seen()).toEqual(['Provenance/door-prov']);
    await world.write(consent);
    expect(await seen()).toEqual([]);
    expect((await auditor('GET', 'Provenance/door-prov')).status).toBe(404);
    expect((await auditor('GET', 'Provenance/door-prov/_history/1')).status).toBe(404);
    expect((await clinician('GET', 'Provenance/door-prov')).status).toBe(200);
    await world.write({ ...consent, status: 'inactive' });
    expect(await seen()).toEqual(['Provenance/door-prov']);
  });

  it('a search that collects many rows shows each that may be seen once, also where the first of them may not', async () => {
    const patient = (id: string) => world.write(person(`door-many-${id}`, 'Many'));
    await Promise.all([patient('open'), patient('closed')]);
    const sheet = { reference: 'DocumentReference/door-sheet' };
    // Thirty of whom nobody is shown come first in the order of the page, then they take turns.
    const idOf = (n: number) => `door-many-${String(n).padStart(2, '0')}`;
    const isClosed = (n: number) => n < 30 || n % 2 === 0;
    await world.all('POST', '', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: Array.from({ length: 50 }, (_, n) => ({
        request: { method: 'PUT', url: `Provenance/${idOf(n)}` },
        resource: {
          resourceType: 'Provenance',
          id: idOf(n),
          target: [{ reference: `Patient/door-many-${isClosed(n) ? 'closed' : 'open'}` }],
          recorded: '2026-01-01T00:00:00Z',
          agent: [{ who: { display: 'RIS' } }],
          entity: [{ role: 'source', what: sheet }],
        },
      })),
    });
    const pages = async (query: string): Promise<string[]> => {
      const shown: string[] = [];
      const auditor = await world.as({ scope: 'user/*.rs', roles: ['auditor'] });
      for (let path: string | undefined = `Provenance?entity=${sheet.reference}&${query}`; path; ) {
        const answer: Awaited<ReturnType<Ask>> = await auditor('GET', path);
        shown.push(...idsIn(answer));
        const next = (answer.body as Bundle).link?.find(({ relation }) => relation === 'next')?.url;
        path = next && `Provenance?${next.split('?')[1]}`;
      }
      return shown;
    };
    const ids = (fits: (n: number) => boolean) =>
      Array.from({ length: 50 }, (_, n) => n)
        .filter(fits)
        .map((n) => `Provenance/${idOf(n)}`);
    expect(await pages('_count=5&_sort=_id')).toEqual(ids(() => true));
    await world.write(denialOf('door-many-closed'));
    const open = ids((n) => !isClosed(n));
    for (const query of [
      '_count=3&_sort=_id',
      '_count=5',
      '_count=20',
      '_count=100',
      '_count=4&_sort=-_lastUpdated',
    ])
      expect((await pages(query)).sort(), query).toEqual(open);
    const auditor = await world.as({ scope: 'user/*.rs', roles: ['auditor'] });
    const counted = await auditor('GET', `Provenance?entity=${sheet.reference}&_total=accurate&_count=2`);
    expect(counted.body.total).toBe(open.length);
  });

  it('$break-glass shows one patient’s restricted record, for people with the role, for a reason', async () => {
    await world.write({ ...observation('door-secret', 'door-b'), meta: { security: [VERY_RESTRICTED] } });
    await world.write({ ...observation('door-secret-a', 'door-a'), meta: { security: [VERY_RESTRICTED] } });
    const clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
    expect((await clinician('GET', 'Observation/door-secret')).status).toBe(404);
    const body = (reason: string) => ({
      resourceType: 'Parameters',
      parameter: [{ name: 'reason', valueString: reason }],
    });
    expect((await clinician('POST', 'Patient/door-b/$break-glass', body('short'))).status).toBe(400);
    expect(
      (await clinician('POST', 'Patient/nobody/$break-glass', body('unconscious, needs history'))).status,
    ).toBe(404);
    const opened = await clinician('POST', 'Patient/door-b/$break-glass', body('unconscious, needs history'));
    expect(opened.status).toBe(200);
    const value = (name: string) => opened.body.parameter.find((one: { name: string }) => one.name === name);
    expect(value('expires_in').valueInteger).toBeLessThanOrEqual(900);
    const token = { authorization: `Bearer ${value('access_token').valueString}` };
    const broken: Ask = (method, path, sent, headers) =>
      world.server.ask(method, `/fhir/${path}`, sent, { ...token, ...headers });
    expect((await broken('GET', 'Observation/door-secret')).status).toBe(200);
    expect((await broken('GET', 'Observation/door-secret-a')).status).toBe(404);
    expect((await broken('GET', 'Patient/door-a')).status).toBe(404);
    expect(
      (await broken('PUT', 'Observation/door-secret', observation('door-secret', 'door-b'))).status,
    ).toBe(403);
    // It opens nothing further.
    expect(
      (await broken('POST', 'Patient/door-b/$break-glass', body('unconscious, needs history'))).status,
    ).toBe(403);
  });

  it('what is exported under $break-glass is for a token of break-glass, and not for the same app and person without', async () => {
    const reason = { name: 'reason', valueString: 'unconscious, needs history' };
    const clinician = await world.as({ scope: 'user/*.rs', roles: ['clinician'] });
    const open = async (): Promise<Ask> => {
      const body = { resourceType: 'Parameters', parameter: [reason] };
      const opened = await clinician('POST', 'Patient/door-b/$break-glass', body);
      const token = { authorization: `Bearer ${opened.body.parameter[0].valueString}` };
      return (method, path, sent, headers) => world.server.ask(method, path, sent, { ...token, ...headers });
    };
    const broken = await open();
    const kickOff = await broken('GET', '/fhir/Patient/$export', undefined, {
      prefer: 'respond-async',
    });
    expect(kickOff.status, kickOff.text).toBe(202);
    const { pathname } = new URL(kickOff.headers.get('content-location') ?? '');
    // While it runs, and when its files are there.
    for (const ask of [broken, await open()])
      expect([200, 202]).toContain((await ask('GET', pathname)).status);
    const calm = await world.as({ scope: 'patient/*.rs', patient: 'door-b', roles: ['clinician'] });
    expect((await calm('GET', pathname)).status).toBe(404);
    expect((await calm('DELETE', pathname)).status).toBe(404);
  });

  it('$break-glass lends an app no more than it was given: types and queries of its scopes stay, and no letter is added', async () => {
    const scope = 'user/Patient.r user/Observation.cruds?category=imaging';
    const app = await world.as({ scope, roles: ['clinician'] });
    const opened = await app('POST', 'Patient/door-b/$break-glass', {
      resourceType: 'Parameters',
      parameter: [{ name: 'reason', valueString: 'unconscious, needs history' }],
    });
    const value = (name: string) => opened.body.parameter.find((one: { name: string }) => one.name === name);
    expect(value('scope').valueString).toBe('patient/Patient.r patient/Observation.rs?category=imaging');
    const headers = { authorization: `Bearer ${value('access_token').valueString}` };
    const status = async (path: string) =>
      (await world.server.ask('GET', `/fhir/${path}`, undefined, headers)).status;
    expect(await status('Observation/door-secret')).toBe(200);
    expect(await status('Condition?_count=1')).toBe(403);
    await world.write(observation('door-lab-b', 'door-b', { kind: 'laboratory' }));
    expect(await status('Observation/door-lab-b')).toBe(404);
  });

  it.each([
    ['a role without the right', { scope: 'user/*.rs', roles: ['auditor'] as const }],
    ['a client alone', { scope: 'system/*.cruds', subject: 'test-app' }],
    [
      'a client with the role, but no person',
      { scope: 'system/*.cruds', subject: 'test-app', roles: ['clinician'] as const },
    ],
    [
      'an app that was opened for another patient',
      { scope: 'openid patient/*.rs', patient: 'door-a', roles: ['clinician'] as const },
    ],
    ['an app that reads no patients', { scope: 'user/Task.rs', roles: ['clinician'] as const }],
  ])('%s breaks no glass', async (_, content) => {
    const ask = await world.as(content);
    const body = {
      resourceType: 'Parameters',
      parameter: [{ name: 'reason', valueString: 'because I would like to' }],
    };
    expect((await ask('POST', 'Patient/door-b/$break-glass', body)).status).toBe(403);
  });
});
