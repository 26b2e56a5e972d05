import { Failure } from '../kernel/errors.ts';

/** Where a DICOMweb server is and how we show who we are. */
export interface DicomwebConnection {
  /** Service root, without a trailing slash: `https://pacs.example/dicom-web`. */
  readonly root: URL;
  readonly credentials: DicomwebCredentials;
  readonly times: DicomwebTimes;
}

export type DicomwebCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer'; readonly token: string }
  | { readonly kind: 'basic'; readonly user: string; readonly password: string };

export interface DicomwebTimes {
  /** Longest silence, before the first byte and between two. */
  readonly silenceMs: number;
  /** Longest time of a query or of metadata, so that a server that drips bytes does not hold a worker. */
  readonly queryMs: number;
  /** Longest time of one bulk retrieval or one store. */
  readonly bulkMs: number;
}

/** A PACS may fetch from tape before the first byte; 30 s is what viewers allow. Bulk: 2 GiB at 10 MB/s take 3.5 min. */
export const DICOMWEB_TIMES: DicomwebTimes = { silenceMs: 30_000, queryMs: 120_000, bulkMs: 900_000 };

/**
 * Makes a connection from settings. A token goes before user and password. Throws `config.invalid` for a root that carries
 * credentials, a query or a fragment: they would be lost or leak into logs.
 */
export function dicomwebConnection(
  root: URL,
  secrets: { token?: string; user?: string; password?: string } = {},
  times: Partial<DicomwebTimes> = {},
): DicomwebConnection {
  if (root.username || root.password || root.search || root.hash || !/^https?:$/.test(root.protocol)) {
    throw new Failure(
      'config.invalid',
      'DICOMWEB_URL must be http(s) without user, query and fragment. Give credentials as DICOMWEB_TOKEN or DICOMWEB_USER.',
    );
  }
  const credentials: DicomwebCredentials = secrets.token
    ? { kind: 'bearer', token: secrets.token }
    : secrets.user
      ? { kind: 'basic', user: secrets.user, password: secrets.password ?? '' }
      : { kind: 'none' };
  return {
    root: new URL(root.href.replace(/\/+$/, '')),
    credentials,
    times: { ...DICOMWEB_TIMES, ...times },
  };
}

/** `Authorization` for a URL: only for the connection's own scheme, host and port, never for what merely begins like it. */
export function authorizationFor(connection: DicomwebConnection, url: URL): string | undefined {
  if (url.origin !== connection.root.origin) return undefined;
  const { credentials } = connection;
  if (credentials.kind === 'none') return undefined;
  if (credentials.kind === 'bearer') return `Bearer ${credentials.token}`;
  return `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;
}
