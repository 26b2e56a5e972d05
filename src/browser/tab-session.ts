/** A page of this server as a public OAuth client of it. Its id is also the folder it stands in: `/worklist/`. */
export interface PageClient {
  readonly id: 'worklist' | 'operator';
  /** What it asks for with an account. */
  readonly scope: string;
}

/** What stays of an account that signed in. */
export interface Account {
  readonly token: string;
  readonly refreshToken: string | null;
  /** Logical id of the Patient that is open in the EHR. */
  readonly patient: string | null;
}

/** A pasted token serves every page of the tab. */
const PASTED = 'prelim.token';
/** An account has a token for each page, with the rights of that page; the client id follows. */
const ACCOUNT = 'prelim.account.';

/**
 * Who is signed in on this tab. It is kept in sessionStorage, so that a reload does not ask again, and ends with the tab. No script but ours
 * runs here: the Content-Security-Policy of the pages has no inline and no foreign source.
 */
export class TabSession {
  constructor(readonly client: PageClient) {}

  token(): string | null {
    return this.account()?.token ?? sessionStorage.getItem(PASTED);
  }

  account(): Account | null {
    return accountOf(this.client.id);
  }

  keepAccount(account: Account): void {
    sessionStorage.setItem(ACCOUNT + this.client.id, JSON.stringify(account));
  }

  /** From now on this token counts, and no account: else the account would go on where the token ends. */
  keepToken(token: string): void {
    sessionStorage.removeItem(ACCOUNT + this.client.id);
    sessionStorage.setItem(PASTED, token);
  }

  /** Leaves nothing on this tab. Gives the accounts that were signed in, by client id. */
  forget(): ReadonlyMap<string, Account> {
    const accounts = new Map<string, Account>();
    for (const key of Object.keys(sessionStorage).filter((name) => name.startsWith(ACCOUNT))) {
      const id = key.slice(ACCOUNT.length);
      const account = accountOf(id);
      if (account !== null) accounts.set(id, account);
      sessionStorage.removeItem(key);
    }
    sessionStorage.removeItem(PASTED);
    return accounts;
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
  return JSON.parse(sessionStorage.getItem(ACCOUNT + clientId) ?? 'null') as Account | null;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
