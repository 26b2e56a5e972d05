import { link, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CompactSign,
  type CryptoKey,
  calculateJwkThumbprint,
  compactVerify,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose';
import type { Sql } from '../database/database.ts';
import type { Clock } from '../kernel/clock.ts';
import { Failure } from '../kernel/errors.ts';
import { makeFolder } from '../kernel/make-folder.ts';
import { type ChainHead, headsOfOpenSegments } from './audit/audit-event.store.ts';
import { readKeyFile } from './read-key-file.ts';

/** How often the server signs how far its chains reach. */
export const HEAD_INTERVAL_MS = 3_600_000;

/** What is signed: how far chains reach (`heads`), or where they begin after older rows were removed (`pruned`). */
export interface SignedHeads {
  readonly what: 'heads' | 'pruned';
  readonly at: string;
  readonly segments: readonly ChainHead[];
}

/** The key that signs heads. It is not rotated with those of tokens: a head must be checked years later. */
export interface AuditKey {
  readonly privateKey: CryptoKey;
  readonly publicKey: CryptoKey;
  readonly publicJwk: JWK;
  /** RFC 7638: write it down somewhere else. */
  readonly thumbprint: string;
}

const ALGORITHM = 'ES256';

/** In `<data>/keys/audit-key.json` (mode 0600); made on first use. */
export async function auditKeyIn(dataFolder: string): Promise<AuditKey> {
  const folder = join(dataFolder, 'keys');
  const file = join(folder, 'audit-key.json');
  const jwk = (await readKey(file)) ?? (await makeKey(folder, file));
  const { d: _private, ...publicJwk } = jwk;
  return {
    privateKey: (await importJWK(jwk, ALGORITHM)) as CryptoKey,
    publicKey: (await importJWK(publicJwk, ALGORITHM)) as CryptoKey,
    publicJwk,
    thumbprint: await calculateJwkThumbprint(publicJwk),
  };
}

async function readKey(file: string): Promise<JWK | null> {
  const text = await readKeyFile(file);
  try {
    return text === null ? null : (JSON.parse(text) as JWK);
  } catch {
    throw new Failure(
      'data.unwritable',
      `${file} is not a JWK. Restore it from a back-up: without it signed heads cannot be checked.`,
    );
  }
}

async function makeKey(folder: string, file: string): Promise<JWK> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const jwk: JWK = { ...(await exportJWK(privateKey)), alg: ALGORITHM, use: 'sig' };
  await makeFolder(folder);
  const partial = `${file}.${crypto.randomUUID()}`;
  await writeFile(partial, JSON.stringify(jwk), { mode: 0o600 });
  // Of two first starts at once one makes the key: linking fails where the file is there.
  const isFirst = await link(partial, file).then(
    () => true,
    () => false,
  );
  await rm(partial, { force: true });
  return isFirst ? jwk : ((await readKey(file)) ?? jwk);
}

/** How far the chains reach that somebody writes now, or that nobody has closed yet, signed (compact JWS). Older ones hang on these. */
export async function signHead(sql: Sql, key: AuditKey, clock: Clock): Promise<string> {
  return sign(key, {
    what: 'heads',
    at: clock.now().toISOString(),
    segments: await headsOfOpenSegments(sql),
  });
}

export function sign(key: AuditKey, heads: SignedHeads): Promise<string> {
  return new CompactSign(new TextEncoder().encode(JSON.stringify(heads)))
    .setProtectedHeader({ alg: ALGORITHM, kid: key.thumbprint })
    .sign(key.privateKey);
}

/** Null: not signed with this key. */
export async function readSigned(jws: string, key: AuditKey): Promise<SignedHeads | null> {
  try {
    const { payload } = await compactVerify(jws.trim(), key.publicKey, { algorithms: [ALGORITHM] });
    return JSON.parse(new TextDecoder().decode(payload)) as SignedHeads;
  } catch {
    return null;
  }
}
