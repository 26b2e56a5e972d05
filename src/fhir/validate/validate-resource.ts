import type { Resource } from '@medplum/fhirtypes';
import type { Sql } from '../../database/database.ts';
import { Failure } from '../../kernel/errors.ts';
import { checkProfile } from '../profiles/check-profile.ts';
import { type KnownProfiles, knownProfiles } from '../profiles/known-profiles.ts';
import { askInRounds } from './ask-in-rounds.ts';
import { AskedCodes, type BoundCodes, KnownCodes, knownCodes, UNASKED } from './bound-codes.ts';
import { ISSUES_MAX, type ProfileClaim, walkElements } from './check-elements.ts';
import type { JsonObject } from './invariant.ts';
import type { ValidationIssue } from './validation-issue.ts';

/**
 * Validates a resource against the R4 base definitions (`check-elements.ts`), the profiles it claims in `meta.profile`, and the definitions of its
 * extensions, as far as they are known. Throws one `fhir.validation` that names all faults by their place, never by their value.
 */
export function validateResource(resource: Resource): void {
  refuse(resource, findIssues(resource));
}

/**
 * The same for a write, with the codes that profiles bind to value sets which only terminology knows. It is asked where a profile binds
 * so and the code was not met lately; all other writes wait for nothing. `brought`: with the profiles, value sets and code systems that the same transaction writes.
 */
export async function validateWrite(
  resource: Resource,
  sql: Sql,
  brought: KnownProfiles | null = null,
): Promise<void> {
  // What is not committed is nobody else's answer.
  const codes = new AskedCodes(brought ? new KnownCodes() : knownCodes, false);
  refuse(resource, await findIssuesAsking(resource, [], codes, sql, brought ?? knownProfiles));
}

/** As `findIssues`; what `codes` does not know yet is asked of terminology. */
export async function findIssuesAsking(
  resource: Resource,
  profiles: readonly string[],
  codes: AskedCodes,
  sql: Sql,
  known: KnownProfiles = knownProfiles,
): Promise<ValidationIssue[]> {
  let issues: ValidationIssue[] = [];
  const look = (one: Resource) => {
    issues = findIssues(one, profiles, codes, known);
  };
  await askInRounds([resource], codes, sql, look, { beside: known });
  return issues;
}

/** Throws when there are errors among the issues. */
export function refuse(resource: Resource, found: readonly ValidationIssue[]): void {
  const issues = found.filter((issue) => issue.severity === 'error');
  if (issues.length === 0) return;
  throw new Failure(
    'fhir.validation',
    `The ${resource.resourceType} has ${issues.length} fault(s); see the issues.`,
    { issues: issues.slice(0, ISSUES_MAX) },
  );
}

/**
 * Everything there is to say, warnings too. Never throws. `profiles`: canonical URLs to hold the resource against besides those it claims; one
 * that is not known is an error there, as it was asked for.
 */
export function findIssues(
  resource: Resource,
  profiles: readonly string[] = [],
  codes: BoundCodes = UNASKED,
  known: KnownProfiles = knownProfiles,
): ValidationIssue[] {
  const { issues, claims } = walkElements(resource);
  // Profiles are asked only of what has the shape of its type.
  if (issues.length > 0) return issues;
  for (const claim of claims) issues.push(...claimIssues(claim, codes, known));
  const object = resource as unknown as JsonObject;
  const claimed = new Set(resource.meta?.profile);
  for (const url of profiles) {
    const profile = known.find(url);
    if (!profile) issues.push(unknown(resource.resourceType, 'error'));
    else if (!claimed.has(url))
      issues.push(...checkProfile(object, resource.resourceType, profile, known.find, codes));
  }
  return issues;
}

const CORE = 'http://hl7.org/fhir/StructureDefinition/';

function claimIssues(
  { kind, object, url, at }: ProfileClaim,
  codes: BoundCodes,
  known: KnownProfiles,
): ValidationIssue[] {
  const profile = known.find(url);
  if (kind === 'extension')
    return profile?.type === 'Extension' ? checkProfile(object, at, profile, known.find, codes) : [];
  if (profile) return checkProfile(object, at, profile, known.find, codes);
  // The base definition itself may be claimed; it has been held already.
  if (url === `${CORE}${String(object['resourceType'])}`) return [];
  return [unknown(`${at}.meta.profile`, known.unknownProfiles === 'refuse' ? 'error' : 'warning')];
}

const unknown = (at: string, severity: ValidationIssue['severity']): ValidationIssue => ({
  severity,
  type: 'not-found',
  text: 'This server does not know the profile; store its StructureDefinition, or leave the claim out.',
  at,
});
