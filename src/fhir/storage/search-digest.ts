import { hash } from 'node:crypto';
import type { IndexRows } from '../search/index-rows.ts';

/**
 * A number that stands for the search rows of a resource (not its tokens, which lie in its own row), as PostgreSQL's bigint in text. It is
 * kept with the resource: an update whose rows are the same leaves them alone, and most updates change a status or a note. Rows that an older
 * version of the server has written, or another set of search parameters, have another digest, so they are replaced. `0`: no rows.
 */
export function searchDigest(rows: IndexRows): string {
  const { dates, strings, numbers, quantities } = rows;
  if (dates.length + strings.length + numbers.length + quantities.length === 0) return '0';
  const text = JSON.stringify([dates, strings, numbers, quantities]);
  // The first 64 bits. A digest in a Buffer takes three times as long as one in text.
  return BigInt.asIntN(64, BigInt(`0x${hash('sha1', text, 'hex').slice(0, 16)}`)).toString();
}
