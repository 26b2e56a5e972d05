import { once } from 'node:events';
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { freshServer } from '../fresh-server.ts';
import type { PrelimServer } from '../peers/prelim-server.ts';

const RESOURCES = 6_000;
/** Enough to be under way for a second. */
const LOAD = 3_000;
let server: PrelimServer;
beforeAll(async () => {
  server = await freshServer();
});
afterAll(() => server.close());

const patient = (at: number, more: object = {}) => ({
  resourceType: 'Patient',
  id: `k${at}`,
  name: [{ family: 'x'.repeat(300) }],
  ...more,
});
const path = (url: string) => new URL(url).pathname;

async function ended(status: string) {
  for (let look = 0; look < 600; look += 1) {
    const answer = await server.ask('GET', status);
    if (answer.status !== 202) return answer;
    await sleep(50);
  }
  throw new Error('the job does not end');
}

/** Waits until the job has begun and is not done. */
async function underWay(status: string, isBegun: (progress: string) => boolean): Promise<void> {
  for (let look = 0; look < 4_000; look += 1) {
    const answer = await server.ask('GET', status);
    if (answer.status !== 202) throw new Error(`the job was over too soon: ${answer.status}`);
    if (isBegun(answer.headers.get('x-progress') ?? '')) return;
    await sleep(2);
  }
  throw new Error('the job does not begin');
}

describe('a process that is killed in the middle', () => {
  it('goes on with an import behind the last line it kept: every line counts once', async () => {
    const lines = Array.from({ length: RESOURCES }, (_, at) =>
      JSON.stringify(
        at % 1_000 === 7 ? { resourceType: 'Patient', id: `k${at}`, gender: 'wrong' } : patient(at),
      ),
    );
    // Lines without an id cannot hide that they were written twice.
    for (let at = 0; at < 500; at += 1)
      lines.push(JSON.stringify({ resourceType: 'Organization', name: `org ${at}` }));
    const start = await server.ask('POST', '/fhir/$import', lines.join('\n'), {
      'content-type': 'application/fhir+ndjson',
    });
    expect(start.status, start.text).toBe(202);
    const status = path(start.headers.get('content-location') ?? '');
    await underWay(status, (progress) => / [1-9]\d* resources imported/.test(progress));
    await server.kill('SIGKILL');
    await server.start();
    const done = await ended(status);
    expect(done.status, done.text).toBe(200);
    expect(done.body.extension).toEqual({ imported: RESOURCES - 6 + 500, refused: 6 });
    expect(done.body.error[0].count).toBe(6);
    const organizations = await server.ask('GET', '/fhir/Organization?_total=accurate&_count=1');
    expect(organizations.body.total).toBe(500);
    const one = await server.ask('GET', '/fhir/Patient/k3');
    expect(one.body.meta.versionId).toBe('1');
  }, 120_000);

  it('goes on with an export behind the last page it kept: every resource comes once', async () => {
    const start = await server.ask('GET', '/fhir/$export?_type=Patient', undefined, {
      prefer: 'respond-async',
    });
    const status = path(start.headers.get('content-location') ?? '');
    await underWay(status, (progress) => /^[1-9]\d* resources written/.test(progress));
    await server.kill('SIGKILL');
    await server.start();
    const done = await ended(status);
    expect(done.status, done.text).toBe(200);
    const file = await server.ask('GET', path(done.body.output[0].url));
    const ids = file.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id as string);
    expect(ids.length).toBe(RESOURCES - 6);
    expect(new Set(ids).size).toBe(ids.length);
  }, 120_000);
});

