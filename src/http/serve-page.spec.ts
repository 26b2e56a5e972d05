import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pagePlugin } from './serve-page.ts';

const EHR = 'https://ehr.example';

describe('a browser page', () => {
  let folder: string;
  let fastify: FastifyInstance;
  const get = (url: string) => fastify.inject({ url });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'prelim-serve-'));
    const page = join(folder, 'page');
    await mkdir(join(page, 'assets'), { recursive: true });
    await writeFile(join(page, 'index.html'), '<!doctype html>page');
    await writeFile(join(page, 'assets', 'index-1.js'), 'page');
    await writeFile(join(folder, 'secret'), 'secret');
    fastify = Fastify();
    await fastify.register(pagePlugin, { name: 'worklist', folder: page, frameAncestors: [EHR] });
    await fastify.register(pagePlugin, { name: 'operator', folder: page });
    await fastify.register(pagePlugin, { name: 'unbuilt', folder: join(folder, 'nothing') });
  });
  afterAll(async () => {
    await fastify.close();
    await rm(folder, { recursive: true, force: true });
  });

  test.each([
    ['/worklist/', `frame-ancestors ${EHR}`],
    ['/worklist/assets/index-1.js', `frame-ancestors ${EHR}`],
    ['/operator/', "frame-ancestors 'none'"],
    ['/unbuilt/', "frame-ancestors 'none'"],
  ])('%s has a policy that lets no foreign and no inline script run', async (url, frames) => {
    const { headers } = await get(url);
    const policy = String(headers['content-security-policy']).split('; ');
    for (const part of [
      "default-src 'self'",
      "script-src 'self'",
      "style-src 'self'",
      "object-src 'none'",
      "base-uri 'none'",
      "require-trusted-types-for 'script'",
      frames,
    ])
      expect(policy).toContain(part);
    expect(policy.join()).not.toMatch(/unsafe|\*/);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('no-referrer');
  });

  test('is asked for every time, and its files with a digest in their name never again', async () => {
    expect((await get('/operator/')).headers['cache-control']).toBe('no-cache');
    expect((await get('/operator/assets/index-1.js')).headers['cache-control']).toContain('immutable');
  });

  test('without the last slash leads to it, with what stands behind # left to the browser', async () => {
    const { statusCode, headers } = await get('/operator');
    expect([statusCode, headers.location]).toEqual([308, '/operator/']);
  });

  test('that is not built says so', async () => {
    const { statusCode, body } = await get('/unbuilt/');
    expect([statusCode, body]).toEqual([503, 'The unbuilt page is not built. Run: npm run build\n']);
  });

  test.each([
    '/operator/../secret',
    '/operator/..%2fsecret',
    '/operator/%2e%2e/secret',
    '/operator/assets/',
    '/operator/nothing',
  ])('has nothing else: %s is 404', async (url) => {
    expect((await get(url)).statusCode).toBe(404);
  });
});
