import type { Account, TabSession } from './tab-session.ts';

/**
 * Sign-in with the reader's own account: authorization code with PKCE (RFC 7636, S256), as a public client of this server, and the EHR launch
 * of SMART App Launch 2.2. The verifier and the refresh token stay in this tab.
 */
const UNDER_WAY = 'prelim.sign-in';

interface UnderWay {
  readonly state: string;
  readonly verifier: string;
  readonly issuer: string;
  /** What stood behind `#`: the view to go on with. */
  readonly view: string;
}

/** How the page came to be opened: by an EHR, by the sign-in pages, or by the reader. */
export function arrival(): 'launch' | 'answer' | 'begin' | null {
  const asked = new URLSearchParams(location.search);
  if (asked.has('iss') && asked.has('launch')) return 'launch';
  if (asked.has('state') && (asked.has('code') || asked.has('error'))) return 'answer';
  return asked.has('begin') ? 'begin' : null;
}

/** Leaves for the sign-in pages. Throws an Error whose message the reader can use. */
export async function beginSignIn({ client }: TabSession): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const { issuer } = await readIssuer();
  const launch = asked.get('launch');
  // Before anything is sent anywhere: an EHR can open this page for its own server only.
  if (launch !== null && asked.get('iss')?.replace(/\/$/, '') !== `${issuer}/fhir`)
    throw new Error(
      'The EHR opened this page for another server. Ask your administrator to correct its address.',
    );
  if (new URL(issuer).origin !== location.origin) {
    const search = launch === null ? '?begin=1' : location.search;
    location.replace(`${issuer}/${client.id}/${search}${location.hash}`);
    return;
  }
  if (!('subtle' in crypto))
    throw new Error('Your browser signs in over HTTPS only. Ask your administrator for the https address.');
  const underWay: UnderWay = { state: random(), verifier: random(), issuer, view: location.hash };
  sessionStorage.setItem(UNDER_WAY, JSON.stringify(underWay));
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: `${issuer}/${client.id}/`,
    scope: launch === null ? client.scope : `launch ${client.scope}`,
    state: underWay.state,
    aud: `${issuer}/fhir`,
    code_challenge: await challengeOf(underWay.verifier),
    code_challenge_method: 'S256',
    ...(launch === null ? {} : { launch }),
  });
  location.replace(`../auth/authorize?${query}`);
}

/** Takes the answer out of the address at once, and trades its code for a token. */
export async function finishSignIn(session: TabSession): Promise<void> {
  const answer = new URLSearchParams(location.search);
  const underWay = JSON.parse(sessionStorage.getItem(UNDER_WAY) ?? 'null') as UnderWay | null;
  history.replaceState(null, '', location.pathname + (underWay?.view ?? ''));
  sessionStorage.removeItem(UNDER_WAY);
  // RFC 9207: an answer of another server, or to another question, is none.
  if (!underWay || answer.get('state') !== underWay.state || answer.get('iss') !== underWay.issuer)
    throw new Error('The sign-in was begun in another tab. Begin again here.');
  const code = answer.get('code');
  if (code === null)
    throw new Error('You were not signed in. Try again, or ask your administrator for access.');
  const { id } = session.client;
  const account = await askTokens({
    grant_type: 'authorization_code',
    code,
    redirect_uri: `${underWay.issuer}/${id}/`,
    code_verifier: underWay.verifier,
    client_id: id,
  });
  if (account === null) throw new Error('The sign-in has expired. Begin again.');
  session.keepAccount(account);
}

/** A refresh token serves once: those who find the token ended at the same time wait for the same next one. */
let refreshing: Promise<boolean> | null = null;

/** A new token for the account. False: there is none, or it is over. Throws what fetch throws when the server does not answer. */
export function refreshSignIn(session: TabSession): Promise<boolean> {
  refreshing ??= refresh(session).finally(() => {
    refreshing = null;
  });
  return refreshing;
}

async function refresh(session: TabSession): Promise<boolean> {
  const refreshToken = session.account()?.refreshToken ?? null;
  if (refreshToken === null) return false;
  const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: session.client.id };
  const next = await askTokens(form);
  // Signed out meanwhile: nobody wants it.
  if (next === null || session.account()?.refreshToken !== refreshToken) return false;
  session.keepAccount(next);
  return true;
}

/** Ends it here, and on the server: the tokens of every page, and the session of the browser. */
export function endSignIn(session: TabSession): void {
  const accounts = session.forget();
  for (const [id, { refreshToken }] of accounts) {
    if (refreshToken === null) continue;
    const form = new URLSearchParams({ token: refreshToken, client_id: id });
    void fetch('../auth/revoke', { method: 'POST', body: form, credentials: 'omit', keepalive: true });
  }
  if (accounts.size === 0) return;
  void fetch('../auth/sign-out', { method: 'POST', headers: { 'x-prelim-csrf': '1' }, keepalive: true });
}

async function readIssuer(): Promise<{ issuer: string }> {
  try {
    return (await (await fetch('../.well-known/openid-configuration')).json()) as { issuer: string };
  } catch {
    throw new Error('The server does not answer. Try again.');
  }
}

/** Null: the server refused them. */
async function askTokens(form: Readonly<Record<string, string>>): Promise<Account | null> {
  const response = await fetch('../auth/token', {
    method: 'POST',
    body: new URLSearchParams(form),
    credentials: 'omit',
    cache: 'no-store',
  });
  // A server in trouble has not refused.
  if (response.status >= 500 || response.status === 429) throw new TypeError(`answered ${response.status}`);
  if (!response.ok) return null;
  const {
    access_token: token,
    refresh_token: refreshToken,
    patient,
  } = (await response.json()) as Record<string, string | undefined>;
  return { token: String(token), refreshToken: refreshToken ?? null, patient: patient ?? null };
}

const random = (): string => base64url(crypto.getRandomValues(new Uint8Array(32)));

async function challengeOf(verifier: string): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier))));
}

const base64url = (bytes: Uint8Array): string =>
  btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
