import { Failure } from '../kernel/errors.ts';

export type Permission = 'c' | 'r' | 'u' | 'd' | 's';

/** One SMART v2 scope: `system/Observation.rs`. */
export interface Scope {
  readonly context: 'system' | 'user' | 'patient';
  /** A resource type, or `*`. */
  readonly type: string;
  readonly permissions: ReadonlySet<Permission>;
}

/** More would be no list of rights but an attempt to make us work. */
export const SCOPE_CHARS_MAX = 8_192;

/**
 * Parses a space-separated list of SMART App Launch 2.2 scopes. The whole token must match: a prefix that happens to be a
 * scope grants nothing. Letters must stand in the order `cruds`, each once.
 *
 * @throws Failure `auth.scope` naming the rule that was broken
 */
export function parseScopes(text: string): Scope[] {
  if (text.length > SCOPE_CHARS_MAX)
    throw new Failure('auth.scope', `A scope list may have ${SCOPE_CHARS_MAX} characters.`);
  return text
    .split(' ')
    .filter((part) => part !== '')
    .map(parseScope);
}

const SCOPE = /^(system|user|patient)\/(\*|[A-Z][A-Za-z]{1,63})\.(c?r?u?d?s?|\*|read|write)$/;
const V1: Record<string, string> = { '*': 'cruds', read: 'rs', write: 'cud' };

function parseScope(text: string): Scope {
  const match = SCOPE.exec(text);
  const letters = match?.[3] && (V1[match[3]] ?? match[3]);
  if (!match || !letters) {
    throw new Failure(
      'auth.scope',
      'A scope must read like "system/Observation.rs": context, type or *, letters out of c r u d s in this order.',
    );
  }
  return {
    context: match[1] as Scope['context'],
    type: match[2] as string,
    permissions: new Set([...letters] as Permission[]),
  };
}

/** May these scopes do this with the type? An empty list may do nothing. */
export function permits(scopes: readonly Scope[], type: string, permission: Permission): boolean {
  return scopes.some(
    (scope) => (scope.type === '*' || scope.type === type) && scope.permissions.has(permission),
  );
}

/** Those of `wanted` that `allowed` covers, letter by letter. */
export function narrow(wanted: readonly Scope[], allowed: readonly Scope[]): Scope[] {
  return wanted.flatMap((scope) => {
    const kept = [...scope.permissions].filter((permission) =>
      permits(
        allowed.filter((a) => a.context === scope.context),
        scope.type,
        permission,
      ),
    );
    return kept.length > 0 ? [{ ...scope, permissions: new Set(kept) }] : [];
  });
}

export const scopeText = (scopes: readonly Scope[]) =>
  scopes.map((scope) => `${scope.context}/${scope.type}.${[...scope.permissions].join('')}`).join(' ');
