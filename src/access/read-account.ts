import { Failure } from '../kernel/errors.ts';
import { ROLES, type Role } from './grant.ts';
import { isFhirUser } from './outside/read-claims.ts';
import type { Account } from './people/account.store.ts';
import { PASSWORD_CHARS_MAX, PASSWORD_CHARS_MIN } from './people/password.ts';

/** An account as an administrator describes it, by HTTP or on the command line. @throws Failure `http.bad-request` naming what is wrong */
export function readAccount(name: string, about: unknown): Account & { readonly password: string } {
  const { password, roles, fhirUser } = (about ?? {}) as Record<string, unknown>;
  const isRole = (role: unknown) => (ROLES as readonly unknown[]).includes(role);
  if (!/^[A-Za-z0-9._@-]{1,100}$/.test(name))
    throw invalid('The name of an account has letters, digits and . _ @ - only.');
  if (
    typeof password !== 'string' ||
    password.length < PASSWORD_CHARS_MIN ||
    password.length > PASSWORD_CHARS_MAX
  )
    throw invalid(`password must have ${PASSWORD_CHARS_MIN} to ${PASSWORD_CHARS_MAX} characters.`);
  if (!Array.isArray(roles) || !roles.every(isRole))
    throw invalid(`roles must be a list out of ${ROLES.join(', ')}.`);
  if (fhirUser !== undefined && !isFhirUser(fhirUser))
    throw invalid('fhirUser must read like Practitioner/1.');
  return {
    name: name.toLowerCase(),
    password,
    roles: roles as Role[],
    ...(fhirUser === undefined ? {} : { fhirUser: String(fhirUser) }),
  };
}

const invalid = (text: string) => new Failure('http.bad-request', text);
