/**
 * The access token of this tab: under the same name as on the worklist, so that one sign-in serves both pages. It lives in memory and in
 * sessionStorage and ends with the tab. The page's Content-Security-Policy lets no script but ours read it.
 */
const KEY = 'prelim.worklist.token';

let token: string | null = null;

export function currentToken(): string | null {
  token ??= sessionStorage.getItem(KEY);
  return token;
}

export function keepToken(next: string): void {
  token = next;
  sessionStorage.setItem(KEY, next);
}

export function forgetToken(): void {
  token = null;
  sessionStorage.removeItem(KEY);
}

/** Takes `#token=…` out of the address at once. Gives true when there was one. */
export function takeTokenFromAddress(): boolean {
  if (!location.hash.startsWith('#token=')) return false;
  const given = location.hash.slice('#token='.length);
  history.replaceState(null, '', location.pathname + location.search);
  try {
    const next = decodeURIComponent(given).trim();
    if (next !== '') keepToken(next);
    return next !== '';
  } catch {
    return false;
  }
}
