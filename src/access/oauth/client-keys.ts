import { type CryptoKey, createLocalJWKSet, type JWK, type JWTHeaderParameters } from 'jose';
import type { Clock } from '../../kernel/clock.ts';
import type { Client } from '../client.ts';
import { fetchJson, type JsonAnswer, type OutboundRules } from '../outbound/fetch-json.ts';
import { CLIENT_KEYS_MAX } from '../registration/read-registration.ts';

/** A key set is kept for as long as its `Cache-Control` says, and never longer. */
export const KEYS_KEPT_S_MAX = 600;
/** Unless it says so, a set is kept this long. */
const KEYS_KEPT_S = 300;
/** An assertion that names an unknown key makes us look again, but no more often than this. */
export const REFETCH_INTERVAL_MS = 30_000;

interface KeptSet {
  readonly keys: readonly JWK[];
  readonly untilMs: number;
}

type Fetch = (url: URL) => Promise<JsonAnswer>;

/**
 * Public keys of clients and of other issuers, given in their registration or fetched from the URL there. A set is fetched once for all who
 * wait for it; one that ran out is never used, and when it cannot be fetched the answer is no.
 */
export class ClientKeys {
  private readonly kept = new Map<string, KeptSet>();
  private readonly fetching = new Map<string, Promise<KeptSet>>();
  /** Of attempts, also failed ones: a host that is down is not asked with every request. */
  private readonly asked = new Map<string, { readonly ms: number; failed: boolean }>();

  constructor(
    private readonly clock: Clock,
    rules: OutboundRules,
    private readonly fetch: Fetch = (url) => fetchJson(url, rules),
  ) {}

  /** @throws Error when there is no such key, or it does not fit the algorithm */
  async find(from: Pick<Client, 'jwks' | 'jwksUri'>, header: JWTHeaderParameters): Promise<CryptoKey> {
    const { kid } = header;
    const keys = from.jwks ?? (from.jwksUri ? await this.setAt(from.jwksUri, String(kid)) : []);
    // createLocalJWKSet chooses by kid, kty, use and alg, and refuses RSA keys below 2,048 bits at verification.
    return createLocalJWKSet({ keys: keys.filter((key) => key.kid === kid) })(header) as Promise<CryptoKey>;
  }

  private async setAt(uri: string, kid: string): Promise<readonly JWK[]> {
    const nowMs = this.clock.now().getTime();
    const kept = this.kept.get(uri);
    const isFresh = kept !== undefined && kept.untilMs > nowMs;
    if (isFresh && kept.keys.some((key) => key.kid === kid)) return kept.keys;
    const asked = this.asked.get(uri);
    const isEarly = asked !== undefined && nowMs - asked.ms < REFETCH_INTERVAL_MS;
    // An unknown key, or a host that did not answer, is no reason to ask again at once. A set that merely ran out is.
    if (isEarly && isFresh) return kept.keys;
    if (isEarly && asked.failed) throw new Error('the key set could not be fetched a moment ago');
    return (await this.fetchOnce(uri)).keys;
  }

  private fetchOnce(uri: string): Promise<KeptSet> {
    const running = this.fetching.get(uri);
    if (running) return running;
    const asked = { ms: this.clock.now().getTime(), failed: false };
    this.asked.set(uri, asked);
    const fetched = this.fetchSet(uri)
      .catch((error: unknown) => {
        asked.failed = true;
        throw error;
      })
      .finally(() => this.fetching.delete(uri));
    this.fetching.set(uri, fetched);
    return fetched;
  }

  private async fetchSet(uri: string): Promise<KeptSet> {
    const { status, body, cacheControl } = await this.fetch(new URL(uri));
    if (status !== 200) throw new Error(`the key set answered ${status}`);
    const untilMs = this.clock.now().getTime() + keptSeconds(cacheControl) * 1_000;
    const set = { keys: usableKeys(body), untilMs };
    this.kept.set(uri, set);
    return set;
  }
}

/** A set may hold keys for other things; those are passed over. */
function usableKeys({ keys }: Readonly<Record<string, unknown>>): JWK[] {
  if (!Array.isArray(keys)) throw new Error('no key set');
  return (keys as JWK[])
    .slice(0, CLIENT_KEYS_MAX)
    .filter(
      (key) => (key?.kty === 'RSA' || key?.kty === 'EC') && typeof key.kid === 'string' && key.use !== 'enc',
    );
}

function keptSeconds(cacheControl: string): number {
  if (/\bno-(store|cache)\b/.test(cacheControl)) return 0;
  const maxAge = /\bmax-age=(\d{1,9})\b/.exec(cacheControl)?.[1];
  return Math.min(maxAge === undefined ? KEYS_KEPT_S : Number(maxAge), KEYS_KEPT_S_MAX);
}
