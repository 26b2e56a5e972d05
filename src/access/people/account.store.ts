import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../../database/database.ts';
import { type Role, rolesAmong } from '../grant.ts';
import { hashPassword, passwordFits } from './password.ts';

/** So many wrong passwords lock an account. */
export const SIGN_IN_TRIES_MAX = 5;
/** For so long; then there are as many tries again. */
export const LOCKED_S = 900;

export interface Account {
  readonly name: string;
  /** `Practitioner/1` */
  readonly fhirUser?: string;
  readonly roles: readonly Role[];
}

interface Row {
  readonly name: string;
  readonly password: string;
  readonly fhir_user: string | null;
  readonly roles: string[];
  readonly active: boolean;
  readonly tries: number;
}

/** Accounts of people, for where there is no OpenID provider. Names are compared in lower case. */
@Injectable()
export class AccountStore {
  constructor(@Inject(Database) private readonly database: Database) {}

  /**
   * The account of name and password; null: wrong, closed or locked, which nobody is told apart. The try is counted before the password is
   * looked at, so that tries in parallel are counted too.
   */
  async signIn(name: string, password: string): Promise<Account | null> {
    const [row] = await this.database.run<Row>(
      {
        text: `UPDATE auth_account SET
            tries = CASE WHEN locked_until IS NULL THEN tries + 1 ELSE 1 END,
            locked_until = CASE WHEN locked_until IS NULL AND tries + 1 > $2 THEN now() + $3 * interval '1 second' END
          WHERE name = $1 AND active AND (locked_until IS NULL OR locked_until <= now())
          RETURNING name, password, fhir_user, roles, active, tries`,
      },
      [name.toLowerCase(), SIGN_IN_TRIES_MAX, LOCKED_S],
    );
    const mayTry = row !== undefined && row.tries <= SIGN_IN_TRIES_MAX;
    const fits = await passwordFits(password, mayTry ? row.password : null);
    if (!fits || !row) return null;
    await this.database.run(
      { text: 'UPDATE auth_account SET tries = 0, locked_until = NULL WHERE name = $1' },
      [row.name],
    );
    return accountOf(row);
  }

  async isActive(name: string): Promise<boolean> {
    const rows = await this.database.run({ text: 'SELECT 1 FROM auth_account WHERE name = $1 AND active' }, [
      name,
    ]);
    return rows.length > 0;
  }

  async all(): Promise<(Account & { active: boolean; locked: boolean })[]> {
    const rows = await this.database.run<Row & { locked: boolean }>({
      text: `SELECT name, password, fhir_user, roles, active, tries, coalesce(locked_until > now(), false) AS locked
        FROM auth_account ORDER BY name`,
    });
    return rows.map((row) => ({ ...accountOf(row), active: row.active, locked: row.locked }));
  }

  /** Makes the account, or changes it: a new password, other roles, open again. */
  async put(account: Account, password: string): Promise<void> {
    await this.database.run(
      {
        text: `INSERT INTO auth_account (name, password, fhir_user, roles) VALUES ($1, $2, $3, $4)
          ON CONFLICT (name) DO UPDATE SET password = EXCLUDED.password, fhir_user = EXCLUDED.fhir_user,
            roles = EXCLUDED.roles, active = true, tries = 0, locked_until = NULL`,
      },
      [account.name.toLowerCase(), await hashPassword(password), account.fhirUser ?? null, account.roles],
    );
  }

  /** False: there is none. It is kept, so that its name in the audit stays that of one person. */
  async close(name: string): Promise<boolean> {
    const rows = await this.database.run(
      { text: 'UPDATE auth_account SET active = false WHERE name = $1 RETURNING name' },
      [name.toLowerCase()],
    );
    return rows.length > 0;
  }
}

const accountOf = (row: Row): Account => ({
  name: row.name,
  ...(row.fhir_user ? { fhirUser: row.fhir_user } : {}),
  roles: rolesAmong(row.roles),
});
