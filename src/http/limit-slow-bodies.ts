import type { FastifyInstance, FastifyRequest } from 'fastify';

/** Nobody needs longer for a form of sign-in, or to hear that a token is missing; studies and exports are sent by who has a token. */
export const STRANGERS_BODY_MS_MAX = 30_000;

/**
 * Somebody without a token who sends a body byte by byte would hold a connection for as long as he likes (Node ends slow headers after a minute; its limit for whole requests would end
 * uploads of studies too). So the connection is closed when such a body takes longer than `bodyMs`. Call it before the token check, and what it gives after it: whoever has a token
 * may take his time, within the limit of open requests.
 */
export function limitSlowBodies(fastify: FastifyInstance, bodyMs = STRANGERS_BODY_MS_MAX): () => void {
  const waiting = new WeakMap<FastifyRequest, NodeJS.Timeout>();
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (hasBody(request)) {
      const { raw } = request;
      const timer = setTimeout(() => raw.complete || raw.socket.destroy(), bodyMs).unref();
      waiting.set(request, timer);
      raw.once('end', () => clearTimeout(timer));
    }
    done();
  });
  return () => {
    fastify.addHook('onRequest', (request, _reply, done) => {
      if ((request as { grant?: unknown }).grant !== undefined) clearTimeout(waiting.get(request));
      done();
    });
  };
}

/** RFC 9112 6: a message has a body when one of these says so. */
const hasBody = ({ headers }: FastifyRequest): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
