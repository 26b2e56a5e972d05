import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AuditApp, as, auditApp } from './audit-app.ts';

const AUDITOR = as(
  { clientId: 'audit', subject: 'eve', fhirUser: 'Practitioner/eve', roles: ['auditor'] },
  'system/AuditEvent.rs',
);

describe('the audit', () => {
  let app: AuditApp;
  let mark = 0;
  beforeAll(async () => {
    app = await auditApp();
    for (const id of ['p1', 'p2']) {
      const made = await app.send('PUT', `Patient/${id}`, { resourceType: 'Patient', id, active: true });
      expect(made.status).toBe(201);
      const seen = await app.send('PUT', `Observation/o-${id}`, {
        resourceType: 'Observation',
        id: `o-${id}`,
        status: 'final',
        code: { text: 'x' },
        subject: { reference: `Patient/${id}` },
        valueString: `of ${id}`,
      });
      expect(seen.status).toBe(201);
    }
  });
  afterAll(() => app.close());
  const fresh = async () => {
    const rows = await app.rows(mark);
    mark = await app.last();
    return rows;
  };

  it('has one row for each change, written with it', async () => {
    const rows = await fresh();
    expect(
      rows.map(({ interaction, action, entity, version, patients, client, outcome }) => [
        interaction,
        action,
        entity,
        version,
        patients,
        client,
        outcome,
      ]),
    ).toEqual([
      ['create', 'C', 'Patient/p1', '1', ['p1'], 'ehr', 0],
      ['create', 'C', 'Observation/o-p1', '1', ['p1'], 'ehr', 0],
      ['create', 'C', 'Patient/p2', '1', ['p2'], 'ehr', 0],
      ['create', 'C', 'Observation/o-p2', '1', ['p2'], 'ehr', 0],
    ]);
  });

  it('names who asked, as which person, for what purpose, and whose data it was', async () => {
    const headers = as({
      clientId: 'viewer',
      subject: 'u7',
      fhirUser: 'Practitioner/7',
      roles: ['radiologist'],
      purposeOfUse: 'TREAT',
    });
    expect((await app.send('GET', 'Observation/o-p1', undefined, headers)).status).toBe(200);
    const [row, ...more] = await fresh();
    expect(more).toEqual([]);
    expect(row).toMatchObject({
      kind: 'rest',
      interaction: 'read',
      action: 'R',
      outcome: 0,
      status: 200,
      client: 'viewer',
      person: 'Practitioner/7',
      roles: 'radiologist',
      purpose: 'TREAT',
      token: 't-1',
      address: '127.0.0.1',
      entity: 'Observation/o-p1',
      patients: ['p1'],
    });
  });

  it('knows whose resource it was when only a part of it was shown', async () => {
    expect((await app.send('GET', 'Observation?_elements=value&_id=o-p2')).status).toBe(200);
    expect((await app.send('GET', 'Observation?_summary=text&_id=o-p1')).status).toBe(200);
    expect((await fresh()).map(({ patients }) => patients)).toEqual([['p2'], ['p1']]);
  });

  it('is one AuditEvent per patient of a page, read over FHIR by auditors', async () => {
    await app.send(
      'GET',
      'Observation?status=final&_sort=_id',
      undefined,
      as({ clientId: 'finder', subject: 'finder' }),
    );
    await fresh();
    const { status, json } = await app.send('GET', 'AuditEvent?agent=finder&_sort=date', undefined, AUDITOR);
    expect(status).toBe(200);
    const events = json.entry.map(({ resource }: { resource: object }) => resource);
    expect(
      events.map((one: { entity: { what?: { reference: string } }[] }) => one.entity[0]?.what?.reference),
    ).toEqual(['Patient/p1', 'Patient/p2']);
    expect(events[0]).toMatchObject({
      resourceType: 'AuditEvent',
      action: 'E',
      outcome: '0',
      type: { code: 'rest' },
      subtype: [{ code: 'search-type' }],
      agent: [{ altId: 'finder', requestor: true, network: { address: '127.0.0.1' } }, {}],
    });
    const query = events[0].entity.find((one: { query?: string }) => one.query)?.query;
    expect(Buffer.from(query, 'base64').toString()).toBe('status=final&_sort=_id');
    const read = await app.send('GET', `AuditEvent/${events[1].id}`, undefined, AUDITOR);
    expect(read.json).toEqual(events[1]);
  });

  it('pages through without leaving one out or showing one twice', async () => {
    const all: string[] = [];
    let path = 'AuditEvent?_count=3&client=';
    path = 'AuditEvent?_count=3&date=le2100';
    for (let page = 0; page < 40 && path; page++) {
      const { json } = await app.send('GET', path, undefined, AUDITOR);
      all.push(...(json.entry ?? []).map(({ resource }: { resource: { id: string } }) => resource.id));
      const next = json.link.find(({ relation }: { relation: string }) => relation === 'next')?.url;
      path = next ? `AuditEvent?${String(next).split('?')[1]}` : '';
    }
    expect(new Set(all).size).toBe(all.length);
    const events = (await app.rows()).slice(0, 10);
    expect(all.length).toBeGreaterThan(events.length);
    await fresh();
  });

  it.each([
    [
      'patient=Patient/p1',
      (e: { entity?: { what?: { reference?: string } }[] }) =>
        e.entity?.[0]?.what?.reference === 'Patient/p1',
    ],
    [
      'entity=Observation/o-p2',
      (e: { entity?: object[] }) => JSON.stringify(e.entity).includes('Observation/o-p2'),
    ],
    ['action=C', (e: { action?: string }) => e.action === 'C'],
    ['subtype=read', (e: { subtype: { code: string }[] }) => e.subtype[0]?.code === 'read'],
    ['type=rest&outcome=0', (e: { outcome?: string }) => e.outcome === '0'],
    ['altid=viewer', (e: { agent: { altId: string }[] }) => e.agent[0]?.altId === 'viewer'],
    ['agent=Practitioner/7', (e: { agent: object[] }) => JSON.stringify(e.agent).includes('Practitioner/7')],
    ['date=ge2020-01-01&address=127.', (e: { recorded: string }) => e.recorded > '2020'],
  ])('is searched by %s', async (query, fits) => {
    const { json } = await app.send('GET', `AuditEvent?${query}`, undefined, AUDITOR);
    expect(json.entry.length).toBeGreaterThan(0);
    for (const { resource } of json.entry) expect(fits(resource), JSON.stringify(resource)).toBe(true);
    const none = await app.send('GET', `AuditEvent?${query}&date=lt2001`, undefined, AUDITOR);
    expect(none.json.entry).toBeUndefined();
  });

  it('is closed to everybody else, and written by nobody', async () => {
    await fresh();
    for (const [method, path, body, headers] of [
      ['GET', 'AuditEvent', undefined, {}],
      ['GET', 'AuditEvent', undefined, as({ roles: ['radiologist'] })],
      ['GET', 'AuditEvent/1-1', undefined, as({ roles: ['clinician'] }, 'system/AuditEvent.rs')],
      ['POST', 'AuditEvent', { resourceType: 'AuditEvent' }, AUDITOR],
      ['PUT', 'AuditEvent/1-1', { resourceType: 'AuditEvent', id: '1-1' }, AUDITOR],
      ['DELETE', 'AuditEvent/1-1', undefined, AUDITOR],
      ['PATCH', 'AuditEvent/1-1', [], AUDITOR],
    ] as const) {
      const answer = await app.send(method, path, body, headers);
      expect(answer.status, `${method} ${path}`).toBe(403);
    }
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          request: { method: 'POST', url: 'AuditEvent' },
          resource: {
            resourceType: 'AuditEvent',
            type: { code: 'rest' },
            recorded: new Date().toISOString(),
            agent: [{ requestor: true }],
            source: { observer: { display: 'x' } },
          },
        },
      ],
    };
    expect((await app.send('POST', '', bundle)).status).toBe(403);
    const rows = await fresh();
    expect(rows.map(({ outcome, status }) => [outcome, status])).toEqual(Array(8).fill([4, 403]));
    expect((await app.send('GET', 'AuditEvent', undefined, as({}, 'system/AuditEvent.rs'))).status).toBe(200);
  });

  it('has a row for what was refused and what was not there', async () => {
    await fresh();
    expect((await app.send('GET', 'Patient/nobody')).status).toBe(404);
    expect((await app.send('GET', 'Patient/p1', undefined, as({}, 'system/Observation.r'))).status).toBe(403);
    expect((await app.send('POST', 'Patient', { resourceType: 'Patient', active: 'x' })).status).toBe(422);
    expect(
      (await fresh()).map(({ interaction, outcome, status, patients }) => [
        interaction,
        outcome,
        status,
        patients,
      ]),
    ).toEqual([
      ['read', 4, 404, []],
      ['read', 4, 403, []],
      ['create', 4, 422, []],
    ]);
  });

  it('says of a transaction what each entry changed, and of a batch whom it showed', async () => {
    const entry = (method: string, url: string, resource?: object) => ({
      request: { method, url },
      ...(resource ? { resource } : {}),
    });
    const patient = { resourceType: 'Patient', active: false };
    const answer = await app.send('POST', '', {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        entry('PUT', 'Patient/p1', { ...patient, id: 'p1' }),
        entry('DELETE', 'Observation/o-p2'),
        entry('GET', 'Patient/p2'),
      ],
    });
    expect(answer.status).toBe(200);
    expect(
      (await fresh()).map(({ interaction, entity, patients }) => [interaction, entity, patients]),
    ).toEqual([
      ['delete', 'Observation/o-p2', ['p2']],
      ['update', 'Patient/p1', ['p1']],
      ['batch', null, ['p1', 'p2']],
    ]);
    const batch = await app.send('POST', '', {
      resourceType: 'Bundle',
      type: 'batch',
      entry: [entry('GET', 'Patient/p1'), entry('GET', 'Patient/p2')],
    });
    expect(batch.status).toBe(200);
    expect((await fresh()).map(({ interaction, patients }) => [interaction, patients])).toEqual([
      ['batch', ['p1', 'p2']],
    ]);
  });

  it('rolls back with what it is about', async () => {
    await expect(
      app.database.transaction(async (tx) => {
        await app.store.write(tx, [{ kind: 'create', resource: { resourceType: 'Patient' } }]);
        await tx.run({ text: 'SELECT 1' });
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await fresh()).toEqual([]);
    await app.send('GET', 'Patient/p1');
    const voids = await app.database.run<{ detail: string }>({
      text: `SELECT content AS detail FROM audit_event WHERE content LIKE '%"chain","void"%'`,
    });
    expect(voids).toHaveLength(1);
  });
});
