import type { FastifyInstance } from 'fastify';
import { Failure } from '../kernel/errors.ts';

/**
 * No route takes a compressed body: a thousand bytes can hold half a gigabyte. It is refused before any of it is read (RFC 9110 8.4: 415), whatever
 * the route.
 */
export function refuseEncodings(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, _reply, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding.trim().toLowerCase() === 'identity') done();
    else done(new Failure('fhir.media-type', 'Send the body without Content-Encoding.'));
  });
}
