import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';

/** OWASP's least cost for scrypt: N 2^17 with r 8, about 0.3 s and 128 MiB; a guess costs the same. */
const COST: ScryptOptions = { N: 2 ** 17, r: 8, p: 1, maxmem: 256 * 1024 * 1024 };
const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** Hashes at the same time: each holds 128 MiB. Others wait their turn. */
export const HASHES_AT_ONCE = 2;
/** NIST SP 800-63B 3.1.1: at least 15 where it is the only factor; long ones are words, not an attack. */
export const PASSWORD_CHARS_MIN = 15;
export const PASSWORD_CHARS_MAX = 256;

/** The password as it is stored: `scrypt$<salt>$<hash>`, base64url. NFKC, so that every keyboard gives the same (NIST SP 800-63B 3.1.1.2). */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  return `scrypt$${salt.toString('base64url')}$${(await derive(password, salt)).toString('base64url')}`;
}

/** Does it fit? `stored` null, for an account that is not there, costs the same. */
export async function passwordFits(password: string, stored: string | null): Promise<boolean> {
  const [, salt = '', hash = ''] = (stored ?? NOBODY).split('$');
  const derived = await derive(password.slice(0, PASSWORD_CHARS_MAX), Buffer.from(salt, 'base64url'));
  const expected = Buffer.from(hash, 'base64url');
  return expected.length === derived.length && timingSafeEqual(derived, expected) && stored !== null;
}

/** Of no password: 32 bytes that no scrypt gave. */
const NOBODY = `scrypt$${randomBytes(SALT_BYTES).toString('base64url')}$${randomBytes(KEY_BYTES).toString('base64url')}`;

let running = 0;
const queue: (() => void)[] = [];

async function derive(password: string, salt: Buffer): Promise<Buffer> {
  if (running >= HASHES_AT_ONCE) await new Promise<void>((resolve) => queue.push(resolve));
  running += 1;
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      scrypt(password.normalize('NFKC'), salt, KEY_BYTES, COST, (error, key) =>
        error ? reject(error) : resolve(key),
      );
    });
  } finally {
    running -= 1;
    queue.shift()?.();
  }
}
