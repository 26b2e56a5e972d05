import { readFileSync } from 'node:fs';
import type { ClientConfig } from 'pg';
import { Failure } from '../kernel/errors.ts';

/** What `tls.connect` and TypeORM both take. */
export interface ConnectionTls {
  readonly minVersion: 'TLSv1.2';
  readonly rejectUnauthorized: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly checkServerIdentity?: () => undefined;
}

export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly ssl?: ConnectionTls;
}

/**
 * Reads a PostgreSQL connection string (libpq, "Connection URIs"). A Unix socket stands as `?host=`. Over TLS with `sslmode=verify-full`, or `verify-ca`, which
 * does not look at the name of the host; `require` checks as much as verify-full, for a connection that anybody may answer protects nobody.
 * `sslrootcert`, `sslcert` and `sslkey` name PEM files.
 *
 * @throws Failure `config.invalid`, which never repeats the string: it has the password
 */
export function connectionOf(text: string): Connection {
  const url = new URL(text.replace(/^(postgres(?:ql)?:\/\/[^/@]*@)\//, '$1localhost/'));
  const ssl = tlsOf(url.searchParams);
  return {
    host: url.searchParams.get('host') ?? url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(ssl ? { ssl } : {}),
  } satisfies ClientConfig;
}

const MODES = ['disable', 'require', 'verify-ca', 'verify-full'];

function tlsOf(parameters: URLSearchParams): ConnectionTls | null {
  const mode = parameters.get('sslmode') ?? (parameters.has('sslrootcert') ? 'verify-full' : 'disable');
  // "prefer" and "allow" would go on in the clear when somebody in between says that there is no TLS.
  if (!MODES.includes(mode)) throw invalid(`sslmode must be one of ${MODES.join(', ')}`);
  if (mode === 'disable') return null;
  if (parameters.has('sslcert') !== parameters.has('sslkey'))
    throw invalid('sslcert and sslkey belong together');
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    ...fileOf(parameters, 'sslrootcert', 'ca'),
    ...fileOf(parameters, 'sslcert', 'cert'),
    ...fileOf(parameters, 'sslkey', 'key'),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

function fileOf(
  parameters: URLSearchParams,
  name: string,
  option: 'ca' | 'cert' | 'key',
): Partial<ConnectionTls> {
  const path = parameters.get(name);
  if (!path) return {};
  try {
    return { [option]: readFileSync(path, 'utf8') };
  } catch {
    throw invalid(`${name} names a file that cannot be read`);
  }
}

const invalid = (what: string) => new Failure('config.invalid', `DATABASE_URL: ${what}.`);
