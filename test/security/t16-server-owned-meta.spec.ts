import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AccessWorld, type Ask, observation, person, RESTRICTED, VERY_RESTRICTED } from './access-world.ts';

let world: AccessWorld;
let integrator: Ask;
let radiologist: Ask;
let administrator: Ask;

beforeAll(async () => {
  world = await AccessWorld.start();
  integrator = await world.as({ scope: 'system/*.cruds', roles: ['integrator'] });
  radiologist = await world.as({ scope: 'user/*.cruds', roles: ['radiologist'] });
  administrator = await world.as({ scope: 'user/*.cruds', roles: ['administrator', 'integrator'] });
  await world.write(person('t16-p', 'Meta'));
}, 120_000);
afterAll(() => world?.close());

const FORGED = {
  versionId: '77',
  lastUpdated: '1999-01-01T00:00:00Z',
  source: 'https://elsewhere.example',
  extension: [{ url: 'https://medplum.com/fhir/StructureDefinition/author', valueString: 'somebody else' }],
};
const codesOf = (resource: { meta?: { security?: { code?: string }[] } }) =>
  (resource.meta?.security ?? []).map(({ code }) => code);

describe('T16: what of meta is the server’s stays the server’s', () => {
  it.each(['POST', 'PUT'])(
    '%s with a forged version, time and source: the server’s values win',
    async (method) => {
      const id = method === 'PUT' ? 't16-forged' : undefined;
      const body = { ...observation(id, 't16-p'), meta: FORGED };
      const answer = await integrator(method, id ? `Observation/${id}` : 'Observation', body);
      expect(answer.status).toBe(201);
      const { meta } = (await world.all('GET', `Observation/${answer.body.id}`)).body;
      expect(meta.versionId).toBe('1');
      expect(Date.parse(meta.lastUpdated)).toBeGreaterThan(Date.parse('2020-01-01'));
      expect(meta.source).toBeUndefined();
    },
  );

  it('an update with a forged version, time, source and author: the server counts on by itself', async () => {
    await world.write(observation('t16-again', 't16-p'));
    const answer = await integrator('PUT', 'Observation/t16-again', {
      ...observation('t16-again', 't16-p', { status: 'amended' }),
      meta: FORGED,
    });
    expect([answer.status, answer.headers.get('etag')]).toEqual([200, 'W/"2"']);
    const { meta } = (await world.all('GET', 'Observation/t16-again')).body;
    // Its extension is content like any other: who wrote what stands in the audit, and nothing here asks meta for it.
    expect([meta.versionId, meta.source]).toEqual(['2', undefined]);
    expect(Date.parse(meta.lastUpdated)).toBeGreaterThan(Date.parse('2020-01-01'));
  });

  it('an element of meta by which another server decides who sees what is refused', async () => {
    const body = { ...observation(undefined, 't16-p'), meta: { compartment: [{ reference: 'Patient/x' }] } };
    expect((await integrator('POST', 'Observation', body)).status).toBe(422);
  });

  it('a label stays when an update, a conditional update, a transaction or an import leaves it out', async () => {
    const label = {
      meta: { security: [RESTRICTED] },
      identifier: [{ system: 'https://t16.example', value: 'one' }],
    };
    await world.write({ ...observation('t16-labelled', 't16-p'), ...label });
    const bare = { ...observation('t16-labelled', 't16-p'), identifier: label.identifier };
    const { id: _, ...unnamed } = bare;
    const entry = [{ resource: bare, request: { method: 'PUT', url: 'Observation/t16-labelled' } }];
    const writes = [
      () => integrator('PUT', 'Observation/t16-labelled', { ...bare, status: 'amended' }),
      () =>
        integrator('PUT', 'Observation?identifier=https://t16.example|one', {
          ...unnamed,
          status: 'corrected',
        }),
      () => integrator('POST', '', { resourceType: 'Bundle', type: 'transaction', entry }),
    ];
    for (const write of writes) {
      expect((await write()).status).toBe(200);
      expect(codesOf((await world.all('GET', 'Observation/t16-labelled')).body)).toEqual(['R']);
    }
    const imported = await integrator('POST', '$import', JSON.stringify(bare), {
      'content-type': 'application/fhir+ndjson',
    });
    expect(imported.status).toBe(202);
    await ended(imported.headers.get('content-location') ?? '');
    expect(codesOf((await world.all('GET', 'Observation/t16-labelled')).body)).toEqual(['R']);
  });

  it('the highest label stays as well, and one more may stand beside it', async () => {
    await world.write({ ...observation('t16-v', 't16-p'), meta: { security: [VERY_RESTRICTED] } });
    const bare = observation('t16-v', 't16-p', { status: 'amended' });
    expect((await integrator('PUT', 'Observation/t16-v', bare)).status).toBe(200);
    expect(codesOf((await world.all('GET', 'Observation/t16-v')).body)).toEqual(['V']);
    const with2 = { ...bare, meta: { security: [RESTRICTED] } };
    expect((await integrator('PUT', 'Observation/t16-v', with2)).status).toBe(200);
    expect(codesOf((await world.all('GET', 'Observation/t16-v')).body).sort()).toEqual(['R', 'V']);
  });

  it.each(['/meta/security/0', '/meta/security', '/meta', '/meta/versionId'])(
    'a JSON Patch on %s is 403',
    async (path) => {
      await world.write({ ...observation('t16-patched', 't16-p'), meta: { security: [RESTRICTED] } });
      const patch = JSON.stringify([{ op: 'remove', path }]);
      const type = { 'content-type': 'application/json-patch+json' };
      expect((await integrator('PATCH', 'Observation/t16-patched', patch, type)).status).toBe(403);
      expect(codesOf((await world.all('GET', 'Observation/t16-patched')).body)).toEqual(['R']);
    },
  );

  it('$meta-delete takes a label off for a role that may, and for no other', async () => {
    await world.write({ ...observation('t16-freed', 't16-p'), meta: { security: [RESTRICTED] } });
    const body = {
      resourceType: 'Parameters',
      parameter: [{ name: 'meta', valueMeta: { security: [RESTRICTED] } }],
    };
    for (const ask of [integrator, radiologist])
      expect((await ask('POST', 'Observation/t16-freed/$meta-delete', body)).status).toBe(403);
    expect(codesOf((await world.all('GET', 'Observation/t16-freed')).body)).toEqual(['R']);
    expect((await administrator('POST', 'Observation/t16-freed/$meta-delete', body)).status).toBe(200);
    expect(codesOf((await world.all('GET', 'Observation/t16-freed')).body)).toEqual([]);
  });

  it('whoever may write a resource may make it confidential, even beyond what they see', async () => {
    const body = { ...observation(undefined, 't16-p'), meta: { security: [VERY_RESTRICTED] } };
    const made = await radiologist('POST', 'Observation', body);
    expect(made.status).toBe(201);
    expect((await radiologist('GET', `Observation/${made.body.id}`)).status).toBe(404);
    expect((await integrator('GET', `Observation/${made.body.id}`)).status).toBe(200);
  });
});

