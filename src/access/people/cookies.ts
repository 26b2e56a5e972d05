import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Settings } from '../../config/settings.ts';

/** Of somebody who signed in. */
export const SESSION_COOKIE = 'prelim_session';
/** Of a browser that is on its way through sign-in. */
export const BROWSER_COOKIE = 'prelim_browser';

export function readCookie(request: FastifyRequest, name: string): string | null {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const at = part.indexOf('=');
    if (at !== -1 && part.slice(0, at).trim() === name) return part.slice(at + 1).trim();
  }
  return null;
}

/**
 * RFC 6265bis. No script reads it, and it comes back to these pages only. `Lax`: not with what other sites make the browser send, but with
 * the step from the app or the provider to here. Inside the frame of a configured EHR `Lax` would never be sent, so under TLS it is
 * `None` there, and `Partitioned`: it belongs to that EHR's page only.
 */
export function setCookie(
  reply: FastifyReply,
  settings: Pick<Settings, 'baseUrl' | 'FRAME_ANCESTORS'>,
  name: string,
  value: string,
  lifetimeS: number,
): void {
  const isTls = settings.baseUrl.startsWith('https:');
  const path = `${new URL(settings.baseUrl).pathname.replace(/\/$/, '')}/auth`;
  const sameSite =
    isTls && settings.FRAME_ANCESTORS.length > 0 ? 'SameSite=None; Partitioned' : 'SameSite=Lax';
  const cookie = `${name}=${value}; Path=${path}; Max-Age=${lifetimeS}; HttpOnly; ${sameSite}${isTls ? '; Secure' : ''}`;
  const before = reply.getHeader('set-cookie');
  const others = before === undefined ? [] : Array.isArray(before) ? before : [String(before)];
  reply.header('set-cookie', [...others, cookie]);
}
