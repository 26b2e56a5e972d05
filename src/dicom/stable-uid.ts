import { stableId } from '../kernel/stable-id.ts';

/**
 * The same parts always give the same UID: 2.25 and their SHA-256, cut to 128 bits, as a decimal number (PS3.5 B.2). An object
 * that is made twice is one object, so that a repeat after a crash stores nothing new.
 */
export function stableUid(...parts: string[]): string {
  return `2.25.${BigInt(`0x${stableId(...parts).replaceAll('-', '')}`)}`;
}
