import { forgetToken, keepToken } from './session.ts';

/**
 * Sign-in with the reader's own account: authorization code with PKCE (RFC 7636, S256), as the public client `worklist` of this server, and the
 * EHR launch of SMART App Launch 2.2. The verifier and the refresh token stay in this tab.
 */
const UNDER_WAY = 'prelim.worklist.sign-in';
const ACCOUNT = 'prelim.worklist.account';
const CLIENT = 'worklist';
const SCOPE = 'openid fhirUser online_access user/*.rs';

interface UnderWay {
  readonly state: string;
  readonly verifier: string;
  readonly issuer: string;
}

/** What stays of an account that signed in. */
interface Account {
  readonly refreshToken: string | null;
  /** Logical id of the Patient that is open in the EHR. */
  readonly patient: string | null;
}

/** How the page came to be opened: by an EHR, by the sign-in pages, or by the reader. */
export function arrival(): 'launch' | 'answer' | 'begin' | null {
  const asked = new URLSearchParams(location.search);
  if (asked.has('iss') && asked.has('launch')) return 'launch';
  if (asked.has('state') && (asked.has('code') || asked.has('error'))) return 'answer';
  return asked.has('begin') ? 'begin' : null;
}

/** Leaves for the sign-in pages. Throws an Error whose message the reader can use. */
export async function beginSignIn(): Promise<void> {
  const asked = new URLSearchParams(location.search);
  const { issuer } = (await (await fetch('../.well-known/openid-configuration')).json()) as {
    issuer: string;
  };
  const launch = asked.get('launch');
  // Before anything is sent anywhere: an EHR can open this page for its own server only.
  if (launch !== null && asked.get('iss')?.replace(/\/$/, '') !== `${issuer}/fhir`)
    throw new Error(
      'The EHR opened this worklist for another server. Ask your administrator to correct its address.',
    );
  if (new URL(issuer).origin !== location.origin) {
    location.replace(`${issuer}/worklist/${launch === null ? '?begin=1' : location.search}`);
    return;
  }
  if (!('subtle' in crypto))
    throw new Error('Your browser signs in over HTTPS only. Ask your administrator for the https address.');
  const underWay: UnderWay = { state: random(), verifier: random(), issuer };
  sessionStorage.setItem(UNDER_WAY, JSON.stringify(underWay));
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: CLIENT,
    redirect_uri: `${issuer}/worklist/`,
    scope: launch === null ? SCOPE : `launch ${SCOPE}`,
    state: underWay.state,
    aud: `${issuer}/fhir`,
    code_challenge: await challengeOf(underWay.verifier),
    code_challenge_method: 'S256',
    ...(launch === null ? {} : { launch }),
  });
  location.replace(`../auth/authorize?${query}`);
}

/** Takes the answer out of the address at once, and trades its code for a token. */
export async function finishSignIn(): Promise<void> {
  const answer = new URLSearchParams(location.search);
  history.replaceState(null, '', location.pathname);
  const underWay = JSON.parse(sessionStorage.getItem(UNDER_WAY) ?? 'null') as UnderWay | null;
  sessionStorage.removeItem(UNDER_WAY);
  // RFC 9207: an answer of another server, or to another question, is none.
  if (!underWay || answer.get('state') !== underWay.state || answer.get('iss') !== underWay.issuer)
    throw new Error('The sign-in was begun in another tab. Begin again here.');
  const code = answer.get('code');
  if (code === null)
    throw new Error('You were not signed in. Try again, or ask your administrator for access.');
  await takeTokens({
    grant_type: 'authorization_code',
    code,
    redirect_uri: `${underWay.issuer}/worklist/`,
    code_verifier: underWay.verifier,
    client_id: CLIENT,
  });
}

/** A new token for the account. False: there is none, or it is over. */
export async function refreshSignIn(): Promise<boolean> {
  const { refreshToken } = account();
  if (refreshToken === null) return false;
  try {
    await takeTokens({ grant_type: 'refresh_token', refresh_token: refreshToken, client_id: CLIENT });
    return true;
  } catch {
    return false;
  }
}

/** Ends it here, and on the server: the tokens, and the session of the browser. */
export function endSignIn(): void {
  const { refreshToken } = account();
  sessionStorage.removeItem(ACCOUNT);
  forgetToken();
  if (refreshToken === null) return;
  const form = new URLSearchParams({ token: refreshToken, client_id: CLIENT });
  void fetch('../auth/revoke', { method: 'POST', body: form, credentials: 'omit', keepalive: true });
  void fetch('../auth/sign-out', { method: 'POST', headers: { 'x-prelim-csrf': '1' }, keepalive: true });
}

export const patientInContext = (): string | null => account().patient;

async function takeTokens(form: Readonly<Record<string, string>>): Promise<void> {
  const response = await fetch('../auth/token', {
    method: 'POST',
    body: new URLSearchParams(form),
    credentials: 'omit',
    cache: 'no-store',
  });
  if (!response.ok) throw new Error('The sign-in has expired. Begin again.');
  const {
    access_token: token,
    refresh_token: refreshToken,
    patient,
  } = (await response.json()) as Record<string, string | undefined>;
  keepToken(String(token));
  const kept: Account = { refreshToken: refreshToken ?? null, patient: patient ?? null };
  sessionStorage.setItem(ACCOUNT, JSON.stringify(kept));
}

function account(): Account {
  return JSON.parse(sessionStorage.getItem(ACCOUNT) ?? '{"refreshToken":null,"patient":null}') as Account;
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
