import type { PeerCertificate } from 'node:tls';

/**
 * The names a certificate is known by: its common name, and the host names, mail addresses and addresses of its subject alternative name (RFC 5280, 4.2.1.6),
 * in lower case.
 */
export function certificateNames({ subject, subjectaltname }: Partial<PeerCertificate>): Set<string> {
  const common: unknown = subject?.CN;
  const listed = typeof common === 'string' ? [common] : Array.isArray(common) ? common.map(String) : [];
  // A name with a comma stands in quotes there, and could be made to look like several: such a certificate has its common name only.
  const plain = subjectaltname?.includes('"') ? '' : (subjectaltname ?? '');
  const alternative = plain
    .split(', ')
    .flatMap((one) => /^(?:DNS|email|IP Address):(.+)$/.exec(one)?.[1] ?? []);
  return new Set([...listed, ...alternative].map((one) => one.toLowerCase()));
}
