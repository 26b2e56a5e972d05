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
  fastify.addHook('onRequest', (_request, reply, done) => {
    if (stopping)
      return done(new Failure('http.stopping', 'The server is stopping. Send the request again.'));
    active.add(reply);
    done();
  });
  fastify.addHook('onSend', (_request, reply, _payload, done) => {
    if (stopping) reply.header('connection', 'close');
    done();
  });
  fastify.addHook('onResponse', (_request, reply, done) => {
    active.delete(reply);
    if (stopping) look();
    done();
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
