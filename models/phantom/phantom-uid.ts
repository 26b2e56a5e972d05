import { createHash } from 'node:crypto';

/** A UID under 2.25 (PS3.5 B.2) from a name: the UUID made of the name's hash, marked as version 8, so it repeats. */
export function phantomUid(name: string): string {
  const hash = createHash('sha256').update(`prelim phantom ${name}`).digest().subarray(0, 16);
  hash[6] = ((hash[6] as number) & 0x0f) | 0x80;
  hash[8] = ((hash[8] as number) & 0x3f) | 0x80;
  return `2.25.${BigInt(`0x${hash.toString('hex')}`)}`;
}
