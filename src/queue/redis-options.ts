import type { ConnectionOptions } from 'node:tls';
import { readTlsFiles } from '../config/read-tls-files.ts';
import type { Settings } from '../config/settings.ts';
import { KEPT_ALIVE, SILENT_MS_MAX } from '../database/silent-connections.ts';
import { Failure } from '../kernel/errors.ts';

export type RedisSettings = Pick<Settings, 'REDIS_URL' | 'REDIS_TLS_CA' | 'REDIS_TLS_CERT' | 'REDIS_TLS_KEY'>;

/** What a Redis client is opened with, whichever client it is. */
export interface RedisConnection {
  readonly host: string;
  readonly port: number;
  readonly db: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: ConnectionOptions;
  /** Milliseconds without traffic after which TCP asks whether the other end is there. */
  readonly keepAlive?: number;
  /** Milliseconds without a byte after which a connection with open commands is given up, and they go over a new one. */
  readonly socketTimeout?: number;
}

/** A host that is gone without a word is noticed as soon as one of PostgreSQL is. Bull's longest command waits for a second. */
const SILENCE = { keepAlive: KEPT_ALIVE.keepAliveInitialDelayMillis, socketTimeout: SILENT_MS_MAX } as const;

/**
 * `REDIS_URL` as options. Bull's own reading of a URL takes `rediss:` for `redis:` and connects in the clear, so it is never given one. Over TLS the
 * certificate and its name are always checked.
 *
 * @returns null without `REDIS_URL`
 * @throws Failure `config.invalid` for PEM files that are no good, or that would not be used
 */
export function redisConnection(settings: RedisSettings): RedisConnection | null {
  const { REDIS_URL: url, REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY } = settings;
  if (!url) return null;
  const files = readTlsFiles({ REDIS_TLS_CA, REDIS_TLS_CERT, REDIS_TLS_KEY });
  if (files && url.protocol !== 'rediss:')
    throw new Failure('config.invalid', 'REDIS_URL must begin with rediss:// where REDIS_TLS_… is set.');
  return {
    ...SILENCE,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 6379),
    db: Number(url.pathname.slice(1) || 0),
    ...(url.username ? { username: decodeURIComponent(url.username) } : {}),
    ...(url.password ? { password: decodeURIComponent(url.password) } : {}),
    ...(url.protocol === 'rediss:'
      ? { tls: { minVersion: 'TLSv1.2', rejectUnauthorized: true, ...files } }
      : {}),
  };
}
