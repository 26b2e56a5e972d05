import { readTlsFiles, type TlsFiles } from '../src/config/read-tls-files.ts';

/** Options of both simulators that name PEM files. */
export const TLS_OPTIONS = {
  'tls-cert': { type: 'string', default: '' },
  'tls-key': { type: 'string', default: '' },
  'tls-ca': { type: 'string', default: '' },
} as const;

/** A whole number within bounds, or a usage error that names the option. */
export function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new Error(`--${name} must be a whole number from ${min} to ${max}.`);
  return value;
}

/** The PEM files; null when none is named. */
export function tlsOf(values: { 'tls-cert': string; 'tls-key': string; 'tls-ca': string }): TlsFiles | null {
  return readTlsFiles({
    SIMULATE_TLS_CERT: values['tls-cert'],
    SIMULATE_TLS_KEY: values['tls-key'],
    SIMULATE_TLS_CA: values['tls-ca'],
  });
}

/** The `p`th part (0 to 1) of sorted numbers; 0 of none. */
export function percentile(sorted: readonly number[], p: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] ?? 0;
}
