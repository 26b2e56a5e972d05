import { refreshSignIn } from './account-sign-in.ts';
import type { TabSession } from './tab-session.ts';

/** The server no longer (or not at all) lets this person in. */
export class SignedOut extends Error {
  constructor(
    readonly status: 401 | 403,
    /** Why, in the words of the server; null where it gave none. */
    readonly said: string | null = null,
  ) {
    super(`answered ${status}`);
  }
}

/**
 * One request with the token of the tab. An account's token that has run out is followed by the next one, unseen: a list, a
 * selection, a half-written reason stay as they are. Throws SignedOut on 401; any other answer is the caller's to judge.
 */
export async function askServer(
  session: TabSession,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const token = session.token();
  const response = await askWith(token ?? '', path, init);
  if (response.status !== 401) return response;
  await response.body?.cancel();
  // Another request may have brought the next token meanwhile.
  if (session.token() === token && !(await refreshSignIn(session))) throw new SignedOut(401);
  const again = await askWith(session.token() ?? '', path, init);
  if (again.status !== 401) return again;
  await again.body?.cancel();
  throw new SignedOut(401);
}

/** Tries a token before it is kept. Throws SignedOut when it does not open `path`. */
export async function tryToken(token: string, path: string): Promise<void> {
  const response = await askWith(token, path, {});
  await refuseSignedOut(response);
  await response.body?.cancel();
  if (!response.ok) throw new Error(`answered ${response.status}`);
}

/** Throws SignedOut on 401 and 403: for what a page is nothing without. */
export async function refuseSignedOut(response: Response): Promise<void> {
  if (response.status === 401 || response.status === 403)
    throw new SignedOut(response.status, await saidBy(response));
}

/** The reason in an OperationOutcome; null where there is none. */
export async function saidBy(response: Response): Promise<string | null> {
  const outcome = (await response.json().catch(() => null)) as {
    issue?: { details?: { text?: string }; diagnostics?: string }[];
  } | null;
  const issue = outcome?.issue?.[0];
  return issue?.details?.text ?? issue?.diagnostics ?? null;
}

function askWith(token: string, path: string, init: RequestInit): Promise<Response> {
  return fetch(path, {
    ...init,
    headers: { ...init.headers, authorization: `Bearer ${token}` },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
}
