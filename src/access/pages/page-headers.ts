/**
 * Headers of the sign-in pages. No script at all. `form-action` names where the answer may lead: browsers hold the redirect after a form to it.
 * The address of the page goes to this server only (`same-origin`: with `no-referrer` the browser would hide the origin of our own forms).
 */
export function pageHeaders(
  frameAncestors: readonly string[],
  redirectUri?: string,
): Readonly<Record<string, string>> {
  const ancestors = frameAncestors.length > 0 ? frameAncestors.join(' ') : "'none'";
  const target = redirectUri === undefined ? '' : ` ${sourceOf(redirectUri)}`;
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': `default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'${target}; frame-ancestors ${ancestors}`,
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  };
}

/** CSP source of a URL: its origin, or the scheme of an app's own. */
function sourceOf(uri: string): string {
  const { protocol, origin } = new URL(uri);
  return protocol === 'https:' || protocol === 'http:' ? origin : protocol;
}
