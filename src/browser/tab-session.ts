import { PASTED, tabStorage } from './tab-storage.ts';

/** A page of this server as a public OAuth client of it. Its id is also the folder it stands in: `/worklist/`. */
export interface PageClient {
  readonly id: 'worklist' | 'operator';
  /** What it asks for with an account. */
  readonly scope: string;
}

/** What says that a change was asked for by our own page. */
export const CSRF_HEADER = 'x-prelim-csrf';

/** What stays of an account that signed in. */
export interface Account {
  /** Which of this browser's sessions it is; worth nothing without the cookie of the browser. */
  readonly tab: string;
  /** Logical id of the Patient that is open in the EHR. */
  readonly patient: string | null;
}

/** An account has a session for each page, with the rights of that page; the client id follows. */
const ACCOUNT = 'prelim.account.';

/**
 * Who is signed in on this tab. It is kept in the storage of the tab, so that a reload does not ask again, and ends with the tab. No script but ours
 * runs here: the Content-Security-Policy of the pages has no inline and no foreign source.
 */
export class TabSession {
  constructor(readonly client: PageClient) {}

  isSignedIn(): boolean {
    return this.account() !== null || tabStorage.get(PASTED) !== null;
  }

  /** What proves to the server who asks: the tab's word beside the browser's cookie, or the token that was pasted. */
  proof(): Readonly<Record<string, string>> {
    const tab = this.account()?.tab;
    if (tab !== undefined) return { 'x-prelim-tab': tab, [CSRF_HEADER]: '1' };
    return { authorization: `Bearer ${tabStorage.get(PASTED) ?? ''}` };
  }

  account(): Account | null {
    return accountOf(this.client.id);
  }

  keepAccount(account: Account): void {
    tabStorage.set(ACCOUNT + this.client.id, JSON.stringify(account));
  }

  /** From now on this token counts, and no account: else the account would go on where the token ends. */
  keepToken(token: string): void {
    tabStorage.remove(ACCOUNT + this.client.id);
    tabStorage.set(PASTED, token);
  }

  /** Leaves nothing on this tab. Gives true when an account was signed in. */
  forget(): boolean {
    const accounts = tabStorage.keys().filter((name) => name.startsWith(ACCOUNT));
    for (const key of [...accounts, PASTED]) tabStorage.remove(key);
    return accounts.length > 0;
  }

  /** Takes `#token=…` out of the address at once. Gives true when there was one. */
  takeTokenFromAddress(): boolean {
    if (!location.hash.startsWith('#token=')) return false;
    const given = location.hash.slice('#token='.length);
    history.replaceState(null, '', location.pathname + location.search);
    const token = decode(given).trim();
    if (token === '') return false;
    this.keepToken(token);
    return true;
  }
}

function accountOf(clientId: string): Account | null {
  return JSON.parse(tabStorage.get(ACCOUNT + clientId) ?? 'null') as Account | null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
