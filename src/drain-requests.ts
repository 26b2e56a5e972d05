import type { FastifyInstance, FastifyReply } from 'fastify';
import { Failure } from './kernel/errors.ts';

/** What is under way gets this long when the server stops; with the ten seconds of jobs it stays below the twenty after which a process ends in any case. */
export const REQUESTS_WAIT_MS_MAX = 8_000;

/**
 * A stop that finishes what it began. Closing the server cuts every connection at once, so requests under way are waited for first; those that
 * come meanwhile get 503 and a closed connection, so that a balancer takes them elsewhere. Streams of events have no end and are not waited for.
 */
export function drainRequests(fastify: FastifyInstance): () => Promise<void> {
  const active = new Set<FastifyReply>();
  let stopping = false;
  let idle: () => void = () => undefined;
  const look = () => {
    if (![...active].some((reply) => !reply.sent)) idle();
  };
  fastify.addHook('onRequest', async (_request, reply) => {
    if (stopping) throw new Failure('http.stopping', 'The server is stopping. Send the request again.');
    active.add(reply);
  });
  fastify.addHook('onSend', async (_request, reply) => {
    if (stopping) reply.header('connection', 'close');
  });
  fastify.addHook('onResponse', async (_request, reply) => {
    active.delete(reply);
    if (stopping) look();
  });
  return async () => {
    stopping = true;
    const done = new Promise<void>((resolve) => {
      idle = resolve;
      setTimeout(resolve, REQUESTS_WAIT_MS_MAX).unref();
    });
    look();
    await done;
  };
}
