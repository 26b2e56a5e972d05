import { createHash } from 'node:crypto';

/**
 * The same parts always give the same id: the first 32 hexadecimal digits of their SHA-256, in UUID form, so that work
 * done twice writes one resource. Parts are joined with their lengths: ('a', 'bc') and ('ab', 'c') differ.
 */
export function stableId(...parts: string[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${Buffer.byteLength(part)}:${part}`);
  const hex = hash.digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  );
}
