import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { pageHeaders } from './page-headers.ts';

export interface PageOptions {
  /** Served under `/<name>/`. */
  readonly name: string;
  /** Where `vite build` put the page. */
  readonly folder: string;
  /** Origins that may show the page in a frame (an EHR); none when left out. */
  readonly frameAncestors?: readonly string[];
}

/** Has the process serve a page from its start on. A process without the api role has no HTTP server and serves none. */
export function servePage(http: HttpAdapterHost, options: PageOptions): void {
  const fastify = http.httpAdapter?.getInstance<FastifyInstance | undefined>();
  // Not awaited: that would make Fastify load everything now, before Nest has set its error handler.
  if (typeof fastify?.register === 'function') void fastify.register(pagePlugin, options);
}

/**
 * Serves the page's own files, without a token: they hold no data. Give it to the Fastify instance before it listens. Only files that are there
 * at the start are served.
 */
export async function pagePlugin(fastify: FastifyInstance, options: PageOptions): Promise<void> {
  const { name, folder } = options;
  const headers = pageHeaders(options.frameAncestors);
  fastify.addHook('onRequest', async (_request, reply) => {
    reply.headers(headers);
  });
  if (!existsSync(join(folder, 'index.html'))) {
    fastify.get(`/${name}/`, (_request, reply) =>
      reply
        .code(503)
        .type('text/plain; charset=utf-8')
        .send(`The ${name} page is not built. Run: npm run build\n`),
    );
    return;
  }
  // 308 keeps what stands behind '#' in the browser: a token in the address arrives at the page.
  fastify.get(`/${name}`, (_request, reply) => reply.redirect(`/${name}/`, 308));
  await fastify.register(fastifyStatic, {
    root: folder,
    prefix: `/${name}/`,
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

/** Where `vite build` put a page, seen from the sources and from `dist/src`. */
export function findPageFolder(name: string): string {
  const folders = [`../../dist/${name}`, `../../${name}`].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  );
  return folders.find((folder) => existsSync(join(folder, 'index.html'))) ?? (folders[0] as string);
}
