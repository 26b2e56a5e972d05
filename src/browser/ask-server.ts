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
 * One request of whoever is signed in on the tab. Throws SignedOut on 401; any other answer is the caller's to judge.
 */
export async function askServer(
  session: TabSession,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const response = await askWith(session.proof(), path, init);
  if (response.status !== 401) return response;
  await response.body?.cancel();
  throw new SignedOut(401);
}

/** Tries a token before it is kept. Throws SignedOut when it does not open `path`. */
export async function tryToken(token: string, path: string): Promise<void> {
  const response = await askWith({ authorization: `Bearer ${token}` }, path, {});
  await refuseSignedOut(response);
  await response.body?.cancel();
  if (!response.ok) throw new Error(`answered ${response.status}`);
}

/** Throws SignedOut on 401 and 403: for what a page is nothing without. */
export async function refuseSignedOut(response: Response): Promise<void> {
  if (response.status === 401 || response.status === 403)
    throw new SignedOut(response.status, await saidBy(response));
}

/** What an OperationOutcome says first. */
export interface Said {
  readonly text: string | null;
  /** Of `docs/errors.md`. */
  readonly code: string | null;
}

/** The reason in an OperationOutcome, in words and as a code; null where there is none. */
export async function outcomeOf(response: Response): Promise<Said> {
  const outcome = (await response.json().catch(() => null)) as {
    issue?: { details?: { text?: string; coding?: { code?: string }[] }; diagnostics?: string }[];
  } | null;
  const issue = outcome?.issue?.[0];
  return {
    text: issue?.details?.text ?? issue?.diagnostics ?? null,
    code: issue?.details?.coding?.[0]?.code ?? null,
  };
}

export const saidBy = async (response: Response): Promise<string | null> => (await outcomeOf(response)).text;

function askWith(
  proof: Readonly<Record<string, string>>,
  path: string,
  init: RequestInit,
): Promise<Response> {
  return fetch(path, {
    ...init,
    headers: { ...init.headers, ...proof },
    cache: 'no-store',
    // A pasted token goes alone: the browser's sessions are not meant.
    credentials: 'authorization' in proof ? 'omit' : 'same-origin',
    redirect: 'error',
  });
}
