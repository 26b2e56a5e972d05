import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Failure } from '../kernel/errors.ts';
import type { Roles } from './access-of-grant.ts';
import type { AccessTokens } from './access-tokens.ts';
import { type StudiesSeen, studiesOf } from './archive-studies.ts';
import { enterDoor } from './doors.ts';
import type { Grant } from './grant.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every route that needs a token, before any handler runs. */
    grant?: Grant;
    /** On requests to the archive: which studies the token may see. */
    studies?: StudiesSeen;
  }
}

/**
 * The one list of what may be seen without a token: whether the server lives, what it can do, where tokens come from, and the
 * sign-in page with its static parts. Everything else, also what does not exist, answers 401.
 */
const PUBLIC: readonly RegExp[] = [
  /^\/health\/(live|ready)$/,
  /^\/fhir\/metadata$/,
  /^\/\.well-known\/smart-configuration$/,
  /^\/\.well-known\/(openid-configuration|oauth-authorization-server)$/,
  /^\/auth\/(token|jwks|introspect|revoke|page-session)$/,
  /^\/auth\/(authorize|continue|sign-in|patient|approve|sign-out|style\.css|open-id\/(start|callback)|ehr\/callback)$/,
  /^\/worklist(\/(?!api\/)[A-Za-z0-9_./-]*)?$/,
  /^\/operator(\/[A-Za-z0-9_./-]*)?$/,
  /^\/$/,
];

/** Who is behind a request of our own pages, which bring a cookie in place of a token; null: it is none of theirs. */
export interface PageGrants {
  grantOf(request: FastifyRequest): Promise<Grant> | null;
}

/** What is thrown in place of what the check threw: somebody may have guessed too often. */
export type Refusal = (request: FastifyRequest, reply: FastifyReply, error: unknown) => unknown;

/** Puts the check in front of every route of the server. */
export function requireToken(
  fastify: FastifyInstance,
  tokens: AccessTokens,
  roles: Roles,
  pages: PageGrants | null = null,
  refusal: Refusal = (_request, _reply, error) => error,
): void {
  const grantOf = async (request: FastifyRequest) =>
    pages?.grantOf(request) ?? tokens.verify(bearerOf(request));
  fastify.addHook('onRequest', async (request, reply) => {
    const path = request.url.split('?', 1)[0] as string;
    if (isPublic(path) || isSmartConfiguration(request.method, path)) return;
    const grant = await grantOf(request).catch((error: unknown) => {
      throw refusal(request, reply, error);
    });
    request.grant = grant;
    // The route that was found, not the path as it is spelled: letters of a path may be encoded.
    const route = request.routeOptions.url ?? path;
    if (route.startsWith('/fhir')) return;
    enterDoor(request.method, route, grant, roles);
    if (route.startsWith('/dicomweb')) request.studies = studiesOf(grant);
  });
}

/** Below the FHIR base another method than GET would be an interaction with FHIR. */
const isSmartConfiguration = (method: string, path: string) =>
  path === '/fhir/.well-known/smart-configuration' && (method === 'GET' || method === 'HEAD');

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
