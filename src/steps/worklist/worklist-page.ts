import { existsSync } from 'node:fs';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';
import { worklistHeaders } from './worklist-headers.ts';

export interface WorklistPageOptions {
  /** Where `vite build` put the page: `dist/worklist`. */
  readonly folder: string;
  /** Origins that may show the page in a frame (an EHR); none when left out. */
  readonly frameAncestors?: readonly string[];
}

/**
 * Serves the page's own files under `/worklist/`, without a token: they hold no data. Give it to the Fastify instance before it
 * listens, for Nest `app.register(worklistPage, { folder })`. Only files that are there at the start are served.
 */
export async function worklistPage(fastify: FastifyInstance, options: WorklistPageOptions): Promise<void> {
  const headers = worklistHeaders(options.frameAncestors);
  fastify.addHook('onRequest', async (_request, reply) => {
    reply.headers(headers);
  });
  if (!existsSync(join(options.folder, 'index.html'))) {
    fastify.get('/worklist/', (_request, reply) =>
      reply
        .code(503)
        .type('text/plain; charset=utf-8')
        .send('The worklist page is not built. Run: npm run build\n'),
    );
    return;
  }
  // 308 keeps what stands behind '#' in the browser: a token in the address arrives at the page.
  fastify.get('/worklist', (_request, reply) => reply.redirect('/worklist/', 308));
  await fastify.register(fastifyStatic, {
    root: options.folder,
    prefix: '/worklist/',
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
