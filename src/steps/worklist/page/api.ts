import type { WorklistRow } from '../worklist-row.ts';

/** The server no longer (or not at all) accepts the token. */
export class SignedOut extends Error {
  constructor(readonly status: number) {
    super(`answered ${status}`);
  }
}

export interface Rows {
  readonly rows: readonly WorklistRow[];
  /** There are older analyses that are not among them. */
  readonly more: boolean;
  /** Time of the server, ISO 8601. */
  readonly at: string;
}

/** One request with the token. Throws SignedOut on 401 and 403; any other answer is the caller's to judge. */
export async function ask(path: string, token: string, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(path, {
    headers: { authorization: `Bearer ${token}` },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    ...(signal ? { signal } : {}),
  });
  if (response.status === 401 || response.status === 403) {
    await response.body?.cancel();
    throw new SignedOut(response.status);
  }
  return response;
}

export async function askRows(token: string, signal?: AbortSignal): Promise<Rows> {
  const response = await ask('api/rows', token, signal);
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return (await response.json()) as Rows;
}
