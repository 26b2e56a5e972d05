import type { RequiredSet } from './definitions/definitions.ts';
import { knownProfiles, type ValueSetMembers } from './profiles/known-profiles.ts';

export type { RequiredSet, ValueSetMembers };

/**
 * The folder that holds the terminology tells here how to list a value set, so that bindings of profiles to sets outside R4 are checked. Asked
 * once per profile, when it is first used; null for a set that is not known or too large to list.
 */
export function useValueSets(members: ValueSetMembers): void {
  knownProfiles.useValueSets(members);
}
