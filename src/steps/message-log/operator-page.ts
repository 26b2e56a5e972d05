import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

export interface OperatorPageOptions {
  /** Where `vite build` put the page: `dist/operator`. */
  readonly folder: string;
}

/** The page needs nothing but its own files and its own server; no inline script or style, and Trusted Types refuse markup out of text. */
export const OPERATOR_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'self'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
};

/** Serves the page's own files under `/operator/`, without a token: they hold no data. Only files that are there at the start are served. */
export async function operatorPage(fastify: FastifyInstance, options: OperatorPageOptions): Promise<void> {
  fastify.addHook('onRequest', async (_request, reply) => {
    reply.headers(OPERATOR_HEADERS);
  });
  if (!existsSync(join(options.folder, 'index.html'))) {
    fastify.get('/operator/', (_request, reply) =>
      reply
        .code(503)
        .type('text/plain; charset=utf-8')
        .send('The operator page is not built. Run: npm run build\n'),
    );
    return;
  }
  // 308 keeps what stands behind '#' in the browser: a token in the address arrives at the page.
  fastify.get('/operator', (_request, reply) => reply.redirect('/operator/', 308));
  await fastify.register(fastifyStatic, {
    root: options.folder,
    prefix: '/operator/',
    wildcard: false,
    index: 'index.html',
    decorateReply: false,
    cacheControl: false,
    setHeaders: (reply, path) => {
      // Built files carry a digest in their name; the page that names them is asked for every time.
      const built = path.includes('/assets/') || path.includes('\\assets\\');
      reply.header('cache-control', built ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
}
