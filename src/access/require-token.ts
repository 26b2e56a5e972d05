import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Failure } from '../kernel/errors.ts';
import type { AccessTokens, Grant } from './access-tokens.ts';
import { type Permission, permits } from './scope.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that needs a token, before any handler runs. */
    grant?: Grant;
  }
}

/**
 * The one list of what may be seen without a token: whether the server lives, what it can do, where tokens come from, and the
 * sign-in page with its static parts. Everything else, also what does not exist, answers 401.
 */
const PUBLIC: readonly RegExp[] = [
  /^\/health\/(live|ready)$/,
  /^\/fhir\/metadata$/,
  /^\/auth\/(token|jwks)$/,
  /^\/worklist(\/(?!api\/)[A-Za-z0-9_./-]*)?$/,
  /^\/operator(\/[A-Za-z0-9_./-]*)?$/,
  /^\/$/,
];

/** Puts the check in front of every route of the server. */
export function requireToken(fastify: FastifyInstance, tokens: AccessTokens): void {
  fastify.addHook('onRequest', async (request) => {
    const path = request.url.split('?', 1)[0] as string;
    if (isPublic(path)) return;
    request.grant = await tokens.verify(bearerOf(request));
    const needed = neededFor(request.method, path);
    if (needed && !permits(request.grant.scopes, needed.type, needed.permission)) {
      throw new Failure(
        'auth.scope',
        `This needs a token with the scope system/${needed.type}.${needed.permission}.`,
      );
    }
  });
}

/** A path with dots or encoded letters could mean another route than it looks like: it is never public. */
const isPublic = (path: string) =>
  !path.includes('..') && !path.includes('%') && PUBLIC.some((route) => route.test(path));

function bearerOf(request: FastifyRequest): string {
  const token = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (!token)
    throw new Failure(
      'auth.missing',
      'Send an access token: "Authorization: Bearer …". Get one from /auth/token, or with "npm run -s token".',
    );
  return token;
}

/** Doors beside FHIR (which judges each interaction itself) ask for the rights on the resources behind them. */
function neededFor(method: string, path: string): { type: string; permission: Permission } | null {
  if (path.startsWith('/dicomweb/'))
    return { type: 'ImagingStudy', permission: method === 'POST' ? 'c' : 'r' };
  if (path.startsWith('/worklist/api/')) return { type: 'DiagnosticReport', permission: 'r' };
  if (path.startsWith('/hl7/')) return { type: 'Communication', permission: method === 'GET' ? 'r' : 'u' };
  if (path.startsWith('/metrics')) return { type: 'Device', permission: 'r' };
  if (path.startsWith('/jobs')) return { type: 'Task', permission: method === 'GET' ? 'r' : 'u' };
  return null;
}
