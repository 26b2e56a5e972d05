import { fastify } from 'fastify';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { drainRequests, REQUESTS_WAIT_MS_MAX } from './drain-requests.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function serverWithOneRequest() {
  const server = fastify();
  const drain = drainRequests(server);
  let answer = () => undefined as unknown;
  server.get('/', (_request, reply) => {
    answer = () => reply.send('done');
    return reply;
  });
  await server.ready();
  const sent = server.inject('/');
  await turn();
  return { server, drain, sent, answer: () => answer() };
}

async function state(promise: Promise<void>): Promise<'open' | 'over'> {
  for (let turns = 0; turns < 5; turns++) await turn();
  return Promise.race([promise.then(() => 'over' as const), turn().then(() => 'open' as const)]);
}

it('a request under way is waited for REQUESTS_WAIT_MS_MAX at most', async () => {
  const { drain } = await serverWithOneRequest();
  const drained = drain();
  vi.advanceTimersByTime(REQUESTS_WAIT_MS_MAX - 1);
  expect(await state(drained)).toBe('open');
  vi.advanceTimersByTime(1);
  expect(await state(drained)).toBe('over');
});

it('and not a moment longer than it takes; what comes meanwhile is refused', async () => {
  const { server, drain, sent, answer } = await serverWithOneRequest();
  const drained = drain();
  expect(await state(drained)).toBe('open');
  const late = await server.inject('/');
  expect(late.statusCode).toBeGreaterThanOrEqual(500);
  answer();
  expect((await sent).body).toBe('done');
  expect(await state(drained)).toBe('over');
});
