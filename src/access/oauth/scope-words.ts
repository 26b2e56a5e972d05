import { parseScopes, type Scope } from '../scope.ts';

/**
 * Words in a scope list that name no resources: OpenID Connect Core 5.4 and 11, SMART App Launch 2.2 "Scopes for requesting context data",
 * and `introspect`, which lets a resource server ask about tokens that are not its own.
 */
export const SCOPE_WORDS = [
  'openid',
  'profile',
  'fhirUser',
  'launch',
  'launch/patient',
  'launch/encounter',
  'online_access',
  'offline_access',
  'introspect',
] as const;

export interface ScopeList {
  readonly words: readonly string[];
  readonly resources: readonly Scope[];
}

/**
 * Splits a scope list into words and resource scopes.
 *
 * @throws Failure `auth.scope` for a part that is neither
 */
export function readScopeList(text: string): ScopeList {
  const parts = text.split(' ').filter((part) => part !== '');
  const isWord = (part: string) => (SCOPE_WORDS as readonly string[]).includes(part);
  return {
    words: [...new Set(parts.filter(isWord))],
    resources: parseScopes(parts.filter((part) => !isWord(part)).join(' ')),
  };
}

/** The resource scopes of a list that we issued ourselves. */
export const resourceScopes = (text: string): readonly Scope[] => readScopeList(text).resources;
