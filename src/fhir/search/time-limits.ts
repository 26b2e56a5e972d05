/** A search that an index answers takes milliseconds; one that would read millions of rows must not hold a connection. */
export const SEARCH_MS_MAX = 5_000;
/** A total is an extra: it may cost less than the page. */
export const COUNT_MS_MAX = 2_000;
