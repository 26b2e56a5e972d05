/**
 * The access token of this tab. It lives in memory and in sessionStorage, so that a reload does not ask again, and ends with
 * the tab. No script but ours runs here: the page's Content-Security-Policy has no inline and no foreign source.
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
  const next = decode(given).trim();
  if (next === '') return false;
  keepToken(next);
  return true;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
