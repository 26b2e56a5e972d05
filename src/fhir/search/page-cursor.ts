import { badParameter } from '../at-parameter.ts';
import type { PagePosition, SortRule } from './search-query.ts';

/** Sort values are cut in the index; a cursor beyond this was not printed here. */
const CURSOR_CHARACTERS_MAX = 4_000;

/**
 * A cursor says where a page ended, and which order it was in. It holds no authority and no filter: every page is searched with the
 * caller's own access, and a cursor changed by hand only begins elsewhere.
 */
export function printCursor(sort: readonly SortRule[], { keys, type, id }: PagePosition): string {
  return Buffer.from(JSON.stringify([printSort(sort), type, id, ...keys])).toString('base64url');
}

/** Throws `fhir.invalid` for a text that is no cursor, or one of another order. */
export function readCursor(text: string, sort: readonly SortRule[]): PagePosition {
  const values = text.length > CURSOR_CHARACTERS_MAX ? null : parsed(text);
  const [order, type, id, ...keys] = values ?? [];
  const fits =
    order === printSort(sort) &&
    typeof type === 'string' &&
    typeof id === 'string' &&
    /^[A-Z][A-Za-z]{1,63}$/.test(type) &&
    /^[A-Za-z0-9\-.]{1,64}$/.test(id) &&
    keys.length === sort.length &&
    keys.every(isKey);
  if (!fits) throw badParameter('_cursor', 'The page link is damaged; start the search again.');
  return { keys: keys as (string | null)[], type, id };
}

const printSort = (sort: readonly SortRule[]): string =>
  sort.map(({ code, descending }) => `${descending ? '-' : ''}${code}`).join(',');

function parsed(text: string): unknown[] | null {
  try {
    const values: unknown = JSON.parse(Buffer.from(text, 'base64url').toString());
    return Array.isArray(values) ? values : null;
  } catch {
    return null;
  }
}

/** PostgreSQL has no U+0000 in a text. */
const isKey = (value: unknown): boolean =>
  value === null || (typeof value === 'string' && !value.includes('\0'));