describe('T16: audit and provenance', () => {
  const event = {
    resourceType: 'AuditEvent',
    type: { system: 'http://terminology.hl7.org/CodeSystem/audit-event-type', code: 'rest' },
    recorded: '2026-01-01T00:00:00Z',
    agent: [{ requestor: true }],
    source: { observer: { display: 'forged' } },
  };

  it('nobody writes an AuditEvent: not an integrator, not the token with all rights, in no way', async () => {
    const everything = (method: string, path: string, body?: unknown) => world.all(method, path, body);
    for (const ask of [integrator, radiologist, administrator, everything]) {
      expect((await ask('POST', 'AuditEvent', event)).status).toBe(403);
      expect((await ask('PUT', 'AuditEvent/t16', { ...event, id: 't16' })).status).toBe(403);
      expect((await ask('DELETE', 'AuditEvent/t16')).status).toBe(403);
      const entry = [{ resource: event, request: { method: 'POST', url: 'AuditEvent' } }];
      const transaction = await ask('POST', '', { resourceType: 'Bundle', type: 'transaction', entry });
      expect(transaction.status).toBe(403);
    }
  });

  it('only an integrator writes Provenance', async () => {
    const provenance = {
      resourceType: 'Provenance',
      target: [{ reference: 'Patient/t16-p' }],
      recorded: '2026-01-01T00:00:00Z',
      agent: [{ who: { display: 'RIS' } }],
    };
    expect((await radiologist('POST', 'Provenance', provenance)).status).toBe(403);
    const app = await world.patient('t16-p');
    expect((await app('POST', 'Provenance', provenance)).status).toBe(403);
    expect((await integrator('POST', 'Provenance', provenance)).status).toBe(201);
  });
});

async function ended(url: string): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const answer = await integrator('GET', new URL(url).pathname);
    if (answer.status !== 202) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('the import does not end');
}
