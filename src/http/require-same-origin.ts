import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Settings } from '../config/settings.ts';
import { Failure } from '../kernel/errors.ts';

/** What our own page sends with every change, and no form of another site can: a header of one's own needs a preflight. */
export const CSRF_HEADER = 'x-prelim-csrf';

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);
/** Asks for what a GET asks for too, and sites that a person comes from may ask (SMART App Launch 2.2, `authorize-post`). */
const AUTHORIZE = /^\/auth\/authorize(\?|$)/;
/** Answers with a cookie: what another site had it give would be that site's sign-in in the reader's browser. */
const GIVES_COOKIE = /^\/auth\/page-session(\?|$)/;
const FORM = /^application\/x-www-form-urlencoded\s*(;|$)/i;

/**
 * A browser sends cookies along with whatever another site makes it send. So each request that could change something and whose proof of identity is a
 * cookie (no `Authorization` header) must show that our own page sent it: its `Origin` is ours, and it carries the header `X-Prelim-CSRF`. A plain form
 * of ours (sign-in, consent) cannot set headers: for it the origin must be ours, and what its handler wants beside stands with the handler.
 */
export function requireSameOrigin(fastify: FastifyInstance, settings: Pick<Settings, 'baseUrl'>): void {
  const own = new URL(settings.baseUrl).host;
  fastify.addHook('onRequest', (request, _reply, done) => {
    const { authorization, cookie } = request.headers;
    if (
      SAFE.has(request.method) ||
      authorization !== undefined ||
      (cookie === undefined && !GIVES_COOKIE.test(request.url)) ||
      AUTHORIZE.test(request.url)
    )
      return done();
    const isForm =
      !GIVES_COOKIE.test(request.url) && FORM.test(String(request.headers['content-type'] ?? ''));
    if (isOwn(request, own) && (isForm || request.headers[CSRF_HEADER] !== undefined)) done();
    else done(notOurs());
  });
}

/**
 * Ours is the configured address, or the one this very request was sent to: a page can set neither `Origin` nor `Host`, and cookies go to the
 * host that they came from. A form that hides its origin (`null`) is nobody's.
 */
function isOwn(request: FastifyRequest, own: string): boolean {
  const { origin } = request.headers;
  if (origin === undefined || !URL.canParse(origin)) return false;
  const { host } = new URL(origin);
  return host !== '' && (host === own || host === request.host);
}

const notOurs = () =>
  new Failure(
    'auth.csrf',
    `A change that a cookie vouches for must come from this server's own page, with its Origin and the header ${CSRF_HEADER}.`,
  );
