import type { Server as HttpServer } from 'node:http';
import { type SecureContextOptions, Server, type TlsOptions } from 'node:tls';
import { readTlsFiles } from '../config/read-tls-files.ts';
import type { Settings } from '../config/settings.ts';
import { watchFiles } from '../config/watch-files.ts';

type TlsSettings = Pick<Settings, 'HTTP_TLS_CERT' | 'HTTP_TLS_KEY' | 'HTTP_TLS_CA'>;

/** As much of the log as is needed here. */
interface Log {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** Older versions have known faults (RFC 8996). */
const OLDEST_VERSION = 'TLSv1.2';

/**
 * How HTTP is served: options for `https.createServer`, or null for plain HTTP. With authorities of client certificates a caller
 * without a good one gets no connection.
 *
 * @throws Failure `config.invalid` that names each setting at fault
 */
export function tlsOptions({ HTTP_TLS_CERT, HTTP_TLS_KEY, HTTP_TLS_CA }: TlsSettings): TlsOptions | null {
  const files = readTlsFiles({ HTTP_TLS_CERT, HTTP_TLS_KEY, HTTP_TLS_CA });
  if (!files?.cert) return null;
  return {
    ...files,
    minVersion: OLDEST_VERSION,
    ...(files.ca ? { requestCert: true, rejectUnauthorized: true } : {}),
  };
}

/**
 * New files are for new connections; open ones go on as they are. Files that are no good change nothing and are said in the log: until they
 * are right, the certificate that was good before is served. Gives a function that ends it.
 */
export function reloadTls(
  server: HttpServer,
  settings: TlsSettings,
  log: Log,
  intervalMs?: number,
): () => void {
  if (!(server instanceof Server)) return () => undefined;
  const paths = [settings.HTTP_TLS_CERT, settings.HTTP_TLS_KEY, settings.HTTP_TLS_CA].filter(Boolean);
  const reload = () => {
    try {
      server.setSecureContext(tlsOptions(settings) as SecureContextOptions);
      log.info({}, 'the certificate of the HTTP server was read again');
    } catch (error) {
      log.error(
        { code: (error as { code?: string }).code, reason: (error as Error).message },
        'the new certificate of the HTTP server is not usable; the one before is served on',
      );
    }
  };
  const stop = watchFiles(paths, reload, intervalMs);
  process.on('SIGHUP', reload);
  return () => {
    stop();
    process.off('SIGHUP', reload);
  };
}