describe('a stop by SIGTERM', () => {
  it('answers the request it has begun to read, takes nothing new, and ends with 0', async () => {
    const body = Buffer.from(JSON.stringify({ resourceType: 'Patient', id: 'slow', active: true }));
    const sent = request(`${server.url}/fhir/Patient/slow`, {
      method: 'PUT',
      headers: {
        authorization: `Bearer ${server.token}`,
        'content-type': 'application/fhir+json',
        'content-length': body.length,
      },
    });
    const answered = once(sent, 'response');
    sent.write(body.subarray(0, 20));
    await sleep(200);
    const stopped = server.stop();
    await sleep(200);
    const refused = await server.ask('GET', '/fhir/Patient/k3').catch(() => null);
    expect([null, 503]).toContain(refused?.status ?? null);
    sent.end(body.subarray(20));
    const [response] = (await answered) as [
      { statusCode: number; headers: Record<string, string>; resume(): void },
    ];
    response.resume();
    expect(response.statusCode).toBe(201);
    expect(response.headers['connection']).toBe('close');
    expect(await stopped).toBe(0);
    await server.start();
    expect((await server.ask('GET', '/fhir/Patient/slow')).status).toBe(200);
  }, 60_000);

  it('lets a job finish the slice it is in; the next start goes on with it', async () => {
    const start = await server.ask('GET', '/fhir/$export?_type=Patient', undefined, {
      prefer: 'respond-async',
    });
    const status = path(start.headers.get('content-location') ?? '');
    await underWay(status, (progress) => /^[1-9]\d* resources written/.test(progress));
    expect(await server.stop()).toBe(0);
    await server.start();
    const done = await ended(status);
    expect(done.body.output[0].count).toBe(RESOURCES - 6 + 1);
    expect(server.output()).not.toContain('"level":"error"');
  }, 60_000);

  it('under load loses nothing that was acknowledged: writes, transactions, an import, a WebSocket', async () => {
    const lines = Array.from({ length: LOAD }, (_, at) => JSON.stringify(patient(at, { id: `load${at}` })));
    const start = await server.ask('POST', '/fhir/$import', lines.join('\n'), {
      'content-type': 'application/fhir+ndjson',
    });
    const status = path(start.headers.get('content-location') ?? '');
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/fhir/ws`);
    const closed = once(socket, 'close');
    await once(socket, 'open');
    const acknowledged: string[] = [];
    const writer = async (at: number) => {
      for (let n = 0; ; n += 1) {
        const resource = { resourceType: 'Device', id: `w${at}-${n}` };
        const second = { resourceType: 'Device', id: `w${at}-${n}b` };
        const entry = [resource, second].map((one) => ({
          resource: one,
          request: { method: 'PUT', url: `Device/${one.id}` },
        }));
        const both = { resourceType: 'Bundle', type: 'transaction', entry };
        const answer = await (at % 2 === 0
          ? server.ask('PUT', `/fhir/Device/${resource.id}`, resource)
          : server.ask('POST', '/fhir', both)
        ).catch(() => null);
        // Refused, or the connection is closed: then nothing was promised.
        if (answer === null || answer.status >= 500) return;
        acknowledged.push(resource.id);
        if (at % 2 === 1) acknowledged.push(second.id);
      }
    };
    const writers = Array.from({ length: 8 }, (_, at) => writer(at));
    await underWay(status, (progress) => / [1-9]\d* resources imported/.test(progress));
    const before = Date.now();
    expect(await server.stop()).toBe(0);
    expect(Date.now() - before).toBeLessThan(20_000);
    await Promise.all(writers);
    expect((await closed)[0]).toBe(1001);
    await server.start();
    expect(acknowledged.length).toBeGreaterThan(8);
    const entry = acknowledged.map((id) => ({ request: { method: 'GET', url: `Device/${id}` } }));
    for (let from = 0; from < entry.length; from += 400) {
      const batch = { resourceType: 'Bundle', type: 'batch', entry: entry.slice(from, from + 400) };
      const { body } = await server.ask('POST', '/fhir', batch);
      const statuses = (body.entry as { response: { status: string } }[]).map(
        ({ response }) => response.status,
      );
      expect(new Set(statuses)).toEqual(new Set(['200 OK']));
    }
    const done = await ended(status);
    expect(done.body.extension, done.text).toMatchObject({ imported: LOAD });
    expect((await server.ask('GET', '/fhir/Patient/load7')).body.meta.versionId).toBe('1');
    expect(server.output()).not.toContain('"level":"error"');
  }, 120_000);

  it('cuts nobody who only listens off too late: an event stream does not hold the stop', async () => {
    const stream = await fetch(`${server.url}/worklist/api/events`, {
      headers: { authorization: `Bearer ${server.token}` },
    }).catch(() => null);
    const before = Date.now();
    expect(await server.stop()).toBe(0);
    expect(Date.now() - before).toBeLessThan(8_000);
    await stream?.body?.cancel().catch(() => undefined);
    await server.start();
  }, 60_000);
});
