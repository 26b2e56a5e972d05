import { Failure } from '../kernel/errors.ts';
import type { AccessExtent } from './access-rule.ts';
import type { SqlParameters } from './sql-parameters.ts';

/** SMART App Launch 2.2, scopes: c r u d s. History of one resource counts as read, of a type as search. */
export type AccessInteraction = 'create' | 'read' | 'update' | 'delete' | 'search';

/**
 * Who asks, as far as storage must know. Every statement that finds resources takes it: search, chain hops, includes, totals,
 * read, history, the rows that an update locks. So nobody can learn of a resource by a side door.
 */
export interface AccessContext {
  /** May the caller do this to resources of the type at all? */
  allows(type: string, interaction: AccessInteraction): boolean;
  /**
   * A condition that rows of `type` must meet beyond that, on the table `resource` under the given alias (its columns type, id, version, tokens, sole_patient and sole_patient_at); values go into
   * `parameters`. null: no condition.
   */
  condition(
    type: string,
    interaction: AccessInteraction,
    alias: string,
    parameters: SqlParameters,
  ): string | null;
  /** May the caller write a resource of the type with this id and these index entries? Left out: any. */
  admits?(type: string, interaction: 'create' | 'update', id: string, entries: ReadonlySet<string>): boolean;
  /** Would the caller be shown a resource with this id and these index entries? Left out: every one. For events, which no statement finds. */
  shows?(type: string, id: string, entries: ReadonlySet<string>): boolean;
  /** How much of the type the condition leaves. Left out: not known. */
  extent?(type: string, interaction: AccessInteraction): AccessExtent;
  /**
   * The rights in two, for a page that has collected many rows and shows few: `before` without the condition that is dear to ask of a row, and that condition (null: there is none). Whoever
   * uses the one must ask the other of every row that is shown or counted. Left out: nothing is dear.
   */
  readonly late?: {
    readonly before: AccessContext;
    readonly condition: AccessContext['condition'];
  };
  /** May the caller take security labels off? Left out: yes, as far as writing the resource goes. */
  readonly relabels?: boolean;
  /** What the token check found, for work that goes on after the answer. Absent: the server itself. */
  readonly grant?: Granted;
}

/** For the server's own work: steps, subscriptions, migrations of content. */
export const FULL_ACCESS: AccessContext = { allows: () => true, condition: () => null };

/** For a request that no token vouches for. */
export const NO_ACCESS: AccessContext = { allows: () => false, condition: () => 'FALSE' };

/** A scope as the token check leaves it. */
export interface GrantedScope {
  readonly context: string;
  /** A resource type, or `*`. */
  readonly type: string;
  /** Letters out of `cruds`. */
  readonly permissions: Iterable<string>;
  /** `category=laboratory`: only what meets it. */
  readonly query?: string;
}

/** What the token check found of a caller, as far as access hangs on it. */
export interface Granted {
  readonly scopes: readonly GrantedScope[];
  readonly clientId?: string;
  readonly subject?: string;
  /** The Patient that scopes `patient/…` mean. */
  readonly patient?: string;
  readonly fhirUser?: string;
  readonly roles?: readonly string[];
  readonly purposeOfUse?: string;
  /** Names the token. */
  readonly tokenId?: string;
  /** Names the approval that it came of: all of them end together. */
  readonly family?: string;
}

/** How a grant becomes rights. */
export type AccessRules = (grant: Granted) => AccessContext;

let rules: AccessRules = accessOfPlainScopes;

/** The folder `access` registers its rules here at start; until then only plain system scopes count. */
export function useAccessRules(made: AccessRules): void {
  rules = made;
}

let isOver: (grant: Granted) => boolean = () => false;

/** The folder `access` registers here how it knows that a token was ended before its time. */
export function useEndedGrants(made: (grant: Granted) => boolean): void {
  isOver = made;
}

/**
 * Was the token ended before its time: by sign-out, revocation, an account that was closed? Requests are checked at the door; this is for what goes on long after it, an open socket or stream. Asks no database.
 */
export const grantIsOver = (grant: Granted | undefined): boolean => grant !== undefined && isOver(grant);

/** The rights of a grant, worked out once for each: many requests share it. */
export function accessOfGrant(grant: Granted): AccessContext {
  let access = known.get(grant);
  if (!access) {
    access = rules(grant);
    known.set(grant, access);
  }
  return access;
}

const known = new WeakMap<Granted, AccessContext>();

/** Access by system scopes alone. Scopes of another context (`patient/`, `user/`) and those with a query allow nothing here. */
function accessOfPlainScopes(grant: Granted): AccessContext {
  const rights = new Map<string, Set<AccessInteraction>>();
  for (const { context, type, permissions, query } of grant.scopes) {
    if (context !== 'system' || query !== undefined) continue;
    const set = rights.get(type) ?? new Set();
    for (const letter of permissions) {
      const interaction = BY_LETTER[letter];
      if (interaction) set.add(interaction);
    }
    rights.set(type, set);
  }
  return {
    allows: (type, interaction) =>
      rights.get('*')?.has(interaction) === true || rights.get(type)?.has(interaction) === true,
    condition: () => null,
    grant,
  };
}

/** The same from text: `system/Observation.rs system/*.r`. Parts that are no such scope allow nothing. */
export function accessOfScopes(text: string): AccessContext {
  const scopes = text.split(' ').flatMap((part) => {
    // The whole token must match: a prefix that looks right ("Observation.rsXYZ") would grant more than was meant.
    const match = /^system\/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?)$/.exec(part);
    return match?.[1] && match[2] ? [{ context: 'system', type: match[1], permissions: match[2] }] : [];
  });
  return accessOfPlainScopes({ scopes });
}

const BY_LETTER: Readonly<Record<string, AccessInteraction>> = {
  c: 'create',
  r: 'read',
  u: 'update',
  d: 'delete',
  s: 'search',
};

/** Throws `auth.scope` when the caller may not do this to the type at all. */
export function demandAccess(access: AccessContext, type: string, interaction: AccessInteraction): void {
  if (access.allows(type, interaction)) return;
  throw new Failure('auth.scope', `The token has no scope for ${interaction} of ${type}.`);
}

/** The one place where a statement gets its access condition: SQL that is true for rows the caller may see. */
export function accessCondition(
  access: AccessContext,
  type: string,
  interaction: AccessInteraction,
  alias: string,
  parameters: SqlParameters,
): string | null {
  if (!access.allows(type, interaction)) return 'FALSE';
  return access.condition(type, interaction, alias, parameters);
}

/**
 * For tables that hold no resources but belong to one (a message to its Patient, a study of the archive to its ImagingStudy): SQL that is true where the caller may read a current
 * resource of the type that meets `which`, a condition on the alias `own`. null: all of them may be read.
 */
export function ownerCondition(
  access: AccessContext,
  type: string,
  which: string,
  parameters: SqlParameters,
): string | null {
  const condition = accessCondition(access, type, 'read', 'own', parameters);
  if (condition === null) return null;
  return `EXISTS (SELECT 1 FROM resource own WHERE own.type = ${parameters.name(type)} AND NOT own.deleted AND ${which} AND (${condition}))`;
}
