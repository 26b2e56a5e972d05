/** Beside the unreserved characters `$` and `*`, which our own routes have; not the dot, so that nothing becomes a way up that was none. */
const NEED_NO_ENCODING = /[A-Za-z0-9_~$*-]/;

/**
 * A request target in the one spelling that everything here reads: what looks at the URL (audit, limits, origin) must see the same place as the router, which takes letters encoded or not,
 * the whole URL of a proxy's request, and a `#` in place of `?`. The same resource all the same: RFC 3986 6.2.2.2 (encoded letters), RFC 9112 3.2 (absolute form; no fragments). A query stays as it is.
 */
export function plainUrl(url: string): string {
  // Nearly every request: nothing to do, and found out quickly.
  if (url.charCodeAt(0) === SLASH && !url.includes('#') && !url.includes('%')) return url;
  const target = url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/#.*$/s, '');
  const mark = target.indexOf('?');
  const path = mark === -1 ? target : target.slice(0, mark);
  const rooted = path === '' ? '/' : path;
  return `${rooted.replace(/%[0-9A-Fa-f]{2}/g, plainLetter)}${mark === -1 ? '' : target.slice(mark)}`;
}

const SLASH = 0x2f;

function plainLetter(encoded: string): string {
  const letter = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
  return NEED_NO_ENCODING.test(letter) ? letter : encoded;
}
