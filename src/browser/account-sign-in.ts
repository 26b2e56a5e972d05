import { type Account, CSRF_HEADER, type TabSession } from './tab-session.ts';
import { tabStorage } from './tab-storage.ts';

/**
 * Sign-in with the reader's own account: authorization code with PKCE (RFC 7636, S256), as a public client of this server, and the EHR launch
 * of SMART App Launch 2.2. Tokens never come here: the server keeps them, behind a cookie that no script reads.
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
  if (new URL(issuer).origin !== location.origin) {
    const search = launch === null ? '?begin=1' : location.search;
    location.replace(`${issuer}/${client.id}/${search}${location.hash}`);
    return;
  }
  if (!('subtle' in crypto))
    throw new Error('Your browser signs in over HTTPS only. Ask your administrator for the https address.');
  const underWay: UnderWay = { state: random(), verifier: random(), issuer, view: location.hash };
  tabStorage.set(UNDER_WAY, JSON.stringify(underWay));
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: client.id,
    redirect_uri: `${issuer}/${client.id}/`,
    scope: launch === null ? client.scope : `launch ${client.scope}`,
    state: underWay.state,
    aud: `${issuer}/fhir`,
    code_challenge: await challengeOf(underWay.verifier),
    code_challenge_method: 'S256',
    ...(launch === null ? {} : { launch, ...ehrOf(asked.get('iss') ?? '', issuer) }),
  });
  location.replace(`../auth/authorize?${query}`);
}

/** An EHR that is not this very server signs people in by itself; whether it may open this page the server knows, before anything is sent there. */
const ehrOf = (iss: string, issuer: string): { ehr?: string } =>
  iss.replace(/\/$/, '') === `${issuer}/fhir` ? {} : { ehr: iss };

/** Takes the answer out of the address at once, and trades its code for a token. */
export async function finishSignIn(session: TabSession): Promise<void> {
  const answer = new URLSearchParams(location.search);
  const underWay = JSON.parse(tabStorage.get(UNDER_WAY) ?? 'null') as UnderWay | null;
  history.replaceState(null, '', location.pathname + (underWay?.view ?? ''));
  tabStorage.remove(UNDER_WAY);
  // RFC 9207: an answer of another server, or to another question, is none.
  if (!underWay || answer.get('state') !== underWay.state || answer.get('iss') !== underWay.issuer)
    throw new Error('The sign-in was begun in another tab. Begin again here.');
  const code = answer.get('code');
  // RFC 8707: the server takes no launch of that EHR.
  if (answer.get('error') === 'invalid_target')
    throw new Error(
      'The EHR opened this page for another server. Ask your administrator to correct its address.',
    );
  if (code === null)
    throw new Error('You were not signed in. Try again, or ask your administrator for access.');
  const { id } = session.client;
  const account = await askSession({
    code,
    redirect_uri: `${underWay.issuer}/${id}/`,
    code_verifier: underWay.verifier,
    client_id: id,
  });
  if (account === null) throw new Error('The sign-in has expired. Begin again.');
  session.keepAccount(account);
}

/** Ends it here, and on the server: in every tab of this browser. */
export function endSignIn(session: TabSession): void {
  if (session.forget())
    void fetch('../auth/sign-out', { method: 'POST', headers: { [CSRF_HEADER]: '1' }, keepalive: true });
}

async function readIssuer(): Promise<{ issuer: string }> {
  try {
    return (await (await fetch('../.well-known/openid-configuration')).json()) as { issuer: string };
  } catch {
    throw new Error('The server does not answer. Try again.');
  }
}

/** The code for a session of this browser: the tokens stay with the server. Null: it refused. */
async function askSession(form: Readonly<Record<string, string>>): Promise<Account | null> {
  const response = await fetch('../auth/page-session', {
    method: 'POST',
    body: new URLSearchParams(form),
    headers: { [CSRF_HEADER]: '1' },
    credentials: 'same-origin',
    cache: 'no-store',
  });
  // A server in trouble has not refused.
  if (response.status >= 500 || response.status === 429) throw new TypeError(`answered ${response.status}`);
  if (!response.ok) return null;
  const { tab, patient } = (await response.json()) as { tab: string; patient?: string };
  return { tab, patient: patient ?? null };
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
