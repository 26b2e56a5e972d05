import { X509Certificate } from 'node:crypto';

const DAY_MS = 86_400_000;
const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Days before the end of a certificate at which people are told. */
export const EXPIRY_WARNING_DAYS = [30, 7, 1] as const;

/** Whole days until the first certificate of a PEM text runs out, negative once it has; null when it holds none that can be read. */
export function daysLeft(pem: string, now: Date): number | null {
  const ends = [...pem.matchAll(PEM)].flatMap(([one]) => {
    try {
      return [new X509Certificate(one).validToDate.getTime()];
    } catch {
      return [];
    }
  });
  return ends.length === 0 ? null : Math.floor((Math.min(...ends) - now.getTime()) / DAY_MS);
}

/** The smallest warning time that has been reached: 30, 7, 1, 0 once it has run out; null while there is more time. */
export function expiryWarning(days: number): number | null {
  if (days < 0) return 0;
  return EXPIRY_WARNING_DAYS.findLast((limit) => days < limit) ?? null;
}
