import type { FastifyInstance } from 'fastify';
import type { Settings } from '../config/settings.ts';

type HeaderSettings = Pick<Settings, 'HTTP_TLS_CERT' | 'FRAME_ANCESTORS' | 'baseUrl'>;

/** A year, as browsers' lists ask for (RFC 6797). Sub-domains are the site's own affair. */
export const HSTS_SECONDS = 31_536_000;

/**
 * Headers of every answer, set before anything else can refuse the request, so that refusals have them too. A route that needs others (a page, a
 * file) sets its own in their place: what forgets to is shut, not open.
 */
export function secureHeaders(fastify: FastifyInstance, settings: HeaderSettings): void {
  const headers = headersOf(settings);
  fastify.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers);
    done();
  });
}

/** Nothing is guessed, kept, framed, run, or told to the next address: most answers are patient data, and ids stand in addresses. */
function headersOf({ HTTP_TLS_CERT, FRAME_ANCESTORS, baseUrl }: HeaderSettings) {
  const isTls = HTTP_TLS_CERT !== '' || baseUrl.startsWith('https:');
  return {
    'x-content-type-options': 'nosniff',
    'content-security-policy':
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'cross-origin-resource-policy': 'same-origin',
    // For browsers that do not know frame-ancestors; it cannot name origins, so it gives way where some are allowed.
    ...(FRAME_ANCESTORS.length > 0 ? {} : { 'x-frame-options': 'DENY' }),
    ...(isTls ? { 'strict-transport-security': `max-age=${HSTS_SECONDS}` } : {}),
  };
}
