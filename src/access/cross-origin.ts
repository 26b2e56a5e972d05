import type { FastifyInstance } from 'fastify';

/**
 * What an app in a browser, on another origin, may ask: FHIR and the endpoints that take a token or a client's proof. Their answers are given to scripts
 * only where no cookie was sent (`*`), and a cookie counts only beside a header of our pages that no preflight allows. So any origin may: an answer shows
 * nothing that the same request from elsewhere would not get (SMART App Launch 2.2 "CORS").
 */
const OPEN = /^\/(fhir(\/|$)|\.well-known\/|auth\/(token|jwks|revoke|introspect)$)/;

/** RFC 9110 and FHIR headers that a client sends, and that it reads. */
const SENT =
  'authorization, content-type, accept, prefer, if-match, if-none-match, if-none-exist, if-modified-since';
const READ = 'location, content-location, etag, last-modified, www-authenticate, retry-after, x-progress';
/** Browsers ask again after at most this. */
const PREFLIGHT_KEPT_S = 600;

/** Fetch standard, "CORS protocol". Give it to Fastify before the token check: a preflight never has a token. */
export function allowOtherOrigins(fastify: FastifyInstance): void {
  fastify.addHook('onRequest', (request, reply, done) => {
    if (request.headers.origin === undefined || !OPEN.test(request.url.split('?', 1)[0] as string))
      return done();
    reply.headers({
      'access-control-allow-origin': '*',
      'access-control-expose-headers': READ,
      'cross-origin-resource-policy': 'cross-origin',
    });
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined)
      return done();
    reply
      .status(204)
      .headers({
        'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
        'access-control-allow-headers': SENT,
        'access-control-max-age': PREFLIGHT_KEPT_S,
      })
      .send();
  });
}
