import { createHmac } from 'node:crypto';

export const SIGNATURE_HEADER = 'Prelim-Signature';

/**
 * `t=<seconds since 1970>,v1=<hex>`: HMAC-SHA-256 (RFC 2104) of `<t>.<body>` under the secret of the host. The time is signed along, so
 * that a listener can refuse what somebody kept and sends again.
 */
export function signBody(body: string, secret: string, now: Date): string {
  const t = Math.floor(now.getTime() / 1_000);
  const v1 = createHmac('sha256', secret).update(`${t}.${body}`).digest('hex');
  return `t=${t},v1=${v1}`;
}

/** The secret for an endpoint: of `host:port` when there is one, else of the host. */
export function secretFor(endpoint: URL, secrets: Readonly<Record<string, string>>): string | null {
  const port = endpoint.port || (endpoint.protocol === 'https:' ? '443' : '80');
  for (const host of [`${endpoint.hostname}:${port}`, endpoint.hostname])
    if (Object.hasOwn(secrets, host)) return secrets[host] ?? null;
  return null;
}
