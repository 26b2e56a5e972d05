import type { JWTPayload } from 'jose';
import { type Role, rolesAmong } from '../grant.ts';

/** Where an outside issuer keeps what we need of a person, and how its words for roles become ours. */
export interface ClaimMapping {
  /** Name of the claim, or a path: `realm_access.roles`. */
  readonly rolesClaim: string;
  /** Its words, and the role each means. A word that is not named means nothing. */
  readonly roles: Readonly<Record<string, string>>;
  readonly fhirUserClaim: string;
}

export const readMapping = (entry: Readonly<Record<string, unknown>>): ClaimMapping => ({
  rolesClaim: textOr(entry['rolesClaim'], 'roles'),
  roles: (entry['roles'] ?? {}) as Record<string, string>,
  fhirUserClaim: textOr(entry['fhirUserClaim'], 'fhirUser'),
});

/** A claim by its name; where none has it, by its path. */
export function claim(payload: JWTPayload, name: string): unknown {
  if (Object.hasOwn(payload, name)) return payload[name];
  return name
    .split('.')
    .reduce<unknown>(
      (at, part) =>
        typeof at === 'object' && at !== null && Object.hasOwn(at, part)
          ? (at as JWTPayload)[part]
          : undefined,
      payload,
    );
}

export function rolesOf(payload: JWTPayload, { rolesClaim, roles }: ClaimMapping): Role[] {
  const value = claim(payload, rolesClaim);
  const words: unknown[] = Array.isArray(value)
    ? value
    : typeof value === 'string'
      ? value.split(/[\s,]+/)
      : [];
  return rolesAmong(
    words.map((word) => (Object.hasOwn(roles, String(word)) ? roles[String(word)] : undefined)),
  );
}

/** `Practitioner/1`; one on another server is nobody here. */
export function fhirUserOf(
  payload: JWTPayload,
  { fhirUserClaim }: ClaimMapping,
  base: string,
): string | undefined {
  const value = claim(payload, fhirUserClaim);
  if (typeof value !== 'string') return undefined;
  const relative = value.startsWith(`${base}/`) ? value.slice(base.length + 1) : value;
  return isFhirUser(relative) ? relative : undefined;
}

/** SMART App Launch 2.2 "fhirUser", and R4 datatypes.html#id. */
export const isFhirUser = (text: unknown): boolean =>
  typeof text === 'string' &&
  /^(Patient|Practitioner|PractitionerRole|RelatedPerson|Person)\/[A-Za-z0-9.-]{1,64}$/.test(text);

const textOr = (value: unknown, other: string): string =>
  typeof value === 'string' && value !== '' ? value : other;
