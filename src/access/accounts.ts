import type { AuditEntry } from '../database/audit-sink.ts';
import type { Database } from '../database/database.ts';
import { Failure } from '../kernel/errors.ts';
import { GrantsStore } from './oauth/grants.store.ts';
import { type Account, AccountStore } from './people/account.store.ts';
import { SessionStore } from './people/session.store.ts';
import { readAccount } from './read-account.ts';

/**
 * Local accounts beside a running server or without one, for whoever administers its machine. Each change is in the audit before it is made. What a changed account was signed in to ends: in a running
 * server within the time of `REVOCATION_LOOK_MS_MAX`.
 */
export class Accounts {
  private readonly store: AccountStore;
  private readonly sessions: SessionStore;
  private readonly grants: GrantsStore;

  constructor(private readonly database: Database) {
    this.store = new AccountStore(database);
    this.sessions = new SessionStore(database);
    this.grants = new GrantsStore(database);
  }

  all(): Promise<(Account & { active: boolean; locked: boolean })[]> {
    return this.store.all();
  }

  /** Makes an account. @throws Failure `http.bad-request` also where there is one: `password` changes it */
  async add(
    name: string,
    about: { password: string; roles: readonly string[]; fhirUser?: string },
  ): Promise<void> {
    const { password, ...account } = readAccount(name, about);
    if (await this.find(account.name))
      throw new Failure(
        'http.bad-request',
        'There is an account of this name; see "list", "password", "lock".',
      );
    await this.note('C', 'account-add', account.name, account.roles.join(' '));
    await this.store.put(account, password);
  }

  /** A new password; the account is open again, with the roles that it had. */
  async password(name: string, password: string): Promise<void> {
    const { active: _active, locked: _locked, ...found } = await this.mustFind(name);
    const { password: checked, ...account } = readAccount(found.name, { ...found, password });
    await this.note('U', 'account-password', account.name);
    await this.store.put(account, checked);
    await this.endAllOf(account.name);
  }

  /** Nobody signs in with it until it gets a new password. It is kept, so that its name in the audit stays that of one person. */
  async lock(name: string): Promise<void> {
    const account = await this.mustFind(name);
    await this.note('U', 'account-lock', account.name);
    await this.store.close(account.name);
    await this.endAllOf(account.name);
  }

  private async find(name: string) {
    return (await this.store.all()).find((one) => one.name === name.toLowerCase());
  }

  private async mustFind(name: string) {
    const found = await this.find(name);
    if (!found) throw new Failure('http.not-found', 'There is no account of this name; see "list".');
    return found;
  }

  private async endAllOf(name: string): Promise<void> {
    await this.sessions.closeOf(name);
    await this.grants.endFamiliesOf(`local:${name}`);
  }

  private async note(action: AuditEntry['action'], interaction: string, name: string, detail?: string) {
    await this.database.audit?.record({
      kind: 'operator',
      interaction,
      action,
      outcome: 0,
      entity: `local:${name}`,
      ...(detail === undefined ? {} : { detail }),
      actor: { client: 'prelim/account-command' },
    });
  }
}
