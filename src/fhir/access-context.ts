import { Failure } from '../kernel/errors.ts';
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
   * A condition that rows of `type` must meet beyond that, on the table `resource` under the given alias; values go into
   * `parameters`. null: no condition.
   */
  condition(
    type: string,
    interaction: AccessInteraction,
    alias: string,
    parameters: SqlParameters,
  ): string | null;
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
}

/**
 * Access by system scopes. Scopes of another context (`patient/`, `user/`) allow nothing until their compartments can be held in SQL.
 */
export function accessOfGrant(scopes: readonly GrantedScope[]): AccessContext {
  const rights = new Map<string, Set<AccessInteraction>>();
  for (const { context, type, permissions } of scopes) {
    if (context !== 'system') continue;
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
  };
}

/** The same from text: `system/Observation.rs system/*.r`. Parts that are no such scope allow nothing. */
export function accessOfScopes(text: string): AccessContext {
  return accessOfGrant(
    text.split(' ').flatMap((part) => {
      // The whole token must match: a prefix that looks right ("Observation.rsXYZ") would grant more than was meant.
      const match = /^system\/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?)$/.exec(part);
      return match?.[1] && match[2] ? [{ context: 'system', type: match[1], permissions: match[2] }] : [];
    }),
  );
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
