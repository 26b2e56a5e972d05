import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Settings } from '../config/settings.ts';
import { FairQueue } from './fair-queue.ts';
import { callerOf, type Granted } from './limit-rates.ts';

/** Connections of the pool that searches leave to reads, writes and jobs. */
export const CONNECTIONS_KEPT_FREE = 4;
/** A pool of few connections has these all the same. */
const SEARCHES_AT_ONCE_MIN = 1;

interface Placed extends FastifyRequest {
  /** Gives the place back; again does nothing. */
  leavePlace?: () => void;
}

/**
 * Lets searches, histories and operations of FHIR in as fast as the database takes them, each caller in turn. Two hundred of them at once would else
 * hold every connection, and a read that takes a millisecond would wait for them all. Comes after the token check.
 */
export function queueSearches(
  fastify: FastifyInstance,
  { DATABASE_CONNECTIONS_MAX }: Pick<Settings, 'DATABASE_CONNECTIONS_MAX'>,
): void {
  const queue = new FairQueue(
    Math.max(SEARCHES_AT_ONCE_MIN, DATABASE_CONNECTIONS_MAX - CONNECTIONS_KEPT_FREE),
  );
  fastify.addHook('onRequest', (request: Placed, reply, done) => {
    if (!isSearch(request.method, request.url)) return done();
    const enter = () => {
      let left = false;
      const leave = () => {
        if (!left) queue.leave();
        left = true;
      };
      request.leavePlace = leave;
      // 'close' comes for answers that were sent and for callers that went away; who went away while waiting leaves at once.
      if (reply.raw.closed || reply.raw.destroyed) leave();
      else reply.raw.once('close', leave);
      done();
    };
    const place = queue.enter(callerOf(request as Granted) ?? request.ip);
    if (place) void place.then(enter);
    else enter();
  });
}

/**
 * The next search comes in once the answer of one is there as text: what it still waits for (its audit, a slow caller) needs no connection of those that searches have. Comes before
 * whatever makes an answer wait.
 */
export function leaveWhenFound(fastify: FastifyInstance): void {
  fastify.addHook('onSend', (request: Placed, _reply, payload, done) => {
    if (typeof payload === 'string') request.leavePlace?.();
    done();
  });
}

/** What may read many rows: a query, a history, an operation. Reads of one resource or version, and writes without a condition, go straight on. */
export function isSearch(method: string, url: string): boolean {
  if (!url.startsWith('/fhir')) return false;
  if (method === 'GET' || method === 'HEAD')
    return (
      /[?$]/.test(url) ||
      /^\/fhir\/?$/.test(url) ||
      /\/_history\/?$/.test(url) ||
      /^\/fhir\/[A-Za-z]+\/?$/.test(url) ||
      /^\/fhir\/[A-Za-z]+\/[^/]+\/[A-Z*]/.test(url)
    );
  return method === 'POST' && /\/_search(\?|$)/.test(url);
}
