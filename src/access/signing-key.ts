import { link, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { Failure } from '../kernel/errors.ts';
import { makeFolder } from '../kernel/make-folder.ts';
import { readKeyFile } from './read-key-file.ts';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** ES256: a signature is checked in 0.13 ms; ES384 takes 0.74. */
export const SIGNING_ALGORITHM = 'ES256';
/** What OpenID Connect clients can all read (OpenID Connect Core 15.1). */
export const ID_TOKEN_ALGORITHM = 'RS256';
/** Of the keys with which we, as a client of somebody else, prove who we are (SMART App Launch 2.2 "Asymmetric authentication"). */
export const CLIENT_KEY_ALGORITHMS = ['RS384', 'ES384'] as const;
export type ClientKeyAlgorithm = (typeof CLIENT_KEY_ALGORITHMS)[number];
type Algorithm = typeof SIGNING_ALGORITHM | typeof ID_TOKEN_ALGORITHM | ClientKeyAlgorithm;
/** What every data folder has keys of. */
const ALWAYS: readonly Algorithm[] = [SIGNING_ALGORITHM, ID_TOKEN_ALGORITHM];

/** A new key is published this long before it signs, so that whoever keeps our key set (10 minutes is usual) has read it by then. */
export const ANNOUNCED_S = 900;
/** A key that no longer signs is published until the last token it signed has ended: no token lives longer than 12 hours. */
export const KEPT_S = 12 * 3_600 + 60;
/** The file is looked at again after so long: a rotation by another process is followed then. */
const LOOK_INTERVAL_MS = 1_000;

/**
 * The keys our own tokens are signed with, in `<data>/keys/signing-keys.json` (mode 0600), made on first use. Every process of the data folder
 * reads that file; a rotation adds keys to it and changes nothing for tokens that are out.
 */
export async function signingKeyIn(dataFolder: string): Promise<SigningKeys> {
  const keys = new SigningKeys(join(dataFolder, 'keys'));
  await keys.current();
  return keys;
}

/** A key as the file has it: a private JWK and the second from which it signs. */
type KeptKey = JWK & { readonly from: number };

export class SigningKeys {
  private kept: readonly KeptKey[] = [];
  private readonly imported = new Map<string, SigningKey>();
  private lookedAt = Number.NEGATIVE_INFINITY;
  private changedAt = -1;
  private readonly file: string;

  constructor(private readonly folder: string) {
    this.file = join(folder, 'signing-keys.json');
  }

  /** Is it still one of ours, as far as is known without a look at the file? */
  has(kid: string): boolean {
    return this.kept.some((key) => key.kid === kid);
  }

  /** Follows what another process did to the file. */
  async follow(): Promise<void> {
    await this.look();
  }

  /** The key that signs now. The first of a kind that not every folder has is made here, and signs at once. */
  async current(algorithm: Algorithm = SIGNING_ALGORITHM): Promise<SigningKey> {
    await this.look();
    const nowS = Date.now() / 1_000;
    let ours = this.kept.filter(({ alg }) => alg === algorithm);
    if (ours.length === 0) {
      // Somebody else may have made one a moment ago.
      await this.look(true);
      ours = this.kept.filter(({ alg }) => alg === algorithm);
    }
    if (ours.length === 0) {
      ours = await makeKeys([algorithm], 0);
      await this.write([...this.kept, ...ours]);
    }
    const key = ours.findLast(({ from }) => from <= nowS) ?? ours[0];
    return this.import(key as KeptKey);
  }

  /** The key of a token; null: it is none of ours. */
  async find(kid: string): Promise<SigningKey | null> {
    await this.look();
    const key = this.kept.find((one) => one.kid === kid);
    return key ? this.import(key) : null;
  }

  /** RFC 7517: the public halves of all keys whose tokens are valid or will be. */
  async publicSet(): Promise<{ keys: JWK[] }> {
    await this.look();
    const keys = await Promise.all(this.kept.map((key) => this.import(key)));
    return { keys: keys.map(({ publicJwk }) => publicJwk) };
  }

  /**
   * Adds a key of each kind that signs after `announcedS` and drops those whose last token has ended. Gives back the ids of the new ones.
   * `announcedS` 0 is for a key that has become known to somebody: then the old ones go at once, and every token with them.
   */
  async rotate(announcedS = ANNOUNCED_S): Promise<string[]> {
    await this.look(true);
    const nowS = Math.floor(Date.now() / 1_000);
    const kinds = new Set([...ALWAYS, ...this.kept.map(({ alg }) => alg as Algorithm)]);
    const made = await makeKeys([...kinds], nowS + announcedS);
    const stillUsed = (key: KeptKey) => {
      const next = this.kept.find((one) => one.alg === key.alg && one.from > key.from);
      return announcedS > 0 && (next === undefined || next.from + KEPT_S > nowS);
    };
    await this.write([...this.kept.filter(stillUsed), ...made]);
    return made.map(({ kid }) => String(kid));
  }

  private async look(now = false): Promise<void> {
    if (!now && performance.now() - this.lookedAt < LOOK_INTERVAL_MS) return;
    this.lookedAt = performance.now();
    const changedAt = (await stat(this.file).catch(() => null))?.mtimeMs ?? null;
    if (changedAt !== null && changedAt === this.changedAt) return;
    this.kept = (await readKeys(this.file)) ?? (await this.first());
    this.changedAt = changedAt ?? -1;
  }

  /** The first keys; a signing key of before there were several goes on. */
  private async first(): Promise<readonly KeptKey[]> {
    const old = await readKeyFile(join(this.folder, 'signing-key.json'));
    const made = await makeKeys(ALWAYS, 0);
    const keys = old
      ? [...made.filter(({ alg }) => alg !== SIGNING_ALGORITHM), { ...(JSON.parse(old) as JWK), from: 0 }]
      : made;
    const partial = await this.writePartial(keys);
    // Only one of several processes that start at once makes the first keys: linking fails where the file is there.
    const isFirst = await link(partial, this.file).then(
      () => true,
      () => false,
    );
    await rm(partial, { force: true });
    return isFirst ? keys : ((await readKeys(this.file)) ?? keys);
  }

  private async write(keys: readonly KeptKey[]): Promise<void> {
    await rename(await this.writePartial(keys), this.file);
    this.kept = keys;
    this.changedAt = -1;
  }

  private async writePartial(keys: readonly KeptKey[]): Promise<string> {
    await makeFolder(this.folder);
    const partial = `${this.file}.${crypto.randomUUID()}`;
    await writeFile(partial, JSON.stringify({ keys }), { mode: 0o600 });
    return partial;
  }

  private async import(key: KeptKey): Promise<SigningKey> {
    const kid = String(key.kid);
    const known = this.imported.get(kid);
    if (known) return known;
    const publicJwk: JWK = Object.fromEntries(
      PUBLIC.flatMap((name) => (name in key ? [[name, key[name]]] : [])),
    );
    const { from: _from, ...jwk } = key;
    const made: SigningKey = {
      kid,
      privateKey: (await importJWK(jwk, key.alg)) as CryptoKey,
      publicKey: (await importJWK(publicJwk, key.alg)) as CryptoKey,
      publicJwk,
    };
    this.imported.set(kid, made);
    return made;
  }
}

/** What of a JWK is public; all else stays. */
const PUBLIC = ['kty', 'crv', 'x', 'y', 'n', 'e', 'alg', 'use', 'kid'] as const;

async function readKeys(file: string): Promise<readonly KeptKey[] | null> {
  const text = await readKeyFile(file);
  if (text === null) return null;
  try {
    return (JSON.parse(text) as { keys: KeptKey[] }).keys;
  } catch {
    throw new Failure(
      'data.unwritable',
      `${file} is not a set of JWKs. Restore it from a backup, or remove it: all tokens end then.`,
    );
  }
}

const makeKeys = (algorithms: readonly Algorithm[], from: number): Promise<KeptKey[]> =>
  Promise.all(
    algorithms.map(async (alg): Promise<KeptKey> => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2_048 });
      return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: crypto.randomUUID(), from };
    }),
  );
