import { checkResourceType, isCommonParameter, scopeQueryEntries } from '../fhir/access-entries.ts';
import { Failure } from '../kernel/errors.ts';
import type { Scope } from './scope.ts';

/**
 * Whether the server can hold what these scopes say: types of FHIR R4, and queries that are a condition on the index. For where scopes are registered and tokens are given;
 * a query that cannot be held grants nothing even so.
 *
 * @throws Failure `auth.scope` naming the rule
 */
export function checkScopeQueries(scopes: readonly Scope[]): void {
  for (const { type, query } of scopes) {
    checkResourceType(type);
    if (query === undefined) continue;
    const names = query.split('&').map((part) => part.slice(0, part.indexOf('=')));
    if (type === '*' && !names.every(isCommonParameter))
      throw new Failure(
        'auth.scope',
        'A scope for all types (*) takes _security, _tag, _profile and _source only: not every type has another parameter.',
      );
    scopeQueryEntries(type === '*' ? 'Patient' : type, query);
  }
}
