import { exportJWK, generateKeyPair, type JWK } from 'jose';
import { describe, expect, it } from 'vitest';
import type { JsonAnswer } from '../outbound/fetch-json.ts';
import { ClientKeys, KEYS_KEPT_S_MAX, REFETCH_INTERVAL_MS } from './client-keys.ts';

const uri = 'https://client.example/jwks';
const header = (kid: string) => ({ alg: 'ES384', kid });

async function jwk(kid: string): Promise<JWK> {
  const { publicKey } = await generateKeyPair('ES384', { extractable: true });
  return { ...(await exportJWK(publicKey)), kid, alg: 'ES384' };
}

/** A client whose set answers as told, and a clock that is moved by hand. */
function surroundings(keys: JWK[], cacheControl = '') {
  const around = { keys, cacheControl, fails: false, asked: 0, nowMs: 1_000_000 };
  const fetch = async (): Promise<JsonAnswer> => {
    around.asked += 1;
    if (around.fails) throw new Error('down');
    return { status: 200, body: { keys: around.keys }, cacheControl: around.cacheControl };
  };
  const clock = { now: () => new Date(around.nowMs) };
  return { around, clientKeys: new ClientKeys(clock, { hosts: [], networks: [] }, fetch) };
}

describe('key sets of clients by URL', () => {
  it('are fetched once for all who wait, and kept', async () => {
    const { around, clientKeys } = surroundings([await jwk('a')]);
    await Promise.all(Array.from({ length: 50 }, () => clientKeys.find({ jwksUri: uri }, header('a'))));
    await clientKeys.find({ jwksUri: uri }, header('a'));
    expect(around.asked).toBe(1);
  });

  it('are looked at again for an unknown key, but not more often than every half minute', async () => {
    const { around, clientKeys } = surroundings([await jwk('a')]);
    await clientKeys.find({ jwksUri: uri }, header('a'));
    around.keys = [await jwk('b')];
    await expect(clientKeys.find({ jwksUri: uri }, header('b'))).rejects.toThrow();
    for (let n = 0; n < 20; n += 1)
      await clientKeys.find({ jwksUri: uri }, header(`x${n}`)).catch(() => undefined);
    expect(around.asked).toBe(1);
    around.nowMs += REFETCH_INTERVAL_MS;
    await expect(clientKeys.find({ jwksUri: uri }, header('b'))).resolves.toBeDefined();
    expect(around.asked).toBe(2);
    // The key that is no longer in the set is no longer taken.
    await expect(clientKeys.find({ jwksUri: uri }, header('a'))).rejects.toThrow();
  });

  it.each([
    ['max-age=60', 60],
    ['public, max-age=86400', KEYS_KEPT_S_MAX],
    ['', 300],
  ])('are kept as long as Cache-Control "%s" says, ten minutes at most', async (cacheControl, keptS) => {
    const { around, clientKeys } = surroundings([await jwk('a')], cacheControl);
    await clientKeys.find({ jwksUri: uri }, header('a'));
    around.nowMs += keptS * 1_000 - 1;
    await clientKeys.find({ jwksUri: uri }, header('a'));
    expect(around.asked).toBe(1);
    around.nowMs += 1;
    await clientKeys.find({ jwksUri: uri }, header('a'));
    expect(around.asked).toBe(2);
  });

  it('that may not be kept are fetched for every assertion', async () => {
    const { around, clientKeys } = surroundings([await jwk('a')], 'no-store');
    await clientKeys.find({ jwksUri: uri }, header('a'));
    await clientKeys.find({ jwksUri: uri }, header('a'));
    expect(around.asked).toBe(2);
  });

  it('that ran out and cannot be fetched let nobody in', async () => {
    const { around, clientKeys } = surroundings([await jwk('a')]);
    await clientKeys.find({ jwksUri: uri }, header('a'));
    around.fails = true;
    around.nowMs += KEYS_KEPT_S_MAX * 1_000;
    await expect(clientKeys.find({ jwksUri: uri }, header('a'))).rejects.toThrow('down');
    // Nor are they asked for with every request while they are down.
    for (let n = 0; n < 10; n += 1)
      await expect(clientKeys.find({ jwksUri: uri }, header('a'))).rejects.toThrow();
    expect(around.asked).toBe(2);
    around.fails = false;
    around.nowMs += REFETCH_INTERVAL_MS;
    await clientKeys.find({ jwksUri: uri }, header('a'));
  });

  it('pass over keys for other things, and never take a secret for one', async () => {
    const { clientKeys } = surroundings([
      { kty: 'oct', kid: 'a', k: 'AAAA' },
      { ...(await jwk('b')), use: 'enc' },
    ]);
    await expect(clientKeys.find({ jwksUri: uri }, { alg: 'HS256', kid: 'a' })).rejects.toThrow();
    await expect(clientKeys.find({ jwksUri: uri }, header('b'))).rejects.toThrow();
  });
});
