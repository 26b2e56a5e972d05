import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../../../test/database.ts';
import { analysisResources } from '../../../test/worklist/records.ts';
import { startWorklist, type WorklistServer } from '../../../test/worklist/server.ts';
import { FULL_ACCESS, useEndedGrants } from '../../fhir/access-context.ts';
import { eventStreamParser, type StreamEvent } from './page/parse-event-stream.ts';
import { LISTENERS_MAX, type WorklistListener } from './worklist.feed.ts';

const STARTED = new Date('2026-03-01T08:00:00Z');
const quiet = (): WorklistListener => ({ access: FULL_ACCESS, send: () => undefined, end: () => undefined });

describe('what the worklist page reads', () => {
  let folder: string;
  let fresh: FreshDatabase;
  let server: WorklistServer;
  let other: WorklistServer;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prelim-worklist-'));
    const page = join(folder, 'page');
    await mkdir(join(page, 'assets'), { recursive: true });
    await writeFile(join(page, 'index.html'), '<!doctype html>page');
    await writeFile(join(page, 'assets', 'index-1.js'), 'page');
    fresh = await freshDatabase();
    // Two processes as far as the worklist goes: two stores, two feeds, one database.
    server = await startWorklist(fresh.database, { keys: folder, page });
    other = await startWorklist(fresh.database, { keys: folder, page });
  });
  afterAll(async () => {
    await server.stop();
    await other.stop();
    await fresh.close();
    await rm(folder, { recursive: true, force: true });
  });

  const get = async (path: string, scope?: string) =>
    fetch(`${server.url}${path}`, {
      headers: { authorization: `Bearer ${await server.token(scope)}` },
      redirect: 'manual',
    });

  test('a change arrives on an open stream, from this process and from another one', async () => {
    await server.write(analysisResources({ id: 'live', family: 'Before', started: STARTED }));
    const events = await openEvents();
    await get('/worklist/api/rows');
    await server.write(analysisResources({ id: 'new', started: STARTED }));
    expect(await events.next('row')).toMatchObject({ id: 'new' });
    await other.write(analysisResources({ id: 'far', started: STARTED }));
    expect(await events.next('row')).toMatchObject({ id: 'far' });
    // A Patient alone, without its Task: the row that shows the name changes.
    const [patient] = analysisResources({ id: 'live', family: 'After', started: STARTED });
    await server.write(patient ? [patient] : []);
    expect(await events.next('row')).toMatchObject({ id: 'live', patient: { name: 'After, Person' } });
    await events.close();
  });

  test('whoever signed out meanwhile is told of nothing more on a stream that is still open', async () => {
    const [leaver, stays] = [await openEvents('leaver'), await openEvents()];
    useEndedGrants(({ clientId }) => clientId === 'leaver');
    await server.write(analysisResources({ id: 'after', started: STARTED }));
    expect(await stays.next('row')).toMatchObject({ id: 'after' });
    await expect(leaver.next('row')).rejects.toThrow('the stream has ended');
    useEndedGrants(() => false);
    await stays.close();
  });

  test('a deleted analysis leaves the list', async () => {
    await server.write(analysisResources({ id: 'deleted', started: STARTED }));
    const events = await openEvents();
    await get('/worklist/api/rows');
    await server.remove('Task', 'deleted');
    expect(await events.next('gone')).toEqual({ id: 'deleted' });
    await events.close();
  });

  test('rows, one row and picture are not kept in a cache, and an unknown id is 404', async () => {
    await server.write(analysisResources({ id: 'kept', started: STARTED }));
    for (const path of ['/worklist/api/rows', '/worklist/api/rows/kept']) {
      const response = await get(path);
      expect([response.status, response.headers.get('cache-control')]).toEqual([200, 'no-store']);
    }
    expect((await get('/worklist/api/rows/unknown')).status).toBe(404);
    expect((await get('/worklist/api/pictures/kept')).status).toBe(404);
  });

  test('without a token, or with one for less, nothing is told', async () => {
    for (const path of ['rows', 'rows/kept', 'pictures/kept', 'events']) {
      expect((await fetch(`${server.url}/worklist/api/${path}`)).status).toBe(401);
      expect((await get(`/worklist/api/${path}`, 'system/DiagnosticReport.rs')).status).toBe(403);
    }
  });

  test('more listeners than the limit are turned away, and a place that is left is free again', async () => {
    const leave = Array.from({ length: LISTENERS_MAX }, () => server.feed.listen(quiet()));
    const refused = await get('/worklist/api/events');
    expect(refused.status).toBe(429);
    expect(await refused.text()).toContain('worklist.listeners-full');
    leave[0]?.();
    const events = await openEvents();
    await events.close();
    for (const one of leave) one();
  });

  test('no path leads out of the folder of the page', async () => {
    for (const path of [
      '/worklist/../keys',
      '/worklist/..%2fkeys',
      '/worklist/%2e%2e/keys',
      '/worklist/assets/',
      '/worklist/keys/signing-key.json',
    ]) {
      const response = await fetch(`${server.url}${path}`);
      expect([401, 404]).toContain(response.status);
    }
  });

  /** An open stream, read event by event; the first beat has passed. */
  async function openEvents(client?: string) {
    const end = new AbortController();
    const response = await fetch(`${server.url}/worklist/api/events`, {
      headers: { authorization: `Bearer ${await server.token(undefined, client)}` },
      signal: end.signal,
    });
    expect(response.headers.get('content-type')).toContain('text/event-stream');
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    const decoder = new TextDecoder();
    const parse = eventStreamParser();
    const waiting: StreamEvent[] = [];
    const next = async (event: string): Promise<unknown> => {
      for (;;) {
        const found = waiting.shift();
        if (found?.event === event) return JSON.parse(found.data);
        if (found) continue;
        const { done, value } = await reader.read();
        if (done) throw new Error('the stream has ended');
        waiting.push(...parse(decoder.decode(value, { stream: true })));
      }
    };
    await next('beat');
    return { next, close: async () => end.abort() };
  }
});
