import { isIPv6 } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../config/settings.ts';
import { Failure } from '../kernel/errors.ts';
import { TokenBuckets } from './token-buckets.ts';

export type RateSettings = Pick<
  Settings,
  'RATE_CLIENT_PER_SECOND' | 'RATE_CLIENT_OPEN_MAX' | 'RATE_ADDRESS_PER_SECOND' | 'RATE_SIGN_IN_PER_MINUTE'
>;

/** What the token check leaves on a request; no more of it is known here. */
export interface Granted {
  readonly grant?: { readonly clientId?: string; readonly subject?: string };
}

/** A caller may be quiet and then ask for a page of many parts: twice the rate at once. */
const BURST_SECONDS = 2;
/** Where tokens, sessions and codes come from: a guess costs one request, and each request a signature or a password hash. */
const SIGN_IN = /^\/(auth|launch|oauth2?|sign-in)(\/|$|\?)/;
/** Streams stay open for hours; who has many pages open is no flood. */
const STREAM = /^\/worklist\/api\/events/;
/** A slot comes free with the next answer. */
const OPEN_RETRY_S = 1;

/**
 * Limits per caller: requests without a token by address and, at the doors that give tokens, more strictly. Comes before the token check, so that a
 * flood of guesses is not verified. A refusal is 429 with `Retry-After` (RFC 6585 4). Gives the counts, for `SharedRates`.
 */
export function limitAddresses(
  fastify: FastifyInstance,
  settings: RateSettings,
): Readonly<Record<'address' | 'sign-in', TokenBuckets>> {
  const anybody = new TokenBuckets(
    settings.RATE_ADDRESS_PER_SECOND,
    settings.RATE_ADDRESS_PER_SECOND * BURST_SECONDS,
  );
  const signIn = new TokenBuckets(settings.RATE_SIGN_IN_PER_MINUTE / 60, settings.RATE_SIGN_IN_PER_MINUTE);
  fastify.addHook('onRequest', (request, reply, done) => {
    const isSignIn = SIGN_IN.test(request.url);
    if (!isSignIn && request.headers.authorization !== undefined) return done();
    const waitS = (isSignIn ? signIn : anybody).take(addressKey(request.ip), performance.now());
    done(waitS > 0 ? refusal(reply, waitS) : undefined);
  });
  return { address: anybody, 'sign-in': signIn };
}

/**
 * A token that is none counts as a request without one: after too many of them from one address the answer is 429, which is not audited, so that guesses do not fill the audit. Who brings a
 * token that is good meets nothing of this, whatever others send from the same address. Call it with what the token check threw; it gives what is to be thrown.
 */
export function limitGuesses(anybody: TokenBuckets) {
  return (request: FastifyRequest, reply: FastifyReply, refused: unknown): unknown => {
    // Without the header it was counted before.
    const isGuess = refused instanceof Failure && refused.kind === 'unauthorized';
    if (!isGuess || request.headers.authorization === undefined) return refused;
    const waitS = anybody.take(addressKey(request.ip), performance.now());
    return waitS > 0 ? refusal(reply, waitS) : refused;
  };
}

/**
 * The limits of a caller with a token: how often, and how many requests at the same time (each process for itself: what is open takes its memory, and no
 * other's). Comes after the token check.
 */
export function limitClients(
  fastify: FastifyInstance,
  settings: RateSettings,
): Readonly<Record<'client', TokenBuckets>> {
  const buckets = new TokenBuckets(
    settings.RATE_CLIENT_PER_SECOND,
    settings.RATE_CLIENT_PER_SECOND * BURST_SECONDS,
  );
  const open = new Map<string, number>();
  const leave = (caller: string) => {
    const left = (open.get(caller) ?? 1) - 1;
    if (left === 0) open.delete(caller);
    else open.set(caller, left);
  };
  fastify.addHook('onRequest', (request, reply, done) => {
    const caller = callerOf(request as Granted);
    if (caller === null) return done();
    const waitS = buckets.take(caller, performance.now());
    if (waitS > 0) return done(refusal(reply, waitS));
    if (STREAM.test(request.url)) return done();
    const now = open.get(caller) ?? 0;
    if (now >= settings.RATE_CLIENT_OPEN_MAX) return done(refusal(reply, OPEN_RETRY_S));
    open.set(caller, now + 1);
    // 'close' comes for answers that were sent and for callers that went away.
    reply.raw.once('close', () => leave(caller));
    done();
  });
  return { client: buckets };
}

/** Who asks, as the limits count: the client, or the person who signed in with it; null without a token. */
export function callerOf({ grant }: Granted): string | null {
  if (grant?.clientId === undefined) return null;
  // Persons share the client they sign in with, but not its limits.
  return grant.subject === undefined || grant.subject === grant.clientId
    ? grant.clientId
    : `${grant.clientId}\n${grant.subject}`;
}

/** One subscriber of a provider has a whole /64 of IPv6 addresses: they count as one. */
export function addressKey(address: string): string {
  if (!isIPv6(address)) return address;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped) return mapped[1] as string;
  const [head = '', tail] = address.split('%', 1)[0]?.toLowerCase().split('::') ?? [];
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after]
    .slice(0, 4)
    .map((part) => Number.parseInt(part, 16).toString(16))
    .join(':');
}

function refusal(reply: FastifyReply, seconds: number): Failure {
  reply.header('retry-after', seconds);
  return new Failure('http.too-many', `Too many requests. Send the request again in ${seconds} s.`);
}
