import type { Scope } from './scope.ts';

/** What a person may be. A role is data: what each may do stands with the access rules. */
export const ROLES = [
  'clinician',
  'radiologist',
  'operator',
  'model-owner',
  'integrator',
  'auditor',
  'administrator',
] as const;

export type Role = (typeof ROLES)[number];

/** Who asks, and what they may do: what a verified access token says, the same for our tokens and for those of an outside issuer. */
export interface Grant {
  /** Claim `client_id`. */
  readonly clientId: string;
  /** Claim `sub`: the person who signed in; the client itself where nobody did (client credentials). */
  readonly subject: string;
  /** Resource scopes of claim `scope`, parsed. Words that name no resource (`openid`, `launch`) are not among them. */
  readonly scopes: readonly Scope[];
  /** Claim `patient`: logical id of the Patient in context. Scopes `patient/…` mean this one and no other. */
  readonly patient?: string;
  /** Claim `encounter`: logical id of the Encounter in context. */
  readonly encounter?: string;
  /** Claim `fhirUser`, relative: `Practitioner/1`. */
  readonly fhirUser?: string;
  /** Claim `roles`; of each only those in ROLES. */
  readonly roles: readonly Role[];
  /** Claim `purpose_of_use`: a code of the HL7 PurposeOfUse value set (`TREAT`, `BTG`). */
  readonly purposeOfUse?: string;
  /** Claim `jti`: names this token in the audit and for revocation. */
  readonly tokenId: string;
  /** Claim `sid`: the approval that it came of, or the token in whose place it was given. What came of one ends together. */
  readonly family?: string;
}

/** The client of the local server itself; its secret lies in `<data>/keys/local-client-secret`. */
export const LOCAL_CLIENT = 'local';

/** As much of a grant as the rights of an administrator hang on; what storage sees of a caller fits too. */
interface Administering {
  readonly clientId?: string;
  readonly subject?: string;
  readonly roles?: readonly string[];
  readonly scopes: readonly {
    readonly context: string;
    readonly type: string;
    readonly permissions: Iterable<string>;
    readonly query?: string;
  }[];
}

/**
 * May this token register clients and accounts, and rotate keys? The role administrator may, with an app that was given `user/Basic.cud`: an app that an administrator signed in to for
 * something else is no administrator. So may the local client with all its rights, since whoever reads the data folder is the server. A token narrowed at its making may not.
 */
export function administers(grant: Administering): boolean {
  if (grant.roles?.includes('administrator')) return grant.scopes.some(givesRegistrations);
  const isWhole = grant.scopes.some(
    ({ context, type, permissions, query }) =>
      context === 'system' && type === '*' && query === undefined && [...permissions].length === 5,
  );
  return grant.clientId === LOCAL_CLIENT && (grant.subject ?? LOCAL_CLIENT) === LOCAL_CLIENT && isWhole;
}

/** Clients are Basic resources: whoever may do all with those of every kind. */
const givesRegistrations = ({
  context,
  type,
  permissions,
  query,
}: Administering['scopes'][number]): boolean => {
  const letters = [...permissions];
  return (
    context !== 'patient' &&
    (type === 'Basic' || type === '*') &&
    query === undefined &&
    ['c', 'u', 'd'].every((letter) => letters.includes(letter))
  );
};

/** The roles among these words; anything else is no role. */
export function rolesAmong(words: unknown): Role[] {
  const list = Array.isArray(words) ? words : typeof words === 'string' ? words.split(/[\s,]+/) : [];
  return ROLES.filter((role) => list.includes(role));
}
