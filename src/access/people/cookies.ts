import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../../config/settings.ts';

/** Of somebody who signed in. */
export const SESSION_COOKIE = 'prelim_session';
/** Of a browser that is on its way through sign-in. */
export const BROWSER_COOKIE = 'prelim_browser';
/** Of a browser that is signed in to our pages: one half of each of its sessions. */
const PAGES_COOKIE = 'prelim_pages';
/** It says which browser it is, and lets in nobody by itself: what it opens ends by its own time. */
const PAGES_COOKIE_LIFETIME_S = 8 * 3_600;

type CookieSettings = Pick<Settings, 'baseUrl' | 'FRAME_ANCESTORS'>;

export function readCookie(request: FastifyRequest, name: string): string | null {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at !== -1 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return null;
}

export const readPagesCookie = (request: FastifyRequest, settings: CookieSettings): string | null =>
  readCookie(request, pagesCookieName(settings));

export function setPagesCookie(reply: FastifyReply, settings: CookieSettings, value: string): void {
  put(reply, settings, { name: pagesCookieName(settings), value, lifetimeS: PAGES_COOKIE_LIFETIME_S });
}

export function clearPagesCookie(reply: FastifyReply, settings: CookieSettings): void {
  put(reply, settings, { name: pagesCookieName(settings), value: '', lifetimeS: 0 });
}

/** `__Host-`: no other machine of the hospital's domain can set it in our place. Browsers have it under TLS and for the whole host only. */
function pagesCookieName({ baseUrl }: CookieSettings): string {
  const { protocol, pathname } = new URL(baseUrl);
  return protocol === 'https:' && pathname === '/' ? `__Host-${PAGES_COOKIE}` : PAGES_COOKIE;
}

/**
 * RFC 6265bis. No script reads it, and it comes back to these pages only. `Lax`: not with what other sites make the browser send, but with
 * the step from the app or the provider to here. Inside the frame of a configured EHR `Lax` would never be sent, so under TLS it is
 * `None` there, and `Partitioned`: it belongs to that EHR's page only.
 */
export function setCookie(
  reply: FastifyReply,
  settings: CookieSettings,
  name: string,
  value: string,
  lifetimeS: number,
): void {
  put(reply, settings, { name, value, lifetimeS, below: '/auth', sameSite: 'Lax' });
}

interface Cookie {
  readonly name: string;
  readonly value: string;
  readonly lifetimeS: number;
  /** Sent to addresses below this one only; left out: to all of ours. */
  readonly below?: string;
  /** Left out: `Strict`. Only what our own pages ask for themselves carries it. */
  readonly sameSite?: 'Lax' | 'Strict';
}

function put(
  reply: FastifyReply,
  settings: CookieSettings,
  { name, value, lifetimeS, below = '', sameSite = 'Strict' }: Cookie,
): void {
  const isTls = settings.baseUrl.startsWith('https:');
  const path = `${new URL(settings.baseUrl).pathname.replace(/\/$/, '')}${below}` || '/';
  const site =
    isTls && settings.FRAME_ANCESTORS.length > 0 ? 'SameSite=None; Partitioned' : `SameSite=${sameSite}`;
  const cookie = `${name}=${value}; Path=${path}; Max-Age=${lifetimeS}; HttpOnly; ${site}${isTls ? '; Secure' : ''}`;
  const before = reply.getHeader('set-cookie');
  const others = before === undefined ? [] : Array.isArray(before) ? before : [String(before)];
  reply.header('set-cookie', [...others, cookie]);
}
