import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { Failure, type FailureIssue } from '../kernel/errors.ts';

/** PEM text for `tls.createServer` and `tls.connect`. */
export interface TlsFiles {
  readonly cert?: string;
  readonly key?: string;
  readonly ca?: string;
}

/**
 * Reads the PEM files that three settings name, '' meaning none; null when none is named. Everything is tried before a connection is: throws one
 * `config.invalid` that names each setting at fault (a file that cannot be read or is no PEM, a certificate without its key or with
 * another).
 */
export function readTlsFiles(settings: Readonly<Record<string, string>>): TlsFiles | null {
  const named = (part: string) => Object.keys(settings).find((name) => name.endsWith(`_TLS_${part}`)) ?? part;
  const [cert, key, ca] = ['CERT', 'KEY', 'CA'].map(named) as [string, string, string];
  const isGiven = (name: string) => (settings[name] ?? '') !== '';
  if (![cert, key, ca].some(isGiven)) return null;
  const issues: FailureIssue[] = [];
  if (isGiven(cert) !== isGiven(key))
    issues.push({
      at: isGiven(cert) ? key : cert,
      text: 'must be given too: a certificate and its key belong together',
    });
  const texts = new Map<string, string>();
  for (const name of [cert, key, ca].filter(isGiven)) {
    const text = textOf(settings[name] ?? '');
    if (text === null) issues.push({ at: name, text: 'names a file that cannot be read' });
    else texts.set(name, text);
  }
  const files = {
    ...(texts.has(cert) ? { cert: texts.get(cert) } : {}),
    ...(texts.has(key) ? { key: texts.get(key) } : {}),
    ...(texts.has(ca) ? { ca: texts.get(ca) } : {}),
  } as TlsFiles;
  if (issues.length === 0) issues.push(...faultsOf(files, { cert, key, ca }));
  if (issues.length > 0) {
    const lines = issues.map((issue) => `${issue.at} ${issue.text}`).join('; ');
    throw new Failure('config.invalid', `The TLS files have ${issues.length} fault(s): ${lines}.`, {
      issues,
    });
  }
  return files;
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** OpenSSL's own words are not repeated: they may quote the file. */
function faultsOf(
  { cert, key, ca }: TlsFiles,
  names: { cert: string; key: string; ca: string },
): FailureIssue[] {
  const issues: FailureIssue[] = [];
  if (ca !== undefined && !holdsCertificates(ca))
    issues.push({ at: names.ca, text: 'holds no certificate in PEM' });
  if (cert === undefined) return issues;
  if (!holdsCertificates(cert)) issues.push({ at: names.cert, text: 'holds no certificate in PEM' });
  else if (!isContext({ cert, key: key ?? '' }))
    issues.push({ at: names.key, text: `is not the key of ${names.cert}, in PEM and without a passphrase` });
  return issues;
}

const holdsCertificates = (text: string): boolean =>
  text.includes('-----BEGIN CERTIFICATE-----') && isContext({ cert: text });

function isContext(options: tls.SecureContextOptions): boolean {
  try {
    tls.createSecureContext(options);
    return true;
  } catch {
    return false;
  }
}
